//! Tenants and hosts. Every write to a tenant is fenced by its generation and
//! audited in the same transaction.

use async_trait::async_trait;
use sqlx::types::Json;
use sqlx::{PgConnection, Row};
use tenant_model::{
    Change, Conflict, Deed, DesiredState, Generation, Host, HostId, Label, NewTenant, Plan,
    SshAccess, StorageError, StoredVerifiers, Tenant, TenantId, TenantRepository,
};
use time::OffsetDateTime;

use crate::error::{Failure, attempt};
use crate::pg::{Pg, TAKING_OVER};
use crate::row::TenantRow;

impl Pg {
    async fn raise_host(
        &self,
        host: HostId,
        key_check: &[u8],
        now: OffsetDateTime,
    ) -> Result<Host, Failure> {
        let row = sqlx::query(
            "INSERT INTO hosts AS known (id, generation, key_check, started_at)
             VALUES ($1, 1, $2, $3)
             ON CONFLICT (id) DO UPDATE
               SET generation = known.generation + 1, started_at = $3
             RETURNING generation, key_check",
        )
        .bind(host.uuid())
        .bind(key_check)
        .bind(now)
        .fetch_one(&self.pool)
        .await?;
        Ok(Host {
            id: host,
            generation: Generation(row.try_get("generation")?),
            key_check: row.try_get("key_check")?,
        })
    }

