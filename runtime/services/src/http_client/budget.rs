//! Bytes that the requests of a node hold in memory together.
//!
//! Owns the count. Invariant: every byte is charged before it is kept, and
//! given back when its charge is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Budget {
    limit: u64,
    held: AtomicU64,
}

/// What one request holds, given back on drop.
#[derive(Debug)]
pub(super) struct Charge {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Budget {
    /// A budget that nothing is taken of.
    pub(super) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self {
            limit,
            held: AtomicU64::new(0),
        })
    }

    /// An empty charge.
    pub(super) fn charge(self: &Arc<Self>) -> Charge {
        Charge {
            budget: self.clone(),
            bytes: 0,
        }
    }

    /// Most that all hold together.
    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// What all hold.
    #[cfg(test)]
    pub(super) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }
}

impl Charge {
    /// Takes `bytes` more, unless that is more than there is.
    pub(super) fn grow(&mut self, bytes: u64) -> bool {
        let limit = self.budget.limit;
        let grown = self
            .budget
            .held
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
                held.checked_add(bytes).filter(|held| *held <= limit)
            });
        if grown.is_ok() {
            self.bytes += bytes;
        }
        grown.is_ok()
    }

    /// Gives `bytes` of it back, or all there are.
    pub(super) fn give_back(&mut self, bytes: u64) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.budget.held.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Most that there could be.
    pub(super) fn most(&self) -> u64 {
        self.budget.limit
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_bounded_and_given_back() {
        let budget = Budget::new(10);
        let (mut one, mut two) = (budget.charge(), budget.charge());
        assert!(one.grow(6) && two.grow(4));
        assert!(!one.grow(1) && !two.grow(u64::MAX));
        drop(one);
        assert!(two.grow(6));
        assert_eq!(budget.held(), 10);
        two.give_back(3);
        assert_eq!(budget.held(), 7);
        two.give_back(u64::MAX);
        assert_eq!(budget.held(), 0);
        drop(two);
        assert_eq!(budget.held(), 0);
    }
}
