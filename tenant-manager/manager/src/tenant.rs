//! A tenant of this host as the manager keeps it in memory: enough to wake its
//! node and to let people in without asking the database.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use ed25519_dalek::SigningKey;
use lifecycle::{Timestamp, TokenBucket};
use node_api::{
    DiskUse, Keyfile, LoginVerifiers, NodeLimits, NodeSpec, StopReason, TenantKey, Transport,
};
use node_types::NodeName;
use parking_lot::Mutex;
use tenant_model::{
    AccountId, Change, DesiredState, Generation, Label, NodeStatus, Plan, SshAccess,
    StoredVerifiers, TenantId, WrappedKeys,
};
use tokio::time::Instant;

use crate::access::{Door, TenantAccess};
use crate::admission::AccountPermits;
use crate::boot::{Cause, ROOM_AGAIN};
use crate::breaker::Breaker;
use crate::fabric::WAKES;
use crate::keyfile::Wanted;
use crate::keys::{Key, Purpose, TenantSeal, Unopenable};
use crate::logs::log_dir;
use crate::reconcile::{Intent, Observed};
use crate::slots::TenantNode;
use crate::usage::History;
use crate::view::{NodeView, Usage};

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Tenant {
    pub(crate) id: TenantId,
    pub(crate) account: AccountId,
    pub(crate) label: Label,
    pub(crate) name: NodeName,
    pub(crate) keys: WrappedKeys,
    pub(crate) permits: AccountPermits,
    incarnation: u32,
    pub(crate) plan: Plan,
    pub(crate) created_at: Timestamp,
    /// Held from a write to the database until memory says the same, so that
    /// two wishes at once end the same way in both. Taken before `state`.
    pub(crate) wishes: tokio::sync::Mutex<()>,
    pub(crate) state: Mutex<State>,
    /// How often its node may wake others.
    pub(crate) wakes: Mutex<TokenBucket>,
    /// Of its networking key, once somebody asked.
    public_key: OnceLock<[u8; 32]>,
}

/// What changes.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) generation: Generation,
    pub(crate) desired: DesiredState,
    pub(crate) ssh: SshAccess,
    pub(crate) login: LoginState,
    pub(crate) keyfile_wanted: Option<Wanted>,
    pub(crate) last_started: Option<Timestamp>,
    pub(crate) purge_at: Option<Timestamp>,
    /// Why an operator holds it, if one does.
    pub(crate) suspended: Option<String>,
    /// Its plan has it run whether somebody uses it or not.
    always_on: bool,
    /// It is to run now, not only on demand.
    pub(crate) boot_wanted: bool,
    /// What made it wanted.
    pub(crate) cause: Cause,
    /// Its alarm rang while an operator held it.
    pub(crate) rang: bool,
    /// When its boot last found no room on the host.
    pub(crate) no_room: Option<Instant>,
    /// The node that runs now is to end first.
    pub(crate) restart: bool,
    /// Its boot has not been admitted yet.
    pub(crate) queued: bool,
    /// The database gave it to another host.
    pub(crate) lost: bool,
    pub(crate) breaker: Breaker,
    /// What it had on disk when it last stopped, once that is known.
    pub(crate) disk: Option<DiskUse>,
    /// What it used, if it ran lately.
    pub(crate) usage: Option<Box<History>>,
}

/// What signs the owner in to the node.
#[derive(Debug, Clone)]
pub(crate) struct LoginState {
    pub(crate) verifiers: StoredVerifiers,
    /// Key of login cookies, sealed with the tenant key.
    pub(crate) jwt_secret: Vec<u8>,
    pub(crate) keyfile: Keyfile,
    /// Raised with every new password.
    pub(crate) version: u64,
}

impl LoginState {
    pub(crate) fn verifiers(&self) -> LoginVerifiers {
        LoginVerifiers {
            sha256: self.verifiers.sha256,
            argon2id: self.verifiers.argon2id,
            keyfile: self.keyfile.clone(),
        }
    }
}

impl Tenant {
    /// What the database keeps, in memory. A tenant that never ran is to run:
    /// its creation was interrupted.
    pub(crate) fn load(
        row: tenant_model::Tenant,
        permits: AccountPermits,
    ) -> Result<Arc<Self>, node_types::IdError> {
        let state = State {
            generation: row.generation,
            desired: row.desired,
            ssh: row.ssh,
            login: LoginState {
                verifiers: row.login,
                jwt_secret: row.keys.jwt_secret.clone(),
                keyfile: Keyfile::new(row.keyfile.into()),
                version: 0,
            },
            keyfile_wanted: None,
            last_started: row.last_started_at,
            purge_at: row.purge_at,
            suspended: row.suspended,
            always_on: row.plan.always_on,
            boot_wanted: row.last_started_at.is_none() && row.desired == DesiredState::Running,
            cause: Cause::Start,
            rang: false,
            no_room: None,
            restart: false,
            queued: false,
            lost: false,
            breaker: Breaker::default(),
            disk: None,
            usage: None,
        };
        Ok(Arc::new(Self {
            id: row.id,
            account: row.account,
            label: row.label,
            name: NodeName::new(&row.name)?,
            keys: row.keys,
            permits,
            incarnation: u32::try_from(row.incarnation.0).unwrap_or(0),
            plan: row.plan,
            created_at: row.created_at,
            wishes: tokio::sync::Mutex::default(),
            state: Mutex::new(state),
            wakes: Mutex::new(TokenBucket::new(WAKES, Instant::now())),
            public_key: OnceLock::new(),
        }))
    }

