//! Who may touch each tenant's node now.
//!
//! Owns the map from tenant to slot. Invariants: a slot changes only through
//! the [`SlotGuard`] that holds it, which must be told the outcome or puts
//! back what was there; a node leaves its slot only when it is down. Stops by
//! [`Slots::close`]: from then on nothing begins but stopping.
//!
//! **Lock order**: the map's lock is never held together with a tenant's; a
//! node's `login` is taken before its tenant's state.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lifecycle::{Barrier, BarrierGuard, Gate, GateGuard};
use node_api::{NodeHandle, StopReason};
use parking_lot::Mutex;
use tenant_model::TenantId;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::changes::Feed;
use crate::places::Place;
use crate::reconcile::Observed;

/// A node in its slot.
#[derive(Debug)]
pub(crate) struct TenantNode {
    pub(crate) handle: Arc<dyn NodeHandle>,
    /// Holders of leases.
    pub(crate) gate: Gate,
    /// When it was last seen in use.
    pub(crate) last_used: Mutex<Instant>,
    /// Version of the login that it has. Held while another is put in place.
    pub(crate) login: Mutex<u64>,
    /// Given up when nothing of it is left, whoever still knows it.
    place: Mutex<Option<Place>>,
    down: AtomicBool,
}

impl TenantNode {
    pub(crate) fn new(
        handle: Arc<dyn NodeHandle>,
        login: u64,
        place: Place,
        now: Instant,
    ) -> Arc<Self> {
        Arc::new(Self {
            handle,
            gate: Gate::default(),
            last_used: Mutex::new(now),
            login: Mutex::new(login),
            place: Mutex::new(Some(place)),
            down: AtomicBool::new(false),
        })
    }

    /// For how long nobody has used it; `None` while somebody does.
    pub(crate) fn idle_for(&self, now: Instant) -> Option<Duration> {
        let mut last_used = self.last_used.lock();
        if self.gate.users() > 0 {
            *last_used = now;
            return None;
        }
        let unused = now.duration_since(*last_used);
        Some(unused.min(self.handle.idle_for()))
    }

    /// Nothing of it is left.
    pub(crate) fn set_down(&self) {
        self.down.store(true, Ordering::Release);
        self.place.lock().take();
    }
}

/// What is being done to a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doing {
    Booting,
    Stopping,
    Purging,
}

/// A tenant at rest has no slot at all.
#[derive(Debug)]
enum Slot {
    InProgress {
        doing: Doing,
        barrier: Barrier,
        cancel: CancellationToken,
        /// Somebody waits for what is in progress.
        hurry: CancellationToken,
    },
    Attached(Arc<TenantNode>),
}

#[derive(Debug, Default)]
struct Map {
    /// Why nothing begins any more but stopping.
    closing: Option<StopReason>,
    slots: HashMap<TenantId, Slot>,
}

/// See the module's documentation. Clones are the same map.
#[derive(Debug, Clone, Default)]
pub(crate) struct Slots {
    map: Arc<Mutex<Map>>,
    /// Told after every change of a slot.
    pub(crate) feed: Feed,
}

/// What someone who wants the node finds.
#[derive(Debug)]
pub(crate) enum Entry {
    /// It runs, and will as long as the guard lives.
    Entered(Arc<TenantNode>, GateGuard),
    /// Ask again afterwards.
    Wait(Barrier),
    /// Nothing runs.
    Resting,
    /// The host is going down.
    Closing,
}

/// The right to change one slot. Dropped without an outcome it puts back what
/// was there.
#[derive(Debug)]
pub(crate) struct SlotGuard {
    slots: Slots,
    tenant: TenantId,
    old: Option<Arc<TenantNode>>,
    cancel: CancellationToken,
    hurry: CancellationToken,
    barrier: Barrier,
    /// Opened when the guard goes, after the slot has changed.
    _barrier: BarrierGuard,
}

