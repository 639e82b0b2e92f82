//! Whether the database answered lately, so that one that stands still is waited
//! for once and not by everybody.
//!
//! Owns the end of a pause. Invariant: after an operation that was not answered
//! in time others fail at once, but for one in each pause that tries.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// How long operations fail at once after one that was not answered.
const PAUSE: Duration = Duration::from_secs(2);

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Health(Mutex<Option<Instant>>);

impl Health {
    /// Whether to ask the database at all. After a pause one caller is let
    /// through, and the others wait for what comes of that.
    pub(crate) fn lets_through(&self) -> bool {
        let mut until = self.0.lock();
        match *until {
            None => true,
            Some(end) if end > Instant::now() => false,
            Some(_) => {
                *until = Some(Instant::now() + PAUSE);
                true
            }
        }
    }

    /// It did not answer in time.
    pub(crate) fn stood_still(&self) {
        *self.0.lock() = Some(Instant::now() + PAUSE);
    }

    /// It answered.
    pub(crate) fn answered(&self) {
        let mut until = self.0.lock();
        if until.is_some() {
            *until = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_tries_while_the_others_fail_at_once() {
        let health = Health::default();
        assert!(health.lets_through() && health.lets_through());
        health.stood_still();
        assert!(!health.lets_through());
        tokio::time::advance(PAUSE).await;
        assert!(health.lets_through());
        assert!(!health.lets_through());
        health.answered();
        assert!(health.lets_through() && health.lets_through());
    }
}
