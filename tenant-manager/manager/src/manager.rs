//! Starting and stopping the manager, and its handle.
//!
//! Starting raises the generation of every tenant placed here, loads them all,
//! and boots those that should run. Shutdown stops every node, several at a
//! time, then the manager's own tasks.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use lifecycle::{Clock, Entropy, Tasks};
use node_api::{NodeLauncher, NodeLogs, Secret, StopReason};
use parking_lot::{Mutex, RwLock};
use tenant_model::{Plan, Repositories, StorageError, TenantId};
use tokio::time::Instant;

use crate::accounts::{AccountView, Accounts, NewAccount, NewSession};
use crate::admission::Admission;
use crate::alarms::Alarms;
use crate::error::{AuthError, PromoteError, RegisterError, SignInError};
use crate::fabric::Fabric;
use crate::keys::HostIdentity;
use crate::links::Links;
use crate::operator::LocalTokens;
use crate::places::{HostGauge, Places};
use crate::principal::Principal;
use crate::recorder::Recorder;
use crate::registry::Registry;
use crate::slots::Slots;
use crate::ssh_auth::Limiter;
use crate::tenant::Tenant;
use crate::{alarms, boot, stop, upkeep};

/// Nodes stopped at once at shutdown.
const STOPS_AT_ONCE: usize = 16;

/// How long things may take and how many may happen at once.
#[derive(Debug, Clone, Copy)]
pub struct ManagerLimits {
    /// Boots of the host at once.
    pub boots_at_once: usize,
    /// Nodes awake at once; fewer where the host runs out of something first.
    pub max_awake: usize,
    /// How long someone waits for a node to wake.
    pub acquire_deadline: Duration,
    /// A boot that takes longer gives its place to others.
    pub boot_deadline: Duration,
    /// From `delete` with purge until everything is removed.
    pub purge_grace: Duration,
}

impl Default for ManagerLimits {
    fn default() -> Self {
        Self {
            boots_at_once: 4,
            max_awake: 20_000,
            acquire_deadline: Duration::from_secs(30),
            boot_deadline: Duration::from_secs(60),
            purge_grace: Duration::from_secs(7 * 24 * 3600),
        }
    }
}

/// What a manager is made of.
#[derive(Debug)]
pub struct ManagerOptions {
    /// Where the control plane keeps things.
    pub repositories: Repositories,
    /// Boots nodes.
    pub launcher: Arc<dyn NodeLauncher>,
    /// Reads what nodes wrote down.
    pub logs: Arc<dyn NodeLogs>,
    /// Reads what the process uses.
    pub gauge: Arc<dyn HostGauge>,
    /// Wall-clock time.
    pub clock: Arc<dyn Clock>,
    /// Randomness, secure.
    pub entropy: Arc<dyn Entropy>,
    /// The manager's own set of tasks, a child of the host's.
    pub tasks: Tasks,
    /// Tenants' files are under `nodes/` of it, their logs under `logs/`.
    pub data_dir: PathBuf,
    /// Who this host is.
    pub identity: HostIdentity,
    /// A node's name is its label, a dot, and this.
    pub node_suffix: String,
    /// Plan of new accounts.
    pub plan: Plan,
    /// A node unused for so long hibernates; zero: never.
    pub idle_after: Duration,
    /// Bounds.
    pub limits: ManagerLimits,
}

/// Why the manager did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store of nodes cannot be read.
    #[error("failed to look for nodes to wake: {0}")]
    Nodes(#[from] node_api::LaunchError),
    /// The database cannot be used.
    #[error("failed to load the nodes of this host: {0}")]
    Storage(#[from] StorageError),
    /// The key file is not the one the database's keys were sealed with.
    #[error(
        "the key file `kek` in the data directory is not the one this host's nodes were made \
         with; restore the right one (nothing has been changed)"
    )]
    WrongKey,
    /// The suffix makes no names.
    #[error("the node suffix `{0}` makes no node names; use one such as `dev`")]
    BadSuffix(String),
}

