//! Messages that wait between two nodes. Pure: who drains a lane, and when,
//! is decided elsewhere.
//!
//! A lane is the way from one node to another; it is open while messages wait
//! in it or one is being delivered. Invariants: what leaves a lane leaves in
//! the order in which it came; a message counts until it is settled; no lane,
//! sender, receiver nor the host as a whole holds more than its bounds.

use std::collections::{HashMap, VecDeque};

use node_api::Receipt;
use node_types::PeerMessage;
use tenant_model::TenantId;

const MIB: usize = 1 << 20;

/// Of one lane: the largest message and some more.
pub(super) const LANE: Load = Load::new(256, 12 * MIB);
/// Of all lanes from one node.
const SENDER: Load = Load::new(1024, 32 * MIB);
/// Of all lanes to one node.
const RECEIVER: Load = Load::new(1024, 32 * MIB);
/// Of all lanes.
const HOST: Load = Load::new(65_536, 256 * MIB);

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

/// From whom to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Way {
    pub(super) from: TenantId,
    pub(super) to: TenantId,
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
    senders: HashMap<TenantId, Load>,
    receivers: HashMap<TenantId, Load>,
    host: Load,
}

impl Lanes {
    /// Whether messages are on this way.
    pub(super) fn is_open(&self, way: Way) -> bool {
        self.lanes.contains_key(&way)
    }

    /// Puts a parcel at the end of its lane, if there is room for it; without
    /// room it is dropped.
    pub(super) fn push(&mut self, way: Way, parcel: Parcel) -> Queued {
        let cost = parcel.message.cost();
        let of = |loads: &HashMap<_, Load>, id| loads.get(&id).copied().unwrap_or_default();
        let lane = self
            .lanes
            .get(&way)
            .map_or(Load::default(), |lane| lane.load);
        let fits = lane.has_room(cost, LANE)
            && of(&self.senders, way.from).has_room(cost, SENDER)
            && of(&self.receivers, way.to).has_room(cost, RECEIVER)
            && self.host.has_room(cost, HOST);
        if !fits {
            return Queued::Full;
        }
        let queued = if self.is_open(way) {
            Queued::Behind
        } else {
            Queued::First
        };
        let lane = self.lanes.entry(way).or_default();
        lane.parcels.push_back((parcel, cost));
        lane.load.add(cost);
        self.senders.entry(way.from).or_default().add(cost);
        self.receivers.entry(way.to).or_default().add(cost);
        self.host.add(cost);
        queued
    }

    /// The next parcel and what to settle once it is delivered.
    pub(super) fn take(&mut self, way: Way) -> Option<(Parcel, usize)> {
        self.lanes.get_mut(&way)?.parcels.pop_front()
    }

    /// A parcel that was taken is delivered, or lost.
    pub(super) fn settle(&mut self, way: Way, cost: usize) {
        if let Some(lane) = self.lanes.get_mut(&way) {
            lane.load.remove(1, cost);
            self.lighten(way, 1, cost);
        }
    }

    /// Closes the lane if nothing waits in it; whether it is closed.
    pub(super) fn finish(&mut self, way: Way) -> bool {
        let waiting = self.lanes.get(&way).map_or(0, |lane| lane.parcels.len());
        if waiting > 0 {
            return false;
        }
        self.close(way);
        true
    }

    /// Closes the lane and gives back what waits in it.
    pub(super) fn close(&mut self, way: Way) -> Vec<Parcel> {
        let Some(lane) = self.lanes.remove(&way) else {
            return Vec::new();
        };
        self.lighten(way, lane.load.items, lane.load.bytes);
        lane.parcels.into_iter().map(|(parcel, _)| parcel).collect()
    }

    fn lighten(&mut self, way: Way, items: usize, bytes: usize) {
        for (loads, id) in [(&mut self.senders, way.from), (&mut self.receivers, way.to)] {
            if let Some(load) = loads.get_mut(&id) {
                load.remove(items, bytes);
                if load.items == 0 {
                    loads.remove(&id);
                }
            }
        }
        self.host.remove(items, bytes);
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
        Way {
            from: tenant(from),
            to: tenant(to),
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
        assert_eq!(lanes.push(way(1, 2), parcel(0, LARGE)), Queued::First);
        assert_eq!(lanes.push(way(1, 2), parcel(0, 3 * MIB)), Queued::Full);
        assert_eq!(lanes.push(way(1, 3), parcel(0, LARGE)), Queued::First);
        assert_eq!(lanes.push(way(1, 4), parcel(0, LARGE)), Queued::First);
        assert_eq!(lanes.push(way(1, 5), parcel(0, 3 * MIB)), Queued::Full);
        assert_eq!(lanes.push(way(6, 2), parcel(0, LARGE)), Queued::First);
        assert_eq!(lanes.push(way(7, 2), parcel(0, LARGE)), Queued::First);
        assert_eq!(lanes.push(way(8, 2), parcel(0, 3 * MIB)), Queued::Full);
        for number in 0..LANE.items as u64 {
            assert_ne!(lanes.push(way(9, 10), parcel(number, 0)), Queued::Full);
        }
        assert_eq!(lanes.push(way(9, 10), parcel(0, 0)), Queued::Full);
        // One in delivery still counts.
        let (_, cost) = lanes.take(way(9, 10)).unwrap();
        assert_eq!(lanes.push(way(9, 10), parcel(0, 0)), Queued::Full);
        lanes.settle(way(9, 10), cost);
        assert_eq!(lanes.push(way(9, 10), parcel(0, 0)), Queued::Behind);
    }

    proptest! {
        /// Whatever is done in whatever order, each lane is first in, first
        /// out, and in the end nothing is counted that is not there.
        #[test]
        fn lanes_keep_order_and_their_books(
            steps in prop::collection::vec((0..4u8, 0..3u8, 0..3u8, 0..100_000usize), 0..200),
        ) {
            let mut lanes = Lanes::default();
            let mut model: HashMap<Way, VecDeque<u64>> = HashMap::new();
            let mut number = 0;
            for (step, from, to, bytes) in steps {
                let way = way(from, to);
                match step {
                    0 | 1 => {
                        number += 1;
                        let open = lanes.is_open(way);
                        let wanted = if open { Queued::Behind } else { Queued::First };
                        prop_assert_eq!(lanes.push(way, parcel(number, bytes)), wanted);
                        model.entry(way).or_default().push_back(number);
                    }
                    2 => {
                        let wanted = model.get_mut(&way).and_then(VecDeque::pop_front);
                        let got = lanes.take(way);
                        prop_assert_eq!(got.as_ref().map(|(got, _)| got.message.id().0), wanted);
                        if let Some((_, cost)) = got {
                            lanes.settle(way, cost);
                        }
                    }
                    _ => {
                        let empty = model.get(&way).is_none_or(VecDeque::is_empty);
                        prop_assert_eq!(lanes.finish(way), empty);
                        prop_assert_eq!(lanes.is_open(way), !empty);
                    }
                }
            }
            for way in lanes.lanes.keys().copied().collect::<Vec<_>>() {
                let waiting: Vec<u64> =
                    lanes.close(way).iter().map(|left| left.message.id().0).collect();
                let wanted: Vec<u64> = model.remove(&way).unwrap_or_default().into();
                prop_assert_eq!(waiting, wanted);
            }
            prop_assert_eq!(lanes.host, Load::default());
            prop_assert!(lanes.senders.is_empty() && lanes.receivers.is_empty());
        }
    }
}
