//! How many boots run at once: an account's permit first, the host's second,
//! so that an account booting all its nodes never queues in front of others
//! with a host permit in its hand. Boots that nobody waits for take turns among
//! themselves before both, so that visitors never queue behind a long row of
//! them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// Boots of one account at once.
const PER_ACCOUNT: usize = 2;
/// Boots that may wait of each sort, those that somebody waits for and the
/// others; more are told that the host is busy.
const QUEUE: usize = 1024;

/// The host's half.
#[derive(Debug)]
pub(crate) struct Admission {
    host: Arc<Semaphore>,
    /// Turns of boots that nobody waits for.
    background: Arc<Semaphore>,
    urgent: AtomicUsize,
    calm: AtomicUsize,
}

/// An account's half, shared by its tenants.
#[derive(Debug, Clone)]
pub(crate) struct AccountPermits(Arc<Semaphore>);

/// Held while booting.
#[derive(Debug)]
pub(crate) struct BootPermit {
    _account: OwnedSemaphorePermit,
    _host: OwnedSemaphorePermit,
    _turn: Option<OwnedSemaphorePermit>,
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
            background: Arc::new(Semaphore::new((at_once / 2).max(1))),
            urgent: AtomicUsize::new(0),
            calm: AtomicUsize::new(0),
        }
    }

    /// Whether one more that somebody waits for may queue. A hint for callers
    /// who can be turned away; [`Admission::enter`] decides.
    pub(crate) fn is_full(&self) -> bool {
        self.urgent.load(Ordering::Relaxed) >= QUEUE
    }

    /// The same for one that nobody waits for.
    pub(crate) fn is_calm_full(&self) -> bool {
        self.calm.load(Ordering::Relaxed) >= QUEUE
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.urgent.load(Ordering::Relaxed) + self.calm.load(Ordering::Relaxed)
    }

    /// Waits for both permits; first for a turn in the background, unless
    /// `hurried` says that somebody waits.
    ///
    /// # Cancel-Safety
    /// Safe; the place in the queue is lost.
    pub(crate) async fn enter(
        &self,
        account: &AccountPermits,
        hurried: &CancellationToken,
    ) -> Result<BootPermit, QueueFull> {
        let row = if hurried.is_cancelled() {
            &self.urgent
        } else {
            &self.calm
        };
        let waiting = Waiting(row);
        if row.fetch_add(1, Ordering::Relaxed) >= QUEUE {
            return Err(QueueFull);
        }
        let (turn, account) = self.turn(account, hurried).await;
        let host = self.host.clone().acquire_owned().await;
        drop(waiting);
        match (account, host) {
            (Ok(account), Ok(host)) => Ok(BootPermit {
                _account: account,
                _host: host,
                _turn: turn,
            }),
            // Nobody closes them.
            _ => Err(QueueFull),
        }
    }
}

type Turn = Option<OwnedSemaphorePermit>;

impl Admission {
    /// A turn and the account's permit. Whoever waits for the account gives the
    /// turn back meanwhile: a slow account does not hold up all the others.
    async fn turn(
        &self,
        account: &AccountPermits,
        hurried: &CancellationToken,
    ) -> (Turn, Result<OwnedSemaphorePermit, AcquireError>) {
        loop {
            let turn = tokio::select! {
                biased;
                () = hurried.cancelled() => None,
                turn = self.background.clone().acquire_owned() => turn.ok(),
            };
            if turn.is_none() {
                return (turn, account.0.clone().acquire_owned().await);
            }
            match account.0.clone().try_acquire_owned() {
                Ok(permit) => return (turn, Ok(permit)),
                Err(_busy) => drop(turn),
            }
            // Only to wait until there is one.
            drop(account.0.acquire().await);
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
        let hurry = hurried();
        let first = admission.enter(&busy, &hurry).await.unwrap();
        let _second = admission.enter(&busy, &hurry).await.unwrap();
        let third = admission.enter(&busy, &hurry);
        tokio::pin!(third);
        assert!(futures::poll!(third.as_mut()).is_pending());
        let _others = admission.enter(&other, &hurry).await.unwrap();
        assert!(futures::poll!(third.as_mut()).is_pending());
        drop(first);
        third.await.unwrap();
    }

    #[tokio::test]
    async fn a_visitor_passes_a_row_of_boots_that_nobody_waits_for() {
        let admission = Admission::new(4);
        let account = || AccountPermits::default();
        let calm = CancellationToken::new();
        let permits = [account(), account(), account()];
        let _first = admission.enter(&permits[0], &calm).await.unwrap();
        let _second = admission.enter(&permits[1], &calm).await.unwrap();
        let hurry = CancellationToken::new();
        let third = admission.enter(&permits[2], &hurry);
        tokio::pin!(third);
        assert!(futures::poll!(third.as_mut()).is_pending());
        admission.enter(&account(), &hurried()).await.unwrap();
        // Somebody comes for the one that waits.
        hurry.cancel();
        third.await.unwrap();
        assert_eq!(admission.waiting(), 0);
    }

    fn hurried() -> CancellationToken {
        let hurried = CancellationToken::new();
        hurried.cancel();
        hurried
    }
}
