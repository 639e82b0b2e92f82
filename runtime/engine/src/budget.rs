//! What the processes of one tenant may use together.
//!
//! Owns the sum of their linear memories and the one permit to run beyond a
//! time slice. Invariant: `memory_in_use` never exceeds the limit, and every
//! byte reserved is released when its store ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Semaphore;

/// Components of one tenant that may compile or wait for it; beyond that
/// installing answers that the host is busy.
const WAITING_COMPILES: usize = 4;

/// Shared by all processes of a tenant.
#[derive(Debug)]
pub struct TenantBudget {
    memory_limit: AtomicU64,
    memory: AtomicU64,
    memory_peak: AtomicU64,
    /// One process at a time runs on after its slice.
    pub(crate) cpu_turn: Arc<Semaphore>,
    /// One component at a time waits for the compiler.
    pub(crate) compile_turn: Arc<Semaphore>,
    /// A few more may wait for that.
    pub(crate) compile_places: Arc<Semaphore>,
}

impl TenantBudget {
    /// A budget of `memory_bytes` for all linear memories of the tenant.
    #[must_use]
    pub fn new(memory_bytes: u64) -> Arc<Self> {
        Arc::new(Self {
            memory_limit: AtomicU64::new(memory_bytes),
            memory: AtomicU64::new(0),
            memory_peak: AtomicU64::new(0),
            cpu_turn: Arc::new(Semaphore::new(1)),
            compile_turn: Arc::new(Semaphore::new(1)),
            compile_places: Arc::new(Semaphore::new(WAITING_COMPILES)),
        })
    }

    /// Bytes of linear memory that running processes hold.
    #[must_use]
    pub fn memory_in_use(&self) -> u64 {
        self.memory.load(Ordering::Relaxed)
    }

    /// The most of it at once.
    #[must_use]
    pub fn memory_peak(&self) -> u64 {
        self.memory_peak.load(Ordering::Relaxed)
    }

    /// The limit on [`Self::memory_in_use`].
    #[must_use]
    pub fn memory_limit(&self) -> u64 {
        self.memory_limit.load(Ordering::Relaxed)
    }

    /// Changes the limit, as on a change of plan. What is in use stays.
    pub fn set_memory_limit(&self, memory_bytes: u64) {
        self.memory_limit.store(memory_bytes, Ordering::Relaxed);
    }

    /// Takes `bytes` if they fit.
    pub(crate) fn reserve(&self, bytes: u64) -> bool {
        let limit = self.memory_limit();
        let reserved = self
            .memory
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|sum| *sum <= limit)
            });
        match reserved {
            Ok(before) => {
                self.memory_peak
                    .fetch_max(before + bytes, Ordering::Relaxed);
                true
            }
            Err(_) => false,
        }
    }

    /// Gives back what [`Self::reserve`] took.
    pub(crate) fn release(&self, bytes: u64) {
        self.memory.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reservations_stop_at_the_limit() {
        let budget = TenantBudget::new(100);
        assert!(budget.reserve(60));
        assert!(!budget.reserve(41));
        assert!(!budget.reserve(u64::MAX));
        assert!(budget.reserve(40));
        budget.release(60);
        assert_eq!((budget.memory_in_use(), budget.memory_peak()), (40, 100));
        budget.set_memory_limit(10);
        assert!(!budget.reserve(1));
    }
}
