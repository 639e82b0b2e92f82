//! SQLite databases of nodes: one file each, run by strangers' SQL.
//!
//! Invariants: no statement reaches outside its database's file; none runs,
//! allocates or answers without bound; what the files take is charged to the
//! node's budget before it is written (transient excess is bounded by
//! [`Limits::CREDIT`] for each database under way); a write that returned
//! survives a kill of the host, and a power cut after [`Databases::sync`].
//! All calls block: they belong on a pool of threads, of 2 MiB of stack or
//! more. Stops by
//! [`Databases::close`]; [`Databases::interrupt_all`] makes that quick.
//!
//! An open database holds at most [`Limits::DESCRIPTORS`] descriptors: three
//! of the writer (file, log, index of the log), two of each reader, and one
//! while its log is being synced.

#![deny(unsafe_code)]

mod authorizer;
mod budget;
mod connection;
mod database;
mod databases;
mod error;
mod functions;
mod json;
mod layout;
mod limits;
#[allow(unsafe_code, reason = "SQLite takes its allocator as C functions")]
mod memory;
mod meter;
mod name;
mod nesting;
mod patterns;
mod pragma;
mod readers;
mod room;
mod sql;
mod statement;
mod unsynced;

pub use budget::{Budget, NoRoom};
pub use databases::Databases;
pub use error::SqlError;
pub use limits::{Limits, Options};
pub use name::DbId;
pub use sql::{check_read, check_write};
pub use statement::{Param, Statement};
