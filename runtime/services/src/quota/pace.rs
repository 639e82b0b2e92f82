//! How fast a node may write.
//!
//! Invariant: over any time the node's writes are let through at its rate, plus
//! at most one burst. Writers wait in the order they came.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// Bytes a second, and how many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteRate {
    /// Bytes a second, when there were many.
    pub per_second: u64,
    /// Bytes at once.
    pub burst: u64,
}

impl WriteRate {
    /// As fast as one likes.
    pub const UNLIMITED: Self = Self {
        per_second: u64::MAX,
        burst: u64::MAX,
    };

    /// So many bytes a second, four seconds' worth of them at once.
    #[must_use]
    pub fn per_second(bytes: u64) -> Self {
        Self {
            per_second: bytes.max(1),
            burst: bytes.max(1).saturating_mul(4),
        }
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Pace {
    rate: WriteRate,
    written: AtomicU64,
    slowed: AtomicU64,
    /// When all that was let through would have been written at the rate.
    /// Held by the writer that waits.
    paid_at: Mutex<Option<Instant>>,
}

impl Pace {
    pub(super) fn new(rate: WriteRate) -> Self {
        Self {
            rate,
            written: AtomicU64::new(0),
            slowed: AtomicU64::new(0),
            paid_at: Mutex::new(None),
        }
    }

    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    pub(super) fn slowed(&self) -> u64 {
        self.slowed.load(Ordering::Relaxed)
    }

    /// Lets `bytes` pass if nobody waits and there is no need to.
    pub(super) fn pass_now(&self, bytes: u64) -> bool {
        if self.rate != WriteRate::UNLIMITED {
            let Ok(mut paid_at) = self.paid_at.try_lock() else {
                return false;
            };
            let now = Instant::now();
            let after = paid_at.unwrap_or(now).max(now) + self.time_for(bytes);
            if after.saturating_duration_since(now) > self.time_for(self.rate.burst) {
                return false;
            }
            *paid_at = Some(after);
        }
        self.written.fetch_add(bytes, Ordering::Relaxed);
        true
    }

    pub(super) async fn pass(&self, bytes: u64) {
        self.written.fetch_add(bytes, Ordering::Relaxed);
        if self.rate == WriteRate::UNLIMITED {
            return;
        }
        let mut paid_at = self.paid_at.lock().await;
        let now = Instant::now();
        let after = paid_at.unwrap_or(now).max(now) + self.time_for(bytes);
        *paid_at = Some(after);
        // A write larger than a burst waits for what is beyond it.
        let wait = after
            .saturating_duration_since(now)
            .saturating_sub(self.time_for(self.rate.burst));
        if !wait.is_zero() {
            self.slowed.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(wait).await;
        }
    }

    fn time_for(&self, bytes: u64) -> Duration {
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.rate.per_second);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_at_once_and_the_rest_at_the_rate() {
        let pace = Pace::new(WriteRate::per_second(100));
        let start = Instant::now();
        pace.pass(400).await;
        assert_eq!((start.elapsed(), pace.slowed()), (Duration::ZERO, 0));
        assert!(!pace.pass_now(50));
        pace.pass(50).await;
        assert_eq!(start.elapsed(), Duration::from_millis(500));
        // Time in which nothing is written is saved up, but not beyond a burst.
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let later = Instant::now();
        assert!(pace.pass_now(100));
        pace.pass(500).await;
        assert_eq!(later.elapsed(), Duration::from_secs(2));
        assert_eq!((pace.written(), pace.slowed()), (1050, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_rate_nobody_waits() {
        let pace = Pace::new(WriteRate::UNLIMITED);
        let start = Instant::now();
        pace.pass(u64::MAX / 2).await;
        assert_eq!((start.elapsed(), pace.slowed()), (Duration::ZERO, 0));
    }
}
