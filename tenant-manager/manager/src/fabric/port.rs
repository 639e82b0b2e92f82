//! One node's way to the other nodes of this host.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Weak};

use futures::FutureExt as _;
use node_api::{Departure, Handover, Ingress, Peer, PeerIdentity, Receipt, Transport};
use node_types::{Message, NodeName, PeerMessage};
use tenant_model::{DesiredState, TenantId};

use super::lanes::{Pair, Parcel, Queued, Way};
use super::room::Room;
use super::{Crowded, count, drain, may_be_woken, may_run};
use crate::manager::Inner;
use crate::slots::{Entry, TenantNode};
use crate::tenant::Tenant;

/// See the module's documentation. Whoever holds it sends as `peer`.
pub(crate) struct Port {
    tenant: TenantId,
    peer: Peer,
    inner: Weak<Inner>,
}

impl Port {
    /// The port of `tenant`'s node.
    pub(crate) fn new(inner: &Arc<Inner>, tenant: &Tenant) -> Arc<Self> {
        Arc::new(Self {
            tenant: tenant.id,
            peer: Peer::vouched(tenant.name.clone()),
            inner: Arc::downgrade(inner),
        })
    }

    /// Delivers to a node that runs, unless others wait to do so. Gives back
    /// what has to wait.
    #[expect(
        clippy::result_large_err,
        reason = "what comes back is queued: a box would be one more copy"
    )]
    fn deliver(
        &self,
        inner: &Inner,
        receiver: &Tenant,
        message: PeerMessage,
    ) -> Result<Handover, PeerMessage> {
        let way = self.way(receiver, &message);
        if inner.fabric.is_open(&way) {
            return Err(message);
        }
        let is_response = matches!(message.message(), Message::Response(..));
        match inner.slots.enter(receiver.id) {
            // The guard is held until the message is in the mailbox: a node
            // does not fall asleep on it.
            Entry::Entered(node, _guard) => match ingress(&node, &self.peer, message) {
                Ingress::Taken => {
                    count("direct");
                    Ok(Handover::Accepted)
                }
                Ingress::Refused => {
                    count("refused");
                    Ok(Handover::Accepted)
                }
                Ingress::Full(message) => Err(message),
                // What it waited for ends with it.
                Ingress::Stopping(_) if is_response => Ok(late()),
                Ingress::Stopping(message) => Err(message),
            },
            Entry::Closing => Ok(Handover::Offline),
            Entry::Wait(_) | Entry::Resting if is_response => Ok(late()),
            Entry::Wait(_) => Err(message),
            Entry::Resting if may_be_woken(receiver) => Err(message),
            Entry::Resting => Ok(Handover::Offline),
        }
    }

    fn way(&self, receiver: &Tenant, message: &PeerMessage) -> Way {
        Way {
            pair: Pair {
                from: self.tenant,
                to: receiver.id,
            },
            process: message.target().process.clone(),
        }
    }

    /// The receiver of a message, and the message if it has to wait.
    fn try_send(&self, inner: &Inner, message: PeerMessage) -> Tried {
        let receiver = inner.registry.read().named(&message.target().node);
        let receiver = receiver.filter(|known| known.id != self.tenant && may_run(known));
        let Some(receiver) = receiver else {
            count("offline");
            return Tried::Done(Handover::Offline);
        };
        match self.deliver(inner, &receiver, message) {
            Ok(handover) => {
                if handover == Handover::Offline {
                    count("offline");
                }
                Tried::Done(handover)
            }
            Err(message) => Tried::Behind(self.way(&receiver, &message), message),
        }
    }
}

/// What came of a message at once.
#[expect(
    clippy::large_enum_variant,
    reason = "moved once, into its lane: a box would cost more"
)]
enum Tried {
    Done(Handover),
    /// It belongs at the end of this lane.
    Behind(Way, PeerMessage),
}

