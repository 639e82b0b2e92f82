//! A gateway in front of a manager with scripted nodes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lifecycle::{ManualClock, TaskKind, Tasks};
use node_api::Secret;
use ssh_gateway::{Limits, Options};
use tempfile::TempDir;
use tenant_manager::testing::{FakeOptions, MemoryRepositories, start_over};
use tenant_manager::{Manager, Principal};
use tokio_util::sync::CancellationToken;

use crate::audit_log;
use crate::node::Launcher;

/// Everything one test needs.
pub struct Host {
    pub manager: Manager,
    pub launcher: Arc<Launcher>,
    pub port: u16,
    pub fingerprint: String,
    directory: TempDir,
    /// The manager's tasks.
    _background: Tasks,
    /// The gateway's.
    tasks: Tasks,
    owner: Principal,
}

/// Limits under which refusals do not slow the tests down.
pub fn limits() -> Limits {
    Limits {
        refusal_delay: Duration::from_millis(50),
        ..Limits::default()
    }
}

impl Host {
    pub async fn start() -> Self {
        Self::with(limits()).await
    }

    pub async fn with(limits: Limits) -> Self {
        audit_log::install();
        let directory = tempfile::tempdir().unwrap();
        let launcher = Arc::new(Launcher::default());
        let repositories = Arc::new(MemoryRepositories::default()).repositories();
        let runtime = tokio::runtime::Handle::current();
        let background = Tasks::new(runtime.clone(), &CancellationToken::new());
        let tasks = Tasks::new(runtime, &CancellationToken::new());
        let options = FakeOptions::default();
        let clock = ManualClock::default();
        let manager = start_over(options, launcher.clone(), repositories, &clock, &background)
            .await
            .unwrap();
        let password = Secret::new("long enough".to_owned());
        let new = manager.register("ann@example.org", password).await.unwrap();
        let owner = manager.authenticate(new.token.expose()).await.unwrap();
        let mut options = Options::new("127.0.0.1:0".parse().unwrap(), key_path(directory.path()));
        options.limits = limits;
        let bound = ssh_gateway::bind(options, manager.clone(), &tasks)
            .await
            .unwrap();
        let port = bound.local_addr().port();
        let fingerprint = bound.host_key_fingerprint().to_owned();
        tasks.spawn(TaskKind::graceful("gateway"), bound.serve());
        Self {
            manager,
            launcher,
            port,
            fingerprint,
            directory,
            _background: background,
            tasks,
            owner,
        }
    }

    /// A node called `label`; returns its SSH password.
    pub async fn node(&self, label: &str) -> String {
        let password = Secret::new("node password".to_owned());
        self.manager
            .create_node(&self.owner, label, password)
            .await
            .unwrap();
        let password = self.manager.ssh_password(&self.owner, label).await.unwrap();
        password.expose().clone()
    }

    /// Its owner stops the node.
    pub async fn stop_node(&self, label: &str) {
        self.manager.stop_node(&self.owner, label).await.unwrap();
    }

    /// An operator of the host suspends the node.
    pub async fn suspend_node(&self, label: &str) {
        let (email, password) = ("ops@example.org", Secret::new("long enough".to_owned()));
        let new = self.manager.register(email, password).await.unwrap();
        self.manager.promote_operator(email).await.unwrap();
        let principal = self.manager.authenticate(new.token.expose()).await.unwrap();
        let operator = self.manager.operator(&principal).unwrap();
        operator.suspend_node(label, "a secret").await.unwrap();
    }

    /// A directory for the test's own files.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Shuts the gateway down; whether everything ended by itself.
    pub async fn shutdown(&self) -> bool {
        self.tasks.shutdown(Duration::from_secs(10)).await
    }
}

pub fn key_path(directory: &Path) -> PathBuf {
    directory.join("ssh_host_key")
}
