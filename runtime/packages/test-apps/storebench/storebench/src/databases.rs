//! Runs on databases of both kinds.
//!
//! Every run begins with a database that was removed and made again. Each ends
//! with its rounds, see [`crate::job`].

use guest::lib::kv::{self, Kv};
use guest::lib::sqlite::{self, Sqlite};
use serde_json::{json, Value};

use crate::job::{text, Job, Outcome};

const NAME: &str = "bench";
/// Keys or rows that are read; and that are written in turn.
const KEYS: u64 = 10_000;
/// Operations of one transaction.
const IN_TX: u64 = 100;

pub const TABLE: &str = "CREATE TABLE IF NOT EXISTS entries (id INTEGER PRIMARY KEY, text TEXT)";
pub const INSERT: &str = "INSERT INTO entries (text) VALUES (?1)";
const SELECT: &str = "SELECT id, text FROM entries WHERE id = ?1";

/// Keys and values are text, which the library sends as JSON.
type Texts = Kv<String, String>;

fn key(number: u64) -> String {
    format!("key {:08}", number % KEYS)
}

/// A value that is `bytes` long where it is sent, and is no base64.
fn value(bytes: usize) -> String {
    format!("{:.<width$}", "value ", width = bytes.saturating_sub(2))
}

fn empty_kv(job: &Job) -> Result<Texts, String> {
    // It may not be there.
    let _ = kv::remove_db(job.our.package_id(), NAME, None);
    kv::open(job.our.package_id(), NAME, None).map_err(text)
}

/// Sets one key.
pub fn kv_set(job: &Job) -> Outcome {
    let db = empty_kv(job)?;
    let value = value(job.bytes);
    let times = job.repeat(|round, times| times.of(|| db.set(&key(round), &value, None)))?;
    if db.get(&key(0)).map_err(text)? != value {
        return Err("the value is not what was set".to_owned());
    }
    Ok(times.report(1))
}

/// Gets one key of many.
pub fn kv_get(job: &Job) -> Outcome {
    let db = empty_kv(job)?;
    let value = value(job.bytes);
    for first in (0..KEYS).step_by(IN_TX as usize) {
        kv_in_tx(&db, first, &value)?;
    }
    let times = job.repeat(|round, times| {
        // Not in the order of the keys.
        let found = times.of(|| db.get(&key(round * 7919)))?;
        if found == value {
            Ok(())
        } else {
            Err("another value".to_owned())
        }
    })?;
    Ok(times.report(1))
}

fn kv_in_tx(db: &Texts, first: u64, value: &String) -> Result<(), String> {
    let tx = db.begin_tx().map_err(text)?;
    for number in first..first + IN_TX {
        db.set(&key(number), value, Some(tx)).map_err(text)?;
    }
    db.commit_tx(tx).map_err(text)
}

/// Sets keys in a transaction; told is the time of each.
pub fn kv_tx(job: &Job) -> Outcome {
    let db = empty_kv(job)?;
    let value = value(job.bytes);
    let times = job.repeat(|round, times| {
        let first = round * IN_TX;
        times.of(|| kv_in_tx(&db, first, &value))
    })?;
    if db.get(&key(IN_TX - 1)).map_err(text)? != value {
        return Err("the value is not what was set".to_owned());
    }
    Ok(times.report(IN_TX))
}

fn empty_sqlite(job: &Job) -> Result<Sqlite, String> {
    // It may not be there.
    let _ = sqlite::remove_db(job.our.package_id(), NAME, None);
    let db = sqlite::open(job.our.package_id(), NAME, None).map_err(text)?;
    db.write(TABLE.to_owned(), Vec::new(), None).map_err(text)?;
    Ok(db)
}

fn insert(db: &Sqlite, value: &Value, tx: Option<u64>) -> Result<(), String> {
    db.write(INSERT.to_owned(), vec![value.clone()], tx)
        .map_err(text)
}

/// That there are as many rows as were inserted.
fn check_rows(db: &Sqlite, rows: u64) -> Result<(), String> {
    let counted = db.read("SELECT count(*) AS n FROM entries".to_owned(), Vec::new());
    let counted = counted.map_err(text)?;
    let number = counted.first().and_then(|row| row.get("n")?.as_u64());
    if number == Some(rows) {
        Ok(())
    } else {
        Err(format!("{number:?} rows instead of {rows}"))
    }
}

/// Inserts one row.
pub fn sqlite_insert(job: &Job) -> Outcome {
    let db = empty_sqlite(job)?;
    let value = json!(value(job.bytes));
    let mut rows = 0;
    let times = job.repeat(|_, times| {
        rows += 1;
        times.of(|| insert(&db, &value, None))
    })?;
    check_rows(&db, rows)?;
    Ok(times.report(1))
}

fn sqlite_in_tx(db: &Sqlite, value: &Value) -> Result<(), String> {
    let tx = db.begin_tx().map_err(text)?;
    for _ in 0..IN_TX {
        insert(db, value, Some(tx))?;
    }
    db.commit_tx(tx).map_err(text)
}

/// Inserts rows in a transaction; told is the time of each.
pub fn sqlite_tx(job: &Job) -> Outcome {
    let db = empty_sqlite(job)?;
    let value = json!(value(job.bytes));
    let mut rows = 0;
    let times = job.repeat(|_, times| {
        rows += IN_TX;
        times.of(|| sqlite_in_tx(&db, &value))
    })?;
    check_rows(&db, rows)?;
    Ok(times.report(IN_TX))
}

/// Reads one row of many by its key.
pub fn sqlite_select(job: &Job) -> Outcome {
    let db = empty_sqlite(job)?;
    let value = json!(value(job.bytes));
    for _ in 0..KEYS / IN_TX {
        sqlite_in_tx(&db, &value)?;
    }
    let times = job.repeat(|round, times| {
        let id = round * 7919 % KEYS + 1;
        let rows = times.of(|| db.read(SELECT.to_owned(), vec![json!(id)]))?;
        match rows.as_slice() {
            [row] if row.get("text") == Some(&value) => Ok(()),
            _ => Err(format!("{} rows for {id}", rows.len())),
        }
    })?;
    Ok(times.report(1))
}
