//! How nodes reach each other: what a node hands a message for another node
//! to, and how one gets messages from others.
//!
//! Invariant: neither side can say who a sender is but the transport. A node
//! is given a [`Transport`] that speaks for it alone and hands over
//! [`PeerMessage`]s, which name no node; a node that takes one is told the
//! [`Peer`] it comes from. A transport never waits: what cannot be delivered
//! at once is queued within bounds, or stays with a sender that waits for room,
//! or is lost.

use std::fmt;

use futures::future::BoxFuture;
use node_types::{NodeName, PeerMessage, SendErrorKind};

/// A node as the sender of a message, vouched for by a transport.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Peer(NodeName);

impl Peer {
    /// The node called `name`. Only for transports, which know whom they
    /// carry messages for.
    #[must_use]
    pub fn vouched(name: NodeName) -> Self {
        Self(name)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &NodeName {
        &self.0
    }
}

/// What the directory knows of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerIdentity {
    /// Its name.
    pub name: NodeName,
    /// Its public Ed25519 networking key.
    pub networking_key: [u8; 32],
}

/// What became of a message handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handover {
    /// It was delivered, or may be; the [`Receipt`] hears if it will not.
    Accepted,
    /// There is no such node, or it does not run and nothing may start it.
    Offline,
}

/// What became of a message whose sender can wait.
pub enum Departure {
    /// It has been handed over.
    Done(Handover),
    /// There was no room for it; the future hands it over when there is. The
    /// message is lost when that is dropped.
    Waiting(BoxFuture<'static, Handover>),
}

impl fmt::Debug for Departure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(handover) => f.debug_tuple("Done").field(handover).finish(),
            Self::Waiting(_) => f.write_str("Waiting"),
        }
    }
}

/// Tells the sender of a message that it will not be delivered after all. Used
/// at most once; dropped, it says nothing, and the sender's own time runs out.
pub struct Receipt(Option<Box<dyn FnOnce(SendErrorKind) + Send>>);

impl Receipt {
    /// For a message whose loss nobody needs to hear of.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// Calls `failed` with the reason.
    #[must_use]
    pub fn new(failed: impl FnOnce(SendErrorKind) + Send + 'static) -> Self {
        Self(Some(Box::new(failed)))
    }

    /// The message will not be delivered.
    pub fn failed(self, kind: SendErrorKind) {
        if let Some(failed) = self.0 {
            failed(kind);
        }
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receipt")
    }
}

/// One node's way to the others. No method blocks or parks.
pub trait Transport: Send + Sync + fmt::Debug {
    /// Hands `message` over, for the node it is addressed to. Messages of one
    /// process to one node arrive in the order in which they were sent.
    fn send(&self, message: PeerMessage, receipt: Receipt) -> Handover;

    /// The same for a sender that can wait for room. Until it has, it sends
    /// nothing else.
    fn send_when_room(&self, message: PeerMessage, receipt: Receipt) -> Departure {
        Departure::Done(self.send(message, receipt))
    }

    /// What the directory of this transport knows of the node called `name`,
    /// running or not.
    fn identity(&self, name: &NodeName) -> Option<PeerIdentity>;

    /// How many nodes the directory knows.
    fn known(&self) -> usize;
}

/// What a node did with a message of a peer.
#[derive(Debug)]
pub enum Ingress {
    /// It is in its target's mailbox.
    Taken,
    /// Nobody here gets it; the node's terminal says why.
    Refused,
    /// Its target has no room for messages of peers now: try again, or wait
    /// for room.
    Full(PeerMessage),
    /// The node is stopping.
    Stopping(PeerMessage),
}

/// A transport that reaches nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Isolated;

impl Transport for Isolated {
    fn send(&self, _: PeerMessage, _: Receipt) -> Handover {
        Handover::Offline
    }

    fn identity(&self, _: &NodeName) -> Option<PeerIdentity> {
        None
    }

    fn known(&self) -> usize {
        0
    }
}
