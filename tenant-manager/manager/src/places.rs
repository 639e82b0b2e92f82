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
use crate::tenant::Tenant;
use crate::{stop, upkeep};

/// A node that was used more recently keeps its place.
const MIN_IDLE: Duration = Duration::from_millis(500);
/// The same for a boot that nobody waits for.
const MIN_IDLE_CALM: Duration = Duration::from_secs(60);
/// Nodes put to sleep for one that boots.
pub(crate) const MAX_VICTIMS: u32 = 3;
/// A reading is no older than this.
const FRESH: Duration = Duration::from_secs(30);
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
    /// The last reading, and when it was.
    reading: Mutex<Option<(HostUse, Instant)>>,
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

    /// Whether the last reading is old, or says nothing of the nodes of now, or
    /// that there is too little of something.
    pub(crate) fn is_stale(&self, now: Instant) -> bool {
        let read_at = self.0.reading.lock().map(|(_, at)| at);
        let is_old = read_at.is_none_or(|at| now.duration_since(at) >= FRESH);
        is_old || self.counted() != 0 || self.scarce().is_some()
    }

    /// Places taken since the last reading, less those given up.
    pub(crate) fn counted(&self) -> i64 {
        self.0.since.load(Ordering::Acquire)
    }

    /// Takes over a reading, begun when so many places had been `counted`.
    pub(crate) fn read(&self, reading: HostUse, counted: i64, now: Instant) {
        *self.0.reading.lock() = Some((reading, now));
        self.0.since.fetch_sub(counted, Ordering::AcqRel);
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
        } = self.0.reading.lock().map(|(reading, _)| reading)?;
        let since = u64::try_from(self.counted()).unwrap_or(0);
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

/// A place, made if need be by putting at most `victims` to sleep, which are
/// counted down. Who finds none comes back after a while, holding nothing.
///
/// # Cancel-Safety
/// Safe; a node that was told to sleep does so.
pub(crate) async fn take(
    inner: &Arc<Inner>,
    urgent: bool,
    victims: &mut u32,
) -> Result<Place, NoRoom> {
    let min_idle = if urgent { MIN_IDLE } else { MIN_IDLE_CALM };
    loop {
        let none = match inner.places.take() {
            Ok(place) => return Ok(place),
            Err(none) => none,
        };
        let Some((victim, node)) = longest_idle(inner, min_idle).filter(|_| *victims > 0) else {
            return Err(none);
        };
        *victims -= 1;
        make_room(inner, &victim, &node, min_idle).await;
        // What it used may come back late, or not: nobody else goes for an old
        // reading.
        upkeep::read_use(inner).await;
    }
}

/// The node that may go first, if any may.
fn longest_idle(inner: &Inner, min_idle: Duration) -> Option<(Arc<Tenant>, Arc<TenantNode>)> {
    let mut found: Option<(Duration, Arc<Tenant>, Arc<TenantNode>)> = None;
    for (id, node) in inner.slots.attached() {
        let Some(idle) = node
            .idle_for(Instant::now())
            .filter(|idle| *idle >= min_idle)
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
async fn make_room(
    inner: &Arc<Inner>,
    victim: &Arc<Tenant>,
    node: &Arc<TenantNode>,
    min_idle: Duration,
) {
    let unused = |attached: &Arc<TenantNode>| {
        Arc::ptr_eq(attached, node)
            && attached
                .idle_for(Instant::now())
                .is_some_and(|idle| idle >= min_idle)
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

    #[tokio::test]
    async fn what_the_host_runs_out_of_is_named_and_counted_between_readings() {
        let places = Places::new(1000);
        let read = |reading| places.read(reading, places.counted(), Instant::now());
        let mappings = Share {
            used: 0,
            limit: 1000,
        };
        read(HostUse {
            mappings,
            ..plenty()
        });
        // A tenth is reserved: room for nine nodes of 96 mappings.
        let held: Vec<_> = (0..9).map(|_| places.take().unwrap()).collect();
        assert_eq!(places.take().unwrap_err(), NoRoom("memory mappings"));
        // They use less than was thought.
        read(HostUse {
            mappings: Share {
                used: 90,
                ..mappings
            },
            ..plenty()
        });
        assert!(places.take().is_ok());
        read(HostUse {
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
