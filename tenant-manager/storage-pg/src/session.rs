//! Sessions, by the hash of their token.

use async_trait::async_trait;
use sqlx::FromRow;
use tenant_model::{NewSession, Session, SessionId, SessionRepository, StorageError};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::error::{Failure, attempt};
use crate::pg::Pg;
use crate::row::AccountRow;

#[derive(Debug, FromRow)]
struct SessionRow {
    #[sqlx(flatten)]
    account: AccountRow,
    session: Uuid,
    signed_in_at: OffsetDateTime,
    expires_at: OffsetDateTime,
}

impl Pg {
    async fn insert_session(&self, new: &NewSession) -> Result<(), Failure> {
        sqlx::query(
            "INSERT INTO sessions (id, account, token_hash, signed_in_at, expires_at)
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(new.id.uuid())
        .bind(new.account.uuid())
        .bind(new.token_hash.as_slice())
        .bind(new.signed_in_at)
        .bind(new.expires_at)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    async fn find_session(
        &self,
        token_hash: [u8; 32],
        now: OffsetDateTime,
    ) -> Result<Option<Session>, Failure> {
        let row: Option<SessionRow> = sqlx::query_as(
            "SELECT a.id, a.email, a.role, a.plan, a.created_at,
                    s.id AS session, s.signed_in_at, s.expires_at
             FROM sessions s JOIN accounts a ON a.id = s.account
             WHERE s.token_hash = $1 AND s.expires_at > $2",
        )
        .bind(token_hash.as_slice())
        .bind(now)
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| {
            Ok(Session {
                id: SessionId::new(row.session),
                account: row.account.try_into()?,
                signed_in_at: row.signed_in_at,
                expires_at: row.expires_at,
            })
        })
        .transpose()
    }

    async fn delete_session(&self, id: SessionId) -> Result<(), Failure> {
        sqlx::query("DELETE FROM sessions WHERE id = $1")
            .bind(id.uuid())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    async fn sweep_ended(&self, before: OffsetDateTime) -> Result<(), Failure> {
        sqlx::query("DELETE FROM sessions WHERE expires_at < $1")
            .bind(before)
            .execute(&self.pool)
            .await?;
        sqlx::query("DELETE FROM sign_in_failures WHERE window_started_at < $1")
            .bind(before)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}

#[async_trait]
impl SessionRepository for Pg {
    async fn insert(&self, new: NewSession) -> Result<(), StorageError> {
        attempt!(self, self.insert_session(&new))
    }

    async fn find(
        &self,
        token_hash: [u8; 32],
        now: OffsetDateTime,
    ) -> Result<Option<Session>, StorageError> {
        attempt!(self, self.find_session(token_hash, now))
    }

    async fn delete(&self, id: SessionId) -> Result<(), StorageError> {
        attempt!(self, self.delete_session(id))
    }

    async fn sweep(&self, before: OffsetDateTime) -> Result<(), StorageError> {
        attempt!(self, self.sweep_ended(before))
    }
}
