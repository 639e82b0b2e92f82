//! Lines typed before, shared by all terminals of a node.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

/// Lines that are remembered.
pub const HISTORY_LINES: usize = 1000;

/// Where typed lines are kept while the node sleeps.
///
/// Calls come from async tasks: they may write to the node's store but must
/// not wait for the disk longer than other state does.
pub trait HistoryStore: Send + Sync + fmt::Debug {
    /// The lines kept, oldest first; at least the last [`HISTORY_LINES`] that
    /// were appended.
    fn load(&self) -> Vec<String>;

    /// Keeps one more line.
    fn append(&self, line: &str);
}

/// A store that lives as long as the process.
#[derive(Debug, Default)]
pub struct MemoryHistory(Mutex<VecDeque<String>>);

impl HistoryStore for MemoryHistory {
    fn load(&self) -> Vec<String> {
        self.0.lock().iter().cloned().collect()
    }

    fn append(&self, line: &str) {
        let mut lines = self.0.lock();
        if lines.len() >= HISTORY_LINES {
            lines.pop_front();
        }
        lines.push_back(line.to_owned());
    }
}

/// The lines in memory, and their store.
#[derive(Debug)]
pub(super) struct History {
    lines: Mutex<Vec<String>>,
    store: Arc<dyn HistoryStore>,
}

impl History {
    pub(super) fn new(store: Arc<dyn HistoryStore>) -> Self {
        let mut lines = store.load();
        trim(&mut lines);
        Self {
            lines: Mutex::new(lines),
            store,
        }
    }

    /// Lets `look` see the lines, oldest first.
    pub(super) fn with<T>(&self, look: impl FnOnce(&[String]) -> T) -> T {
        look(&self.lines.lock())
    }

    /// Adds `line` unless it repeats the last one.
    pub(super) fn add(&self, line: &str) {
        let mut lines = self.lines.lock();
        if lines.last().is_some_and(|last| last == line) {
            return;
        }
        lines.push(line.to_owned());
        trim(&mut lines);
        // Under the lock, so that the store sees the same order.
        self.store.append(line);
    }
}

fn trim(lines: &mut Vec<String>) {
    let excess = lines.len().saturating_sub(HISTORY_LINES);
    lines.drain(..excess);
}
