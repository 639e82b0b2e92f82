//! Nodes of this host that talk: a directory, and delivery inside the process.
//!
//! Each node is given a [`Port`] that speaks for it alone. A message to a node
//! that runs goes straight into its mailbox, in the sender's task. To one that
//! sleeps, boots or has no room it waits in a lane ([`lanes`]), one for each pair
//! of nodes and process, which a task drains for as long as something is in it
//! ([`drain`]); that wakes the node.
//!
//! Invariants: who sent a message is what the port says; messages of one node to
//! one process keep their order; nothing waits without bound, and a
//! message that finds no room is dropped, which its sender sees as its own
//! timeout; nobody holds another node's lease while waiting. A node that is
//! unknown, stopped, archived or failing is offline. Lanes end with the
//! manager's tasks.

mod drain;
mod lanes;
mod port;

use node_api::Receipt;
use node_types::SendErrorKind;
use parking_lot::Mutex;
use tenant_model::DesiredState;
use tokio::time::Instant;

use self::lanes::{Lanes, Parcel, Queued, Way};
use crate::tenant::Tenant;

pub(crate) use self::drain::WAKES;
pub(crate) use self::port::Port;

/// The lanes of the host.
#[derive(Debug, Default)]
pub(crate) struct Fabric {
    lanes: Mutex<Lanes>,
}

impl Fabric {
    fn is_open(&self, way: &Way) -> bool {
        self.lanes.lock().is_open(way)
    }

    fn push(&self, way: &Way, parcel: Parcel) -> Queued {
        self.lanes.lock().push(way, parcel)
    }

    fn take(&self, way: &Way) -> Option<(Parcel, usize)> {
        self.lanes.lock().take(way)
    }

    fn settle(&self, way: &Way, cost: usize) {
        self.lanes.lock().settle(way, cost);
    }

    fn finish(&self, way: &Way) -> bool {
        self.lanes.lock().finish(way)
    }

    /// Gives up what waits in a lane.
    fn give_up(&self, way: &Way, kind: SendErrorKind) {
        let left = self.lanes.lock().close(way);
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
    let state = tenant.state.lock();
    state.desired == DesiredState::Running && !state.lost
}

/// Whether a message may start it.
fn may_be_woken(tenant: &Tenant) -> bool {
    let state = tenant.state.lock();
    state.desired == DesiredState::Running
        && !state.lost
        && !state.breaker.gave_up()
        && state.breaker.refuses(Instant::now()).is_none()
}

fn count(outcome: &'static str) {
    metrics::counter!("berth_fabric_messages_total", "outcome" => outcome).increment(1);
}
