//! Where a node's apps connected to, or tried to, kept on disk beside what they
//! printed.
//!
//! Whoever connects is never held up: a record goes into a bounded queue, and a
//! task writes it a moment later. Invariants: texts are cut and hold no control
//! characters before they are queued; what is not kept is counted, and a record
//! says how many; tries that came to nothing leave room for what connected.
//! Stops by [`EgressFiles::close`], after everything that connects, or when the
//! last who holds it lets go; either way what was told until then is written.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lifecycle::queue::{self, Bounds, NotSent};
use lifecycle::{TaskKind, Tasks, Timestamp};
use node_api::{EgressOutcome, EgressRecord};
use node_egress::EgressLog;
use node_services::module;

use super::budget::Allowance;
use super::writer::{Pending, Source, Writer};

/// Its directory in that of the node's log.
const DIRECTORY: &str = "egress";
/// Largest size of either file.
const FILE_BYTES: u64 = 512 << 10;
/// What a node may write: about as many connections a second as it may open, and
/// a sixteenth of the log at once.
const ALLOWANCE: Allowance = Allowance {
    burst: 64 << 10,
    per_second: 16 << 10,
    reserve: 32 << 10,
};
/// What may wait for the writer. A record that finds no room is only counted.
const QUEUE: Bounds = Bounds {
    items: 1024,
    cost: 256 << 10,
};
/// Of it, what tries that came to nothing may take.
const SHARE_OF_FAILED: Bounds = Bounds {
    items: 512,
    cost: 128 << 10,
};
/// Longest name of a host, as DNS has it.
const MAX_HOST: usize = 253;
/// Longest process id.
const MAX_PROCESS: usize = 512;
/// Longest scheme.
const MAX_SCHEME: usize = 16;
/// Longest reason.
const MAX_REASON: usize = 400;
/// What a record takes besides its texts, about.
const FRAME: usize = 192;
/// How long the last write may take.
const CLOSE_GRACE: Duration = Duration::from_secs(2);

/// The log of the ways out of a node that runs.
#[derive(Debug)]
pub(crate) struct EgressFiles {
    queue: queue::Sender<EgressRecord>,
    /// Records that found no room and were not told of yet.
    dropped: Arc<AtomicU64>,
    tasks: Tasks,
}

/// Where it is in the directory of the node's log.
pub(super) fn directory(mut log_dir: PathBuf) -> PathBuf {
    log_dir.push(DIRECTORY);
    log_dir
}

impl EgressFiles {
    /// Takes records from now on, for the node whose log is in `log_dir`, in a
    /// set of tasks of its own that outlives those of the node.
    pub(crate) fn start(log_dir: PathBuf, tasks: Tasks) -> Arc<Self> {
        Self::with(log_dir, tasks, ALLOWANCE, FILE_BYTES)
    }

    fn with(log_dir: PathBuf, tasks: Tasks, allowance: Allowance, file_bytes: u64) -> Arc<Self> {
        let (sender, receiver) = queue::channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let told = Told {
            queue: receiver,
            dropped: dropped.clone(),
            newest: Timestamp::UNIX_EPOCH,
        };
        let dir = directory(log_dir);
        let writer = Writer::new(told, dir, file_bytes, allowance, tasks.clone());
        tasks.spawn(TaskKind::graceful("egress log"), writer.run());
        Arc::new(Self {
            queue: sender,
            dropped,
            tasks,
        })
    }

    /// Writes what has been told until now, and ends.
    pub(crate) async fn close(&self) {
        self.tasks.shutdown(CLOSE_GRACE).await;
    }
}

impl Drop for EgressFiles {
    fn drop(&mut self) {
        // A node that never came to be has nobody who closes it.
        self.tasks.token().cancel();
    }
}

