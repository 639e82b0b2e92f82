//! What one process uses, as far as only the engine sees it.
//!
//! Owns plain counters, written by the process' own task and read by anybody.
//! They go on through all lives of a process; memory is that of the present
//! one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct GuestMeter {
    memory: AtomicU64,
    memory_peak: AtomicU64,
    denied: AtomicU64,
    gave_way_nanos: AtomicU64,
}

impl GuestMeter {
    /// Bytes of linear memory that it has.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.memory.load(Ordering::Relaxed)
    }

    /// The most it has had.
    #[must_use]
    pub fn memory_peak(&self) -> u64 {
        self.memory_peak.load(Ordering::Relaxed)
    }

    /// Growths that were denied because a limit was reached.
    #[must_use]
    pub fn denied(&self) -> u64 {
        self.denied.load(Ordering::Relaxed)
    }

    /// Time in which it was polled but let other threads run.
    #[must_use]
    pub fn gave_way(&self) -> Duration {
        Duration::from_nanos(self.gave_way_nanos.load(Ordering::Relaxed))
    }

    /// It has `bytes` of memory now.
    pub(crate) fn set_memory(&self, bytes: u64) {
        self.memory.store(bytes, Ordering::Relaxed);
        self.memory_peak.fetch_max(bytes, Ordering::Relaxed);
    }

    pub(crate) fn count_denied(&self) {
        self.denied.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_gave_way(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.gave_way_nanos.fetch_add(nanos, Ordering::Relaxed);
    }
}
