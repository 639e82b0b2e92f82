//! How long statements run, and who may stop them.
//!
//! SQLite asks the meter of its connection every few hundred steps whether to
//! go on. Invariant: a statement ends within a few steps of its deadline, of
//! [`Interrupts::ring`], and of its log outgrowing its bound; one that has
//! run for long rests as long as it worked, so that it takes half a core.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::time::Instant;

/// Steps of SQLite's machine between two questions.
pub(crate) const STEPS: i32 = 200;
/// A statement that runs for longer gives way to others.
const RUNS_FREELY: Duration = Duration::from_millis(50);
/// It works for about this long between rests.
const SLICE: Duration = Duration::from_millis(5);
/// The longest rest.
const REST: Duration = Duration::from_millis(20);
/// How often the log is looked at.
const LOOK: Duration = Duration::from_millis(1);
/// Bytes that are compared or copied between two questions.
const BYTES: usize = 1 << 16;

/// Why a statement was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Deadline,
    Interrupted,
    NoRoom,
}

/// Rings for everybody who runs something in one database.
#[derive(Debug, Default)]
pub(crate) struct Interrupts {
    rung: AtomicU64,
    lock: Mutex<()>,
    bell: Condvar,
}

impl Interrupts {
    /// The number of rings so far: work that began now ends at the next.
    pub(crate) fn now(&self) -> u64 {
        self.rung.load(Ordering::Acquire)
    }

    /// Ends everything under way.
    pub(crate) fn ring(&self) {
        self.rung.fetch_add(1, Ordering::AcqRel);
        let _held = self.lock.lock();
        self.bell.notify_all();
    }

    /// Waits, but not beyond a ring after `since`.
    fn rest(&self, since: u64, time: Duration) {
        let mut held = self.lock.lock();
        if self.now() == since {
            self.bell.wait_for(&mut held, time);
        }
    }
}

/// What bounds a call.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    /// Rings of the bell when it began.
    pub(crate) since: u64,
    /// The end of all its statements.
    pub(crate) until: Instant,
    /// How long one of them may run.
    pub(crate) statement: Duration,
    /// The log and the most bytes it may have.
    pub(crate) log: Option<(Arc<Path>, u64)>,
}

#[derive(Debug)]
struct Run {
    bounds: Bounds,
    began: Instant,
    /// The end of the statement under way.
    until: Instant,
    /// When it last rested.
    rested: Instant,
    looked: Instant,
    bytes: usize,
    verdict: Option<Verdict>,
}

/// The meter of one connection.
#[derive(Debug)]
pub(crate) struct Meter {
    interrupts: Arc<Interrupts>,
    run: Mutex<Option<Run>>,
}

impl Meter {
    pub(crate) fn new(interrupts: Arc<Interrupts>) -> Self {
        Self {
            interrupts,
            run: Mutex::new(None),
        }
    }

    /// Begins a call.
    pub(crate) fn start(&self, bounds: Bounds) {
        let now = Instant::now();
        *self.run.lock() = Some(Run {
            until: bounds.until.min(now + bounds.statement),
            began: now,
            rested: now,
            looked: now,
            bytes: 0,
            verdict: None,
            bounds,
        });
    }

    /// Begins another statement of the call.
    pub(crate) fn next_statement(&self) {
        if let Some(run) = &mut *self.run.lock() {
            run.until = run.bounds.until.min(Instant::now() + run.bounds.statement);
        }
    }

    /// Ends a call.
    pub(crate) fn stop(&self) {
        *self.run.lock() = None;
    }

    /// Why the call under way was stopped.
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        self.run.lock().as_ref().and_then(|run| run.verdict)
    }

    /// Whether the statement under way must end. Rests if it ran for long.
    pub(crate) fn must_end(&self) -> bool {
        let mut held = self.run.lock();
        let Some(run) = &mut *held else {
            return false;
        };
        if run.verdict.is_none() {
            run.verdict = run.judge(&self.interrupts);
        }
        run.verdict.is_some()
    }

    /// Whether the statement under way must end, without resting.
    pub(crate) fn is_over(&self) -> bool {
        let mut held = self.run.lock();
        let Some(run) = &mut *held else {
            return false;
        };
        if run.verdict.is_none() {
            run.verdict = run.late(&self.interrupts, Instant::now());
        }
        run.verdict.is_some()
    }

    /// Counts work that SQLite does not count as steps. Whether the statement
    /// must end.
    pub(crate) fn spend(&self, bytes: usize) -> bool {
        if let Some(run) = &mut *self.run.lock() {
            run.bytes += bytes;
            if run.bytes < BYTES {
                return run.verdict.is_some();
            }
            run.bytes = 0;
        }
        self.must_end()
    }
}

impl Run {
    fn late(&self, interrupts: &Interrupts, now: Instant) -> Option<Verdict> {
        if interrupts.now() != self.bounds.since {
            return Some(Verdict::Interrupted);
        }
        (now >= self.until).then_some(Verdict::Deadline)
    }

    fn judge(&mut self, interrupts: &Interrupts) -> Option<Verdict> {
        let now = Instant::now();
        let late = self.late(interrupts, now);
        if late.is_some() {
            return late;
        }
        if now - self.looked >= LOOK {
            self.looked = now;
            if self.log_is_too_long() {
                return Some(Verdict::NoRoom);
            }
        }
        let worked = now - self.rested;
        if now - self.began >= RUNS_FREELY && worked >= SLICE {
            interrupts.rest(self.bounds.since, worked.min(REST));
            self.rested = Instant::now();
        }
        None
    }

    fn log_is_too_long(&self) -> bool {
        self.bounds
            .log
            .as_ref()
            .is_some_and(|(path, most)| std::fs::metadata(path).is_ok_and(|log| log.len() > *most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(statement: Duration) -> Bounds {
        Bounds {
            since: 0,
            until: Instant::now() + Duration::from_secs(600),
            statement,
            log: None,
        }
    }

    #[test]
    fn a_ring_and_the_deadline_end_a_statement() {
        let interrupts = Arc::new(Interrupts::default());
        let meter = Meter::new(interrupts.clone());
        assert!(!meter.must_end());
        meter.start(bounds(Duration::ZERO));
        assert!(meter.must_end());
        assert_eq!(meter.verdict(), Some(Verdict::Deadline));
        meter.start(bounds(Duration::from_secs(60)));
        assert!(!meter.must_end());
        interrupts.ring();
        assert!(meter.spend(0) || meter.must_end());
        assert_eq!(meter.verdict(), Some(Verdict::Interrupted));
        meter.stop();
        assert!(!meter.must_end());
    }

    #[test]
    fn a_log_beyond_its_bound_ends_a_statement() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        std::fs::write(&log, [0; 100]).unwrap();
        let meter = Meter::new(Arc::default());
        let mut bounds = bounds(Duration::from_secs(60));
        bounds.log = Some((log.into(), 99));
        meter.start(bounds);
        while !meter.must_end() {
            std::hint::spin_loop();
        }
        assert_eq!(meter.verdict(), Some(Verdict::NoRoom));
    }
}
