//! How many wrong passwords a node takes per minute.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Most failures within [`WINDOW`].
const MAX_FAILURES: usize = 10;
/// The time a failure counts.
const WINDOW: Duration = Duration::from_secs(60);

/// Recent failures, and attempts that have not ended: an attempt counts as a
/// failure from its beginning, so that many at once gain nothing.
#[derive(Debug, Default)]
pub(super) struct Attempts(Mutex<VecDeque<Instant>>);

/// One attempt; dropped, it stays a failure.
#[derive(Debug)]
pub(super) struct Attempt<'a> {
    attempts: &'a Attempts,
    began: Instant,
}

impl Attempts {
    /// Begins an attempt, or says how long to wait.
    pub(super) fn begin(&self) -> Result<Attempt<'_>, Duration> {
        let now = Instant::now();
        let mut recent = self.0.lock();
        while recent.front().is_some_and(|then| now - *then >= WINDOW) {
            recent.pop_front();
        }
        if let (true, Some(oldest)) = (recent.len() >= MAX_FAILURES, recent.front()) {
            return Err(WINDOW - (now - *oldest));
        }
        recent.push_back(now);
        Ok(Attempt {
            attempts: self,
            began: now,
        })
    }
}

impl Attempt<'_> {
    /// It was no failure.
    pub(super) fn succeeded(self) {
        let mut recent = self.attempts.0.lock();
        if let Some(index) = recent.iter().position(|then| *then == self.began) {
            recent.remove(index);
        }
    }
}
