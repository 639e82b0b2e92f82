//! How many nodes can be awake at once, and who makes room when no more can.
//!
//! Owns the count of places taken and the last reading of what the process
//! uses of mappings, descriptors and memory. Invariants: a node that boots or
//! runs has a place; nothing is launched without one. When there is none, the
//! node that nobody has used for longest is put to sleep; when all are in use,
//! whoever asks is told to come back. Stops with the manager.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use node_api::StopReason;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::manager::Inner;
use crate::slots::TenantNode;
use crate::stop;
use crate::tenant::Tenant;

/// A node that was used more recently keeps its place.
const MIN_IDLE: Duration = Duration::from_millis(500);
/// How long a boot waits for room.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks for a node that may go.
const LOOK: Duration = Duration::from_millis(50);
/// Of a limit, what is kept for everything that is no node: a tenth.
const RESERVE: u64 = 10;
/// What one more node is taken to need until the next reading: mappings of a
/// dozen instances, the files it opens, memory with some of its apps at work.
const ONE_NODE: [u64; 3] = [96, 8, 4 << 20];

/// What the process uses of one thing, and how much of it there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// In use.
    pub used: u64,
    /// The most that can be.
    pub limit: u64,
}

/// What the process uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostUse {
    /// Memory mappings, of `vm.max_map_count`.
    pub mappings: Share,
    /// Open files, of `RLIMIT_NOFILE`.
    pub descriptors: Share,
    /// Resident bytes, of what the machine or the control group has.
    pub memory: Share,
}

/// Reads what the process uses; may take milliseconds.
pub trait HostGauge: Send + Sync + std::fmt::Debug {
    /// The use now; `None` where that cannot be told.
    fn read(&self) -> Option<HostUse>;
}

/// See the module's documentation. Clones are the same places.
#[derive(Debug, Clone)]
pub(crate) struct Places(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    taken: AtomicUsize,
    limit: usize,
    reading: Mutex<Option<HostUse>>,
    /// Places taken since the reading, less those given up.
    since: AtomicI64,
}

/// The right of one node to be awake; given up when dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<Shared>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::AcqRel);
        self.0.since.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Every place is taken, and whoever has one uses it; of what there is too
/// little.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoRoom(pub(crate) &'static str);

impl Places {
    /// `limit` places, or fewer where the readings say so.
    pub(crate) fn new(limit: usize) -> Self {
        Self(Arc::new(Shared {
            taken: AtomicUsize::new(0),
            limit: limit.max(1),
            reading: Mutex::default(),
            since: AtomicI64::new(0),
        }))
    }

    /// How many are taken.
    pub(crate) fn taken(&self) -> usize {
        self.0.taken.load(Ordering::Acquire)
    }

    /// Whether the last reading says nothing of now, or that there is too
    /// little of something.
    pub(crate) fn is_stale(&self) -> bool {
        let unread = self.0.reading.lock().is_none();
        unread || self.0.since.load(Ordering::Acquire) != 0 || self.scarce().is_some()
    }

    /// Takes over a reading.
    pub(crate) fn read(&self, reading: HostUse) {
        *self.0.reading.lock() = Some(reading);
        self.0.since.store(0, Ordering::Release);
    }

    fn take(&self) -> Result<Place, NoRoom> {
        if let Some(what) = self.scarce() {
            return Err(NoRoom(what));
        }
        let limit = self.0.limit;
        let one_more = |taken: usize| (taken < limit).then_some(taken + 1);
        let taken = self
            .0
            .taken
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more);
        taken.map_err(|_| NoRoom("places for running nodes"))?;
        self.0.since.fetch_add(1, Ordering::AcqRel);
        Ok(Place(self.0.clone()))
    }

    /// What one more node would use up. The first node always finds room: a
    /// host that is full of other things still serves somebody.
    fn scarce(&self) -> Option<&'static str> {
        if self.taken() == 0 {
            return None;
        }
        let HostUse {
            mappings,
            descriptors,
            memory,
        } = (*self.0.reading.lock())?;
        let since = u64::try_from(self.0.since.load(Ordering::Acquire)).unwrap_or(0);
        let names = ["memory mappings", "open files", "memory"];
        let shares = [mappings, descriptors, memory];
        let full = |share: &Share, one: u64| {
            let more = one.saturating_mul(since + 1);
            share.used.saturating_add(more) > share.limit - share.limit / RESERVE
        };
        let found = shares.iter().zip(ONE_NODE).zip(names);
        found
            .into_iter()
            .find_map(|((share, one), name)| full(share, one).then_some(name))
    }
}

