//! How fast a node may make processes.
//!
//! Owns the node's bucket. Whoever makes one too many is parked, not its
//! thread, until it is its turn; only who would wait too long is refused. So a
//! storm slows itself down instead of its host.

use std::time::Duration;

use lifecycle::{Rate, TokenBucket};
use parking_lot::Mutex;
use tokio::time::Instant;

/// New processes at once.
pub(crate) const AT_ONCE: u32 = 1000;
/// New processes a second after that.
pub(crate) const PER_SECOND: u32 = 5000;
const RATE: Rate = Rate {
    burst: AT_ONCE,
    refill: Duration::from_micros(1_000_000 / PER_SECOND as u64),
};
/// Longest wait for a turn.
const PATIENCE: Duration = Duration::from_secs(2);

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Spawns(Mutex<TokenBucket>);

/// Others made so many processes that there was no turn in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "spawn limit reached: a node may make {AT_ONCE} processes at once and {PER_SECOND} a second; make them more slowly"
)]
pub(crate) struct TooFast;

impl Default for Spawns {
    fn default() -> Self {
        Self::with(RATE)
    }
}

impl Spawns {
    fn with(rate: Rate) -> Self {
        Self(Mutex::new(TokenBucket::new(rate, Instant::now())))
    }

    /// Waits until one more process may be made.
    ///
    /// # Errors
    /// [`TooFast`].
    ///
    /// # Cancel-Safety
    /// Safe.
    pub(crate) async fn turn(&self) -> Result<(), TooFast> {
        let until = Instant::now() + PATIENCE;
        loop {
            let now = Instant::now();
            let wait = {
                let mut bucket = self.0.lock();
                if bucket.take(now) {
                    return Ok(());
                }
                bucket.wait(now)
            };
            if now + wait > until {
                return Err(TooFast);
            }
            tokio::time::sleep(wait).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_storm_waits_its_turn_and_only_the_hopeless_are_refused() {
        let spawns = Spawns::with(Rate {
            burst: 2,
            refill: Duration::from_millis(500),
        });
        let start = Instant::now();
        for _ in 0..4 {
            spawns.turn().await.unwrap();
        }
        assert_eq!(start.elapsed(), Duration::from_secs(1));
        let storm = futures::future::join_all((0..10).map(|_| spawns.turn())).await;
        let refused = storm.iter().filter(|turn| turn.is_err()).count();
        assert!((4..=6).contains(&refused), "{refused}");
        assert!(start.elapsed() <= Duration::from_secs(4));
        let slow = Spawns::with(Rate {
            burst: 1,
            refill: PATIENCE * 2,
        });
        slow.turn().await.unwrap();
        assert_eq!(slow.turn().await, Err(TooFast));
    }

    #[tokio::test(start_paused = true)]
    async fn ten_times_what_others_reach_is_possible() {
        let spawns = Spawns::default();
        let start = Instant::now();
        for _ in 0..2 * 4290 {
            spawns.turn().await.unwrap();
        }
        assert!(start.elapsed() < Duration::from_secs(2));
    }
}