impl Slots {
    /// Enters the node if it runs. What is in progress with it is told that
    /// somebody waits.
    pub(crate) fn enter(&self, tenant: TenantId) -> Entry {
        let map = self.map.lock();
        if map.closing.is_some() {
            return Entry::Closing;
        }
        match map.slots.get(&tenant) {
            None => Entry::Resting,
            Some(Slot::InProgress { barrier, hurry, .. }) => {
                hurry.cancel();
                Entry::Wait(barrier.clone())
            }
            Some(Slot::Attached(node)) => match node.gate.enter() {
                Ok(guard) => Entry::Entered(node.clone(), guard),
                // Closed only by whoever holds the slot, so it cannot be; and
                // if it were, waiting for nobody would spin.
                Err(_) => Entry::Closing,
            },
        }
    }

    /// What the slot shows, with the node if it is attached.
    pub(crate) fn observe(&self, tenant: TenantId) -> (Observed, Option<Arc<TenantNode>>) {
        match self.map.lock().slots.get(&tenant) {
            None => (Observed::Resting, None),
            Some(Slot::Attached(node)) => (Observed::Active, Some(node.clone())),
            Some(Slot::InProgress { doing, .. }) => {
                let observed = match doing {
                    Doing::Booting => Observed::Booting,
                    Doing::Stopping => Observed::Stopping,
                    Doing::Purging => Observed::Purging,
                };
                (observed, None)
            }
        }
    }

    /// Takes the slot of a tenant at rest, unless the host is going down.
    pub(crate) fn begin(&self, tenant: TenantId, doing: Doing) -> Option<SlotGuard> {
        let mut map = self.map.lock();
        if map.closing.is_some() || map.slots.contains_key(&tenant) {
            return None;
        }
        Some(self.hold(&mut map, tenant, doing, None))
    }

    /// Takes the slot of a running node in order to stop it, if `agrees`.
    pub(crate) fn begin_stop(
        &self,
        tenant: TenantId,
        agrees: impl FnOnce(&Arc<TenantNode>) -> bool,
    ) -> Option<(SlotGuard, Arc<TenantNode>)> {
        let mut map = self.map.lock();
        let Some(Slot::Attached(node)) = map.slots.get(&tenant) else {
            return None;
        };
        if !agrees(node) {
            return None;
        }
        let node = node.clone();
        let guard = self.hold(&mut map, tenant, Doing::Stopping, Some(node.clone()));
        Some((guard, node))
    }

    fn hold(
        &self,
        map: &mut Map,
        tenant: TenantId,
        doing: Doing,
        old: Option<Arc<TenantNode>>,
    ) -> SlotGuard {
        let (barrier, barrier_guard) = Barrier::new();
        let (cancel, hurry) = (CancellationToken::new(), CancellationToken::new());
        let slot = Slot::InProgress {
            doing,
            barrier: barrier.clone(),
            cancel: cancel.clone(),
            hurry: hurry.clone(),
        };
        map.slots.insert(tenant, slot);
        self.feed.changed(tenant);
        SlotGuard {
            slots: self.clone(),
            tenant,
            old,
            cancel,
            hurry,
            barrier,
            _barrier: barrier_guard,
        }
    }

    /// Tells what is in progress with the tenant that somebody waits.
    pub(crate) fn hurry(&self, tenant: TenantId) {
        if let Some(Slot::InProgress { hurry, .. }) = self.map.lock().slots.get(&tenant) {
            hurry.cancel();
        }
    }

    /// Tells a boot in progress that it is not wanted any more.
    pub(crate) fn cancel_boot(&self, tenant: TenantId) {
        if let Some(Slot::InProgress {
            doing: Doing::Booting,
            cancel,
            ..
        }) = self.map.lock().slots.get(&tenant)
        {
            cancel.cancel();
        }
    }

    /// Nothing begins any more but stopping; boots are cancelled.
    pub(crate) fn close(&self, reason: StopReason) {
        let mut map = self.map.lock();
        map.closing.get_or_insert(reason);
        for slot in map.slots.values() {
            if let Slot::InProgress { cancel, .. } = slot {
                cancel.cancel();
            }
        }
    }

