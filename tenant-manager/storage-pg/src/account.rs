//! Accounts and wrong passwords.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::FromRow;
use sqlx::types::Json;
use tenant_model::{
    Account, AccountId, AccountRepository, Conflict, Credentials, Email, Failures, NewAccount,
    Role, StorageError,
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::error::{Failure, attempt};
use crate::pg::Pg;
use crate::row::AccountRow;

#[derive(Debug, FromRow)]
struct CredentialsRow {
    #[sqlx(flatten)]
    account: AccountRow,
    password_hash: String,
}

#[derive(Debug, FromRow)]
struct FailuresRow {
    count: i32,
    window_started_at: OffsetDateTime,
}

impl Pg {
    async fn insert_account(&self, new: &NewAccount) -> Result<(), Failure> {
        let mut transaction = self.pool.begin().await?;
        let account = &new.account;
        sqlx::query(
            "INSERT INTO accounts (id, email, password_hash, role, plan, created_at)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(account.id.uuid())
        .bind(account.email.as_str())
        .bind(&new.password_hash)
        .bind(account.role.as_str())
        .bind(Json(&account.plan))
        .bind(account.created_at)
        .execute(&mut *transaction)
        .await
        .map_err(|error| {
            let failure = Failure::from(error);
            match failure.violated() {
                Some("accounts_email_key") => StorageError::Conflict(Conflict::Email).into(),
                _ => failure,
            }
        })?;
        sqlx::query("INSERT INTO audit (at, actor, account, action) VALUES ($1, $2, $2, $3)")
            .bind(account.created_at)
            .bind(account.id.uuid())
            .bind("account.create")
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    async fn account_credentials(&self, email: &Email) -> Result<Option<Credentials>, Failure> {
        let row: Option<CredentialsRow> = sqlx::query_as(
            "SELECT id, email, role, plan, created_at, password_hash
             FROM accounts WHERE email = $1",
        )
        .bind(email.as_str())
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| {
            Ok(Credentials {
                account: row.account.try_into()?,
                password_hash: row.password_hash,
            })
        })
        .transpose()
    }

    async fn find_account(&self, id: AccountId) -> Result<Option<Account>, Failure> {
        let row: Option<AccountRow> =
            sqlx::query_as("SELECT id, email, role, plan, created_at FROM accounts WHERE id = $1")
                .bind(id.uuid())
                .fetch_optional(&self.pool)
                .await?;
        row.map(TryInto::try_into).transpose()
    }

    async fn change_role(
        &self,
        email: &Email,
        role: Role,
        at: OffsetDateTime,
    ) -> Result<bool, Failure> {
        let mut transaction = self.pool.begin().await?;
        let id: Option<Uuid> =
            sqlx::query_scalar("UPDATE accounts SET role = $2 WHERE email = $1 RETURNING id")
                .bind(email.as_str())
                .bind(role.as_str())
                .fetch_optional(&mut *transaction)
                .await?;
        let Some(id) = id else {
            return Ok(false);
        };
        sqlx::query("INSERT INTO audit (at, account, action, detail) VALUES ($1, $2, $3, $4)")
            .bind(at)
            .bind(id)
            .bind("account.role")
            .bind(serde_json::json!({ "role": role.as_str() }))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn read_failures(&self, email_hash: [u8; 32]) -> Result<Option<Failures>, Failure> {
        let row: Option<FailuresRow> = sqlx::query_as(
            "SELECT count, window_started_at FROM sign_in_failures WHERE email_hash = $1",
        )
        .bind(email_hash.as_slice())
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| Failures {
            count: u32::try_from(row.count).unwrap_or(0),
            window_started_at: row.window_started_at,
        }))
    }

    async fn add_failure(
        &self,
        email_hash: [u8; 32],
        at: OffsetDateTime,
        window: Duration,
    ) -> Result<(), Failure> {
        sqlx::query(
            "INSERT INTO sign_in_failures AS known (email_hash, count, window_started_at)
             VALUES ($1, 1, $2)
             ON CONFLICT (email_hash) DO UPDATE SET
               count = CASE WHEN known.window_started_at <= $3 THEN 1
                            ELSE least(known.count + 1, 1000000) END,
               window_started_at = CASE WHEN known.window_started_at <= $3 THEN $2
                                        ELSE known.window_started_at END",
        )
        .bind(email_hash.as_slice())
        .bind(at)
        .bind(at - window)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    async fn clear_failures(&self, email_hash: [u8; 32]) -> Result<(), Failure> {
        sqlx::query("DELETE FROM sign_in_failures WHERE email_hash = $1")
            .bind(email_hash.as_slice())
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}

#[async_trait]
impl AccountRepository for Pg {
    async fn insert(&self, new: NewAccount) -> Result<(), StorageError> {
        attempt!(self, self.insert_account(&new))
    }

    async fn credentials(&self, email: &Email) -> Result<Option<Credentials>, StorageError> {
        attempt!(self, self.account_credentials(email))
    }

    async fn find(&self, id: AccountId) -> Result<Option<Account>, StorageError> {
        attempt!(self, self.find_account(id))
    }

    async fn set_role(
        &self,
        email: &Email,
        role: Role,
        at: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        attempt!(self, self.change_role(email, role, at))
    }

    async fn failures(&self, email_hash: [u8; 32]) -> Result<Option<Failures>, StorageError> {
        attempt!(self, self.read_failures(email_hash))
    }

    async fn count_failure(
        &self,
        email_hash: [u8; 32],
        at: OffsetDateTime,
        window: Duration,
    ) -> Result<(), StorageError> {
        attempt!(self, self.add_failure(email_hash, at, window))
    }

    async fn forget_failures(&self, email_hash: [u8; 32]) -> Result<(), StorageError> {
        attempt!(self, self.clear_failures(email_hash))
    }
}
