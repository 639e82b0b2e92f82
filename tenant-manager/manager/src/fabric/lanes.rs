//! Messages that wait between two nodes. Pure: who drains a lane, and when,
//! is decided elsewhere.
//!
//! A lane is the way from one node to a process of another; it is open while
//! messages wait in it or one is being delivered. A process that takes nothing
//! thus holds up nobody else. Invariants: what leaves a lane leaves in the order
//! in which it came; a message counts until it is settled; no pair of nodes,
//! sender, receiver nor the host as a whole holds more than its bounds, but for
//! a little that each sender may always have.

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
        if !self.has_room(way.pair, cost) {
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

    fn has_room(&self, pair: Pair, cost: usize) -> bool {
        let of = |load: Option<&Load>| load.copied().unwrap_or_default();
        let sender = of(self.senders.get(&pair.from));
        of(self.pairs.get(&pair)).has_room(cost, PAIR)
            && sender.has_room(cost, SENDER)
            && of(self.receivers.get(&pair.to)).has_room(cost, RECEIVER)
            && (self.host.has_room(cost, HOST) || sender.has_room(cost, ALWAYS))
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
mod tests {
    use node_types::{Blob, KernelMessage, Message, MessageId, Request};
    use proptest::prelude::*;

    use super::*;

    fn tenant(number: u8) -> TenantId {
        TenantId::from_random([number; 16])
    }

    fn way(from: u8, to: u8) -> Way {
        way_to(from, to, "a:b:c")
    }

    fn way_to(from: u8, to: u8, process: &str) -> Way {
        Way {
            pair: Pair {
                from: tenant(from),
                to: tenant(to),
            },
            process: process.parse().unwrap(),
        }
    }

    fn parcel(number: u64, bytes: usize) -> Parcel {
        let message = KernelMessage {
            id: MessageId(number),
            source: "a.dev@a:b:c".parse().unwrap(),
            target: "b.dev@a:b:c".parse().unwrap(),
            rsvp: None,
            message: Message::Request(Request::default()),
            lazy_load_blob: Some(Blob {
                mime: None,
                bytes: vec![0; bytes].into(),
            }),
        };
        Parcel {
            message: PeerMessage::new(message).unwrap(),
            receipt: Receipt::none(),
        }
    }

    #[test]
    fn a_lane_has_bounds_and_so_have_sender_and_receiver() {
        const LARGE: usize = 10 * MIB - 1024;
        let mut lanes = Lanes::default();
        assert_eq!(lanes.push(&way(1, 2), parcel(0, LARGE)), Queued::First);
        assert_eq!(lanes.push(&way(1, 2), parcel(0, 3 * MIB)), Queued::Full);
        assert_eq!(lanes.push(&way(1, 3), parcel(0, LARGE)), Queued::First);
        assert_eq!(lanes.push(&way(1, 4), parcel(0, LARGE)), Queued::First);
        assert_eq!(lanes.push(&way(1, 5), parcel(0, 3 * MIB)), Queued::Full);
        assert_eq!(lanes.push(&way(6, 2), parcel(0, LARGE)), Queued::First);
        assert_eq!(lanes.push(&way(7, 2), parcel(0, LARGE)), Queued::First);
        assert_eq!(lanes.push(&way(8, 2), parcel(0, 3 * MIB)), Queued::Full);
        for number in 0..PAIR.items as u64 {
            assert_ne!(lanes.push(&way(9, 10), parcel(number, 0)), Queued::Full);
        }
        assert_eq!(lanes.push(&way(9, 10), parcel(0, 0)), Queued::Full);
        // One in delivery still counts.
        let (_, cost) = lanes.take(&way(9, 10)).unwrap();
        assert_eq!(lanes.push(&way(9, 10), parcel(0, 0)), Queued::Full);
        lanes.settle(&way(9, 10), cost);
        assert_eq!(lanes.push(&way(9, 10), parcel(0, 0)), Queued::Behind);
    }

    #[test]
    fn two_nodes_have_one_bound_however_many_processes_there_are() {
        let mut lanes = Lanes::default();
        for number in 0..PAIR.items as u64 {
            let way = way_to(1, 2, &format!("p{number}:b:c"));
            assert_eq!(lanes.push(&way, parcel(number, 0)), Queued::First);
        }
        let another = way_to(1, 2, "another:b:c");
        assert_eq!(lanes.push(&another, parcel(0, 0)), Queued::Full);
    }

    #[test]
    fn a_full_host_leaves_everybody_a_little() {
        let mut lanes = Lanes::default();
        for size in [10 * MIB - 1024, MIB, 64 << 10, 4 << 10, 100] {
            for number in 0..26 {
                while lanes.push(&way(number, number + 100), parcel(0, size)) != Queued::Full {}
            }
        }
        assert!(lanes.host.bytes > HOST.bytes - 1000);
        assert_eq!(lanes.push(&way(99, 200), parcel(0, MIB)), Queued::Full);
        for small in 0..ALWAYS.items as u64 {
            assert_ne!(lanes.push(&way(99, 200), parcel(small, 100)), Queued::Full);
        }
        assert_eq!(lanes.push(&way(99, 200), parcel(0, 100)), Queued::Full);
    }

    proptest! {
        /// Whatever is done in whatever order, each lane is first in, first
        /// out, and in the end nothing is counted that is not there.
        #[test]
        fn lanes_keep_order_and_their_books(
            steps in prop::collection::vec(
                (0..4u8, 0..3u8, 0..3u8, any::<bool>(), 0..100_000usize),
                0..200,
            ),
        ) {
            let mut lanes = Lanes::default();
            let mut model: HashMap<Way, VecDeque<u64>> = HashMap::new();
            let mut number = 0;
            for (step, from, to, other, bytes) in steps {
                let way = way_to(from, to, if other { "x:b:c" } else { "a:b:c" });
                match step {
                    0 | 1 => {
                        number += 1;
                        let open = lanes.is_open(&way);
                        let wanted = if open { Queued::Behind } else { Queued::First };
                        prop_assert_eq!(lanes.push(&way, parcel(number, bytes)), wanted);
                        model.entry(way.clone()).or_default().push_back(number);
                    }
                    2 => {
                        let wanted = model.get_mut(&way).and_then(VecDeque::pop_front);
                        let got = lanes.take(&way);
                        prop_assert_eq!(got.as_ref().map(|(got, _)| got.message.id().0), wanted);
                        if let Some((_, cost)) = got {
                            lanes.settle(&way, cost);
                        }
                    }
                    _ => {
                        let empty = model.get(&way).is_none_or(VecDeque::is_empty);
                        prop_assert_eq!(lanes.finish(&way), empty);
                        prop_assert_eq!(lanes.is_open(&way), !empty);
                    }
                }
            }
            for way in lanes.lanes.keys().cloned().collect::<Vec<_>>() {
                let waiting: Vec<u64> =
                    lanes.close(&way).iter().map(|left| left.message.id().0).collect();
                let wanted: Vec<u64> = model.remove(&way).unwrap_or_default().into();
                prop_assert_eq!(waiting, wanted);
            }
            prop_assert_eq!(lanes.host, Load::default());
            prop_assert!(lanes.senders.is_empty() && lanes.receivers.is_empty());
            prop_assert!(lanes.pairs.is_empty());
        }
    }
}
