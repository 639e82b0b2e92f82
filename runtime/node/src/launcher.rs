//! Boots nodes: the host's shared parts, and the launcher the manager calls.
//!
//! Owns what all nodes of a host share: the engine, the store, the distro
//! packages with their machine code. Stops with its tasks; nodes are stopped
//! by whoever launched them.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use lifecycle::{Clock, Entropy, Tasks, Timestamp};
use node_api::{
    Alarm, AlarmTime, DiskUse, LaunchError, NodeHandle, NodeLauncher, NodeSpec, TenantKey,
};
use node_egress::Dialer;
use node_engine::{Component, Engine, PrepareError};
use node_services::http_server::HASHING_PERMITS;
use node_services::sqlite::CONCURRENT_ON_HOST;
use node_services::vfs::Overlays;
use node_store::{Due, HostStore};
use node_types::ProcessId;
use tokio::sync::Semaphore;

use crate::boot;
use crate::distro::{Distro, DistroPackage, ManifestEntry};
use crate::log::LogFiles;
use crate::rest::Bed;

/// What a launcher is made of.
#[derive(Debug)]
pub struct LauncherOptions {
    /// Runs components.
    pub engine: Engine,
    /// Keeps process maps and state.
    pub store: HostStore,
    /// The host's own apps.
    pub distro: Distro,
    /// Wall-clock time.
    pub clock: Arc<dyn Clock>,
    /// Message ids.
    pub entropy: Arc<dyn Entropy>,
    /// Where nodes' logs are told to have grown.
    pub logs: Arc<LogFiles>,
    /// The way to what apps ask for outside.
    pub dialer: Arc<Dialer>,
    /// Tasks on the guests' runtime.
    pub tasks: Tasks,
    /// Whether nodes are reached by TLS from outside.
    pub tls: bool,
}

/// Boots nodes on this host.
#[derive(Debug)]
pub struct Launcher {
    pub(crate) engine: Engine,
    pub(crate) store: HostStore,
    pub(crate) distro: Vec<DistroPackage>,
    pub(crate) components: HashMap<ProcessId, Arc<Component>>,
    /// The drives of the distro packages, which all nodes read.
    pub(crate) overlays: Overlays,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) logs: Arc<LogFiles>,
    pub(crate) dialer: Arc<Dialer>,
    pub(crate) tasks: Tasks,
    pub(crate) hashing: Arc<Semaphore>,
    /// Turns of SQL statements, of all nodes.
    pub(crate) sql_turns: Arc<Semaphore>,
    pub(crate) tls: bool,
}

/// Why there is no launcher.
#[derive(Debug, thiserror::Error)]
pub enum LauncherError {
    /// A directory of the distro packages cannot be opened.
    #[error("failed to open the drives of the distro packages: {0}")]
    Drives(std::io::Error),
    /// A component of a distro package.
    #[error("failed to prepare {process} of the distro packages: {problem}")]
    Component {
        /// Which.
        process: String,
        /// Why.
        problem: String,
    },
}

impl Launcher {
    /// Makes the machine code of all distro processes ready.
    ///
    /// # Errors
    /// [`LauncherError`] naming the process.
    pub async fn new(options: LauncherOptions) -> Result<Arc<Self>, LauncherError> {
        let LauncherOptions {
            engine,
            store,
            distro,
            clock,
            entropy,
            logs,
            dialer,
            tasks,
            tls,
        } = options;
        let mut components = HashMap::new();
        let mut drives = HashMap::new();
        for package in &distro.packages {
            drives.insert(format!("{}/pkg", package.id), package.root.clone());
            for entry in &package.manifest {
                let id = package.process(entry)?;
                let component = prepare(&engine, package, entry).await?;
                components.insert(id, component);
            }
        }
        Ok(Arc::new(Self {
            engine,
            store,
            distro: distro.packages,
            components,
            overlays: Overlays::open(&drives).map_err(LauncherError::Drives)?,
            clock,
            entropy,
            logs,
            dialer,
            tasks,
            hashing: Arc::new(Semaphore::new(HASHING_PERMITS)),
            sql_turns: Arc::new(Semaphore::new(CONCURRENT_ON_HOST)),
            tls,
        }))
    }
}

