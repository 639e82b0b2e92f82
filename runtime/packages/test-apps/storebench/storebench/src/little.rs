//! What a tenant does who writes a little: now and then some keys, a row and
//! a small file.
//!
//! `{"rounds":N,"pause_ms":N,"after_ms":N}`; `after_ms` spreads tenants that
//! are begun together. Ends with its rounds; a call that fails is counted, and
//! the rest goes on.

use std::fmt::Display;
use std::time::Instant;

use guest::lib::kv::{self, Kv};
use guest::lib::sqlite::{self, Sqlite};
use guest::lib::vfs::{self, File};
use guest::lib::{timer, Address};
use serde_json::{json, Value};

use crate::databases::{INSERT, TABLE};
use crate::job::text;

const NAME: &str = "little";
/// Keys set in each round.
const KEYS: u64 = 3;
/// Bytes of the file.
const FILE: usize = 1024;
const VALUE: &str = "a value of a hundred bytes, more or less, as apps keep them: a name, a date, \
                     a number or two";

/// The stores of a tenant.
struct Stores {
    kv: Kv<String, String>,
    sqlite: Sqlite,
    file: File,
}

impl Stores {
    fn open(our: &Address) -> Result<Self, String> {
        let kv = kv::open(our.package_id(), NAME, None).map_err(text)?;
        let sqlite = sqlite::open(our.package_id(), NAME, None).map_err(text)?;
        sqlite
            .write(TABLE.to_owned(), Vec::new(), None)
            .map_err(text)?;
        let drive = vfs::create_drive(our.package_id(), NAME, None).map_err(text)?;
        let file = vfs::create_file(&format!("{drive}/file"), None).map_err(text)?;
        Ok(Self { kv, sqlite, file })
    }
}

/// Times of writes by store, in nanoseconds, and failures.
#[derive(Default)]
struct Written {
    kv: Vec<u64>,
    sqlite: Vec<u64>,
    file: Vec<u64>,
    failed: u64,
    /// The first failure.
    why: Option<String>,
}

impl Written {
    fn failed(&mut self, error: impl Display) {
        self.failed += 1;
        self.why.get_or_insert_with(|| error.to_string());
    }

    fn round(&mut self, stores: &Stores, round: u64) {
        for number in 0..KEYS {
            let key = format!("key {}", (round * KEYS + number) % 100);
            let start = Instant::now();
            match stores.kv.set(&key, &VALUE.to_owned(), None) {
                Ok(()) => self.kv.push(nanos(start)),
                Err(error) => self.failed(error),
            }
        }
        let start = Instant::now();
        let row = vec![json!(VALUE)];
        match stores.sqlite.write(INSERT.to_owned(), row, None) {
            Ok(()) => self.sqlite.push(nanos(start)),
            Err(error) => self.failed(error),
        }
        let start = Instant::now();
        match stores.file.write(&[round as u8; FILE]) {
            Ok(()) => self.file.push(nanos(start)),
            Err(error) => self.failed(error),
        }
    }

    fn report(&self) -> Value {
        json!({
            "kv_ns": self.kv,
            "sqlite_ns": self.sqlite,
            "file_ns": self.file,
            "failed": self.failed,
            "why": self.why,
        })
    }
}

fn nanos(start: Instant) -> u64 {
    start.elapsed().as_nanos() as u64
}

/// Writes as `options` say; the times, or an error.
pub fn write(our: &Address, options: &Value) -> Value {
    let number = |name: &str| {
        options
            .get(name)
            .and_then(Value::as_u64)
            .unwrap_or_default()
    };
    let stores = match Stores::open(our) {
        Ok(stores) => stores,
        Err(error) => return json!({ "error": error }),
    };
    let mut written = Written::default();
    let mut pause = number("after_ms");
    for round in 0..number("rounds") {
        if pause > 0 {
            if let Err(error) = timer::set_and_await_timer(pause) {
                written.failed(error);
            }
        }
        written.round(&stores, round);
        pause = number("pause_ms");
    }
    written.report()
}
