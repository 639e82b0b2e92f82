//! Writers, each with entries of its own in one store: what they write next,
//! and how what they wrote is found again.

mod found;

use std::fmt::Write as _;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Random;
use super::history::{Change, History};
use super::steps::{self, kv, sqlite, vfs, with};

/// The databases that all writers share.
pub const DB: &str = "books";
const DRIVE: &str = "/ledger:tester.dev/books";
/// Keys of a writer.
const KEYS: usize = 12;
/// Records of a journal before a new one is begun.
const RECORDS: usize = 400;
/// Length of a record with the end of its line. A power of two, so that none
/// spans two pages: a killed write stops only between pages.
const RECORD: usize = 128;
/// One value of so many is longer than a page.
const LONG: usize = 16;

/// What keeps a writer's entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    KeyValue,
    Sqlite,
    State,
    /// Files that are replaced, renamed and removed.
    Files,
    /// A file that records are appended to.
    Journal,
}

/// All kinds.
pub const KINDS: [Kind; 5] = [
    Kind::KeyValue,
    Kind::Sqlite,
    Kind::State,
    Kind::Files,
    Kind::Journal,
];

/// One of those who write at the same time.
pub struct Writer {
    pub kind: Kind,
    /// The process that it asks.
    pub process: &'static str,
    pub history: History,
    name: String,
    /// Whether each change of a file is synced before it counts as done.
    sync: bool,
    random: Random,
    sequence: u64,
}

/// Writers of every kind at three processes.
pub fn writers(random: &mut Random, sync: bool) -> Vec<Writer> {
    let shared = [Kind::KeyValue, Kind::Sqlite, Kind::State];
    let placed = [
        ("one", Kind::Files),
        ("two", Kind::Files),
        ("three", Kind::Journal),
    ];
    let mut writers = Vec::new();
    for (process, own) in placed {
        for kind in shared.into_iter().chain([own]) {
            writers.push(Writer {
                kind,
                process,
                history: History::default(),
                name: format!("{kind:?}-{process}").to_lowercase(),
                sync,
                random: random.fork(),
                sequence: 0,
            });
        }
    }
    writers
}

/// A text and a checksum of it.
fn sealed(text: &str) -> String {
    let sum = Sha256::digest(text);
    format!("{text}.{}", hex::encode(&sum[..4]))
}

/// Whether a value is one that a writer made, whole.
fn is_sealed(value: &str) -> bool {
    let parts = value.rsplit_once('.');
    parts.is_some_and(|(text, _)| sealed(text) == value)
}

