//! How the control plane keeps things.
//!
//! Every method is one transaction. Not found is `Ok(None)`, never an error.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::{
    Account, AccountId, Change, Credentials, Deed, DesiredState, Email, Failures, Generation, Host,
    HostId, Label, NewAccount, NewSession, NewTenant, Role, Session, SessionId, SshAccess,
    StoredVerifiers, Tenant, TenantId,
};

/// What stood in the way of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflict {
    /// The address has an account.
    Email,
    /// The label is in use.
    Label,
    /// The account has as many nodes as its plan allows.
    Quota {
        /// Nodes that the plan allows.
        limit: u32,
    },
    /// The account has as many archived nodes as its plan keeps.
    ArchiveFull {
        /// Archived nodes that the plan keeps.
        limit: u32,
    },
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Email => f.write_str("the address has an account"),
            Self::Label => f.write_str("the label is taken"),
            Self::Quota { limit } => write!(f, "the plan allows {limit} nodes"),
            Self::ArchiveFull { limit } => write!(f, "the plan keeps {limit} archived nodes"),
        }
    }
}

/// Why something could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// It clashes with what is there.
    #[error("{0}")]
    Conflict(Conflict),
    /// The database cannot be used now. A write may or may not have happened.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// Another host has taken the tenant over, or it is gone.
    #[error("the tenant is no longer this host's to change")]
    Fenced,
}

/// Keeps accounts.
#[async_trait]
pub trait AccountRepository: Send + Sync + fmt::Debug {
    /// Makes an account.
    ///
    /// # Errors
    /// [`Conflict::Email`] if the address has one.
    async fn insert(&self, new: NewAccount) -> Result<(), StorageError>;

    /// The account of `email` with what proves its password.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`].
    async fn credentials(&self, email: &Email) -> Result<Option<Credentials>, StorageError>;

    /// The account.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`].
    async fn find(&self, id: AccountId) -> Result<Option<Account>, StorageError>;

    /// Gives the account of `email` a role, and audits it; whether there is one.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`].
    async fn set_role(
        &self,
        email: &Email,
        role: Role,
        at: OffsetDateTime,
    ) -> Result<bool, StorageError>;

    /// The wrong passwords lately given for the address with this hash,
    /// whether it has an account or not.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`].
    async fn failures(&self, email_hash: [u8; 32]) -> Result<Option<Failures>, StorageError>;

    /// Counts one more. A window older than `window` begins anew.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`].
    async fn count_failure(
        &self,
        email_hash: [u8; 32],
        at: OffsetDateTime,
        window: Duration,
    ) -> Result<(), StorageError>;

    /// Forgets them, after a right password.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`].
    async fn forget_failures(&self, email_hash: [u8; 32]) -> Result<(), StorageError>;
}

/// Keeps sessions.
#[async_trait]
pub trait SessionRepository: Send + Sync + fmt::Debug {
    /// Keeps a session.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`].
    async fn insert(&self, new: NewSession) -> Result<(), StorageError>;

    /// The session with this token, if it has not ended.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`].
    async fn find(
        &self,
        token_hash: [u8; 32],
        now: OffsetDateTime,
    ) -> Result<Option<Session>, StorageError>;

    /// Ends a session.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`].
    async fn delete(&self, id: SessionId) -> Result<(), StorageError>;

    /// Removes sessions and sign-in windows that ended before `before`.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`].
    async fn sweep(&self, before: OffsetDateTime) -> Result<(), StorageError>;
}

/// Keeps tenants and hosts.
#[async_trait]
pub trait TenantRepository: Send + Sync + fmt::Debug {
    /// Raises the host's generation, making its row with `key_check` if it has
    /// none; the row has the check it was made with.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`].
    async fn register_host(
        &self,
        host: HostId,
        key_check: &[u8],
        now: OffsetDateTime,
    ) -> Result<Host, StorageError>;

    /// Raises the generation of every tenant of `host` in one statement and
    /// returns them all.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`].
    async fn claim(&self, host: HostId) -> Result<Vec<Tenant>, StorageError>;

    /// The tenants of `host`, without raising anything.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`].
    async fn of_host(&self, host: HostId) -> Result<Vec<Tenant>, StorageError>;

    /// Whether a tenant that is not purged has `label`.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`].
    async fn label_taken(&self, label: &Label) -> Result<bool, StorageError>;

    /// The tenant, not purged, that has `label`.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`].
    async fn labelled(&self, label: &Label) -> Result<Option<TenantId>, StorageError>;

    /// Makes a tenant, placed on its host, if the account's plan allows one
    /// more; safe against many at once.
    ///
    /// # Errors
    /// [`Conflict::Label`], [`Conflict::Quota`], [`Conflict::ArchiveFull`].
    async fn insert(&self, new: NewTenant) -> Result<Tenant, StorageError>;

    /// Keeps what the owner wants; archiving stamps `archived_at`, and
    /// `purge_at` is kept as given.
    ///
    /// # Errors
    /// [`StorageError::Fenced`].
    async fn set_desired(
        &self,
        change: Change,
        desired: DesiredState,
        purge_at: Option<OffsetDateTime>,
    ) -> Result<(), StorageError>;

    /// Keeps why an operator holds the tenant; `None` lets it go.
    ///
    /// # Errors
    /// [`StorageError::Fenced`].
    async fn set_suspended(&self, change: Change, reason: Option<&str>)
    -> Result<(), StorageError>;

    /// Keeps that somebody did something that changes no row, such as looking
    /// at the nodes of others as an operator.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`].
    async fn audit(&self, deed: Deed) -> Result<(), StorageError>;

    /// Keeps a new SSH password.
    ///
    /// # Errors
    /// [`StorageError::Fenced`].
    async fn set_ssh(&self, change: Change, ssh: &SshAccess) -> Result<(), StorageError>;

    /// Keeps a new node password's verifiers with a new key of login cookies,
    /// sealed with the tenant key.
    ///
    /// # Errors
    /// [`StorageError::Fenced`].
    async fn set_login(
        &self,
        change: Change,
        login: &StoredVerifiers,
        jwt_secret: &[u8],
    ) -> Result<(), StorageError>;

    /// Keeps the keyfile sealed with the password of `login`, unless there is
    /// another password by now. Not audited.
    ///
    /// # Errors
    /// [`StorageError`].
    async fn set_keyfile(
        &self,
        change: Change,
        login: &StoredVerifiers,
        keyfile: &[u8],
    ) -> Result<(), StorageError>;

    /// Keeps when a tenant became active. Not audited.
    ///
    /// # Errors
    /// [`StorageError::Fenced`].
    async fn set_last_started(
        &self,
        tenant: TenantId,
        generation: Generation,
        at: OffsetDateTime,
    ) -> Result<(), StorageError>;

    /// Ends a tenant's row: its keys are wiped and its label is free again.
    ///
    /// # Errors
    /// [`StorageError::Fenced`].
    async fn purge(&self, change: Change) -> Result<(), StorageError>;
}

/// Everything the control plane keeps.
#[derive(Debug, Clone)]
pub struct Repositories {
    /// Accounts.
    pub accounts: Arc<dyn AccountRepository>,
    /// Sessions.
    pub sessions: Arc<dyn SessionRepository>,
    /// Tenants and hosts.
    pub tenants: Arc<dyn TenantRepository>,
}
