//! Counts the users of a thing so that it is freed only after the last left.
//!
//! Stops by [`Gate::close`]: from then on nobody enters, and it returns once
//! everyone has left.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Set in the count once the gate is closing.
const CLOSED: usize = 1 << (usize::BITS - 1);

#[derive(Debug)]
struct Shared {
    /// Number of guards; the top bit says that the gate is closed.
    count: AtomicUsize,
    left: Notify,
}

/// See the module's documentation. Clones are the same gate.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Shared>);

/// The gate is closed: the thing behind it is going away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is shutting down")]
pub struct GateClosed;

/// The right to use what is behind the gate, until dropped.
#[derive(Debug)]
pub struct GateGuard(Arc<Shared>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(Shared {
            count: AtomicUsize::new(0),
            left: Notify::new(),
        }))
    }
}

impl Gate {
    /// Enters.
    ///
    /// # Errors
    /// [`GateClosed`] once [`Gate::close`] was called.
    pub fn enter(&self) -> Result<GateGuard, GateClosed> {
        self.0
            .count
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| {
                (count & CLOSED == 0).then_some(count + 1)
            })
            .map_err(|_| GateClosed)?;
        Ok(GateGuard(self.0.clone()))
    }

    /// How many guards are out.
    #[must_use]
    pub fn users(&self) -> usize {
        self.0.count.load(Ordering::Acquire) & !CLOSED
    }

    /// Refuses entry from now on, and waits until everyone has left.
    ///
    /// # Cancel-Safety
    /// Safe; the gate stays closed.
    pub async fn close(&self) {
        self.0.count.fetch_or(CLOSED, Ordering::AcqRel);
        loop {
            let left = self.0.left.notified();
            tokio::pin!(left);
            // Registered before the count is read, so no departure is missed.
            left.as_mut().enable();
            if self.users() == 0 {
                return;
            }
            left.await;
        }
    }
}

impl Drop for GateGuard {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::AcqRel) == CLOSED | 1 {
            self.0.left.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn close_waits_for_the_last_guard_and_refuses_new_ones() {
        let gate = Gate::default();
        let guard = gate.enter().unwrap();
        let closing = gate.close();
        tokio::pin!(closing);
        assert!(futures::poll!(closing.as_mut()).is_pending());
        assert!(gate.enter().is_err());
        drop(guard);
        closing.await;
        assert_eq!(gate.users(), 0);
    }
}
