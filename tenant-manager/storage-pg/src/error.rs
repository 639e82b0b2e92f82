//! What can go wrong, sorted once: what is worth another try, what clashes,
//! what is simply away.

use tenant_model::StorageError;

/// Attempts at a transaction that others interfered with.
pub(crate) const ATTEMPTS: u32 = 4;

/// Why the database cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL is not one.
    #[error("the database URL is malformed: {0}; write postgres://user:password@host/database")]
    BadUrl(sqlx::Error),
    /// It does not answer.
    #[error("failed to connect to the database: {0}")]
    Unreachable(sqlx::Error),
    /// It is there, but stands still.
    #[error("the database does not answer in time")]
    Silent,
}

/// Why the schema was not brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// A newer program was here.
    #[error(
        "the database has migration {0}, which this version of berth does not know: \
         start the newer version"
    )]
    TooNew(i64),
    /// Anything else.
    #[error("failed to migrate the database: {0}")]
    Failed(String),
}

/// An attempt that failed.
#[derive(Debug)]
pub(crate) enum Failure {
    Sql(sqlx::Error),
    Storage(StorageError),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl Failure {
    /// Others interfered: a serialization failure or a deadlock, which the
    /// database resolved by undoing this transaction.
    pub(crate) fn is_worth_another_try(&self) -> bool {
        let Self::Sql(sqlx::Error::Database(error)) = self else {
            return false;
        };
        matches!(error.code().as_deref(), Some("40001" | "40P01"))
    }

    /// There was no connection to be had within its bound.
    pub(crate) fn is_away(&self) -> bool {
        matches!(self, Self::Sql(sqlx::Error::PoolTimedOut))
    }

    /// The unique index that refused a row.
    pub(crate) fn violated(&self) -> Option<&str> {
        match self {
            Self::Sql(sqlx::Error::Database(error)) if error.is_unique_violation() => {
                error.constraint()
            }
            _ => None,
        }
    }
}

impl From<Failure> for StorageError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Storage(error) => error,
            Failure::Sql(error) => Self::Unavailable(error.to_string()),
        }
    }
}

/// A row holds what no version of this program wrote.
pub(crate) fn damaged(what: &str) -> Failure {
    Failure::Storage(StorageError::Unavailable(format!(
        "a row has a damaged {what}"
    )))
}

/// Runs a transaction of `$pg`, again if others interfered, each time within a
/// bound.
macro_rules! attempt {
    ($pg:ident, $work:expr) => {
        crate::error::attempt!($pg, $work, crate::pg::OPERATION)
    };
    ($pg:ident, $work:expr, $bound:expr) => {{
        let mut left = crate::error::ATTEMPTS;
        loop {
            if !$pg.health.lets_through() {
                break Err(tenant_model::StorageError::Unavailable(
                    "it did not answer a moment ago".to_owned(),
                ));
            }
            left -= 1;
            let answer = tokio::time::timeout($bound, $work).await;
            match &answer {
                Ok(Err(failure)) if failure.is_away() => $pg.health.stood_still(),
                Ok(_) => $pg.health.answered(),
                Err(_) => $pg.health.stood_still(),
            }
            match answer {
                Err(_) => {
                    break Err(tenant_model::StorageError::Unavailable(
                        "it did not answer in time".to_owned(),
                    ));
                }
                Ok(Err(failure)) if left > 0 && failure.is_worth_another_try() => {
                    tracing::debug!("trying a transaction again: {failure:?}");
                }
                Ok(outcome) => break outcome.map_err(tenant_model::StorageError::from),
            }
        }
    }};
}
pub(crate) use attempt;
