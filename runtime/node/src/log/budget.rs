//! How much a node may write into its log: so many bytes at once, then so many
//! a second.
//!
//! Pure: the caller tells the time. Invariant: chatter (high verbosity) never
//! takes the last part, which is kept for what people are always shown.

use tokio::time::Instant;

/// What is allowed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    /// Most bytes at once.
    pub(crate) burst: u64,
    /// Bytes a second.
    pub(crate) per_second: u64,
    /// Bytes that chatter leaves.
    pub(crate) reserve: u64,
}

/// What is left of it.
#[derive(Debug)]
pub(crate) struct Budget {
    allowance: Allowance,
    left: u64,
    refilled: Instant,
}

impl Budget {
    /// All of it.
    pub(crate) fn new(allowance: Allowance, now: Instant) -> Self {
        Self {
            allowance,
            left: allowance.burst,
            refilled: now,
        }
    }

    /// Takes `bytes`, if there are so many.
    pub(crate) fn take(&mut self, bytes: u64, chatter: bool, now: Instant) -> bool {
        self.refill(now);
        let kept = if chatter { self.allowance.reserve } else { 0 };
        if self.left < bytes.saturating_add(kept) {
            return false;
        }
        self.left -= bytes;
        true
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.refilled).as_micros();
        let gained = passed * u128::from(self.allowance.per_second) / 1_000_000;
        // Less than a byte: the time counts towards the next look.
        if gained == 0 {
            return;
        }
        let gained = u64::try_from(gained).unwrap_or(u64::MAX);
        self.left = self.left.saturating_add(gained).min(self.allowance.burst);
        self.refilled = now;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_then_a_trickle_and_chatter_leaves_something() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let allowance = Allowance {
            burst: 100,
            per_second: 10,
            reserve: 40,
        };
        let mut budget = Budget::new(allowance, start);
        assert!(budget.take(60, true, start));
        assert!(!budget.take(1, true, start), "the rest is kept");
        assert!(budget.take(40, false, start) && !budget.take(1, false, start));
        assert!(!budget.take(10, false, at(999)) && budget.take(10, false, at(1999)));
        assert!(!budget.take(101, false, at(1_000_000)) && budget.take(100, false, at(1_000_000)));
    }
}
