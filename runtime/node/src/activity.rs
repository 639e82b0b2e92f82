//! When a node was last used, for hibernation.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use lifecycle::{Clock, Timestamp};

/// Remembers uses; something open counts as use until it is closed.
#[derive(Debug)]
pub(crate) struct Activity {
    clock: Arc<dyn Clock>,
    /// Unix time of the last use, seconds.
    last: AtomicI64,
    open: AtomicUsize,
}

/// A terminal, tunnel or request in progress.
#[derive(Debug)]
pub(crate) struct Open(Arc<Activity>);

impl Activity {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        let last = AtomicI64::new(clock.now().unix_timestamp());
        Arc::new(Self {
            clock,
            last,
            open: AtomicUsize::new(0),
        })
    }

    /// Something begins; it counts as use until the result is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> Open {
        self.open.fetch_add(1, Ordering::AcqRel);
        Open(self.clone())
    }

    /// The last use, which is now while anything is open.
    pub(crate) fn last(&self) -> Timestamp {
        let now = self.clock.now();
        if self.open.load(Ordering::Acquire) > 0 {
            return now;
        }
        Timestamp::from_unix_timestamp(self.last.load(Ordering::Acquire)).unwrap_or(now)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0
            .last
            .store(self.0.clock.now().unix_timestamp(), Ordering::Release);
        self.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use lifecycle::ManualClock;

    use super::*;

    #[test]
    fn something_open_is_use_until_it_is_closed() {
        let clock = ManualClock::default();
        let activity = Activity::new(Arc::new(clock.clone()));
        let open = activity.begin();
        clock.advance(100);
        assert_eq!(activity.last().unix_timestamp(), 100);
        drop(open);
        clock.advance(50);
        assert_eq!(activity.last().unix_timestamp(), 100);
    }
}
