//! Launches fake nodes, slowly or in vain if told so.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use async_trait::async_trait;
use lifecycle::ManualClock;
use node_api::{Alarm, DiskUse, LaunchError, NodeHandle, NodeLauncher, NodeSpec, TenantKey};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::node::{FakeNode, Hook};

/// See the module's documentation.
#[derive(Debug)]
pub struct FakeLauncher {
    clock: ManualClock,
    launches: AtomicUsize,
    failures_left: AtomicU32,
    open: watch::Sender<bool>,
    nodes: Mutex<HashMap<TenantKey, Arc<FakeNode>>>,
    specs: Mutex<Vec<NodeSpec>>,
    purged: Mutex<Vec<TenantKey>>,
    removed: Mutex<Vec<PathBuf>>,
    /// Launches and purges of tenants whose node ran.
    clashes: AtomicUsize,
    stuck: Mutex<Option<String>>,
    alarms: Mutex<Vec<Alarm>>,
    kept_disk: Mutex<Option<DiskUse>>,
    /// How often what nodes keep on disk was read.
    disk_looks: AtomicUsize,
    forgotten: Mutex<Vec<TenantKey>>,
    before_login: Mutex<Hook>,
}

impl Default for FakeLauncher {
    fn default() -> Self {
        Self {
            clock: ManualClock::default(),
            launches: AtomicUsize::new(0),
            failures_left: AtomicU32::new(0),
            open: watch::channel(true).0,
            nodes: Mutex::default(),
            specs: Mutex::default(),
            purged: Mutex::default(),
            removed: Mutex::default(),
            clashes: AtomicUsize::new(0),
            stuck: Mutex::default(),
            alarms: Mutex::default(),
            kept_disk: Mutex::default(),
            disk_looks: AtomicUsize::new(0),
            forgotten: Mutex::default(),
            before_login: Mutex::default(),
        }
    }
}

impl FakeLauncher {
    /// The clock of its nodes.
    #[must_use]
    pub fn clock(&self) -> ManualClock {
        self.clock.clone()
    }

    /// Launches wait from now on, until [`FakeLauncher::release`].
    pub fn hold(&self) {
        self.open.send_replace(false);
    }

    /// Launches of the node called `name` never end.
    pub fn hold_only(&self, name: &str) {
        *self.stuck.lock() = Some(name.to_owned());
    }

    /// Lets launches go on.
    pub fn release(&self) {
        self.open.send_replace(true);
    }

    /// The next `count` launches fail.
    pub fn fail_next(&self, count: u32) {
        self.failures_left.store(count, Ordering::SeqCst);
    }

    /// The next node runs `hook` when it is to get another login, before it
    /// does.
    pub fn before_login(&self, hook: impl FnOnce() + Send + 'static) {
        self.before_login.lock().0 = Some(Box::new(hook));
    }

    /// Launches begun so far.
    pub fn launches(&self) -> usize {
        self.launches.load(Ordering::SeqCst)
    }

    /// How often a tenant was to be launched or purged whose node ran.
    pub fn clashes(&self) -> usize {
        self.clashes.load(Ordering::SeqCst)
    }

    /// Nodes that run.
    pub fn running(&self) -> Vec<Arc<FakeNode>> {
        let nodes = self.nodes.lock();
        nodes
            .values()
            .filter(|node| node.is_running())
            .cloned()
            .collect()
    }

    /// Every node that was launched last for its tenant.
    pub fn all(&self) -> Vec<Arc<FakeNode>> {
        self.nodes.lock().values().cloned().collect()
    }

    /// The running node called `name`.
    pub fn running_node(&self, name: &str) -> Option<Arc<FakeNode>> {
        self.running()
            .into_iter()
            .find(|node| node.name().as_str() == name)
    }

    /// What nodes were launched with, in order.
    pub fn specs(&self) -> Vec<NodeSpec> {
        self.specs.lock().clone()
    }

    /// What the store of an earlier host says of tenants to be woken.
    pub fn set_alarms(&self, alarms: Vec<Alarm>) {
        *self.alarms.lock() = alarms;
    }

    /// What the store of an earlier host says of every node's disk.
    pub fn set_kept_disk(&self, disk: DiskUse) {
        *self.kept_disk.lock() = Some(disk);
    }

    /// How often that was read.
    pub fn disk_looks(&self) -> usize {
        self.disk_looks.load(Ordering::SeqCst)
    }

    /// Whose sleep was to be forgotten.
    pub fn forgotten(&self) -> Vec<TenantKey> {
        self.forgotten.lock().clone()
    }

    /// Directories that were to be removed with what was purged.
    pub fn removed(&self) -> Vec<PathBuf> {
        self.removed.lock().clone()
    }

    /// What was purged.
    pub fn purged(&self) -> Vec<TenantKey> {
        self.purged.lock().clone()
    }
}

#[async_trait]
impl NodeLauncher for FakeLauncher {
    async fn launch(&self, spec: NodeSpec) -> Result<Arc<dyn NodeHandle>, LaunchError> {
        self.launches.fetch_add(1, Ordering::SeqCst);
        self.specs.lock().push(spec.clone());
        if self.stuck.lock().as_deref() == Some(spec.name.as_str()) {
            std::future::pending::<()>().await;
        }
        let mut open = self.open.subscribe();
        let _ = open.wait_for(|open| *open).await;
        let one_less = |left: u32| left.checked_sub(1);
        let fails = self
            .failures_left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less);
        if fails.is_ok() {
            return Err(LaunchError::Resources("patience".to_owned()));
        }
        let mut nodes = self.nodes.lock();
        if nodes.get(&spec.key).is_some_and(|node| node.is_running()) {
            self.clashes.fetch_add(1, Ordering::SeqCst);
            return Err(LaunchError::Storage(
                "a second node of one tenant".to_owned(),
            ));
        }
        let hook = std::mem::take(&mut *self.before_login.lock());
        let node = FakeNode::start(spec.name, spec.transport, hook);
        nodes.insert(spec.key, node.clone());
        Ok(node)
    }

    async fn alarms(&self) -> Result<Vec<Alarm>, LaunchError> {
        Ok(self.alarms.lock().clone())
    }

    async fn forget_rest(&self, key: TenantKey) -> Result<(), LaunchError> {
        self.forgotten.lock().push(key);
        Ok(())
    }

    async fn kept_disk(&self, _key: TenantKey) -> Result<Option<DiskUse>, LaunchError> {
        self.disk_looks.fetch_add(1, Ordering::SeqCst);
        Ok(*self.kept_disk.lock())
    }

    async fn purge(&self, key: TenantKey, directories: &[PathBuf]) -> Result<(), LaunchError> {
        if self
            .nodes
            .lock()
            .get(&key)
            .is_some_and(|node| node.is_running())
        {
            self.clashes.fetch_add(1, Ordering::SeqCst);
            return Err(LaunchError::Storage("the node runs".to_owned()));
        }
        self.purged.lock().push(key);
        self.removed.lock().extend_from_slice(directories);
        Ok(())
    }
}
