//! How often something may happen: so many times at once, then one by one.
//!
//! Pure: the caller tells the time.

use std::time::Duration;

use tokio::time::Instant;

/// What a bucket allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Most at once.
    pub burst: u32,
    /// Time after which there may be one more. Not zero.
    pub refill: Duration,
}

/// One bucket of tokens. Full at first.
#[derive(Debug)]
pub struct TokenBucket {
    rate: Rate,
    left: u32,
    refilled: Instant,
}

impl TokenBucket {
    /// A full bucket.
    #[must_use]
    pub fn new(rate: Rate, now: Instant) -> Self {
        Self {
            rate,
            left: rate.burst,
            refilled: now,
        }
    }

    /// Takes a token, if there is one.
    pub fn take(&mut self, now: Instant) -> bool {
        self.refill(now);
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }

    /// Whether nothing was taken lately: a new one would be the same.
    pub fn is_full(&mut self, now: Instant) -> bool {
        self.refill(now);
        self.left == self.rate.burst
    }

    /// How long until there is a token.
    #[must_use]
    pub fn wait(&self, now: Instant) -> Duration {
        if self.left > 0 {
            return Duration::ZERO;
        }
        (self.refilled + self.rate.refill).saturating_duration_since(now)
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.refilled).as_nanos();
        let gained = passed / self.rate.refill.as_nanos().max(1);
        if gained == 0 {
            return;
        }
        let gained = u32::try_from(gained).unwrap_or(u32::MAX);
        self.left = self.left.saturating_add(gained).min(self.rate.burst);
        // What is left of the time counts towards the next one.
        self.refilled = if self.left == self.rate.burst {
            now
        } else {
            self.refilled + self.rate.refill * gained
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        burst: 2,
        refill: Duration::from_secs(10),
    };

    #[tokio::test(start_paused = true)]
    async fn a_burst_then_one_by_one() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut bucket = TokenBucket::new(RATE, start);
        assert!(bucket.is_full(start));
        assert!(bucket.take(start) && bucket.take(start));
        assert!(!bucket.take(at(9)) && !bucket.is_full(at(9)));
        assert_eq!(bucket.wait(at(9)), Duration::from_secs(1));
        // The time beyond ten seconds counts towards the next token.
        assert!(bucket.take(at(15)) && !bucket.take(at(19)));
        assert!(bucket.take(at(20)));
        assert!(bucket.is_full(at(1000)));
        assert!(bucket.take(at(1000)) && bucket.take(at(1000)) && !bucket.take(at(1000)));
    }
}
