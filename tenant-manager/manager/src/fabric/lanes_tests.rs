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
fn what_is_full_moves_unless_a_lane_in_it_is_stuck() {
    let mut lanes = Lanes::default();
    let (to_one, to_other) = (way(1, 2), way_to(1, 2, "another:b:c"));
    lanes.push(&to_other, parcel(0, 0));
    for number in 1..PAIR.items as u64 {
        assert_eq!(lanes.full(to_one.pair, 100), None);
        lanes.push(&to_one, parcel(number, 0));
    }
    let full = Bound::Pair(to_one.pair);
    assert_eq!(lanes.full(to_one.pair, 100), Some(full));
    assert!(lanes.is_moving(full));
    for way in [&to_one, &to_other, &to_other] {
        lanes.mark(way, true);
        assert!(!lanes.is_moving(full) && !lanes.is_moving(Bound::Host));
    }
    lanes.mark(&to_other, false);
    assert!(!lanes.is_moving(full));
    assert!(lanes.is_moving(Bound::Sender(tenant(2))));
    lanes.close(&to_one);
    assert!(lanes.is_moving(full) && lanes.stuck.is_empty());
    assert_eq!(lanes.full(to_one.pair, 100), None);
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
