//! A node's log as others read it: what its terminal has shown, or would have
//! shown if one had been open.
//!
//! Reading neither wakes a node nor keeps it awake: the log is there whether
//! the node runs or not. Invariant: the text of a record has been made
//! harmless for terminals before it was written; of all control characters it
//! holds only line feeds, tabs and colours.

use std::path::Path;

use async_trait::async_trait;
use lifecycle::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::{EgressPage, EgressQuery};

/// Highest verbosity that anything is printed with.
pub const MAX_VERBOSITY: u8 = 3;

/// One print.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// Counts the records of a node, from 1.
    pub number: u64,
    /// When it was printed, UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub time: Timestamp,
    /// 0 = always shown, 1 = debug, 2 = runtime information, 3 = every kernel event.
    pub verbosity: u8,
    /// The process that printed.
    pub source: String,
    /// What it printed.
    pub text: String,
}

impl LogRecord {
    /// The text without colours.
    #[must_use]
    pub fn plain(&self) -> String {
        let mut plain = String::with_capacity(self.text.len());
        let mut chars = self.text.chars();
        while let Some(c) = chars.next() {
            match c {
                // A colour: everything up to its `m`.
                '\u{1b}' => drop(chars.by_ref().find(|c| *c == 'm')),
                '\n' | '\t' => plain.push(c),
                c if c.is_control() => {}
                c => plain.push(c),
            }
        }
        plain
    }
}

/// Which part of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogPlace {
    /// Its end.
    Newest,
    /// What came before the record with this number, as near to it as can be.
    Before(u64),
    /// What came after the record with this number, as near to it as can be.
    After(u64),
}

/// What to read of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogQuery {
    /// Records with a higher verbosity are left out.
    pub verbosity: u8,
    /// Most records.
    pub limit: usize,
    /// Which.
    pub place: LogPlace,
}

/// Part of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogPage {
    /// Oldest first.
    pub records: Vec<LogRecord>,
    /// There are more: older ones, or newer ones when asked what came after.
    pub more: bool,
    /// Number of the newest record that was seen, whatever its verbosity.
    pub newest: u64,
    /// Records that came after the one asked about and are not kept any more.
    pub missing: u64,
}

/// A log cannot be read; the text says where and why, for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LogError(pub String);

/// Reads the logs of nodes.
#[async_trait]
pub trait NodeLogs: Send + Sync + std::fmt::Debug {
    /// Part of the log in `dir`; nothing if there is none.
    ///
    /// # Errors
    /// [`LogError`].
    async fn read(&self, dir: &Path, query: LogQuery) -> Result<LogPage, LogError>;

    /// Part of what the node with its log in `dir` connected to, or tried to;
    /// nothing if it never did.
    ///
    /// # Errors
    /// [`LogError`].
    async fn egress(&self, dir: &Path, query: EgressQuery) -> Result<EgressPage, LogError>;

    /// Changes whenever this process has added to the log in `dir`.
    fn changes(&self, dir: &Path) -> watch::Receiver<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_has_no_colours() {
        let plain = |text: &str| {
            let record = LogRecord {
                number: 1,
                time: Timestamp::UNIX_EPOCH,
                verbosity: 0,
                source: "a:b:c".to_owned(),
                text: text.to_owned(),
            };
            record.plain()
        };
        assert_eq!(plain("\u{1b}[1;31mred\u{1b}[0m\tand\nnot"), "red\tand\nnot");
        assert_eq!(plain("\u{1b}[31"), "");
    }
}
