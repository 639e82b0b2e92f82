//! What a database of a node costs beside the bare library, on the same volume
//! in the same run (`make bench`). The same through a process: see the tests of
//! the host.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "these measure and print, and their helpers fail like tests"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use node_sql::{Budget, Databases, DbId, Limits, NoRoom, Options, Param, Statement};
use rusqlite::{Connection, params};

const TABLE: &str = "CREATE TABLE entries (id INTEGER PRIMARY KEY, text TEXT)";
const INSERT: &str = "INSERT INTO entries (text) VALUES (?1)";
const SELECT: &str = "SELECT id, text FROM entries WHERE id = ?1";

/// Calls of each measurement.
const ROUNDS: u32 = 20_000;
/// Rows of one transaction.
const IN_TX: u32 = 100;
/// Transactions.
const TXS: u32 = ROUNDS / IN_TX;

/// As much as one likes.
#[derive(Debug)]
struct Endless;

impl Budget for Endless {
    fn reserve(&self, _: u64) -> Result<(), NoRoom> {
        Ok(())
    }

    fn release(&self, _: u64) {}

    fn add_existing(&self, _: u64) {}
}

/// Median time of an operation, where each call does `each` of them.
fn median(rounds: u32, each: u32, mut call: impl FnMut(u32)) -> Duration {
    let mut times: Vec<Duration> = (0..rounds)
        .map(|round| {
            let start = Instant::now();
            call(round);
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2] / each
}

/// Times of an autocommitted insert, one in a transaction, and a read by key.
type Figures = [Duration; 3];

fn text() -> String {
    format!("{:.<100}", "text ")
}

/// Any row that is there, not in order.
fn id(round: u32) -> i64 {
    i64::from(round * 7919 % ROUNDS + 1)
}

fn of_a_node(root: &Path) -> Figures {
    let databases = Databases::new(Options {
        root: root.to_owned(),
        budget: Arc::new(Endless),
        limits: Limits::default(),
    });
    let db = DbId {
        package: "pkg:me.dev".to_owned(),
        name: "bench".to_owned(),
    };
    let statement = |sql: &str, params: Vec<Param>| Statement {
        sql: sql.to_owned(),
        params,
    };
    databases.open(&db).unwrap();
    databases
        .write(&db, &[statement(TABLE, Vec::new())])
        .unwrap();
    let insert = || statement(INSERT, vec![Param::Text(text())]);
    let alone = median(ROUNDS, 1, |_| databases.write(&db, &[insert()]).unwrap());
    let in_tx = median(TXS, IN_TX, |_| {
        let all: Vec<Statement> = (0..IN_TX).map(|_| insert()).collect();
        databases.write(&db, &all).unwrap();
    });
    let select = median(ROUNDS, 1, |round| {
        let read = statement(SELECT, vec![Param::Integer(id(round))]);
        let rows = databases.read(&db, &read).unwrap();
        assert!(rows.len() > 100, "{}", String::from_utf8_lossy(&rows));
    });
    databases.close();
    [alone, in_tx, select]
}

/// SQLite as a program of its own would use it: one connection, statements
/// that are prepared once, no limits.
fn bare(file: &Path) -> Figures {
    let sqlite = Connection::open(file).unwrap();
    sqlite
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")
        .unwrap();
    sqlite.execute_batch(TABLE).unwrap();
    let insert = || {
        let mut insert = sqlite.prepare_cached(INSERT).unwrap();
        insert.execute(params![text()]).unwrap();
    };
    let alone = median(ROUNDS, 1, |_| insert());
    let in_tx = median(TXS, IN_TX, |_| {
        sqlite.execute_batch("BEGIN IMMEDIATE").unwrap();
        (0..IN_TX).for_each(|_| insert());
        sqlite.execute_batch("COMMIT").unwrap();
    });
    let select = median(ROUNDS, 1, |round| {
        let mut select = sqlite.prepare_cached(SELECT).unwrap();
        let row = select.query_row([id(round)], |row| Ok((row.get(0)?, row.get(1)?)));
        let (_, text): (i64, String) = row.unwrap();
        assert_eq!(text.len(), 100);
    });
    [alone, in_tx, select]
}

#[test]
#[ignore = "a measurement: make bench"]
fn bench_a_database_of_a_node_beside_bare_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    // First: it takes SQLite's allocator before anything else has.
    let ours = of_a_node(&dir.path().join("node"));
    let bare = bare(&dir.path().join("bare.db"));
    for (at, what) in [
        "insert, autocommit",
        "insert in a transaction",
        "select by key",
    ]
    .into_iter()
    .enumerate()
    {
        print_beside(what, ours[at], bare[at]);
    }
}

fn print_beside(what: &str, ours: Duration, bare: Duration) {
    println!(
        "sqlite {what}: p50 {ours:?}, bare {bare:?}, ratio {:.2}",
        ours.as_secs_f64() / bare.as_secs_f64()
    );
}
