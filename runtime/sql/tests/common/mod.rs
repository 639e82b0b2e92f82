//! What the tests share: a budget that counts, and databases below a
//! temporary directory.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "each test binary uses its part, and a failure ends the test"
)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use node_sql::{Budget, Databases, DbId, Limits, NoRoom, Options, Param, SqlError, Statement};
use tempfile::TempDir;

pub const MIB: u64 = 1 << 20;

/// A budget that remembers the most that was ever taken of it.
#[derive(Debug)]
pub struct Counted {
    pub limit: u64,
    pub used: AtomicU64,
}

impl Counted {
    pub fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self {
            limit,
            used: AtomicU64::new(0),
        })
    }

    pub fn used(&self) -> u64 {
        self.used.load(Ordering::SeqCst)
    }
}

impl Budget for Counted {
    fn reserve(&self, bytes: u64) -> Result<(), NoRoom> {
        let taken = self
            .used
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |used| {
                let after = used + bytes;
                (bytes == 0 || after <= self.limit).then_some(after)
            });
        taken.map(|_| ()).map_err(|used| NoRoom {
            left: self.limit.saturating_sub(used),
            wanted: bytes,
        })
    }

    fn release(&self, bytes: u64) {
        let before = self.used.fetch_sub(bytes, Ordering::SeqCst);
        assert!(before >= bytes, "{bytes} of {before} given back");
    }

    fn add_existing(&self, bytes: u64) {
        self.used.fetch_add(bytes, Ordering::SeqCst);
    }
}

pub struct Node {
    pub dir: TempDir,
    pub budget: Arc<Counted>,
    pub databases: Databases,
}

pub fn node() -> Node {
    node_with(Limits::default(), 1 << 40)
}

pub fn node_with(limits: Limits, bytes: u64) -> Node {
    let dir = tempfile::tempdir().unwrap();
    let budget = Counted::new(bytes);
    let databases = databases(dir.path(), limits, &budget);
    Node {
        dir,
        budget,
        databases,
    }
}

pub fn databases(dir: &Path, limits: Limits, budget: &Arc<Counted>) -> Databases {
    Databases::new(Options {
        root: dir.join("sqlite"),
        budget: budget.clone(),
        limits,
    })
}

pub fn id(name: &str) -> DbId {
    DbId {
        package: "app:alice.os".to_owned(),
        name: name.to_owned(),
    }
}

pub fn sql(text: &str) -> Statement {
    with(text, Vec::new())
}

pub fn with(text: &str, params: Vec<Param>) -> Statement {
    Statement {
        sql: text.to_owned(),
        params,
    }
}

impl Node {
    /// A node with the database `a` open and these writes done in it.
    pub fn prepared(writes: &[&str]) -> Self {
        node().and(writes)
    }

    pub fn and(self, writes: &[&str]) -> Self {
        self.databases.open(&id("a")).unwrap();
        for write in writes {
            self.write(write).unwrap();
        }
        self
    }

    pub fn write(&self, text: &str) -> Result<(), SqlError> {
        self.databases.write(&id("a"), &[sql(text)])
    }

    pub fn read(&self, text: &str) -> Result<String, SqlError> {
        let answer = self.databases.read(&id("a"), &sql(text))?;
        Ok(String::from_utf8(answer).unwrap())
    }

    /// Bytes on disk, with what each database costs besides.
    pub fn on_disk(&self, count: u64) -> u64 {
        bytes_below(self.dir.path()) + count * Limits::FLAT
    }
}

pub fn bytes_below(path: &Path) -> u64 {
    let mut bytes = 0;
    for entry in std::fs::read_dir(path).unwrap() {
        // Files come and go while another thread works.
        let Ok(entry) = entry else { continue };
        let Ok(file) = entry.metadata() else { continue };
        bytes += if file.is_dir() {
            bytes_below(&entry.path())
        } else {
            file.len()
        };
    }
    bytes
}

/// Rows of `n` = 1.. to the given number.
pub fn count_to(number: u64) -> String {
    format!("WITH RECURSIVE c(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM c WHERE n < {number}) ")
}

/// Runs until it is stopped.
pub const ENDLESS: &str =
    "WITH RECURSIVE c(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM c) SELECT max(n) FROM c";