/// The handle; cheap to clone.
#[derive(Debug, Clone)]
pub struct Manager(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) repositories: Repositories,
    pub(crate) launcher: Arc<dyn NodeLauncher>,
    pub(crate) logs: Arc<dyn NodeLogs>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) tasks: Tasks,
    pub(crate) data_dir: PathBuf,
    pub(crate) identity: HostIdentity,
    pub(crate) node_suffix: String,
    pub(crate) idle_after: Duration,
    pub(crate) limits: ManagerLimits,
    pub(crate) accounts: Accounts,
    pub(crate) registry: RwLock<Registry>,
    pub(crate) slots: Slots,
    pub(crate) fabric: Fabric,
    pub(crate) admission: Admission,
    pub(crate) places: Places,
    pub(crate) gauge: Arc<dyn HostGauge>,
    pub(crate) alarms: Arc<Alarms>,
    pub(crate) recorder: Recorder,
    pub(crate) ssh_limiter: Mutex<Limiter>,
    pub(crate) links: Links,
    pub(crate) local_tokens: LocalTokens,
    /// The turn of making a keyfile.
    pub(crate) keyfiles: tokio::sync::Semaphore,
    /// Looks at the database that are left: a write may have happened that
    /// memory does not know of, and may still be on its way.
    pub(crate) reload: std::sync::atomic::AtomicU32,
}

impl Manager {
    /// Takes over the tenants of this host and starts looking after them.
    ///
    /// # Errors
    /// [`StartError`]; then nothing runs.
    pub async fn start(options: ManagerOptions) -> Result<Self, StartError> {
        let ManagerOptions {
            repositories,
            launcher,
            logs,
            gauge,
            clock,
            entropy,
            tasks,
            data_dir,
            identity,
            node_suffix,
            plan,
            idle_after,
            limits,
        } = options;
        if node_types::NodeName::new(&format!("a.{node_suffix}")).is_err() {
            return Err(StartError::BadSuffix(node_suffix));
        }
        let check = identity.key_check(&*entropy).ok_or(StartError::WrongKey)?;
        let tenants = repositories.tenants.clone();
        let host = tenants
            .register_host(identity.host, &check, clock.now())
            .await?;
        // Before any generation is raised: a host with the wrong key must
        // leave everything as it is.
        if !identity.passes(&host.key_check) {
            return Err(StartError::WrongKey);
        }
        let mut registry = Registry::default();
        for row in tenants.claim(identity.host).await? {
            let label = row.label.clone();
            if let Err(error) = registry.add(row) {
                tracing::error!(%label, "failed to load a tenant: {error}");
            }
        }
        let accounts = Accounts::new(
            repositories.clone(),
            clock.clone(),
            entropy.clone(),
            &tasks,
            plan,
        );
        let inner = Arc::new(Inner {
            recorder: Recorder::start(repositories.tenants.clone(), &tasks),
            admission: Admission::new(limits.boots_at_once),
            places: Places::new(limits.max_awake),
            gauge,
            alarms: Arc::default(),
            registry: RwLock::new(registry),
            repositories,
            launcher,
            logs,
            clock,
            entropy,
            tasks,
            data_dir,
            identity,
            node_suffix,
            idle_after,
            limits,
            accounts,
            slots: Slots::default(),
            fabric: Fabric::default(),
            ssh_limiter: Mutex::default(),
            links: Links::default(),
            local_tokens: LocalTokens::default(),
            keyfiles: tokio::sync::Semaphore::new(1),
            reload: 0.into(),
        });
        alarms::load(&inner).await?;
        upkeep::read_use(&inner).await;
        upkeep::start(&inner);
        upkeep::pass(&inner).await;
        Ok(Self(inner))
    }

    /// Stops every node, telling open terminals that the host goes down.
    /// Returns whether all ended within `grace`.
    ///
    /// # Cancel-Safety
    /// Safe; nothing begins any more, and the call may be repeated.
    pub async fn shutdown(&self, grace: Duration) -> bool {
        self.shutdown_for(StopReason::HostShutdown, grace).await
    }

