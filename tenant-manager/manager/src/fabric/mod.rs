//! Nodes of this host that talk: a directory, and delivery inside the process.
//!
//! Each node is given a [`Port`] that speaks for it alone. A message to a node
//! that runs goes straight into its mailbox, in the sender's task. To one that
//! sleeps, boots or has no room it waits in a lane ([`lanes`]), one for each pair
//! of nodes and process, which a task drains for as long as something is in it
//! ([`drain`]); that wakes the node.
//!
//! Invariants: who sent a message is what the port says; messages of one node to
//! one process keep their order; nothing waits without bound; nobody holds
//! another node's lease while waiting. A message that finds no room stays with
//! its sender if that can wait and the receiver takes messages at all
//! ([`room`]); otherwise it is dropped, which its sender sees as its own
//! timeout. A node that is unknown, stopped, archived or failing is offline.
//! Lanes end with the manager's tasks.

mod drain;
mod lanes;
mod port;
mod room;

use node_api::Receipt;
use node_types::SendErrorKind;
use parking_lot::Mutex;
use tokio::time::Instant;

use self::lanes::{Lanes, Parcel, Queued, Way};
use self::room::{Room, Rooms};
use crate::tenant::Tenant;

pub(crate) use self::drain::WAKES;
pub(crate) use self::port::Port;

/// The lanes of the host.
#[derive(Debug, Default)]
pub(crate) struct Fabric {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    lanes: Lanes,
    rooms: Rooms,
}

/// A parcel that found no room.
struct Crowded {
    parcel: Parcel,
    /// Where to wait for it, if that is of use.
    room: Option<Room>,
}

impl Fabric {
    fn is_open(&self, way: &Way) -> bool {
        self.state.lock().lanes.is_open(way)
    }

    fn push(&self, way: &Way, parcel: Parcel) -> Queued {
        self.state.lock().lanes.push(way, parcel)
    }

    #[expect(
        clippy::result_large_err,
        reason = "what comes back is sent again: a box would be one more copy"
    )]
    fn push_or_wait(&self, way: &Way, parcel: Parcel) -> Result<Queued, Crowded> {
        let State { lanes, rooms } = &mut *self.state.lock();
        match lanes.full(way.pair, parcel.message.cost()) {
            None => Ok(lanes.push(way, parcel)),
            Some(bound) => {
                let room = lanes.is_moving(bound).then(|| rooms.wait(bound));
                Err(Crowded { parcel, room })
            }
        }
    }

    fn take(&self, way: &Way) -> Option<(Parcel, usize)> {
        self.state.lock().lanes.take(way)
    }

    /// A parcel has left its lane; whether its process took it, where that
    /// tells something about the process.
    fn settle(&self, way: &Way, cost: usize, taken: Option<bool>) {
        let State { lanes, rooms } = &mut *self.state.lock();
        if let Some(taken) = taken {
            lanes.mark(way, !taken);
        }
        lanes.settle(way, cost);
        rooms.open(way.pair);
    }

    fn finish(&self, way: &Way) -> bool {
        self.state.lock().lanes.finish(way)
    }

    /// Gives up what waits in a lane.
    fn give_up(&self, way: &Way, kind: SendErrorKind) {
        let left = {
            let State { lanes, rooms } = &mut *self.state.lock();
            let left = lanes.close(way);
            rooms.open(way.pair);
            left
        };
        // Told without the lock: senders do as they like.
        for Parcel { receipt, .. } in left {
            fail(receipt, kind);
        }
    }
}

fn fail(receipt: Receipt, kind: SendErrorKind) {
    count(match kind {
        SendErrorKind::Offline => "offline",
        SendErrorKind::Timeout => "undelivered",
    });
    receipt.failed(kind);
}

/// Whether its owner and this host want it to run at all.
fn may_run(tenant: &Tenant) -> bool {
    tenant.state.lock().may_run()
}

/// Whether a message may start it.
fn may_be_woken(tenant: &Tenant) -> bool {
    let state = tenant.state.lock();
    let now = Instant::now();
    state.may_run() && !state.breaker.gave_up(now) && state.breaker.refuses(now).is_none()
}

fn count(outcome: &'static str) {
    metrics::counter!("berth_fabric_messages_total", "outcome" => outcome).increment(1);
}
