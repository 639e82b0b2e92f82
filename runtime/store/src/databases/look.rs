//! Reading one key of a database.
//!
//! Invariant: reads take no turn, so that no writer holds them up. Holds
//! nothing.

use bytes::Bytes;
use rocksdb::DB;

use super::DatabaseError;
use super::registry::record;
use crate::keys::Owner;
use crate::turn::{Halt, Speed, read};

/// Largest value handed out on an async thread.
const INLINE_READ: usize = 256 * 1024;

/// A search for one key.
pub(super) struct Look {
    pub(super) owner: Owner,
    /// Of the database's record.
    pub(super) registry_key: Vec<u8>,
    pub(super) key: Bytes,
}

/// What was found.
pub(super) enum Looked {
    NoDatabase,
    Value(Option<Bytes>),
}

impl Look {
    pub(super) fn run(&self, db: &DB, speed: Speed) -> Result<Looked, Halt> {
        let Some(record) = record(db, &self.registry_key, speed)? else {
            return Ok(Looked::NoDatabase);
        };
        let full = self.owner.entry_key(record.number, &self.key)?;
        let value = db.get_pinned_opt(&full, &read(speed))?;
        if speed == Speed::NoWait && value.as_ref().is_some_and(|v| v.len() > INLINE_READ) {
            return Err(Halt::WouldWait);
        }
        Ok(Looked::Value(value.map(|v| Bytes::copy_from_slice(&v))))
    }
}

pub(super) fn found(looked: Looked) -> Result<Option<Bytes>, DatabaseError> {
    match looked {
        Looked::NoDatabase => Err(DatabaseError::Missing),
        Looked::Value(value) => Ok(value),
    }
}
