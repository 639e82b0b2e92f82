//! Instants as numbers, and the queue of deadlines of one process.

use std::collections::BTreeSet;
use std::time::Duration;

use node_types::MessageId;

/// An instant on the caller's monotonic clock: nanoseconds since some start
/// that all moments of one node share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Moment(u64);

impl Moment {
    /// The moment `elapsed` after the start; the clock's range is 584 years.
    #[must_use]
    pub fn since_start(elapsed: Duration) -> Self {
        Self(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX))
    }

    /// How long after the start it is.
    #[must_use]
    pub fn as_elapsed(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// The moment `seconds` later, or the last one there is.
    #[must_use]
    pub fn plus_seconds(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1_000_000_000)))
    }
}

/// A deadline: when, in which turn it was set (so that equal ones keep their
/// order), for which request.
pub(crate) type Deadline = (Moment, u64, MessageId);

/// Deadlines in the order in which they come due; each request has one.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    queue: BTreeSet<Deadline>,
    turns: u64,
}

impl Deadlines {
    /// Adds one and returns the handle to cancel it with.
    pub(crate) fn set(&mut self, id: MessageId, at: Moment) -> Deadline {
        self.turns += 1;
        let deadline = (at, self.turns, id);
        self.queue.insert(deadline);
        deadline
    }

    pub(crate) fn cancel(&mut self, deadline: &Deadline) {
        self.queue.remove(deadline);
    }

    pub(crate) fn first(&self) -> Option<Deadline> {
        self.queue.first().copied()
    }
}
