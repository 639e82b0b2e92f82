//! What one process has used, counted where it happens.
//!
//! Owns plain numbers, and no lock that a message meets. Invariant: what is
//! added by [`Counter::add`] is added by the process' own task only, so that
//! no locked instruction is needed; everybody may read. The numbers live as
//! long as the process is in the process table, through all its lives.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use node_engine::GuestMeter;
use node_types::ProcessUsage;
use parking_lot::Mutex;
use tokio::time::Instant;

/// A number that rises.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds, in the one task that adds.
    pub(crate) fn add(&self, amount: u64) {
        let now = self.0.load(Ordering::Relaxed);
        self.0.store(now.wrapping_add(amount), Ordering::Relaxed);
    }

    /// Adds one, in any task.
    pub(crate) fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Another number stands here from now on.
    pub(crate) fn set(&self, amount: usize) {
        self.0.store(amount as u64, Ordering::Relaxed);
    }

    /// The number.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How far the present life of a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Life {
    /// It has not begun, or is over for good.
    #[default]
    None,
    Running {
        since: Instant,
    },
    /// It begins again later.
    Waiting {
        until: Instant,
        delay: Duration,
    },
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// What the engine counts.
    pub(crate) meter: Arc<GuestMeter>,
    /// Time in which it was polled.
    polled_nanos: Counter,
    pub(crate) messages_in: Counter,
    pub(crate) bytes_in: Counter,
    pub(crate) messages_out: Counter,
    pub(crate) bytes_out: Counter,
    /// Of its requests now.
    pub(crate) outstanding: Counter,
    pub(crate) outstanding_bytes: Counter,
    pub(crate) prints: Counter,
    pub(crate) prints_left_out: Counter,
    pub(crate) dropped: Counter,
    pub(crate) refused: Counter,
    pub(crate) denied: Counter,
    restarts: Counter,
    life: Mutex<Life>,
}

impl Counters {
    /// It was polled for so long.
    pub(crate) fn polled(&self, nanos: u64) {
        self.polled_nanos.add(nanos);
    }

    /// A life begins.
    pub(crate) fn begins(&self, now: Instant) {
        *self.life.lock() = Life::Running { since: now };
    }

    /// It has ended and begins again after `delay`.
    pub(crate) fn waits(&self, delay: Duration, now: Instant) {
        self.restarts.count();
        let until = now + delay;
        *self.life.lock() = Life::Waiting { until, delay };
    }

    /// It has ended.
    pub(crate) fn ended(&self) {
        *self.life.lock() = Life::None;
    }

    /// How often it was restarted.
    pub(crate) fn restarts(&self) -> u64 {
        self.restarts.get()
    }

    /// All of it, but for the mailbox.
    pub(crate) fn usage(&self, now: Instant) -> ProcessUsage {
        let mut usage = ProcessUsage {
            memory_bytes: self.meter.memory(),
            memory_peak_bytes: self.meter.memory_peak(),
            cpu_micros: self.cpu_micros(),
            messages_in: self.messages_in.get(),
            bytes_in: self.bytes_in.get(),
            messages_out: self.messages_out.get(),
            bytes_out: self.bytes_out.get(),
            outstanding: self.outstanding.get(),
            outstanding_bytes: self.outstanding_bytes.get(),
            prints: self.prints.get(),
            prints_left_out: self.prints_left_out.get(),
            dropped: self.dropped.get(),
            refused: self.refused.get(),
            denied: self.denied.get() + self.meter.denied(),
            restarts: self.restarts.get(),
            ..ProcessUsage::default()
        };
        match *self.life.lock() {
            Life::None => {}
            Life::Running { since } => {
                usage.up_ms = Some(millis(now.saturating_duration_since(since)));
            }
            Life::Waiting { until, delay } => {
                usage.restart_in_ms = Some(millis(until.saturating_duration_since(now)));
                usage.restart_delay_ms = Some(millis(delay));
            }
        }
        usage
    }

    /// Polled, and not while it let others run.
    fn cpu_micros(&self) -> u64 {
        let polled = Duration::from_nanos(self.polled_nanos.get());
        let time = polled.saturating_sub(self.meter.gave_way());
        u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_process_that_waits_for_its_next_life_says_how_long() {
        let counters = Counters::default();
        let start = Instant::now();
        let at = |millis| counters.usage(start + Duration::from_millis(millis));
        assert_eq!((at(0).up_ms, at(0).restart_in_ms), (None, None));
        counters.begins(start);
        assert_eq!(at(1500).up_ms, Some(1500));
        counters.waits(Duration::from_secs(8), start + Duration::from_secs(2));
        let waiting = at(3000);
        assert_eq!((waiting.up_ms, waiting.restarts), (None, 1));
        assert_eq!(waiting.restart_in_ms, Some(7000));
        assert_eq!(waiting.restart_delay_ms, Some(8000));
        counters.ended();
        assert_eq!(at(3000).restart_in_ms, None);
    }

    #[test]
    fn time_given_away_is_no_processor_time() {
        let counters = Counters::default();
        counters.polled(3_000_000);
        counters.polled(500);
        assert_eq!(counters.usage(Instant::now()).cpu_micros, 3000);
    }
}
