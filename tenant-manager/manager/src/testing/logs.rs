//! Logs in memory, into which tests write.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use lifecycle::Timestamp;
use node_api::{
    EgressPage, EgressQuery, EgressRecord, LogError, LogPage, LogPlace, LogQuery, LogRecord,
    NodeLogs,
};
use parking_lot::Mutex;
use tokio::sync::watch;

/// See the module's documentation.
#[derive(Debug)]
pub struct FakeLogs {
    logs: Mutex<HashMap<PathBuf, Vec<LogRecord>>>,
    egress: Mutex<HashMap<PathBuf, Vec<EgressRecord>>>,
    changed: watch::Sender<()>,
    broken: Mutex<bool>,
}

impl Default for FakeLogs {
    fn default() -> Self {
        Self {
            logs: Mutex::default(),
            egress: Mutex::default(),
            changed: watch::channel(()).0,
            broken: Mutex::default(),
        }
    }
}

impl FakeLogs {
    /// Adds a record to the log in `dir`.
    pub fn add(&self, dir: &Path, verbosity: u8, source: &str, text: &str) {
        let mut logs = self.logs.lock();
        let log = logs.entry(dir.to_owned()).or_default();
        log.push(LogRecord {
            number: log.last().map_or(1, |last| last.number + 1),
            time: Timestamp::UNIX_EPOCH,
            verbosity,
            source: source.to_owned(),
            text: text.to_owned(),
        });
        drop(logs);
        self.changed.send_replace(());
    }

    /// Adds a connection of the node whose log is in `dir`, and numbers it.
    pub fn connected(&self, dir: &Path, mut record: EgressRecord) {
        let mut egress = self.egress.lock();
        let records = egress.entry(dir.to_owned()).or_default();
        record.number = records.last().map_or(1, |last| last.number + 1);
        records.push(record);
    }

    /// Forgets the connections of the node whose log is in `dir`.
    pub fn forget_connections(&self, dir: &Path) {
        self.egress.lock().remove(dir);
    }

    /// Forgets all but the newest `count` records, as a rotation does.
    pub fn keep(&self, dir: &Path, count: usize) {
        if let Some(log) = self.logs.lock().get_mut(dir) {
            let excess = log.len().saturating_sub(count);
            log.drain(..excess);
        }
    }

    /// Whether reading fails.
    pub fn break_down(&self, broken: bool) {
        *self.broken.lock() = broken;
    }
}

#[async_trait]
impl NodeLogs for FakeLogs {
    async fn read(&self, dir: &Path, query: LogQuery) -> Result<LogPage, LogError> {
        if *self.broken.lock() {
            return Err(LogError(format!("no disk under {}", dir.display())));
        }
        let all = self.logs.lock().get(dir).cloned().unwrap_or_default();
        let number = |record: Option<&LogRecord>| record.map_or(0, |record| record.number);
        let (oldest, newest) = (number(all.first()), number(all.last()));
        let inside = |record: &LogRecord| match query.place {
            LogPlace::Newest => true,
            LogPlace::Before(number) => record.number < number,
            LogPlace::After(number) => record.number > number,
        };
        let mut records: Vec<_> = all
            .into_iter()
            .filter(|record| record.verbosity <= query.verbosity && inside(record))
            .collect();
        let excess = records.len().saturating_sub(query.limit);
        let mut missing = 0;
        if let LogPlace::After(number) = query.place {
            records.truncate(query.limit);
            missing = oldest.saturating_sub(number + 1);
        } else {
            records.drain(..excess);
        }
        Ok(LogPage {
            records,
            more: excess > 0,
            newest,
            missing,
        })
    }

    async fn egress(&self, dir: &Path, query: EgressQuery) -> Result<EgressPage, LogError> {
        if *self.broken.lock() {
            return Err(LogError(format!("no disk under {}", dir.display())));
        }
        let all = self.egress.lock().get(dir).cloned().unwrap_or_default();
        let older = |record: &EgressRecord| match query.before {
            Some(number) => record.number < number,
            None => true,
        };
        let mut records: Vec<_> = all.into_iter().rev().filter(older).collect();
        let more = records.len() > query.limit;
        records.truncate(query.limit);
        Ok(EgressPage { records, more })
    }

    fn changes(&self, _dir: &Path) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}
