//! When a node that failed may be tried again. Pure: the caller tells the time.

use std::time::Duration;

use lifecycle::Backoff;
use tokio::time::Instant;

/// First and longest wait after a failure.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// A node that ran this long has recovered.
const RECOVERED: Duration = Duration::from_secs(60);
/// Failures in a row after which nobody tries by itself: only a visitor after
/// the wait, or the owner.
const GIVES_UP: u32 = 5;

/// Failures of one node.
#[derive(Debug)]
pub(crate) struct Breaker {
    backoff: Backoff,
    failures: u32,
    open: Option<Open>,
    healthy_since: Option<Instant>,
}

#[derive(Debug)]
struct Open {
    until: Instant,
    reason: String,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            backoff: Backoff::new(FIRST_WAIT, LONGEST_WAIT),
            failures: 0,
            open: None,
            healthy_since: None,
        }
    }
}

impl Breaker {
    /// It failed; returns how long to wait.
    pub(crate) fn failed(&mut self, reason: String, now: Instant) -> Duration {
        let recovered = |since: Instant| now.duration_since(since) >= RECOVERED;
        if self.healthy_since.take().is_some_and(recovered) {
            self.reset();
        }
        self.failures = self.failures.saturating_add(1);
        let wait = self.backoff.next_delay();
        self.open = Some(Open {
            until: now + wait,
            reason,
        });
        wait
    }

    /// It became active. Failures are forgotten only once it stays so.
    pub(crate) fn succeeded(&mut self, now: Instant) {
        self.open = None;
        self.healthy_since = Some(now);
    }

    /// Its owner says to try.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }

    /// Why it must not be tried now.
    pub(crate) fn refuses(&self, now: Instant) -> Option<String> {
        let open = self.open.as_ref()?;
        (now < open.until).then(|| open.reason.clone())
    }

    /// What went wrong last, unless it went well since.
    pub(crate) fn reason(&self) -> Option<&str> {
        self.open.as_ref().map(|open| open.reason.as_str())
    }

    /// Whether nobody should try by itself any more.
    pub(crate) fn gave_up(&self, now: Instant) -> bool {
        let recovered = |since: Instant| now.duration_since(since) >= RECOVERED;
        self.failures >= GIVES_UP && !self.healthy_since.is_some_and(recovered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waits_double_until_it_stays_healthy() {
        let mut breaker = Breaker::default();
        let now = Instant::now();
        assert_eq!(breaker.refuses(now), None);
        assert_eq!(breaker.failed("one".into(), now).as_secs(), 1);
        assert_eq!(breaker.refuses(now).as_deref(), Some("one"));
        assert_eq!(breaker.refuses(now + Duration::from_secs(1)), None);
        assert_eq!(breaker.reason(), Some("one"));
        breaker.succeeded(now);
        assert_eq!(breaker.reason(), None);
        // Falling over at once does not start from the beginning.
        assert_eq!(breaker.failed("two".into(), now).as_secs(), 2);
        breaker.succeeded(now);
        assert_eq!(breaker.failed("three".into(), now + RECOVERED).as_secs(), 1);
        for _ in 0..4 {
            breaker.failed("again".into(), now);
        }
        assert!(breaker.gave_up(now));
        // Somebody came and it went well: after a while it is as good as new.
        breaker.succeeded(now);
        assert!(breaker.gave_up(now) && !breaker.gave_up(now + RECOVERED));
        breaker.failed("once more".into(), now);
        assert!(breaker.gave_up(now + RECOVERED));
        breaker.reset();
        assert!(!breaker.gave_up(now) && breaker.reason().is_none());
    }
}
