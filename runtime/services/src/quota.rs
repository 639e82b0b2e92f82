//! The bytes a node may keep on disk: files and state together.
//!
//! Invariant: bytes are charged before they are written and given back after
//! they are gone, so `used` is never less than what is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The node's disk is full by its plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "disk limit reached: the node's disk quota is used up, {wanted} bytes wanted, {left} left; remove something"
)]
pub struct QuotaExceeded {
    /// Bytes that were to be added.
    pub wanted: u64,
    /// Bytes that could be.
    pub left: u64,
}

/// A node's disk budget, shared by the modules that write.
#[derive(Debug)]
pub struct DiskQuota {
    limit: u64,
    used: AtomicU64,
}

/// Bytes charged for a write under way: given back when dropped, unless
/// [`Charge::commit`] says that they were written.
#[derive(Debug)]
#[must_use = "dropping a charge gives the bytes back"]
pub struct Charge {
    quota: Arc<DiskQuota>,
    bytes: u64,
}

impl DiskQuota {
    /// A budget of `limit` bytes of which none is used.
    #[must_use]
    pub fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self {
            limit,
            used: AtomicU64::new(0),
        })
    }

    /// The budget.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Bytes in use.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Acquire)
    }

    /// Bytes that may still be added.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.limit.saturating_sub(self.used())
    }

    /// Counts bytes found on disk, over the limit or not.
    pub fn add_existing(&self, bytes: u64) {
        self.update(|used| used.saturating_add(bytes));
    }

    /// Gives back bytes that are gone.
    pub fn refund(&self, bytes: u64) {
        self.update(|used| used.saturating_sub(bytes));
    }

    /// Takes `bytes` before they are written. Nothing is always allowed.
    ///
    /// # Errors
    /// [`QuotaExceeded`] when there is no room for them.
    pub fn charge(self: &Arc<Self>, bytes: u64) -> Result<Charge, QuotaExceeded> {
        let taken = self
            .used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
                let after = used.checked_add(bytes)?;
                (bytes == 0 || after <= self.limit).then_some(after)
            });
        match taken {
            Ok(_) => Ok(Charge {
                quota: self.clone(),
                bytes,
            }),
            Err(used) => Err(QuotaExceeded {
                wanted: bytes,
                left: self.limit.saturating_sub(used),
            }),
        }
    }

    fn update(&self, change: impl Fn(u64) -> u64) {
        let _ = self
            .used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
                Some(change(used))
            });
    }
}

impl Charge {
    /// The bytes are written and stay charged.
    pub fn commit(mut self) {
        self.bytes = 0;
    }

    /// Only `bytes` of them are written and stay charged.
    pub fn commit_part(mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.quota.refund(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charges_stop_at_the_limit_and_come_back_unless_committed() {
        let quota = DiskQuota::new(100);
        quota.charge(60).unwrap().commit();
        let held = quota.charge(40).unwrap();
        assert_eq!(
            quota.charge(1).unwrap_err(),
            QuotaExceeded { wanted: 1, left: 0 }
        );
        drop(held);
        assert_eq!((quota.used(), quota.left()), (60, 40));
        quota.add_existing(100);
        quota.charge(0).unwrap().commit();
        quota.refund(1000);
        assert_eq!(quota.used(), 0);
        assert!(quota.charge(u64::MAX).is_err());
    }
}