impl EgressLog for EgressFiles {
    fn write(&self, record: EgressRecord) {
        let record = clean(&record);
        let size = size(&record);
        let share = if connected(&record) {
            QUEUE
        } else {
            SHARE_OF_FAILED
        };
        // Closed: the node is gone, and with it whoever asks.
        if let Err(NotSent::Full(_)) = self.queue.try_send_within(record, size, share) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What is told.
struct Told {
    queue: queue::Receiver<EgressRecord>,
    dropped: Arc<AtomicU64>,
    /// When the newest record was made: the time of a note.
    newest: Timestamp,
}

impl Told {
    fn take(&mut self, record: EgressRecord, pending: &mut Pending<EgressRecord>) {
        self.newest = record.time;
        let failed = !connected(&record);
        if pending.admits(size(&record), u8::from(failed), failed) {
            pending.keep(record);
        }
        self.count_dropped(pending);
    }

    fn count_dropped(&self, pending: &mut Pending<EgressRecord>) {
        pending.miss(self.dropped.swap(0, Ordering::Relaxed));
    }
}

impl Source for Told {
    type Record = EgressRecord;

    async fn hear(&mut self, pending: &mut Pending<EgressRecord>) -> bool {
        let Some((record, _)) = self.queue.recv().await else {
            return false;
        };
        self.take(record, pending);
        true
    }

    fn drain(&mut self, pending: &mut Pending<EgressRecord>) {
        // What is accepted is written.
        self.queue.close();
        while let Some((record, _)) = self.queue.try_recv() {
            self.take(record, pending);
        }
        self.count_dropped(pending);
    }

    fn note(&self, missing: u64) -> EgressRecord {
        let text = format!(
            "{missing} connections are missing here: there were more than the log could take"
        );
        EgressRecord {
            number: 0,
            time: self.newest,
            process: module("kernel").to_string(),
            scheme: String::new(),
            host: String::new(),
            port: 0,
            address: None,
            outcome: EgressOutcome::Failed,
            reason: Some(text),
        }
    }

    fn is_written(&self) {}
}

fn connected(record: &EgressRecord) -> bool {
    matches!(record.outcome, EgressOutcome::Connected)
}

/// What it takes on the disk and in memory, about.
fn size(record: &EgressRecord) -> usize {
    let reason = record.reason.as_ref().map_or(0, String::len);
    FRAME + record.process.len() + record.host.len() + reason
}

/// What is kept of a record.
fn clean(record: &EgressRecord) -> EgressRecord {
    let time = record.time;
    let reason = record.reason.as_deref();
    EgressRecord {
        number: 0,
        time: time.replace_millisecond(time.millisecond()).unwrap_or(time),
        process: short(&record.process, MAX_PROCESS),
        scheme: short(&record.scheme, MAX_SCHEME),
        host: short(&record.host, MAX_HOST),
        port: record.port,
        address: record.address,
        outcome: record.outcome,
        reason: reason.map(|reason| short(reason, MAX_REASON)),
    }
}

/// The first `most` characters of `text`, without those that control terminals.
fn short(text: &str, most: usize) -> String {
    let first = text.chars().take(most);
    let mut kept: String = first.filter(|c| !c.is_control()).collect();
    if text.chars().nth(most).is_some() {
        kept.push('…');
    }
    kept
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use node_api::{EgressPage, EgressQuery, NodeLogs};
    use tokio::runtime::Handle;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::log::LogFiles;

    const PLENTY: Allowance = Allowance {
        burst: 1 << 30,
        per_second: 1 << 30,
        reserve: 0,
    };

    fn tasks() -> Tasks {
        Tasks::new(Handle::current(), &CancellationToken::new())
    }

    fn record(host: &str, outcome: EgressOutcome) -> EgressRecord {
        EgressRecord {
            number: 77,
            time: Timestamp::UNIX_EPOCH + Duration::from_micros(1_234_567),
            process: "app:pack:me.dev".to_owned(),
            scheme: "https".to_owned(),
            host: host.to_owned(),
            port: 443,
            address: Some(([192, 0, 2, 1], 443).into()),
            outcome,
            reason: None,
        }
    }

    async fn read(dir: &Path, limit: usize, before: Option<u64>) -> EgressPage {
        let query = EgressQuery { limit, before };
        LogFiles::new(tasks()).egress(dir, query).await.unwrap()
    }

    fn hosts(page: &EgressPage) -> Vec<&str> {
        let records = page.records.iter();
        records.map(|record| record.host.as_str()).collect()
    }

    #[tokio::test]
    async fn what_was_told_until_the_end_is_there_newest_first_and_numbers_go_on() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path();
        assert!(read(dir, 10, None).await.records.is_empty());
        for round in 0..2 {
            let log = EgressFiles::with(dir.to_owned(), tasks(), PLENTY, 1 << 20);
            for number in 0..3 {
                let host = format!("host{}", round * 3 + number);
                log.write(record(&host, EgressOutcome::Connected));
            }
            log.close().await;
            log.write(record("late", EgressOutcome::Connected));
        }
        let page = read(dir, 4, None).await;
        assert_eq!(hosts(&page), ["host5", "host4", "host3", "host2"]);
        assert!(page.more);
        let newest = &page.records[0];
        assert_eq!((newest.number, newest.port), (6, 443));
        assert_eq!(newest.time.microsecond(), 234_000);
        let address = newest.address.map(|address| address.to_string());
        assert_eq!(address.as_deref(), Some("192.0.2.1:443"));
        let before = page.records.last().map(|last| last.number);
        let rest = read(dir, 4, before).await;
        assert_eq!((hosts(&rest), rest.more), (vec!["host1", "host0"], false));
        assert!(dir.join("egress/current").is_file());
    }

    #[tokio::test]
    async fn who_lets_go_without_closing_loses_nothing() {
        let home = tempfile::tempdir().unwrap();
        let all = tasks();
        let log = EgressFiles::with(home.path().to_owned(), all.clone(), PLENTY, 1 << 20);
        log.write(record("kept", EgressOutcome::Refused));
        drop(log);
        assert!(all.shutdown(Duration::from_secs(5)).await);
        assert_eq!(hosts(&read(home.path(), 10, None).await), ["kept"]);
    }

    #[tokio::test]
    async fn texts_are_cut_and_control_nothing() {
        let home = tempfile::tempdir().unwrap();
        let log = EgressFiles::with(home.path().to_owned(), tasks(), PLENTY, 1 << 20);
        let mut hostile = record("\u{1b}[2J<b>\n\u{9b}31mx", EgressOutcome::Refused);
        hostile.reason = Some("é".repeat(1 << 20));
        log.write(hostile);
        log.write(record(&"h".repeat(253), EgressOutcome::Refused));
        log.close().await;
        let page = read(home.path(), 10, None).await;
        assert_eq!(page.records[0].host, "h".repeat(253));
        assert_eq!(page.records[1].host, "[2J<b>31mx");
        let reason = page.records[1].reason.as_deref().unwrap();
        assert_eq!(reason.chars().count(), MAX_REASON + 1);
        assert!(reason.ends_with("é…"));
    }

    #[tokio::test]
    async fn a_flood_of_refusals_is_counted_and_hides_no_connection() {
        let home = tempfile::tempdir().unwrap();
        // The writer does not get to run in between.
        let log = EgressFiles::with(home.path().to_owned(), tasks(), PLENTY, 1 << 20);
        for _ in 0..3000 {
            log.write(record("flood", EgressOutcome::Refused));
        }
        log.write(record("there", EgressOutcome::Connected));
        log.close().await;
        let page = read(home.path(), usize::MAX, None).await;
        let count = |host: &str| hosts(&page).iter().filter(|one| **one == host).count();
        assert_eq!((count("flood"), count("there")), (512, 1));
        let note = page.records[0].reason.as_deref().unwrap();
        assert!(note.starts_with("2488 connections are missing"), "{note}");
        assert_eq!(page.records[0].time, page.records[1].time);
    }

    #[tokio::test]
    async fn the_disk_is_written_within_bounds_and_what_connected_comes_first() {
        let allowance = Allowance {
            burst: 4000,
            per_second: 0,
            reserve: 2000,
        };
        let home = tempfile::tempdir().unwrap();
        let log = EgressFiles::with(home.path().to_owned(), tasks(), allowance, 2048);
        for _ in 0..100 {
            log.write(record("flood", EgressOutcome::Failed));
        }
        log.write(record("there", EgressOutcome::Connected));
        log.close().await;
        let page = read(home.path(), usize::MAX, None).await;
        assert_eq!(hosts(&page)[..2], ["", "there"]);
        let size = |name| {
            let file = std::fs::metadata(home.path().join("egress").join(name));
            file.map_or(0, |file| file.len())
        };
        assert!(size("current") <= 2048 && size("previous") <= 2048);
        assert!(!page.more && page.records.len() < 30);
    }
}