impl Writer {
    /// What it calls itself.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn directory(&self) -> String {
        format!("{DRIVE}/{}", self.name)
    }

    fn journal(&self) -> String {
        format!("{}/journal", self.directory())
    }

    fn file(&self, key: &str) -> String {
        format!("{}/{key}", self.directory())
    }

    fn key(number: usize) -> String {
        format!("key-{number:02}")
    }

    /// Steps before its first change.
    pub fn preparing(&self) -> Vec<Value> {
        let table = "CREATE TABLE IF NOT EXISTS entries \
                     (w TEXT, k TEXT, v TEXT, PRIMARY KEY (w, k))";
        let directory = [
            vfs(DRIVE, &json!("CreateDrive")),
            vfs(&self.directory(), &json!("CreateDirAll")),
        ];
        match self.kind {
            Kind::KeyValue => vec![kv(DB, &json!("Open"))],
            Kind::Sqlite => vec![sqlite(DB, &json!("Open")), sqlite(DB, &steps::write(table))],
            Kind::State => Vec::new(),
            Kind::Files => directory.to_vec(),
            Kind::Journal => {
                let empty = with(vfs(&self.journal(), &json!("Write")), "");
                let mut steps = directory.to_vec();
                steps.push(empty);
                steps
            }
        }
    }

    /// The steps of its next change, which is now under way.
    pub fn next_steps(&mut self) -> Vec<Value> {
        let change = match self.kind {
            Kind::KeyValue | Kind::Sqlite => self.change_of_keys(),
            Kind::State => vec![("state".to_owned(), Some(self.value()))],
            Kind::Files => self.change_of_files(),
            Kind::Journal => self.change_of_journal(),
        };
        let steps = match self.kind {
            Kind::KeyValue => vec![self.in_kv(&change)],
            Kind::Sqlite => vec![self.in_sqlite(&change)],
            Kind::State => vec![json!({"state": change[0].1})],
            Kind::Files => self.in_files(&change),
            Kind::Journal => self.in_journal(&change),
        };
        self.history.begin(change);
        steps
    }

    fn value(&mut self) -> String {
        self.sequence += 1;
        let length = match self.random.below(LONG) {
            0 => 9000,
            _ => 20 + self.random.below(380),
        };
        let filling = self.filling(length);
        sealed(&format!("{}.{}.{filling}", self.name, self.sequence))
    }

    fn filling(&mut self, length: usize) -> String {
        let mut filling = String::new();
        while filling.len() < length {
            let _ = write!(filling, "{:08x}", self.random.below(1 << 32));
        }
        filling.truncate(length);
        filling
    }

    /// One key, or several at once.
    fn change_of_keys(&mut self) -> Change {
        let count = match self.random.below(10) {
            0..3 => 2 + self.random.below(4),
            _ => 1,
        };
        let mut keys: Vec<usize> = (0..KEYS).collect();
        self.random.shuffle(&mut keys);
        keys.truncate(count);
        let mut change = Change::new();
        for number in keys {
            let deletes = self.random.below(5) == 0;
            let value = if deletes { None } else { Some(self.value()) };
            change.push((Self::key(number), value));
        }
        change
    }

    fn change_of_files(&mut self) -> Change {
        let there: Vec<String> = self.history.now().keys().cloned().collect();
        let any = Self::key(self.random.below(KEYS));
        let choice = self.random.below(10);
        if choice < 3 && !there.is_empty() {
            let from = &there[self.random.below(there.len())];
            if *from != any {
                let value = self.history.now()[from].clone();
                return vec![(from.clone(), None), (any, Some(value))];
            }
        }
        // What is removed cannot be synced.
        if choice == 3 && !self.sync && !there.is_empty() {
            let gone = &there[self.random.below(there.len())];
            return vec![(gone.clone(), None)];
        }
        vec![(any, Some(self.value()))]
    }

    fn change_of_journal(&mut self) -> Change {
        let there = self.history.now();
        if there.len() >= RECORDS {
            return there.keys().map(|key| (key.clone(), None)).collect();
        }
        self.sequence += 1;
        let begin = format!("{}.{:08}.", self.name, self.sequence);
        // A dot, eight digits of the checksum and the end of the line follow.
        let filling = self.filling(RECORD - begin.len() - 10);
        let record = sealed(&format!("{begin}{filling}"));
        vec![(format!("{:08}", self.sequence), Some(record))]
    }

    /// Its key in the database that all writers share.
    fn in_db(&self, key: &str) -> String {
        format!("{}/{key}", self.name)
    }

    fn in_kv(&self, change: &Change) -> Value {
        let action = |(key, value): &(String, Option<String>)| {
            let key = self.in_db(key);
            match value {
                Some(value) => (steps::set(&key), Some(value.clone())),
                None => (steps::delete(&key), None),
            }
        };
        one_or_all("kv", change.iter().map(action).collect())
    }

    fn in_sqlite(&self, change: &Change) -> Value {
        let mut actions = Vec::new();
        for (key, value) in change {
            let there = self.history.now().contains_key(key);
            let (statement, parameters) = match value {
                Some(value) if there => (
                    "UPDATE entries SET v = ?3 WHERE w = ?1 AND k = ?2",
                    json!([self.name, key, value]),
                ),
                Some(value) => (
                    "INSERT INTO entries (w, k, v) VALUES (?1, ?2, ?3)",
                    json!([self.name, key, value]),
                ),
                None => (
                    "DELETE FROM entries WHERE w = ?1 AND k = ?2",
                    json!([self.name, key]),
                ),
            };
            actions.push((steps::write(statement), Some(parameters.to_string())));
        }
        one_or_all("sqlite", actions)
    }

    fn in_files(&self, change: &Change) -> Vec<Value> {
        let mut steps = match change.as_slice() {
            [(from, None), (to, Some(_))] => {
                let rename = json!({"Rename": {"new_path": self.file(to)}});
                vec![vfs(&self.file(from), &rename)]
            }
            [(key, Some(value))] => vec![with(vfs(&self.file(key), &json!("Write")), value)],
            [(key, None)] => vec![vfs(&self.file(key), &json!("RemoveFile"))],
            other => panic!("no change of files: {other:?}"),
        };
        if self.sync {
            let (last, _) = change.last().unwrap();
            steps.push(vfs(&self.file(last), &json!("SyncAll")));
        }
        steps
    }

    fn in_journal(&self, change: &Change) -> Vec<Value> {
        let journal = self.journal();
        let mut steps = match change.as_slice() {
            [(_, Some(record))] => {
                let append = vfs(&journal, &json!("Append"));
                vec![with(append, &format!("{record}\n"))]
            }
            _ => vec![with(vfs(&journal, &json!("Write")), "")],
        };
        if self.sync {
            steps.push(vfs(&journal, &json!("SyncAll")));
        }
        steps
    }
}

/// A single action as it is, several as a transaction.
fn one_or_all(to: &str, mut actions: Vec<(Value, Option<String>)>) -> Value {
    if actions.len() > 1 {
        return steps::transaction(to, DB, actions);
    }
    let (action, blob) = actions.remove(0);
    let step = steps::database(to, steps::LEDGER, DB, &action);
    match blob {
        Some(blob) => with(step, &blob),
        None => step,
    }
}
