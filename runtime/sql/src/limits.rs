//! What a node's databases may use.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::Budget;

/// Where a node's databases are and what they may use.
#[derive(Debug, Clone)]
pub struct Options {
    /// The directory that holds them; made when the first one is.
    pub root: PathBuf,
    /// The node's disk budget.
    pub budget: Arc<dyn Budget>,
    /// Bounds on statements and on what is kept open.
    pub limits: Limits,
}

/// Bounds on statements and on what is kept open.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How long a statement may run, waits for its turn not counted.
    pub statement: Duration,
    /// How long one call may run, all its statements together, and how long
    /// it may wait for others to finish.
    pub transaction: Duration,
    /// Bytes SQLite may allocate for a statement, with what its connection
    /// already holds (cached pages and the schema).
    pub memory: u64,
    /// Bytes of the longest answer to a read.
    pub result_bytes: usize,
    /// Databases a node may have open; the one unused for longest is closed
    /// for another.
    pub open_databases: usize,
}

impl Limits {
    /// Bytes a database costs besides its files, like a file of the node does.
    pub const FLAT: u64 = 4096;
    /// Bytes by which the log of a database may outgrow the node's budget
    /// while a statement runs, so that rows can be deleted when it is full.
    pub const CREDIT: u64 = 2 << 20;
    /// Descriptors an open database holds at most.
    pub const DESCRIPTORS: usize = 8;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            statement: Duration::from_secs(10),
            transaction: Duration::from_secs(60),
            memory: 64 << 20,
            result_bytes: 64 << 20,
            open_databases: 8,
        }
    }
}
