//! A node's logs, kept on disk: what its terminal shows at every verbosity, and
//! where its apps connected to ([`egress`]).
//!
//! A task of its own listens to the node's events, so nothing that prints ever
//! waits for it, and writes what it heard a moment later. Invariants: text is
//! made harmless before it is kept; what is not kept is counted, and a record
//! says how many; a log takes at most [`ALLOWANCE`] of bytes, and the disk's
//! failures are told to the operator and hurt nobody. The end of a process
//! needs no record: the kernel prints it. Stops by [`NodeLog::close`], after
//! everything that prints.

pub(crate) mod budget;
mod disk;
mod egress;
mod files;
mod read;
mod record;
#[cfg(test)]
mod tests;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lifecycle::{Clock, TaskKind, Tasks};
use node_api::LogRecord;
use node_services::terminal::harmless;
use node_services::{NodeEvent, module};
use tokio::sync::broadcast::{self, error::RecvError, error::TryRecvError};

use self::budget::Allowance;
pub(crate) use self::egress::EgressFiles;
pub use self::files::LogFiles;
use self::writer::{Pending, Source, Writer};

/// What a node may write. A sixteenth of the log at once, so that a flood does
/// not push everything else away.
const ALLOWANCE: Allowance = Allowance {
    burst: 128 << 10,
    per_second: 16 << 10,
    reserve: 64 << 10,
};
/// Longest text of a record, bytes; the rest is cut with a note.
const MAX_TEXT: usize = 8 << 10;
/// What a record takes besides its text, about.
const FRAME: usize = 128;
/// Largest size of either file.
const FILE_BYTES: u64 = 1 << 20;
/// Lowest verbosity that is chatter.
const CHATTER: u8 = 2;
/// How long the last write may take.
const CLOSE_GRACE: Duration = Duration::from_secs(2);

/// The log of a node that runs.
#[derive(Debug, Clone)]
pub(crate) struct NodeLog {
    tasks: Tasks,
}

/// What a log is made of.
pub(crate) struct LogParts {
    pub(crate) dir: PathBuf,
    /// Subscribed before anything can print.
    pub(crate) events: broadcast::Receiver<NodeEvent>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) files: Arc<LogFiles>,
}

impl NodeLog {
    /// Listens from now on, in a task that outlives those of the node.
    pub(crate) fn start(parts: LogParts, tasks: Tasks) -> Self {
        Self::with(parts, tasks, ALLOWANCE, FILE_BYTES)
    }

    fn with(parts: LogParts, tasks: Tasks, allowance: Allowance, file_bytes: u64) -> Self {
        let dir = parts.dir.clone();
        let writer = Writer::new(Prints(parts), dir, file_bytes, allowance, tasks.clone());
        tasks.spawn(TaskKind::graceful("node log"), writer.run());
        Self { tasks }
    }

    /// Writes what has been printed until now, and ends.
    pub(crate) async fn close(&self) {
        self.tasks.shutdown(CLOSE_GRACE).await;
    }
}

/// What is printed.
struct Prints(LogParts);

impl Prints {
    fn take(&self, event: &NodeEvent, pending: &mut Pending<LogRecord>) {
        let NodeEvent::Print {
            source,
            verbosity,
            text,
            ..
        } = event
        else {
            return;
        };
        let size = text.len().min(MAX_TEXT) + FRAME;
        if pending.admits(size, *verbosity, *verbosity >= CHATTER) {
            pending.keep(self.record(source.to_string(), *verbosity, kept(text)));
        }
    }

    fn record(&self, source: String, verbosity: u8, text: String) -> LogRecord {
        let now = self.0.clock.now();
        LogRecord {
            number: 0,
            time: now.replace_millisecond(now.millisecond()).unwrap_or(now),
            verbosity,
            source,
            text,
        }
    }
}

impl Source for Prints {
    type Record = LogRecord;

    async fn hear(&mut self, pending: &mut Pending<LogRecord>) -> bool {
        match self.0.events.recv().await {
            Ok(event) => self.take(&event, pending),
            Err(RecvError::Lagged(count)) => pending.miss(count),
            Err(RecvError::Closed) => return false,
        }
        true
    }

    fn drain(&mut self, pending: &mut Pending<LogRecord>) {
        loop {
            match self.0.events.try_recv() {
                Ok(event) => self.take(&event, pending),
                Err(TryRecvError::Lagged(count)) => pending.miss(count),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    fn note(&self, missing: u64) -> LogRecord {
        let text =
            format!("[{missing} prints are missing here: there were more than the log could take]");
        self.record(module("kernel").to_string(), 0, text)
    }

    fn is_written(&self) {
        self.0.files.has_grown(&self.0.dir);
    }
}

/// What is kept of a printed text.
fn kept(text: &str) -> String {
    let end = text.floor_char_boundary(MAX_TEXT);
    let mut kept = harmless(text.get(..end).unwrap_or(text));
    kept.truncate(kept.trim_end_matches('\n').len());
    if end < text.len() {
        kept.push_str("… [cut]");
    }
    kept
}
