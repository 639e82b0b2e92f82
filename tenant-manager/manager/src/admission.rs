//! How many boots run at once: an account's permit first, the host's second,
//! so that an account booting all its nodes never queues in front of others
//! with a host permit in its hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Boots of one account at once.
const PER_ACCOUNT: usize = 2;
/// Boots that may wait; more are told that the host is busy.
const QUEUE: usize = 1024;

/// The host's half.
#[derive(Debug)]
pub(crate) struct Admission {
    host: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// An account's half, shared by its tenants.
#[derive(Debug, Clone)]
pub(crate) struct AccountPermits(Arc<Semaphore>);

/// Held while booting.
#[derive(Debug)]
pub(crate) struct BootPermit {
    _account: OwnedSemaphorePermit,
    _host: OwnedSemaphorePermit,
}

/// Too many are waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QueueFull;

impl Default for AccountPermits {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(PER_ACCOUNT)))
    }
}

impl Admission {
    pub(crate) fn new(at_once: usize) -> Self {
        Self {
            host: Arc::new(Semaphore::new(at_once.max(1))),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Whether one more may queue. A hint for callers who can be turned away;
    /// [`Admission::enter`] decides.
    pub(crate) fn is_full(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) >= QUEUE
    }

    /// Waits for both permits.
    ///
    /// # Cancel-Safety
    /// Safe; the place in the queue is lost.
    pub(crate) async fn enter(&self, account: &AccountPermits) -> Result<BootPermit, QueueFull> {
        let waiting = Waiting(&self.waiting);
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= QUEUE {
            return Err(QueueFull);
        }
        let account = account.0.clone().acquire_owned().await;
        let host = self.host.clone().acquire_owned().await;
        drop(waiting);
        match (account, host) {
            (Ok(account), Ok(host)) => Ok(BootPermit {
                _account: account,
                _host: host,
            }),
            // Nobody closes them.
            _ => Err(QueueFull),
        }
    }
}

struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_busy_account_leaves_room_for_others() {
        let admission = Admission::new(3);
        let (busy, other) = (AccountPermits::default(), AccountPermits::default());
        let first = admission.enter(&busy).await.unwrap();
        let _second = admission.enter(&busy).await.unwrap();
        let third = admission.enter(&busy);
        tokio::pin!(third);
        assert!(futures::poll!(third.as_mut()).is_pending());
        let _others = admission.enter(&other).await.unwrap();
        assert!(futures::poll!(third.as_mut()).is_pending());
        drop(first);
        third.await.unwrap();
    }
}
