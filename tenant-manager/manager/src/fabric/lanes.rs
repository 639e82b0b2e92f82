//! Messages that wait between two nodes. Pure: who drains a lane, and when,
//! is decided elsewhere.
//!
//! A lane is the way from one node to a process of another; it is open while
//! messages wait in it or one is being delivered. A process that takes nothing
//! thus holds up nobody else. Invariants: what leaves a lane leaves in the order
//! in which it came; a message counts until it is settled; no pair of nodes,
//! sender, receiver nor the host as a whole holds more than its bounds, but for
//! a little that each sender may always have. Where a bound is reached, room
//! is worth waiting for as long as none of the lanes in it is stuck.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use node_api::Receipt;
use node_types::{PeerMessage, ProcessId};
use tenant_model::TenantId;

const MIB: usize = 1 << 20;

/// Of all lanes between two nodes: the largest message and some more.
pub(super) const PAIR: Load = Load::new(256, 12 * MIB);
/// Of all lanes from one node.
const SENDER: Load = Load::new(1024, 32 * MIB);
/// Of all lanes to one node.
const RECEIVER: Load = Load::new(1024, 32 * MIB);
/// Of all lanes.
const HOST: Load = Load::new(65_536, 256 * MIB);
/// What one node may have waiting even when the host is full, so that a few
/// nodes that fill it do not silence the others.
const ALWAYS: Load = Load::new(16, 64 << 10);

/// Messages and bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Load {
    pub(super) items: usize,
    bytes: usize,
}

impl Load {
    const fn new(items: usize, bytes: usize) -> Self {
        Self { items, bytes }
    }

    fn has_room(self, cost: usize, bounds: Self) -> bool {
        self.items < bounds.items && self.bytes.saturating_add(cost) <= bounds.bytes
    }

    fn add(&mut self, cost: usize) {
        self.items += 1;
        self.bytes += cost;
    }

    fn remove(&mut self, items: usize, bytes: usize) {
        self.items = self.items.saturating_sub(items);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// From which node to which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Pair {
    pub(super) from: TenantId,
    pub(super) to: TenantId,
}

/// From which node to which process.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Way {
    pub(super) pair: Pair,
    pub(super) process: ProcessId,
}

/// A message on its way.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) message: PeerMessage,
    pub(super) receipt: Receipt,
}

#[derive(Debug, Default)]
struct Lane {
    parcels: VecDeque<(Parcel, usize)>,
    /// With the one that is being delivered.
    load: Load,
    /// Its process did not take the last one, and had time to.
    stuck: bool,
}

/// Whose load is bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Bound {
    Pair(Pair),
    Sender(TenantId),
    Receiver(TenantId),
    Host,
}

impl Bound {
    /// The bounds within which a lane between these two is.
    pub(super) fn all(pair: Pair) -> [Self; 4] {
        [
            Self::Pair(pair),
            Self::Sender(pair.from),
            Self::Receiver(pair.to),
            Self::Host,
        ]
    }
}

/// What became of a parcel.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Queued {
    /// It opened the lane, which somebody must drain now.
    First,
    /// It waits behind others.
    Behind,
    /// There is no room for it.
    Full,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: HashMap<Way, Lane>,
    pairs: HashMap<Pair, Load>,
    senders: HashMap<TenantId, Load>,
    receivers: HashMap<TenantId, Load>,
    host: Load,
    /// How many lanes are stuck.
    stuck: HashMap<Bound, usize>,
}

impl Lanes {
    /// Whether messages are on this way.
    pub(super) fn is_open(&self, way: &Way) -> bool {
        self.lanes.contains_key(way)
    }

