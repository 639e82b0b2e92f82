//! What is kept, as plain values.

use time::OffsetDateTime;

use crate::{
    AccountId, DesiredState, Email, Generation, HostId, Incarnation, Label, Plan, Role, SessionId,
    TenantId,
};

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Its address.
    pub email: Email,
    /// What it may do.
    pub role: Role,
    /// What it may use.
    pub plan: Plan,
    /// When it was made.
    pub created_at: OffsetDateTime,
}

/// An account to be made.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// The account.
    pub account: Account,
    /// Argon2id hash of its password, in PHC form.
    pub password_hash: String,
}

/// What a sign-in is checked against.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The account.
    pub account: Account,
    /// Argon2id hash of its password, in PHC form.
    pub password_hash: String,
}

/// Wrong passwords within a window of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failures {
    /// How many.
    pub count: u32,
    /// When the window began.
    pub window_started_at: OffsetDateTime,
}

/// A session to be kept. Only the hash of its token is.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub account: AccountId,
    /// SHA-256 of the token.
    pub token_hash: [u8; 32],
    /// When the password was given.
    pub signed_in_at: OffsetDateTime,
    /// When it ends.
    pub expires_at: OffsetDateTime,
}

/// A session that is alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub account: Account,
    /// When the password was given.
    pub signed_in_at: OffsetDateTime,
    /// When it ends.
    pub expires_at: OffsetDateTime,
}

/// A host's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its id.
    pub id: HostId,
    /// Raised at each start.
    pub generation: Generation,
    /// A known text sealed with the host's key-encryption key: tells a wrong
    /// key before it does harm.
    pub key_check: Vec<u8>,
}

/// A tenant's keys, sealed: the tenant key with the host's key, the others
/// with the tenant key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WrappedKeys {
    /// The tenant key.
    pub tenant_key: Vec<u8>,
    /// Seed of the networking key.
    pub networking_key: Vec<u8>,
    /// Key of login cookies.
    pub jwt_secret: Vec<u8>,
    /// Key of files.
    pub file_key: Vec<u8>,
}

/// Verifiers of the node password; see `node_api::LoginVerifiers`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredVerifiers {
    /// For clients up to 0.9.
    pub sha256: [u8; 32],
    /// For clients from 1.0.
    pub argon2id: [u8; 32],
}

/// The SSH password: a verifier, and the password itself, sealed, to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshAccess {
    /// Hash that a sign-in is compared with.
    pub verifier: [u8; 32],
    /// Sealed with the tenant key.
    pub sealed: Vec<u8>,
}

/// A tenant to be made.
#[derive(Debug, Clone)]
pub struct NewTenant {
    /// Its id.
    pub id: TenantId,
    /// Whose it is.
    pub account: AccountId,
    /// Its label.
    pub label: Label,
    /// Its node's name.
    pub name: String,
    /// The host it is placed on.
    pub host: HostId,
    /// Its keys.
    pub keys: WrappedKeys,
    /// Proofs of its password.
    pub login: StoredVerifiers,
    /// Its SSH password.
    pub ssh: SshAccess,
    /// When it is made.
    pub created_at: OffsetDateTime,
}

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// Whose it is.
    pub account: AccountId,
    /// Its label.
    pub label: Label,
    /// Its node's name.
    pub name: String,
    /// What the owner wants.
    pub desired: DesiredState,
    /// Why an operator holds it, if one does: it does not run then, whatever
    /// the owner wants.
    pub suspended: Option<String>,
    /// Fencing number.
    pub generation: Generation,
    /// Which life of the label.
    pub incarnation: Incarnation,
    /// Its keys.
    pub keys: WrappedKeys,
    /// Proofs of its password.
    pub login: StoredVerifiers,
    /// Its keys sealed with its password; empty until that was made.
    pub keyfile: Vec<u8>,
    /// Its SSH password.
    pub ssh: SshAccess,
    /// Its bounds.
    pub plan: Plan,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it last became active; may lag.
    pub last_started_at: Option<OffsetDateTime>,
    /// When it was put away.
    pub archived_at: Option<OffsetDateTime>,
    /// When everything of it is to be removed.
    pub purge_at: Option<OffsetDateTime>,
}

/// A write to a tenant: refused unless `generation` is the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The tenant.
    pub tenant: TenantId,
    /// The writer's generation.
    pub generation: Generation,
    /// Who asked for it; none when the host itself did. Audited.
    pub actor: Option<AccountId>,
    /// When.
    pub at: OffsetDateTime,
}

/// Something that is audited although it changes no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deed {
    /// Whose node it is about, if it is about one.
    pub tenant: Option<TenantId>,
    /// Who did it; none for an operator who has the data directory and no
    /// account.
    pub actor: Option<AccountId>,
    /// What, such as `node.read-log`.
    pub action: &'static str,
    /// When.
    pub at: OffsetDateTime,
}