/// A message is in its lane, or lost.
fn queued(inner: &Arc<Inner>, way: Way, from: &Peer, queued: &Queued) {
    match queued {
        Queued::First => {
            count("queued");
            drain::begin(inner, way, from.clone());
        }
        Queued::Behind => count("queued"),
        // As from the network: lost, and the sender's own time runs out.
        Queued::Full => count("dropped"),
    }
}

/// Queues a message once there is room for it, unless that stops coming.
///
/// # Cancel-Safety
/// Safe, but the message is lost.
async fn when_room(
    inner: Weak<Inner>,
    from: Peer,
    way: Way,
    mut parcel: Parcel,
    mut room: Room,
) -> Handover {
    loop {
        room.opens().await;
        let Some(inner) = inner.upgrade() else {
            return Handover::Offline;
        };
        match inner.fabric.push_or_wait(&way, parcel) {
            Ok(done) => {
                room.pass_on();
                queued(&inner, way, &from, &done);
                return Handover::Accepted;
            }
            Err(Crowded {
                parcel: back,
                room: Some(next),
            }) => {
                if !next.is(&room) {
                    room.pass_on();
                }
                (parcel, room) = (back, next);
            }
            Err(Crowded { room: None, .. }) => {
                room.pass_on();
                count("dropped");
                return Handover::Accepted;
            }
        }
    }
}

/// A response for a node that has forgotten what it asked.
fn late() -> Handover {
    count("late");
    Handover::Accepted
}

/// What the node makes of the message. If it fails at that, its neighbour does
/// not fail with it.
pub(super) fn ingress(node: &TenantNode, from: &Peer, message: PeerMessage) -> Ingress {
    let taken = AssertUnwindSafe(|| node.handle.ingress(from, message));
    std::panic::catch_unwind(taken).unwrap_or_else(|_panic| {
        tracing::error!(node = %node.handle.name(), "taking a peer's message panicked");
        Ingress::Refused
    })
}

impl Transport for Port {
    fn send(&self, message: PeerMessage, receipt: Receipt) -> Handover {
        let Some(inner) = self.inner.upgrade() else {
            return Handover::Offline;
        };
        match self.try_send(&inner, message) {
            Tried::Done(handover) => handover,
            Tried::Behind(way, message) => {
                let done = inner.fabric.push(&way, Parcel { message, receipt });
                queued(&inner, way, &self.peer, &done);
                Handover::Accepted
            }
        }
    }

    fn send_when_room(&self, message: PeerMessage, receipt: Receipt) -> Departure {
        let Some(inner) = self.inner.upgrade() else {
            return Departure::Done(Handover::Offline);
        };
        let (way, message) = match self.try_send(&inner, message) {
            Tried::Done(handover) => return Departure::Done(handover),
            Tried::Behind(way, message) => (way, message),
        };
        let parcel = Parcel { message, receipt };
        match inner.fabric.push_or_wait(&way, parcel) {
            Ok(done) => queued(&inner, way, &self.peer, &done),
            Err(Crowded {
                parcel,
                room: Some(room),
            }) => {
                count("waiting");
                let (inner, from) = (self.inner.clone(), self.peer.clone());
                return Departure::Waiting(when_room(inner, from, way, parcel, room).boxed());
            }
            Err(Crowded { room: None, .. }) => count("dropped"),
        }
        Departure::Done(Handover::Accepted)
    }

    fn identity(&self, name: &NodeName) -> Option<PeerIdentity> {
        let inner = self.inner.upgrade()?;
        let tenant = inner.registry.read().named(name)?;
        if tenant.state.lock().desired == DesiredState::Archived {
            return None;
        }
        match tenant.public_key(&inner.identity.kek) {
            Ok(networking_key) => Some(PeerIdentity {
                name: name.clone(),
                networking_key,
            }),
            Err(error) => {
                tracing::error!(tenant_id = %tenant.id, "failed to read a public key: {error}");
                None
            }
        }
    }

    fn known(&self) -> usize {
        let inner = self.inner.upgrade();
        inner.map_or(0, |inner| inner.registry.read().len())
    }
}

impl std::fmt::Debug for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Port").field("peer", &self.peer).finish()
    }
}