/// A place for `tenant`, made if need be.
///
/// # Cancel-Safety
/// Safe; a node that was told to sleep does so.
pub(crate) async fn take(inner: &Arc<Inner>, tenant: &Tenant) -> Result<Place, NoRoom> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let none = match inner.places.take() {
            Ok(place) => return Ok(place),
            Err(none) => none,
        };
        if let Some((victim, node)) = longest_idle(inner) {
            make_room(inner, &victim, &node).await;
        } else if Instant::now() >= deadline {
            metrics::counter!("berth_node_boots_total", "outcome" => "no_room").increment(1);
            tracing::warn!(tenant_id = %tenant.id, "no room for one more node: out of {}", none.0);
            return Err(none);
        } else {
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// The node that may go first, if any may.
fn longest_idle(inner: &Inner) -> Option<(Arc<Tenant>, Arc<TenantNode>)> {
    let mut found: Option<(Duration, Arc<Tenant>, Arc<TenantNode>)> = None;
    for (id, node) in inner.slots.attached() {
        let Some(idle) = node
            .idle_for(Instant::now())
            .filter(|idle| *idle >= MIN_IDLE)
        else {
            continue;
        };
        if found.as_ref().is_some_and(|(most, ..)| *most >= idle) {
            continue;
        }
        let tenant = inner.registry.read().get(id);
        if let Some(tenant) = tenant.filter(|tenant| !tenant.plan.always_on) {
            found = Some((idle, tenant, node));
        }
    }
    found.map(|(_, tenant, node)| (tenant, node))
}

/// Puts `victim` to sleep, unless somebody came to use it, and waits for that.
async fn make_room(inner: &Arc<Inner>, victim: &Arc<Tenant>, node: &Arc<TenantNode>) {
    let unused = |attached: &Arc<TenantNode>| {
        Arc::ptr_eq(attached, node)
            && attached
                .idle_for(Instant::now())
                .is_some_and(|idle| idle >= MIN_IDLE)
    };
    let Some((guard, node)) = inner.slots.begin_stop(victim.id, unused) else {
        return;
    };
    metrics::counter!("berth_node_evictions_total").increment(1);
    tracing::debug!(tenant_id = %victim.id, "put to sleep to make room");
    let down = guard.barrier();
    stop::spawn(inner, victim, node, guard, StopReason::Idle);
    down.wait().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plenty() -> HostUse {
        let share = Share {
            used: 0,
            limit: 1 << 40,
        };
        HostUse {
            mappings: share,
            descriptors: share,
            memory: share,
        }
    }

    #[test]
    fn places_run_out_and_come_back() {
        let places = Places::new(2);
        let first = places.take().unwrap();
        let _second = places.take().unwrap();
        assert!(places.take().is_err());
        drop(first);
        assert!(places.take().is_ok());
        assert_eq!(places.taken(), 1);
    }

    #[test]
    fn what_the_host_runs_out_of_is_named_and_counted_between_readings() {
        let places = Places::new(1000);
        let mappings = Share {
            used: 0,
            limit: 1000,
        };
        places.read(HostUse {
            mappings,
            ..plenty()
        });
        // A tenth is reserved: room for nine nodes of 96 mappings.
        let held: Vec<_> = (0..9).map(|_| places.take().unwrap()).collect();
        assert_eq!(places.take().unwrap_err(), NoRoom("memory mappings"));
        // They use less than was thought.
        places.read(HostUse {
            mappings: Share {
                used: 90,
                ..mappings
            },
            ..plenty()
        });
        assert!(places.take().is_ok());
        places.read(HostUse {
            memory: Share {
                used: 999 << 20,
                limit: 1000 << 20,
            },
            ..plenty()
        });
        assert_eq!(places.take().unwrap_err(), NoRoom("memory"));
        drop(held);
        assert!(places.take().is_ok(), "one node always finds room");
    }
}