impl DistroPackage {
    /// The id of one of its processes.
    fn process(&self, entry: &ManifestEntry) -> Result<ProcessId, LauncherError> {
        ProcessId::in_package(&entry.process_name, &self.id).map_err(|error| {
            LauncherError::Component {
                process: entry.process_name.clone(),
                problem: error.to_string(),
            }
        })
    }

    /// Its drive, as a VFS path.
    pub(crate) fn drive(&self) -> String {
        format!("/{}/pkg", self.id)
    }

    /// The VFS path of a process' component.
    pub(crate) fn handle(&self, entry: &ManifestEntry) -> String {
        format!(
            "{}/{}",
            self.drive(),
            entry.process_wasm_path.trim_start_matches('/')
        )
    }
}

async fn prepare(
    engine: &Engine,
    package: &DistroPackage,
    entry: &ManifestEntry,
) -> Result<Arc<Component>, LauncherError> {
    let failed = |problem: String| LauncherError::Component {
        process: format!("{}:{}", entry.process_name, package.id),
        problem,
    };
    let path = package
        .root
        .join(entry.process_wasm_path.trim_start_matches('/'));
    let wasm =
        std::fs::read(&path).map_err(|error| failed(format!("{}: {error}", path.display())))?;
    engine
        .prepare(wasm.into())
        .await
        .map_err(|error: PrepareError| failed(error.to_string()))
}

/// Removes a directory with everything in it, if it is there.
fn remove(directory: &std::path::Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// An alarm as it is stored. A time that no clock can show has nobody waiting
/// for it, but its tenant is looked at.
fn alarm(stored: node_store::Alarm) -> Alarm {
    let due = match stored.due {
        Due::Running => None,
        Due::At(millis) => {
            Timestamp::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).ok()
        }
    };
    Alarm {
        key: TenantKey {
            tenant: stored.tenant,
            incarnation: stored.incarnation,
        },
        due: due.map_or(AlarmTime::Interrupted, AlarmTime::At),
    }
}

#[async_trait]
impl NodeLauncher for Launcher {
    async fn launch(&self, spec: NodeSpec) -> Result<Arc<dyn NodeHandle>, LaunchError> {
        let node = boot::boot(self, spec).await?;
        Ok(node)
    }

    async fn alarms(&self) -> Result<Vec<Alarm>, LaunchError> {
        let stored = self.store.alarms().all().await;
        let stored = stored.map_err(|error| LaunchError::Storage(error.to_string()))?;
        Ok(stored.into_iter().map(alarm).collect())
    }

    async fn forget_rest(&self, key: TenantKey) -> Result<(), LaunchError> {
        let bed = Bed::new(&self.store, key, self.clock.clone());
        let forgotten = bed.forget().await;
        forgotten.map_err(|error| LaunchError::Storage(error.to_string()))
    }

    async fn kept_disk(&self, key: TenantKey) -> Result<Option<DiskUse>, LaunchError> {
        let bed = Bed::new(&self.store, key, self.clock.clone());
        let kept = bed.kept_disk().await;
        kept.map_err(|error| LaunchError::Storage(error.to_string()))
    }

    async fn purge(&self, key: TenantKey, directories: &[PathBuf]) -> Result<(), LaunchError> {
        let storage = |error: &dyn std::fmt::Display| LaunchError::Storage(error.to_string());
        self.store
            .purge_incarnation(key.tenant, key.incarnation)
            .await
            .map_err(|error| storage(&error))?;
        let directories = directories.to_vec();
        let removed = self
            .tasks
            .blocking(move || {
                directories
                    .iter()
                    .try_for_each(|directory| remove(directory))
            })
            .await;
        match removed {
            Some(removed) => removed.map_err(|error| storage(&error)),
            None => Err(LaunchError::Storage("the host is shutting down".into())),
        }
    }
}
