//! A real manager over fakes, for tests of the doors and of the manager: no
//! database, no Wasm, a clock that moves by hand.

mod gauge;
mod launcher;
mod logs;
mod node;
mod repositories;

use std::sync::Arc;
use std::time::Duration;

use lifecycle::{Entropy, ManualClock, OsEntropy, Tasks};
use node_api::{NodeLauncher, NodeLogs, Secret};
use tenant_model::{Plan, Repositories};
use tokio_util::sync::CancellationToken;

use crate::keys::HostIdentity;
use crate::manager::{Manager, ManagerLimits, ManagerOptions, StartError};
use crate::places::HostGauge;
use crate::{CreateError, NodeView, Principal};

pub use gauge::FakeGauge;
pub use launcher::FakeLauncher;
pub use logs::FakeLogs;
pub use node::FakeNode;
pub use repositories::MemoryRepositories;

/// A manager and what is behind it.
#[derive(Debug, Clone)]
pub struct Fakes {
    /// The manager itself, not a fake.
    pub manager: Manager,
    /// Launches [`FakeNode`]s.
    pub launcher: Arc<FakeLauncher>,
    /// Keeps everything in memory.
    pub repositories: Arc<MemoryRepositories>,
    /// The manager's clock; stands still unless advanced.
    pub clock: ManualClock,
    /// The manager's tasks.
    pub tasks: Tasks,
}

/// What a manager over fakes is started with.
#[derive(Debug, Clone)]
pub struct FakeOptions {
    /// Plan of new accounts.
    pub plan: Plan,
    /// See [`ManagerOptions::idle_after`].
    pub idle_after: Duration,
    /// See [`ManagerOptions::limits`].
    pub limits: ManagerLimits,
    /// Who the host is; a second manager over the same rows needs the same.
    pub identity: HostIdentity,
    /// Where logs are read.
    pub logs: Arc<dyn NodeLogs>,
    /// What the host uses.
    pub gauge: Arc<dyn HostGauge>,
}

impl Default for FakeOptions {
    fn default() -> Self {
        Self {
            plan: Plan::default(),
            idle_after: Duration::ZERO,
            limits: ManagerLimits::default(),
            identity: HostIdentity::ephemeral(&OsEntropy),
            logs: Arc::new(FakeLogs::default()),
            gauge: Arc::new(FakeGauge::default()),
        }
    }
}

/// A manager over fakes; nodes are called `<label>.dev` and never hibernate by
/// themselves. Must be called within a tokio runtime.
///
/// # Errors
/// [`StartError`].
pub async fn manager_with_fakes() -> Result<Fakes, StartError> {
    let launcher = Arc::new(FakeLauncher::default());
    let repositories = Arc::new(MemoryRepositories::default());
    start(FakeOptions::default(), launcher, repositories).await
}

/// A manager over these fakes.
///
/// # Errors
/// [`StartError`].
pub async fn start(
    options: FakeOptions,
    launcher: Arc<FakeLauncher>,
    repositories: Arc<MemoryRepositories>,
) -> Result<Fakes, StartError> {
    let clock = launcher.clock();
    let tasks = Tasks::new(tokio::runtime::Handle::current(), &CancellationToken::new());
    let rows = repositories.repositories();
    let manager = start_over(options, launcher.clone(), rows, &clock, &tasks).await?;
    Ok(Fakes {
        manager,
        launcher,
        repositories,
        clock,
        tasks,
    })
}

/// A manager over any launcher and repositories.
///
/// # Errors
/// [`StartError`].
pub async fn start_over(
    options: FakeOptions,
    launcher: Arc<dyn NodeLauncher>,
    repositories: Repositories,
    clock: &ManualClock,
    tasks: &Tasks,
) -> Result<Manager, StartError> {
    let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
    let FakeOptions {
        plan,
        idle_after,
        limits,
        identity,
        logs,
        gauge,
    } = options;
    Manager::start(ManagerOptions {
        repositories,
        launcher,
        logs,
        gauge,
        clock: Arc::new(clock.clone()),
        entropy,
        tasks: tasks.child(),
        data_dir: std::path::PathBuf::from("no-such-directory"),
        identity,
        node_suffix: "dev".to_owned(),
        plan,
        idle_after,
        limits,
    })
    .await
}

/// The same host with another key, as after a mixed-up restore.
#[must_use]
pub fn with_another_key(identity: &HostIdentity) -> HostIdentity {
    HostIdentity {
        host: identity.host,
        ..HostIdentity::ephemeral(&OsEntropy)
    }
}

impl Fakes {
    /// Signs up `email` and signs it in. `None` if the address is taken.
    pub async fn account(&self, email: &str) -> Option<Principal> {
        let password = Secret::new("long enough".to_owned());
        let new = self.manager.register(email, password).await.ok()?;
        self.manager.authenticate(new.token.expose()).await.ok()
    }

    /// Makes a node of `principal` and waits until it is active.
    ///
    /// # Errors
    /// [`CreateError`].
    pub async fn node(&self, principal: &Principal, label: &str) -> Result<NodeView, CreateError> {
        let password = Secret::new("node password".to_owned());
        let view = self.manager.create_node(principal, label, password).await?;
        if let Ok(access) = self.manager.visitor(label)
            && let Err(error) = self.manager.acquire(&access).await
        {
            return Err(CreateError::Unavailable(error.to_string()));
        }
        Ok(self.manager.node(principal, label).await.unwrap_or(view))
    }
}
