//! The bytes a node may keep on disk, all stores together, and how fast it may
//! write them.
//!
//! Invariant: bytes are charged before they are written and given back after
//! they are gone, so `used` is never less than what is there; nobody writes
//! before what a node had at its boot is counted. Every handle of a budget counts
//! for one store; their sum is what the node uses. Nobody waits here once the
//! node stops.

mod pace;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pace::Pace;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use pace::WriteRate;

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

/// What keeps bytes on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// The virtual file system.
    Files,
    /// State of processes, and what the runtime keeps for the node.
    State,
    /// Key-value databases.
    KeyValue,
    /// SQLite databases.
    Sqlite,
}

/// A node's disk budget as one store sees it.
#[derive(Debug)]
pub struct DiskQuota {
    store: Store,
    budget: Arc<Budget>,
}

/// How far counting is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counting {
    UnderWay,
    Done,
    /// Something could not be counted.
    Failed,
}

/// What all stores of a node share.
#[derive(Debug)]
struct Budget {
    limit: u64,
    used: AtomicU64,
    /// By store, in the order of [`Store`].
    by_store: [AtomicU64; 4],
    pace: Pace,
    /// Whether what the node had at its boot is in `used`, of all stores.
    counting: watch::Sender<Counting>,
    /// The node stops: nobody waits any more.
    stopping: CancellationToken,
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
    /// A budget of `limit` bytes of which none is used, written as fast as one
    /// likes; the handle for files.
    #[must_use]
    pub fn new(limit: u64) -> Arc<Self> {
        Self::with_rate(limit, WriteRate::UNLIMITED)
    }

    /// The same, written at most at `rate`.
    #[must_use]
    pub fn with_rate(limit: u64, rate: WriteRate) -> Arc<Self> {
        Self::made(limit, rate, Counting::Done, CancellationToken::new())
    }

    /// The budget of a node that boots: who writes waits for
    /// [`DiskQuota::counted`], since stores that are not counted yet look empty,
    /// and for its turn; neither once the node is `stopping`.
    #[must_use]
    pub fn of_node(limit: u64, rate: WriteRate, stopping: CancellationToken) -> Arc<Self> {
        Self::made(limit, rate, Counting::UnderWay, stopping)
    }

    fn made(
        limit: u64,
        rate: WriteRate,
        counting: Counting,
        stopping: CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Self {
            store: Store::Files,
            budget: Arc::new(Budget {
                limit,
                used: AtomicU64::new(0),
                by_store: Default::default(),
                pace: Pace::new(rate),
                counting: watch::Sender::new(counting),
                stopping,
            }),
        })
    }

    /// What the node has on disk is counted, `all` of it or as much as can be.
    pub fn counted(&self, all: bool) {
        let counting = if all {
            Counting::Done
        } else {
            Counting::Failed
        };
        self.budget.counting.send_replace(counting);
    }

    /// Whether all that the node has on disk is counted.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        *self.budget.counting.borrow() == Counting::Done
    }

    /// The handle of `store` on this budget.
    #[must_use]
    pub fn of(&self, store: Store) -> Arc<Self> {
        Arc::new(Self {
            store,
            budget: self.budget.clone(),
        })
    }

    /// The budget.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.budget.limit
    }

    /// Bytes in use, of all stores.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.budget.used.load(Ordering::Acquire)
    }

    /// Bytes in use by `store`.
    #[must_use]
    pub fn used_by(&self, store: Store) -> u64 {
        self.budget.by_store[store as usize].load(Ordering::Acquire)
    }

    /// Bytes that may still be added.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.limit().saturating_sub(self.used())
    }

    /// Bytes written since the node was booted.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.budget.pace.written()
    }

    /// How often a writer had to wait for [`DiskQuota::pace`].
    #[must_use]
    pub fn slowed(&self) -> u64 {
        self.budget.pace.slowed()
    }

    /// Waits until all that the node has is counted, or cannot be.
    ///
    /// # Cancel-Safety
    /// Safe.
    pub async fn wait_until_counted(&self) {
        let mut counting = self.budget.counting.subscribe();
        tokio::select! {
            // The sender is in `self`.
            _ = counting.wait_for(|counting| *counting != Counting::UnderWay) => {}
            () = self.budget.stopping.cancelled() => {}
        }
    }

    /// Waits until the node may write `bytes` more, at the rate of its plan, and
    /// until it is counted.
    ///
    /// # Cancel-Safety
    /// What was to be written counts as written.
    pub async fn pace(&self, bytes: u64) {
        self.wait_until_counted().await;
        tokio::select! {
            () = self.budget.pace.pass(bytes) => {}
            () = self.budget.stopping.cancelled() => {}
        }
    }

    /// Whether the node may write `bytes` more at once; then they count as
    /// written.
    #[must_use]
    pub fn pace_now(&self, bytes: u64) -> bool {
        *self.budget.counting.borrow() != Counting::UnderWay && self.budget.pace.pass_now(bytes)
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
        let budget = &*self.budget;
        let taken = budget
            .used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
                let after = used.checked_add(bytes)?;
                (bytes == 0 || after <= budget.limit).then_some(after)
            });
        match taken {
            Ok(_) => {
                budget.by_store[self.store as usize].fetch_add(bytes, Ordering::AcqRel);
                Ok(Charge {
                    quota: self.clone(),
                    bytes,
                })
            }
            Err(used) => Err(QuotaExceeded {
                wanted: bytes,
                left: budget.limit.saturating_sub(used),
            }),
        }
    }

    fn update(&self, change: impl Fn(u64) -> u64) {
        for count in [
            &self.budget.used,
            &self.budget.by_store[self.store as usize],
        ] {
            let _ = count.fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
                Some(change(used))
            });
        }
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

    #[tokio::test(start_paused = true)]
    async fn nobody_writes_before_all_is_counted_or_waits_when_the_node_stops() {
        let stopping = CancellationToken::new();
        let quota = DiskQuota::of_node(100, WriteRate::per_second(10), stopping.clone());
        assert!(!quota.pace_now(1));
        let waits = tokio::time::timeout(std::time::Duration::from_secs(60), quota.pace(1));
        assert!(waits.await.is_err());
        assert!(!quota.is_counted());
        quota.of(Store::Sqlite).counted(true);
        assert!(quota.is_counted());
        assert!(quota.pace_now(1));
        // Three hours at this rate.
        let start = tokio::time::Instant::now();
        let (_, ()) = tokio::join!(quota.pace(100_000), async { stopping.cancel() });
        assert!(start.elapsed().is_zero());
    }

    #[test]
    fn stores_share_one_budget_and_are_told_apart() {
        let files = DiskQuota::new(100);
        let state = files.of(Store::State);
        files.charge(30).unwrap().commit();
        state.charge(60).unwrap().commit_part(50);
        state.add_existing(5);
        assert!(files.charge(16).is_err());
        assert_eq!((files.used(), state.used(), files.left()), (85, 85, 15));
        assert_eq!(state.used_by(Store::Files), 30);
        assert_eq!(files.used_by(Store::State), 55);
        state.refund(55);
        assert_eq!((files.used(), files.used_by(Store::KeyValue)), (30, 0));
    }
}
