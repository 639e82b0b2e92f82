//! What writes a log: it hears from a source, and appends a moment later.
//!
//! The same for everything that is kept in two files. Invariants: whoever has
//! something to tell never waits; what is not kept is counted, and a record says
//! how many; one write is under way at a time, off the async threads; the disk's
//! failures are told to the operator and hurt nobody. Stops with its tasks, once
//! everything that came until then is written.

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use futures::future::{BoxFuture, OptionFuture};
use lifecycle::Tasks;
use tokio::time::Instant;

use super::budget::{Allowance, Budget};
use super::disk::Disk;
use super::record::Record;

/// Most that waits for a slow disk, bytes.
const MAX_PENDING: usize = 512 << 10;
/// From the first record until it is written.
const DELAY: Duration = Duration::from_millis(250);

/// Where the records of a log come from.
pub(super) trait Source: Send + 'static {
    /// What they are.
    type Record: Record;

    /// Waits for something, and keeps it in `pending` if there is room; `false`
    /// when nothing comes any more.
    ///
    /// # Cancel-Safety
    /// Safe.
    fn hear(&mut self, pending: &mut Pending<Self::Record>) -> impl Future<Output = bool> + Send;

    /// The same with everything that has come already.
    fn drain(&mut self, pending: &mut Pending<Self::Record>);

    /// A record that says that so many are missing at its place.
    fn note(&self, missing: u64) -> Self::Record;

    /// What was pending can be read now.
    fn is_written(&self);
}

/// What waits to be written.
pub(super) struct Pending<R> {
    records: Vec<R>,
    bytes: usize,
    budget: Budget,
    /// Until the next write, records of this level or above are only counted:
    /// so a gap has one note, at its place.
    refused: Option<u8>,
    missing: u64,
}

impl<R> Pending<R> {
    fn new(allowance: Allowance) -> Self {
        Self {
            records: Vec::new(),
            bytes: 0,
            budget: Budget::new(allowance, Instant::now()),
            refused: None,
            missing: 0,
        }
    }

    /// Whether there is room for a record of so many bytes, which its owner then
    /// keeps; if not, it is counted. Records of lower levels matter more, and
    /// those that are chatter leave room for the others.
    pub(super) fn admits(&mut self, bytes: usize, level: u8, chatter: bool) -> bool {
        let shut = self.refused.is_some_and(|lowest| level >= lowest);
        let may = !shut
            && self.bytes + bytes <= MAX_PENDING
            && self.budget.take(bytes as u64, chatter, Instant::now());
        if may {
            self.bytes += bytes;
        } else {
            self.refused = Some(self.refused.map_or(level, |low| low.min(level)));
            self.missing += 1;
        }
        may
    }

    /// Adds a record for which there is room.
    pub(super) fn keep(&mut self, record: R) {
        self.records.push(record);
    }

    /// Counts records that got lost on their way here.
    pub(super) fn miss(&mut self, count: u64) {
        self.missing += count;
    }
}

/// What came of a write.
type Written = (Option<Disk>, Result<(), (u64, std::io::Error)>);

/// See the module's documentation.
pub(super) struct Writer<S: Source> {
    source: S,
    pending: Pending<S::Record>,
    dir: PathBuf,
    file_bytes: u64,
    /// `None` while it writes.
    disk: Option<Disk>,
    tasks: Tasks,
    failing: bool,
}

impl<S: Source> Writer<S> {
    /// Writes into two files of at most `file_bytes` each in `dir`, and no more
    /// than `allowance`, until `tasks` are cancelled.
    pub(super) fn new(
        source: S,
        dir: PathBuf,
        file_bytes: u64,
        allowance: Allowance,
        tasks: Tasks,
    ) -> Self {
        Self {
            source,
            pending: Pending::new(allowance),
            disk: Some(Disk::new(dir.clone(), file_bytes)),
            dir,
            file_bytes,
            tasks,
            failing: false,
        }
    }

    /// Its task.
    pub(super) async fn run(mut self) {
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
                more = self.source.hear(&mut self.pending) => {
                    if !more {
                        break;
                    }
                }
            }
            if due.is_none() && self.has_something() {
                due = Some(Instant::now() + DELAY);
            }
        }
        if self.disk.is_none() {
            let written = writing.await;
            self.written(written);
        }
        self.source.drain(&mut self.pending);
        if self.has_something()
            && let Some(last) = self.begin()
        {
            let written = last.await;
            self.written(Some(written));
        }
    }

    fn has_something(&self) -> bool {
        // A disk that fails is tried again when there is something new.
        !self.pending.records.is_empty() || self.pending.missing > 0 && !self.failing
    }

    /// Begins to write what is pending; `None` while it still writes.
    fn begin(&mut self) -> Option<BoxFuture<'static, Written>> {
        let mut disk = self.disk.take()?;
        let missing = std::mem::take(&mut self.pending.missing);
        if missing > 0 {
            self.pending.keep(self.source.note(missing));
        }
        self.pending.refused = None;
        self.pending.bytes = 0;
        let records = std::mem::take(&mut self.pending.records);
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
        self.disk = disk.or_else(|| Some(Disk::new(self.dir.clone(), self.file_bytes)));
        match done {
            Ok(()) => {
                self.failing = false;
                self.source.is_written();
            }
            Err((count, error)) => {
                self.pending.missing += count;
                // Once: a full disk would fill the host's log as well.
                if !std::mem::replace(&mut self.failing, true) {
                    let dir = self.dir.display();
                    tracing::warn!("failed to write a node's log in {dir}: {error}");
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