    /// Whether the host is going down.
    pub(crate) fn is_closing(&self) -> bool {
        self.map.lock().closing.is_some()
    }

    /// Why the host is going down, if it is.
    pub(crate) fn closing_reason(&self) -> StopReason {
        self.map.lock().closing.unwrap_or(StopReason::HostShutdown)
    }

    /// The nodes that run.
    pub(crate) fn attached(&self) -> Vec<(TenantId, Arc<TenantNode>)> {
        let map = self.map.lock();
        let attached = map.slots.iter().filter_map(|(tenant, slot)| match slot {
            Slot::Attached(node) => Some((*tenant, node.clone())),
            Slot::InProgress { .. } => None,
        });
        attached.collect()
    }

    /// Tenants with a running node, and barriers of what is in progress.
    pub(crate) fn busy(&self) -> (Vec<TenantId>, Vec<Barrier>) {
        let map = self.map.lock();
        let mut attached = Vec::new();
        let mut barriers = Vec::new();
        for (tenant, slot) in &map.slots {
            match slot {
                Slot::Attached(_) => attached.push(*tenant),
                Slot::InProgress { barrier, .. } => barriers.push(barrier.clone()),
            }
        }
        (attached, barriers)
    }
}

impl SlotGuard {
    /// Cancelled when what is being done is not wanted any more.
    pub(crate) fn cancelled(&self) -> CancellationToken {
        self.cancel.clone()
    }

    /// Cancelled when somebody waits for what is being done.
    pub(crate) fn hurried(&self) -> CancellationToken {
        self.hurry.clone()
    }

    /// Opens when the guard goes.
    pub(crate) fn barrier(&self) -> Barrier {
        self.barrier.clone()
    }

    /// The node runs.
    pub(crate) fn attach(mut self, node: Arc<TenantNode>) {
        self.old = Some(node);
    }

    /// Nothing of the node is left.
    pub(crate) fn rest(mut self) {
        let down = |node: &Arc<TenantNode>| node.down.load(Ordering::Acquire);
        if self.old.as_ref().is_none_or(down) {
            self.old = None;
        } else {
            tracing::error!(tenant = %self.tenant, "a node was about to be forgotten while it runs");
        }
    }
}

impl Drop for SlotGuard {
    fn drop(&mut self) {
        let mut map = self.slots.map.lock();
        match self.old.take() {
            Some(node) => map.slots.insert(self.tenant, Slot::Attached(node)),
            None => map.slots.remove(&self.tenant),
        };
        drop(map);
        self.slots.feed.changed(self.tenant);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_slot_has_one_holder_and_is_put_back_if_nothing_was_said() {
        let slots = Slots::default();
        let tenant = TenantId::from_random([1; 16]);
        let guard = slots.begin(tenant, Doing::Booting).unwrap();
        assert!(slots.begin(tenant, Doing::Purging).is_none());
        assert_eq!(slots.observe(tenant).0, Observed::Booting);
        let Entry::Wait(barrier) = slots.enter(tenant) else {
            panic!("it is in progress")
        };
        assert!(barrier.wait().now_or_never().is_none());
        drop(guard);
        barrier.wait().await;
        assert!(matches!(slots.enter(tenant), Entry::Resting));
        assert!(slots.begin_stop(tenant, |_| true).is_none());
    }

    #[tokio::test]
    async fn closing_cancels_boots_and_lets_nothing_begin() {
        let slots = Slots::default();
        let tenant = TenantId::from_random([1; 16]);
        let guard = slots.begin(tenant, Doing::Booting).unwrap();
        let cancelled = guard.cancelled();
        slots.close(StopReason::HostShutdown);
        cancelled.cancelled().await;
        assert_eq!(slots.busy().1.len(), 1);
        drop(guard);
        assert!(slots.begin(tenant, Doing::Booting).is_none());
        assert!(matches!(slots.enter(tenant), Entry::Closing));
    }
}