    /// A transaction whose statements may take as long as [`TAKING_OVER`].
    async fn patient(&self) -> Result<sqlx::PgTransaction<'static>, Failure> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query("SELECT set_config('statement_timeout', $1, true)")
            .bind(TAKING_OVER.as_millis().to_string())
            .execute(&mut *transaction)
            .await?;
        Ok(transaction)
    }

    async fn claim_all(&self, host: HostId) -> Result<Vec<Tenant>, Failure> {
        let mut transaction = self.patient().await?;
        let rows: Vec<TenantRow> = sqlx::query_as(
            "UPDATE tenants SET generation = generation + 1
             WHERE host = $1 AND purged_at IS NULL RETURNING *",
        )
        .bind(host.uuid())
        .fetch_all(&mut *transaction)
        .await?;
        transaction.commit().await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    async fn read_all(&self, host: HostId) -> Result<Vec<Tenant>, Failure> {
        let mut transaction = self.patient().await?;
        let rows: Vec<TenantRow> =
            sqlx::query_as("SELECT * FROM tenants WHERE host = $1 AND purged_at IS NULL")
                .bind(host.uuid())
                .fetch_all(&mut *transaction)
                .await?;
        transaction.commit().await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    async fn has_label(&self, label: &Label) -> Result<bool, Failure> {
        let taken = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM tenants WHERE label = $1 AND purged_at IS NULL)",
        )
        .bind(label.as_str())
        .fetch_one(&self.pool)
        .await?;
        Ok(taken)
    }

    async fn with_label(&self, label: &Label) -> Result<Option<TenantId>, Failure> {
        let id: Option<uuid::Uuid> =
            sqlx::query_scalar("SELECT id FROM tenants WHERE label = $1 AND purged_at IS NULL")
                .bind(label.as_str())
                .fetch_optional(&self.pool)
                .await?;
        Ok(id.map(TenantId::new))
    }

    async fn insert_tenant(&self, new: &NewTenant) -> Result<Tenant, Failure> {
        let mut transaction = self.pool.begin().await?;
        // The lock makes creations of one account take turns, so that what is
        // counted next is still so when the row is written.
        let plan: Json<Plan> =
            sqlx::query_scalar("SELECT plan FROM accounts WHERE id = $1 FOR UPDATE")
                .bind(new.account.uuid())
                .fetch_one(&mut *transaction)
                .await?;
        let counts = sqlx::query(
            "SELECT count(*) FILTER (WHERE desired_state <> 'archived') AS live,
                    count(*) FILTER (WHERE desired_state = 'archived') AS archived
             FROM tenants WHERE account = $1 AND purged_at IS NULL",
        )
        .bind(new.account.uuid())
        .fetch_one(&mut *transaction)
        .await?;
        let (live, archived): (i64, i64) = (counts.try_get("live")?, counts.try_get("archived")?);
        let limit = plan.nodes;
        if live >= i64::from(limit) {
            return Err(StorageError::Conflict(Conflict::Quota { limit }).into());
        }
        let limit = plan.archived_nodes();
        if archived >= i64::from(limit) {
            return Err(StorageError::Conflict(Conflict::ArchiveFull { limit }).into());
        }
        let row = insert_row(&mut transaction, new, &plan).await?;
        let change = Change {
            tenant: new.id,
            generation: Generation(1),
            actor: Some(new.account),
            at: new.created_at,
        };
        let detail = serde_json::json!({ "label": new.label.as_str() });
        audit(&mut transaction, change, "node.create", detail).await?;
        transaction.commit().await?;
        row.try_into()
    }

    async fn write_desired(
        &self,
        change: Change,
        desired: DesiredState,
        purge_at: Option<OffsetDateTime>,
    ) -> Result<(), Failure> {
        let mut transaction = self.pool.begin().await?;
        let done = sqlx::query(
            "UPDATE tenants SET desired_state = $3, purge_at = $4,
               archived_at = CASE WHEN $3 = 'archived' THEN coalesce(archived_at, $5) END
             WHERE id = $1 AND generation = $2 AND purged_at IS NULL",
        )
        .bind(change.tenant.uuid())
        .bind(change.generation.0)
        .bind(desired.as_str())
        .bind(purge_at)
        .bind(change.at)
        .execute(&mut *transaction)
        .await?;
        ensure_one(done.rows_affected())?;
        let detail = serde_json::json!({ "state": desired.as_str(), "purge": purge_at.is_some() });
        audit(&mut transaction, change, "node.state", detail).await?;
        Ok(transaction.commit().await?)
    }

    async fn write_suspended(&self, change: Change, reason: Option<&str>) -> Result<(), Failure> {
        let mut transaction = self.pool.begin().await?;
        let done = sqlx::query(
            "UPDATE tenants SET suspended = $3
             WHERE id = $1 AND generation = $2 AND purged_at IS NULL",
        )
        .bind(change.tenant.uuid())
        .bind(change.generation.0)
        .bind(reason)
        .execute(&mut *transaction)
        .await?;
        ensure_one(done.rows_affected())?;
        let (action, detail) = match reason {
            Some(reason) => ("node.suspend", serde_json::json!({ "reason": reason })),
            None => ("node.resume", serde_json::json!({})),
        };
        audit(&mut transaction, change, action, detail).await?;
        Ok(transaction.commit().await?)
    }

    async fn write_deed(&self, deed: Deed) -> Result<(), Failure> {
        let Deed {
            tenant,
            actor,
            action,
            at,
        } = deed;
        // The host's own deeds name nobody either: these are an operator's.
        let detail = serde_json::json!({ "local": actor.is_none() });
        sqlx::query(
            "INSERT INTO audit (at, actor, account, tenant, action, detail)
             VALUES ($1, $2, (SELECT account FROM tenants WHERE id = $3), $3, $4, $5)",
        )
        .bind(at)
        .bind(actor.map(tenant_model::AccountId::uuid))
        .bind(tenant.map(TenantId::uuid))
        .bind(action)
        .bind(detail)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    async fn write_ssh(&self, change: Change, ssh: &SshAccess) -> Result<(), Failure> {
        let mut transaction = self.pool.begin().await?;
        let done = sqlx::query(
            "UPDATE tenants SET ssh_verifier = $3, ssh_sealed = $4
             WHERE id = $1 AND generation = $2 AND purged_at IS NULL",
        )
        .bind(change.tenant.uuid())
        .bind(change.generation.0)
        .bind(ssh.verifier.as_slice())
        .bind(&ssh.sealed)
        .execute(&mut *transaction)
        .await?;
        ensure_one(done.rows_affected())?;
        audit(
            &mut transaction,
            change,
            "node.ssh-password",
            serde_json::json!({}),
        )
        .await?;
        Ok(transaction.commit().await?)
    }

    async fn write_login(
        &self,
        change: Change,
        login: &StoredVerifiers,
        jwt_secret: &[u8],
    ) -> Result<(), Failure> {
        let mut transaction = self.pool.begin().await?;
        let done = sqlx::query(
            "UPDATE tenants SET login_sha256 = $3, login_argon2id = $4, jwt_secret = $5,
               keyfile = ''
             WHERE id = $1 AND generation = $2 AND purged_at IS NULL",
        )
        .bind(change.tenant.uuid())
        .bind(change.generation.0)
        .bind(login.sha256.as_slice())
        .bind(login.argon2id.as_slice())
        .bind(jwt_secret)
        .execute(&mut *transaction)
        .await?;
        ensure_one(done.rows_affected())?;
        let nothing = serde_json::json!({});
        audit(&mut transaction, change, "node.password", nothing).await?;
        Ok(transaction.commit().await?)
    }

    async fn write_keyfile(
        &self,
        change: Change,
        login: &StoredVerifiers,
        keyfile: &[u8],
    ) -> Result<(), Failure> {
        // Another password has another keyfile: then there is nothing to do.
        sqlx::query(
            "UPDATE tenants SET keyfile = $4
             WHERE id = $1 AND generation = $2 AND login_argon2id = $3 AND purged_at IS NULL",
        )
        .bind(change.tenant.uuid())
        .bind(change.generation.0)
        .bind(login.argon2id.as_slice())
        .bind(keyfile)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    async fn write_last_started(
        &self,
        tenant: TenantId,
        generation: Generation,
        at: OffsetDateTime,
    ) -> Result<(), Failure> {
        let done = sqlx::query(
            "UPDATE tenants SET last_started_at = $3
             WHERE id = $1 AND generation = $2 AND purged_at IS NULL",
        )
        .bind(tenant.uuid())
        .bind(generation.0)
        .bind(at)
        .execute(&self.pool)
        .await?;
        ensure_one(done.rows_affected())
    }

    async fn end_row(&self, change: Change) -> Result<(), Failure> {
        let mut transaction = self.pool.begin().await?;
        let done = sqlx::query(
            "UPDATE tenants SET purged_at = $3, tenant_key = '', networking_key = '',
               jwt_secret = '', file_key = '', ssh_sealed = '', keyfile = ''
             WHERE id = $1 AND generation = $2 AND purged_at IS NULL",
        )
        .bind(change.tenant.uuid())
        .bind(change.generation.0)
        .bind(change.at)
        .execute(&mut *transaction)
        .await?;
        ensure_one(done.rows_affected())?;
        audit(
            &mut transaction,
            change,
            "node.purge",
            serde_json::json!({}),
        )
        .await?;
        Ok(transaction.commit().await?)
    }
}

async fn insert_row(
    connection: &mut PgConnection,
    new: &NewTenant,
    plan: &Json<Plan>,
) -> Result<TenantRow, Failure> {
    sqlx::query_as(
        "INSERT INTO tenants (id, account, label, name, host, desired_state, generation,
           incarnation, tenant_key, networking_key, jwt_secret, file_key, login_sha256,
           login_argon2id, ssh_verifier, ssh_sealed, plan, created_at)
         VALUES ($1, $2, $3, $4, $5, 'running', 1,
           (SELECT coalesce(max(incarnation), 0) + 1 FROM tenants WHERE label = $3),
           $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
         RETURNING *",
    )
    .bind(new.id.uuid())
    .bind(new.account.uuid())
    .bind(new.label.as_str())
    .bind(&new.name)
    .bind(new.host.uuid())
    .bind(&new.keys.tenant_key)
    .bind(&new.keys.networking_key)
    .bind(&new.keys.jwt_secret)
    .bind(&new.keys.file_key)
    .bind(new.login.sha256.as_slice())
    .bind(new.login.argon2id.as_slice())
    .bind(new.ssh.verifier.as_slice())
    .bind(&new.ssh.sealed)
    .bind(plan)
    .bind(new.created_at)
    .fetch_one(connection)
    .await
    .map_err(|error| {
        let failure = Failure::from(error);
        match failure.violated() {
            // The second: two creations counted the same incarnation.
            Some("tenants_label" | "tenants_label_incarnation_key") => {
                StorageError::Conflict(Conflict::Label).into()
            }
            _ => failure,
        }
    })
}

/// No row had this id and generation: the tenant is someone else's now.
fn ensure_one(affected: u64) -> Result<(), Failure> {
    if affected == 1 {
        Ok(())
    } else {
        Err(StorageError::Fenced.into())
    }
}

async fn audit(
    connection: &mut PgConnection,
    change: Change,
    action: &str,
    detail: serde_json::Value,
) -> Result<(), Failure> {
    sqlx::query(
        "INSERT INTO audit (at, actor, account, tenant, action, detail)
         VALUES ($1, $2, (SELECT account FROM tenants WHERE id = $3), $3, $4, $5)",
    )
    .bind(change.at)
    .bind(change.actor.map(tenant_model::AccountId::uuid))
    .bind(change.tenant.uuid())
    .bind(action)
    .bind(detail)
    .execute(connection)
    .await?;
    Ok(())
}

#[async_trait]
impl TenantRepository for Pg {
    async fn register_host(
        &self,
        host: HostId,
        key_check: &[u8],
        now: OffsetDateTime,
    ) -> Result<Host, StorageError> {
        attempt!(self, self.raise_host(host, key_check, now))
    }

    async fn claim(&self, host: HostId) -> Result<Vec<Tenant>, StorageError> {
        attempt!(self, self.claim_all(host), TAKING_OVER)
    }

    async fn of_host(&self, host: HostId) -> Result<Vec<Tenant>, StorageError> {
        attempt!(self, self.read_all(host), TAKING_OVER)
    }

    async fn label_taken(&self, label: &Label) -> Result<bool, StorageError> {
        attempt!(self, self.has_label(label))
    }

    async fn labelled(&self, label: &Label) -> Result<Option<TenantId>, StorageError> {
        attempt!(self, self.with_label(label))
    }

    async fn insert(&self, new: NewTenant) -> Result<Tenant, StorageError> {
        attempt!(self, self.insert_tenant(&new))
    }

    async fn set_desired(
        &self,
        change: Change,
        desired: DesiredState,
        purge_at: Option<OffsetDateTime>,
    ) -> Result<(), StorageError> {
        attempt!(self, self.write_desired(change, desired, purge_at))
    }

    async fn set_suspended(
        &self,
        change: Change,
        reason: Option<&str>,
    ) -> Result<(), StorageError> {
        attempt!(self, self.write_suspended(change, reason))
    }

    async fn audit(&self, deed: Deed) -> Result<(), StorageError> {
        attempt!(self, self.write_deed(deed))
    }

    async fn set_ssh(&self, change: Change, ssh: &SshAccess) -> Result<(), StorageError> {
        attempt!(self, self.write_ssh(change, ssh))
    }

    async fn set_login(
        &self,
        change: Change,
        login: &StoredVerifiers,
        jwt_secret: &[u8],
    ) -> Result<(), StorageError> {
        attempt!(self, self.write_login(change, login, jwt_secret))
    }

    async fn set_keyfile(
        &self,
        change: Change,
        login: &StoredVerifiers,
        keyfile: &[u8],
    ) -> Result<(), StorageError> {
        attempt!(self, self.write_keyfile(change, login, keyfile))
    }

    async fn set_last_started(
        &self,
        tenant: TenantId,
        generation: Generation,
        at: OffsetDateTime,
    ) -> Result<(), StorageError> {
        attempt!(self, self.write_last_started(tenant, generation, at))
    }

    async fn purge(&self, change: Change) -> Result<(), StorageError> {
        attempt!(self, self.end_row(change))
    }
}