    /// Names its share of the host-wide stores.
    pub(crate) fn key(&self) -> TenantKey {
        TenantKey {
            tenant: self.id.as_u128(),
            incarnation: self.incarnation,
        }
    }

    /// The directory of its files.
    pub(crate) fn vfs_root(&self, data_dir: &Path) -> std::path::PathBuf {
        data_dir.join("nodes").join(self.id.to_string())
    }

    /// The directory of its SQLite databases.
    pub(crate) fn sql_root(&self, data_dir: &Path) -> std::path::PathBuf {
        data_dir.join("databases").join(self.id.to_string())
    }

    /// Its keys, of which `login` brings the one for cookies.
    pub(crate) fn keys_with(&self, login: &LoginState) -> WrappedKeys {
        WrappedKeys {
            jwt_secret: login.jwt_secret.clone(),
            ..self.keys.clone()
        }
    }

    /// Everything one boot needs, and the version of its login.
    pub(crate) fn spec(
        &self,
        data_dir: &Path,
        kek: &Key,
        transport: Arc<dyn Transport>,
    ) -> Result<(NodeSpec, u64), Unopenable> {
        let login = self.state.lock().login.clone();
        let keys = self.keys_with(&login);
        let secrets = TenantSeal::unwrap(self.id, &keys, kek)?.secrets(&keys)?;
        let spec = NodeSpec {
            key: self.key(),
            generation: u64::try_from(self.state.lock().generation.0).unwrap_or(0),
            name: self.name.clone(),
            secrets,
            login: login.verifiers(),
            limits: NodeLimits {
                memory_bytes: self.plan.memory_bytes,
                disk_bytes: self.plan.disk_bytes,
                disk_bytes_per_second: self.plan.disk_bytes_per_second,
                processes: self.plan.processes,
                ..NodeLimits::default()
            },
            vfs_root: self.vfs_root(data_dir),
            sql_root: self.sql_root(data_dir),
            log_dir: log_dir(data_dir, self.id),
            transport,
            egress_allow: self.plan.egress_allow.clone(),
        };
        Ok((spec, login.version))
    }

    /// The public half of its networking key.
    pub(crate) fn public_key(&self, kek: &Key) -> Result<[u8; 32], Unopenable> {
        if let Some(known) = self.public_key.get() {
            return Ok(*known);
        }
        let seal = TenantSeal::unwrap(self.id, &self.keys, kek)?;
        let seed = seal.open_key(Purpose::NetworkingKey, &self.keys.networking_key)?;
        let public = SigningKey::from_bytes(seed.expose()).verifying_key();
        Ok(*self.public_key.get_or_init(|| public.to_bytes()))
    }

    /// Puts the current login in place on `node`, if it has an older one. Two
    /// at once take turns from reading to writing, so that the newest stays.
    pub(crate) fn catch_up_login(&self, node: &TenantNode, kek: &Key) {
        let mut version = node.login.lock();
        let login = self.state.lock().login.clone();
        if login.version == *version {
            return;
        }
        let secret = TenantSeal::unwrap(self.id, &self.keys, kek)
            .and_then(|seal| seal.open_key(Purpose::JwtSecret, &login.jwt_secret));
        match secret {
            Ok(secret) => {
                node.handle.renew_login(login.verifiers(), secret);
                *version = login.version;
            }
            Err(error) => tracing::error!("failed to renew the node's login: {error}"),
        }
    }

    /// The right to reach it, for someone the caller has checked.
    pub(crate) fn access(&self, door: Door) -> TenantAccess {
        TenantAccess {
            tenant: self.id,
            label: self.label.clone(),
            name: self.name.clone(),
            door,
        }
    }

    /// A write in the name of `actor`.
    pub(crate) fn change(&self, actor: Option<AccountId>, at: Timestamp) -> Change {
        Change {
            tenant: self.id,
            generation: self.state.lock().generation,
            actor,
            at,
        }
    }

