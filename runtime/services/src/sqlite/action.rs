//! What can be asked of a database and what comes of it, in no dialect.

use bytes::Bytes;
use node_sql::SqlError;

use crate::database::{Refusal, TransactionsFull};

/// What a process asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Makes the database if it is not there, and gives the caller its rights.
    Open,
    /// Removes the database and all that is in it.
    RemoveDb,
    /// Runs a statement that writes, at once or as part of a transaction.
    Write { statement: String, tx: Option<u64> },
    /// Runs a statement that reads.
    Read(String),
    /// Begins a transaction.
    BeginTx,
    /// Runs what a transaction has gathered, all of it or nothing.
    Commit(u64),
    /// Makes everything acknowledged survive a power cut at once.
    Backup,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is done.
    Done,
    /// The rows, as the JSON text of an array of objects.
    Rows(Bytes),
    /// The transaction that was begun.
    Begun(u64),
}

/// Why nothing came of it. The texts are shown to apps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SqliteError {
    /// What every database module refuses.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The statement is not one that reads.
    #[error("the statement is not a read: send it as a write")]
    NotARead,
    /// The statement is not one that writes.
    #[error("the statement is not a write: send it as a read")]
    NotAWrite,
    /// The parameters cannot be bound.
    #[error("{0}")]
    Params(String),
    /// The statement was refused or stopped, or SQLite says no.
    #[error("{0}")]
    Failed(String),
    /// There are too many transactions, or they hold too much.
    #[error(transparent)]
    Transactions(#[from] TransactionsFull),
    /// The volume failed, or the node stops.
    #[error("{0}")]
    Io(String),
}

impl SqliteError {
    /// The node stops before it was begun.
    pub(crate) fn stopping() -> Self {
        Self::Io("the node stops: ask again when it runs".to_owned())
    }

    /// This module failed, not the request.
    pub(crate) fn panicked() -> Self {
        Self::Io("the databases failed; try again".to_owned())
    }
}

impl From<SqlError> for SqliteError {
    fn from(error: SqlError) -> Self {
        match error {
            SqlError::NoDb => Self::Refused(Refusal::NoDb),
            SqlError::NotARead => Self::NotARead,
            SqlError::NotAWrite => Self::NotAWrite,
            SqlError::Params(why) => Self::Params(why),
            SqlError::Io(_) | SqlError::Closed => Self::Io(error.to_string()),
            _ => Self::Failed(error.to_string()),
        }
    }
}