    /// [`Self::shutdown`] for another reason, which open terminals and
    /// WebSockets are told.
    ///
    /// # Cancel-Safety
    /// As [`Self::shutdown`].
    pub async fn shutdown_for(&self, reason: StopReason, grace: Duration) -> bool {
        let inner = &self.0;
        let deadline = Instant::now() + grace;
        inner.slots.close(reason);
        let all_down = tokio::time::timeout_at(deadline, async {
            loop {
                let (attached, barriers) = inner.slots.busy();
                if attached.is_empty() && barriers.is_empty() {
                    return;
                }
                futures::stream::iter(attached)
                    .for_each_concurrent(STOPS_AT_ONCE, |tenant| self.stop_for(reason, tenant))
                    .await;
                for barrier in barriers {
                    barrier.wait().await;
                }
            }
        })
        .await
        .is_ok();
        if !all_down {
            tracing::warn!("nodes did not stop in time; they end with the process");
        }
        // The recorder and the timers still get a moment to end by themselves.
        let left = deadline.saturating_duration_since(Instant::now());
        let tasks_ended = inner.tasks.shutdown(left.max(Duration::from_secs(1))).await;
        all_down && tasks_ended
    }

    async fn stop_for(&self, reason: StopReason, id: TenantId) {
        let Some(tenant) = self.0.registry.read().get(id) else {
            return;
        };
        if let Some((guard, node)) = self.0.slots.begin_stop(id, |_| true) {
            stop::run(&self.0, &tenant, &node, guard, reason).await;
        }
    }

    /// Makes an account and signs it in.
    ///
    /// # Errors
    /// [`RegisterError`].
    pub async fn register(
        &self,
        email: &str,
        password: Secret<String>,
    ) -> Result<NewAccount, RegisterError> {
        self.0.accounts.register(email, password).await
    }

    /// Begins a session.
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn sign_in(
        &self,
        email: &str,
        password: Secret<String>,
    ) -> Result<NewSession, SignInError> {
        self.0.accounts.sign_in(email, password).await
    }

    /// Whose token this is.
    ///
    /// # Errors
    /// [`AuthError`].
    pub async fn authenticate(&self, token: &str) -> Result<Principal, AuthError> {
        if let Some(operator) = self.0.local_tokens.principal(token, self.0.clock.now()) {
            return Ok(operator);
        }
        self.0.accounts.authenticate(token).await
    }

    /// Ends the session.
    ///
    /// # Errors
    /// [`AuthError`].
    pub async fn sign_out(&self, principal: &Principal) -> Result<(), AuthError> {
        self.0.accounts.sign_out(principal).await
    }

    /// The account.
    ///
    /// # Errors
    /// [`AuthError`].
    pub async fn account(&self, principal: &Principal) -> Result<AccountView, AuthError> {
        self.0.accounts.account(principal).await
    }

    /// Makes the account of `email` an operator.
    ///
    /// # Errors
    /// [`PromoteError`].
    pub async fn promote_operator(&self, email: &str) -> Result<(), PromoteError> {
        self.0.accounts.promote_operator(email).await
    }
}

impl Inner {
    /// Does the next thing about one tenant, if there is one. Returns at once;
    /// whatever it begins ends by coming back here.
    pub(crate) fn reconcile(self: &Arc<Self>, tenant: &Arc<Tenant>) {
        use crate::reconcile::{Observed, Step, step};

        let intent = tenant.intent(Instant::now(), self.clock.now());
        let (observed, _) = self.slots.observe(tenant.id);
        match step(intent, observed) {
            // It runs: a wish that it may run is granted.
            Step::Nothing if observed == Observed::Active => {
                tenant.state.lock().granted();
            }
            Step::Nothing => {}
            Step::Boot => {
                let cause = tenant.state.lock().cause;
                boot::begin(self, tenant, cause);
            }
            Step::CancelBoot => self.slots.cancel_boot(tenant.id),
            Step::Stop => {
                let reason = tenant.state.lock().stop_reason();
                stop::begin(self, tenant, reason, |_| true);
            }
            Step::Purge => stop::begin_purge(self, tenant),
            Step::Forget => {
                self.registry.write().remove(tenant);
                self.alarms.forget(tenant.id);
                self.slots.feed.removed(tenant.id, tenant.account);
            }
        }
    }
}