    /// Puts a parcel at the end of its lane, if there is room for it; without
    /// room it is dropped.
    pub(super) fn push(&mut self, way: &Way, parcel: Parcel) -> Queued {
        let cost = parcel.message.cost();
        if self.full(way.pair, cost).is_some() {
            return Queued::Full;
        }
        let queued = if self.is_open(way) {
            Queued::Behind
        } else {
            Queued::First
        };
        let lane = self.lanes.entry(way.clone()).or_default();
        lane.parcels.push_back((parcel, cost));
        lane.load.add(cost);
        self.pairs.entry(way.pair).or_default().add(cost);
        self.senders.entry(way.pair.from).or_default().add(cost);
        self.receivers.entry(way.pair.to).or_default().add(cost);
        self.host.add(cost);
        queued
    }

    /// The bound in which there is no room for a message of `cost`.
    pub(super) fn full(&self, pair: Pair, cost: usize) -> Option<Bound> {
        let of = |load: Option<&Load>| load.copied().unwrap_or_default();
        let sender = of(self.senders.get(&pair.from));
        Bound::all(pair).into_iter().find(|bound| !match bound {
            Bound::Pair(pair) => of(self.pairs.get(pair)).has_room(cost, PAIR),
            Bound::Sender(_) => sender.has_room(cost, SENDER),
            Bound::Receiver(to) => of(self.receivers.get(to)).has_room(cost, RECEIVER),
            Bound::Host => self.host.has_room(cost, HOST) || sender.has_room(cost, ALWAYS),
        })
    }

    /// Whether there will be room within `bound` before long, as far as one
    /// can tell.
    pub(super) fn is_moving(&self, bound: Bound) -> bool {
        !self.stuck.contains_key(&bound)
    }

    /// Takes note whether the process at the end of a lane takes what it is
    /// sent.
    pub(super) fn mark(&mut self, way: &Way, stuck: bool) {
        let Some(lane) = self.lanes.get_mut(way) else {
            return;
        };
        if std::mem::replace(&mut lane.stuck, stuck) == stuck {
            return;
        }
        for bound in Bound::all(way.pair) {
            if stuck {
                *self.stuck.entry(bound).or_default() += 1;
            } else if let Entry::Occupied(mut lanes) = self.stuck.entry(bound) {
                *lanes.get_mut() -= 1;
                if *lanes.get() == 0 {
                    lanes.remove();
                }
            }
        }
    }

    /// The next parcel and what to settle once it is delivered.
    pub(super) fn take(&mut self, way: &Way) -> Option<(Parcel, usize)> {
        self.lanes.get_mut(way)?.parcels.pop_front()
    }

    /// A parcel that was taken is delivered, or lost.
    pub(super) fn settle(&mut self, way: &Way, cost: usize) {
        if let Some(lane) = self.lanes.get_mut(way) {
            lane.load.remove(1, cost);
            self.lighten(way.pair, 1, cost);
        }
    }

    /// Closes the lane if nothing waits in it; whether it is closed.
    pub(super) fn finish(&mut self, way: &Way) -> bool {
        let waiting = self.lanes.get(way).map_or(0, |lane| lane.parcels.len());
        if waiting > 0 {
            return false;
        }
        self.close(way);
        true
    }

    /// Closes the lane and gives back what waits in it.
    pub(super) fn close(&mut self, way: &Way) -> Vec<Parcel> {
        self.mark(way, false);
        let Some(lane) = self.lanes.remove(way) else {
            return Vec::new();
        };
        self.lighten(way.pair, lane.load.items, lane.load.bytes);
        lane.parcels.into_iter().map(|(parcel, _)| parcel).collect()
    }

    fn lighten(&mut self, pair: Pair, items: usize, bytes: usize) {
        lighten(&mut self.pairs, pair, items, bytes);
        lighten(&mut self.senders, pair.from, items, bytes);
        lighten(&mut self.receivers, pair.to, items, bytes);
        self.host.remove(items, bytes);
    }
}

fn lighten<K: Eq + Hash>(loads: &mut HashMap<K, Load>, of: K, items: usize, bytes: usize) {
    if let Entry::Occupied(mut load) = loads.entry(of) {
        load.get_mut().remove(items, bytes);
        if load.get().items == 0 {
            load.remove();
        }
    }
}

#[cfg(test)]
#[path = "lanes_tests.rs"]
mod tests;