    /// What is wanted of it at this moment.
    pub(crate) fn intent(&self, now: Instant, clock: Timestamp) -> Intent {
        let state = self.state.lock();
        Intent {
            desired: state.desired,
            boot_wanted: state.boot_is_wanted() && !state.breaker.gave_up(now),
            restart: state.restart,
            suspended: state.suspended.is_some(),
            purge_due: state.purge_at.is_some_and(|at| at <= clock),
            held_back: state.breaker.refuses(now).is_some() || state.waits_for_room(now),
            lost: state.lost,
        }
    }

    /// How it is.
    pub(crate) fn status(&self, observed: Observed, node: Option<&TenantNode>) -> NodeStatus {
        let node = node.map(|node| node.handle.status().borrow().clone());
        self.state.lock().status(observed, node).0
    }

    /// What its owner is shown.
    pub(crate) fn view(&self, observed: Observed, node: Option<&TenantNode>) -> NodeView {
        let usage = node.map(|node| node.handle.usage());
        let node_status = node.map(|node| node.handle.status().borrow().clone());
        let state = self.state.lock();
        let (status, status_reason) = state.status(observed, node_status);
        NodeView {
            label: self.label.clone(),
            name: self.name.to_string(),
            status,
            status_reason,
            created_at: self.created_at,
            last_started_at: state.last_started,
            purge_at: state.purge_at,
            plan: self.plan.name.clone(),
            usage: Usage {
                memory_bytes: usage.map_or(0, |usage| usage.memory_bytes),
                disk: usage.map_or(state.disk.unwrap_or_default(), |usage| usage.disk()),
            },
        }
    }
}

impl State {
    /// Whether its owner, the operators and this host let it run.
    pub(crate) fn may_run(&self) -> bool {
        self.desired == DesiredState::Running && !self.lost && self.suspended.is_none()
    }

    /// It is to run now, because of `cause`.
    pub(crate) fn want(&mut self, cause: Cause) {
        self.boot_wanted = true;
        self.cause = cause;
    }

    /// It runs: what was wanted of it has been done.
    pub(crate) fn granted(&mut self) {
        self.boot_wanted = false;
        self.cause = Cause::Start;
    }

    /// Its boot found no room a moment ago.
    fn waits_for_room(&self, now: Instant) -> bool {
        self.no_room.is_some_and(|at| now < at + ROOM_AGAIN)
    }

    /// Why its node is stopped that is not wanted any more.
    pub(crate) fn stop_reason(&self) -> StopReason {
        match self.suspended {
            Some(_) => StopReason::Suspended,
            None => StopReason::Owner,
        }
    }

    /// Whether it is to run now, not only on demand.
    pub(crate) fn boot_is_wanted(&self) -> bool {
        self.boot_wanted || self.always_on
    }

    fn status(
        &self,
        observed: Observed,
        node: Option<node_api::NodeStatus>,
    ) -> (NodeStatus, Option<String>) {
        let plain = |status| (status, None);
        let never_ran = self.last_started.is_none();
        match (self.desired, observed) {
            (DesiredState::Archived, Observed::Resting | Observed::Purging) => self.archived(),
            (_, Observed::Resting) if self.suspended.is_some() => {
                (NodeStatus::Suspended, self.suspended.clone())
            }
            (DesiredState::Stopped, Observed::Resting) => plain(NodeStatus::Stopped),
            (DesiredState::Stopped | DesiredState::Archived, _)
            | (_, Observed::Stopping | Observed::Purging) => plain(NodeStatus::Stopping),
            (_, Observed::Active) if self.restart || self.suspended.is_some() => {
                plain(NodeStatus::Stopping)
            }
            (_, Observed::Active) => match node {
                Some(node_api::NodeStatus::Booting) => plain(NodeStatus::Booting),
                Some(node_api::NodeStatus::Broken(reason)) => (NodeStatus::Broken, Some(reason)),
                Some(node_api::NodeStatus::Stopping | node_api::NodeStatus::Stopped) => {
                    plain(NodeStatus::Stopping)
                }
                Some(node_api::NodeStatus::Active) | None => plain(NodeStatus::Active),
            },
            (_, Observed::Booting) if never_ran && self.queued => plain(NodeStatus::Provisioning),
            (_, Observed::Booting) => plain(NodeStatus::Booting),
            (_, Observed::Resting) => match self.breaker.reason() {
                Some(reason) => (NodeStatus::Broken, Some(reason.to_owned())),
                None if self.boot_is_wanted() && never_ran => plain(NodeStatus::Provisioning),
                None if self.boot_is_wanted() => plain(NodeStatus::Booting),
                None => plain(NodeStatus::Hibernated),
            },
        }
    }

    fn archived(&self) -> (NodeStatus, Option<String>) {
        let reason = self
            .purge_at
            .map(|at| format!("everything of it will be removed after {}", at.date()));
        (NodeStatus::Archived, reason)
    }
}
