//! A node's log: what its terminal shows at every verbosity, kept on disk.
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
mod files;
mod read;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, OptionFuture};
use lifecycle::{Clock, TaskKind, Tasks};
use node_api::LogRecord;
use node_services::terminal::harmless;
use node_services::{NodeEvent, module};
use tokio::sync::broadcast::{self, error::RecvError, error::TryRecvError};
use tokio::time::Instant;

use self::budget::{Allowance, Budget};
use self::disk::{Disk, FILE_BYTES};
pub use self::files::LogFiles;

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
/// Most that waits for a slow disk, bytes.
const MAX_PENDING: usize = 512 << 10;
/// From the first print until it is written.
const DELAY: Duration = Duration::from_millis(250);
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
        let writer = Writer {
            disk: Some(Disk::new(parts.dir.clone(), file_bytes)),
            file_bytes,
            budget: Budget::new(allowance, Instant::now()),
            parts,
            tasks: tasks.clone(),
            pending: Vec::new(),
            pending_bytes: 0,
            refused: None,
            missing: 0,
            failing: false,
        };
        tasks.spawn(TaskKind::graceful("node log"), writer.run());
        Self { tasks }
    }

    /// Writes what has been printed until now, and ends.
    pub(crate) async fn close(&self) {
        self.tasks.shutdown(CLOSE_GRACE).await;
    }
}

/// What came of a write.
type Written = (Option<Disk>, Result<(), (u64, std::io::Error)>);

struct Writer {
    parts: LogParts,
    tasks: Tasks,
    /// `None` while it writes.
    disk: Option<Disk>,
    file_bytes: u64,
    budget: Budget,
    pending: Vec<LogRecord>,
    pending_bytes: usize,
    /// Until the next write, prints of this verbosity or above are only
    /// counted: so a gap has one note, at its place.
    refused: Option<u8>,
    missing: u64,
    failing: bool,
}

impl Writer {
    async fn run(mut self) {
        let stop = self.tasks.token().clone();
        let mut writing: OptionFuture<BoxFuture<'static, Written>> = None.into();
        let mut due = None;
        loop {
            let busy = self.disk.is_none();
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                written = &mut writing, if busy => {
                    writing = None.into();
                    self.written(written);
                }
                () = at(due), if due.is_some() && !busy => {
                    due = None;
                    writing = self.begin().into();
                }
                event = self.parts.events.recv() => match event {
                    Ok(event) => self.hear(&event),
                    Err(RecvError::Lagged(count)) => self.missing += count,
                    Err(RecvError::Closed) => break,
                },
            }
            if due.is_none() && self.has_something() {
                due = Some(Instant::now() + DELAY);
            }
        }
        if self.disk.is_none() {
            let written = writing.await;
            self.written(written);
        }
        loop {
            match self.parts.events.try_recv() {
                Ok(event) => self.hear(&event),
                Err(TryRecvError::Lagged(count)) => self.missing += count,
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        if self.has_something()
            && let Some(last) = self.begin()
        {
            let written = last.await;
            self.written(Some(written));
        }
    }

    fn has_something(&self) -> bool {
        // A disk that fails is tried again when there is something new.
        !self.pending.is_empty() || self.missing > 0 && !self.failing
    }

    fn hear(&mut self, event: &NodeEvent) {
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
        let shut = self.refused.is_some_and(|lowest| *verbosity >= lowest);
        let may = !shut
            && self.pending_bytes + size <= MAX_PENDING
            && self
                .budget
                .take(size as u64, *verbosity >= CHATTER, Instant::now());
        if !may {
            self.refused = Some(self.refused.map_or(*verbosity, |low| low.min(*verbosity)));
            self.missing += 1;
            return;
        }
        self.pending_bytes += size;
        self.keep(source.to_string(), *verbosity, kept(text));
    }

    fn keep(&mut self, source: String, verbosity: u8, text: String) {
        let now = self.parts.clock.now();
        self.pending.push(LogRecord {
            number: 0,
            time: now.replace_millisecond(now.millisecond()).unwrap_or(now),
            verbosity,
            source,
            text,
        });
    }

    /// Begins to write what is pending; `None` while it still writes.
    fn begin(&mut self) -> Option<BoxFuture<'static, Written>> {
        let mut disk = self.disk.take()?;
        if self.missing > 0 {
            let text = format!(
                "[{} prints are missing here: there were more than the log could take]",
                std::mem::take(&mut self.missing)
            );
            self.keep(module("kernel").to_string(), 0, text);
        }
        self.refused = None;
        self.pending_bytes = 0;
        let records = std::mem::take(&mut self.pending);
        let count = records.len() as u64;
        let tasks = self.tasks.clone();
        let work = move || {
            let done = disk.append(records);
            (disk, done)
        };
        Some(Box::pin(async move {
            let (disk, done) = match tasks.blocking(work).await {
                Some((disk, done)) => (Some(disk), done),
                None => (None, Err(std::io::Error::other("the writer panicked"))),
            };
            (disk, done.map_err(|error| (count, error)))
        }))
    }

    fn written(&mut self, written: Option<Written>) {
        let Some((disk, done)) = written else { return };
        let dir = &self.parts.dir;
        self.disk = disk.or_else(|| Some(Disk::new(dir.clone(), self.file_bytes)));
        match done {
            Ok(()) => {
                self.failing = false;
                self.parts.files.has_grown(dir);
            }
            Err((count, error)) => {
                self.missing += count;
                // Once: a full disk would fill the host's log as well.
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!("failed to write a node's log in {}: {error}", dir.display());
                }
            }
        }
    }
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
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
