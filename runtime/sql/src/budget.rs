//! The node's disk budget, as databases see it, and what is taken from it for
//! the time of one write.
//!
//! Invariant: a [`Grant`] that is dropped has been given back.

use std::sync::Arc;

/// The node's disk is full by its plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, thiserror::Error)]
#[error(
    "disk limit reached: the node's disk quota is used up, {wanted} bytes wanted, {left} left; remove something"
)]
pub struct NoRoom {
    /// Bytes that may still be added.
    pub left: u64,
    /// Bytes that were to be added.
    pub wanted: u64,
}

/// The disk budget of one node, in bytes.
pub trait Budget: Send + Sync + std::fmt::Debug {
    /// Takes `bytes` before they are written.
    ///
    /// # Errors
    /// [`NoRoom`] when they are not left; nothing is taken then.
    fn reserve(&self, bytes: u64) -> Result<(), NoRoom>;

    /// Gives back bytes that are gone or were not needed.
    fn release(&self, bytes: u64);

    /// Counts bytes that are on disk, over the limit or not.
    fn add_existing(&self, bytes: u64);
}

/// Bytes taken for a write under way.
#[derive(Debug)]
pub(crate) struct Grant {
    budget: Arc<dyn Budget>,
    bytes: u64,
    /// Whether less was left than was asked for.
    short: bool,
}

impl Grant {
    /// Takes `wanted` bytes, or what is left if that is less.
    pub(crate) fn take(budget: &Arc<dyn Budget>, wanted: u64) -> Self {
        let mut bytes = wanted;
        // Others take at the same time, so that what is left may be gone too.
        while bytes > 0 {
            match budget.reserve(bytes) {
                Ok(()) => break,
                Err(no_room) => bytes = no_room.left.min(bytes - 1),
            }
        }
        Self {
            budget: budget.clone(),
            bytes,
            short: bytes < wanted,
        }
    }

    /// Bytes taken.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether less was left than was asked for.
    pub(crate) fn is_short(&self) -> bool {
        self.short
    }

    /// Turns the grant into the difference between what was charged before
    /// and what is there now. What it does not cover is counted all the same:
    /// it is on disk.
    pub(crate) fn settle(mut self, charged: u64, now: u64) {
        let grown = now.saturating_sub(charged);
        self.budget.add_existing(grown.saturating_sub(self.bytes));
        let unused = self.bytes.saturating_sub(grown);
        self.bytes = unused + charged.saturating_sub(now);
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        self.budget.release(self.bytes);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use parking_lot::Mutex;

    use super::*;

    /// A budget of so many bytes: (limit, used).
    #[derive(Debug)]
    pub(crate) struct Fixed(pub(crate) u64, pub(crate) Mutex<u64>);

    impl Budget for Fixed {
        fn reserve(&self, bytes: u64) -> Result<(), NoRoom> {
            let mut used = self.1.lock();
            let left = self.0.saturating_sub(*used);
            if bytes > left {
                return Err(NoRoom {
                    left,
                    wanted: bytes,
                });
            }
            *used += bytes;
            Ok(())
        }

        fn release(&self, bytes: u64) {
            let mut used = self.1.lock();
            *used = used.checked_sub(bytes).unwrap();
        }

        fn add_existing(&self, bytes: u64) {
            *self.1.lock() += bytes;
        }
    }

    #[test]
    fn a_grant_becomes_what_is_on_disk() {
        let fixed = Arc::new(Fixed(100, Mutex::new(10)));
        let budget: Arc<dyn Budget> = fixed.clone();
        let used = || *fixed.1.lock();
        let grant = Grant::take(&budget, 50);
        assert_eq!((grant.bytes(), grant.is_short(), used()), (50, false, 60));
        grant.settle(10, 30);
        assert_eq!(used(), 30);
        let grant = Grant::take(&budget, 500);
        assert_eq!((grant.bytes(), grant.is_short(), used()), (70, true, 100));
        grant.settle(30, 130);
        assert_eq!(used(), 130);
        let grant = Grant::take(&budget, 5);
        assert_eq!((grant.bytes(), grant.is_short()), (0, true));
        grant.settle(130, 20);
        assert_eq!(used(), 20);
        drop(Grant::take(&budget, 5));
        assert_eq!(used(), 20);
    }
}
