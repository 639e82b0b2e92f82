//! What can be asked of a key-value database and what comes of it, whatever
//! the generation that asks.

use bytes::Bytes;
use node_store::{DatabaseError, MAX_KEY_BYTES, StoreError};

use crate::database::{Refusal, TransactionsFull};
use crate::quota::QuotaExceeded;

/// A key as it was asked for; of one that is too long only the beginning is
/// kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(super) bytes: Bytes,
    /// Its length before that.
    pub(super) length: usize,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Makes the database if it is absent, and gives the caller its rights.
    Open,
    /// Removes the database with all it holds.
    RemoveDb,
    /// Sets the value of a key to the blob.
    Set { key: Key, tx_id: Option<u64> },
    /// Removes a key; fine if it is not there.
    Delete { key: Key, tx_id: Option<u64> },
    /// Reads the value of a key.
    Get(Key),
    /// Begins a transaction.
    BeginTx,
    /// Makes all changes of a transaction.
    Commit { tx_id: u64 },
    /// Waits until everything is on disk.
    Backup,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is done.
    Done,
    /// The value of the key that was asked for.
    Value(Bytes),
    /// The transaction has this number.
    Begun(u64),
}

/// Why nothing came of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KvError {
    /// Something that SQLite databases are refused for too.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The key has no value.
    #[error("there is no such key in the database")]
    KeyNotFound,
    /// Setting a value needs one.
    #[error("the value to set must be in the blob of the request, which has none")]
    NoValue,
    /// There are too many transactions, or they hold too much.
    #[error(transparent)]
    Transactions(#[from] TransactionsFull),
    /// The node's disk quota is used up.
    #[error(transparent)]
    Quota(#[from] QuotaExceeded),
    /// The store did not do it.
    #[error(transparent)]
    Store(DatabaseError),
}

impl From<DatabaseError> for KvError {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Missing => Self::Refused(Refusal::NoDb),
            error => Self::Store(error),
        }
    }
}

impl From<StoreError> for KvError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.into())
    }
}

impl Key {
    /// The key, unless it is too long.
    pub(super) fn checked(&self) -> Result<&Bytes, KvError> {
        if self.length > MAX_KEY_BYTES {
            return Err(StoreError::KeyTooLong(self.length).into());
        }
        Ok(&self.bytes)
    }
}

impl Action {
    /// What requests call it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Open => "Open",
            Self::RemoveDb => "RemoveDb",
            Self::Set { .. } => "Set",
            Self::Delete { .. } => "Delete",
            Self::Get(_) => "Get",
            Self::BeginTx => "BeginTx",
            Self::Commit { .. } => "Commit",
            Self::Backup => "Backup",
        }
    }
}
