//! Rows as the database gives them, and how they become the domain's values.

use sqlx::FromRow;
use sqlx::types::Json;
use tenant_model::{
    Account, AccountId, Email, Generation, Incarnation, Label, Plan, SshAccess, StoredVerifiers,
    Tenant, TenantId, WrappedKeys,
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::error::{Failure, damaged};

/// An account.
#[derive(Debug, FromRow)]
pub(crate) struct AccountRow {
    pub(crate) id: Uuid,
    pub(crate) email: String,
    pub(crate) role: String,
    pub(crate) plan: Json<Plan>,
    pub(crate) created_at: OffsetDateTime,
}

impl TryFrom<AccountRow> for Account {
    type Error = Failure;

    fn try_from(row: AccountRow) -> Result<Self, Failure> {
        Ok(Self {
            id: AccountId::new(row.id),
            email: Email::from_stored(row.email),
            role: row.role.parse().map_err(|_| damaged("role"))?,
            plan: row.plan.0,
            created_at: row.created_at,
        })
    }
}

/// A tenant.
#[derive(Debug, FromRow)]
pub(crate) struct TenantRow {
    id: Uuid,
    account: Uuid,
    label: String,
    name: String,
    desired_state: String,
    suspended: Option<String>,
    generation: i64,
    incarnation: i32,
    tenant_key: Vec<u8>,
    networking_key: Vec<u8>,
    jwt_secret: Vec<u8>,
    file_key: Vec<u8>,
    login_sha256: Vec<u8>,
    login_argon2id: Vec<u8>,
    keyfile: Vec<u8>,
    ssh_verifier: Vec<u8>,
    ssh_sealed: Vec<u8>,
    plan: Json<Plan>,
    created_at: OffsetDateTime,
    last_started_at: Option<OffsetDateTime>,
    archived_at: Option<OffsetDateTime>,
    purge_at: Option<OffsetDateTime>,
}

impl TryFrom<TenantRow> for Tenant {
    type Error = Failure;

    fn try_from(row: TenantRow) -> Result<Self, Failure> {
        let hash = |bytes: Vec<u8>| <[u8; 32]>::try_from(bytes).map_err(|_| damaged("hash"));
        Ok(Self {
            id: TenantId::new(row.id),
            account: AccountId::new(row.account),
            label: Label::from_stored(row.label),
            name: row.name,
            desired: row.desired_state.parse().map_err(|_| damaged("state"))?,
            suspended: row.suspended,
            generation: Generation(row.generation),
            incarnation: Incarnation(row.incarnation),
            keys: WrappedKeys {
                tenant_key: row.tenant_key,
                networking_key: row.networking_key,
                jwt_secret: row.jwt_secret,
                file_key: row.file_key,
            },
            login: StoredVerifiers {
                sha256: hash(row.login_sha256)?,
                argon2id: hash(row.login_argon2id)?,
            },
            keyfile: row.keyfile,
            ssh: SshAccess {
                verifier: hash(row.ssh_verifier)?,
                sealed: row.ssh_sealed,
            },
            plan: row.plan.0,
            created_at: row.created_at,
            last_started_at: row.last_started_at,
            archived_at: row.archived_at,
            purge_at: row.purge_at,
        })
    }
}
