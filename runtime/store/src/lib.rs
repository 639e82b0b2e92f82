//! The host's one key-value store: process maps, process state, histories and
//! databases of every tenant in a single RocksDB, and when tenants are to be
//! woken.
//!
//! Invariants: a [`Keyspace`] can form no key of another tenant; a write that
//! returned survives a kill of the host at once (it is in the operating
//! system's hands) and a power cut within a second (one task syncs the log for
//! everyone); a keyspace's byte count changes in the same atomic write as its
//! contents. Stops by [`HostStore::close`], which syncs and lets go of the
//! files; calls after that fail with [`StoreError::Closed`].

#![forbid(unsafe_code)]

mod accounts;
mod alarms;
mod databases;
mod db;
mod error;
mod keys;
mod keyspace;
mod store;
mod turn;

pub use alarms::{Alarm, Alarms, Due};
pub use databases::{
    Database, DatabaseError, Databases, MAX_DATABASES, MAX_VALUE_BYTES, Op, Opened,
};
pub use error::StoreError;
pub use keys::{MAX_KEY_BYTES, Space};
pub use keyspace::{Keyspace, Scan};
pub use store::HostStore;
