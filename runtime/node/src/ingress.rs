//! Messages that arrive from other nodes.
//!
//! Invariant: what is delivered comes from the node that the transport vouches
//! for, to a process that may use the network; the kernel and the modules take
//! no requests of other nodes but greetings. Nothing here waits but
//! [`Kernel::ingress_when_room`], which its caller owns.

use lifecycle::queue::NotSent;
use lifecycle::{Rate, TokenBucket};
use node_api::{Ingress, Peer};
use node_kernel::{Verdict, admit, route};
use node_types::{KernelMessage, Message, PeerMessage};
use parking_lot::Mutex;
use std::time::Duration;
use tokio::time::Instant;

use crate::kernel::Kernel;
use crate::mailbox::Mailbox;
use crate::routing::PARK;

/// Prints about messages of other nodes; more would let them write on our
/// terminals as they like.
const COMPLAINTS: Rate = Rate {
    burst: 8,
    refill: Duration::from_secs(10),
};

/// How often the kernel complains about other nodes.
pub(crate) struct Complaints(Mutex<TokenBucket>);

impl Default for Complaints {
    fn default() -> Self {
        Self(Mutex::new(TokenBucket::new(COMPLAINTS, Instant::now())))
    }
}

impl Kernel {
    /// Takes a message of `from` in if there is room for it.
    pub(crate) fn ingress(&self, from: &Peer, message: PeerMessage) -> Ingress {
        let Some((mailbox, message)) = self.arrive(from, message) else {
            return Ingress::Refused;
        };
        match mailbox.try_send_of_peer(message) {
            Ok(()) => self.taken(from),
            Err(NotSent::Full(message)) => {
                PeerMessage::new(message).map_or(Ingress::Refused, Ingress::Full)
            }
            Err(NotSent::Closed(message)) => self.closed(message),
        }
    }

    /// The same, and waits for room as long as a process of this node would.
    ///
    /// # Cancel-Safety
    /// Safe, but the message is lost.
    pub(crate) async fn ingress_when_room(&self, from: &Peer, message: PeerMessage) -> Ingress {
        let Some((mailbox, message)) = self.arrive(from, message) else {
            return Ingress::Refused;
        };
        let (source, target) = (message.source.clone(), message.target.clone());
        match tokio::time::timeout(PARK, mailbox.send_of_peer(message)).await {
            Ok(None) => self.taken(from),
            Ok(Some(message)) => self.closed(message),
            Err(_elapsed) => {
                self.count_dropped(&source, &target);
                Ingress::Refused
            }
        }
    }

    fn taken(&self, from: &Peer) -> Ingress {
        self.network.heard_from(from);
        Ingress::Taken
    }

    /// The process has been removed, or the node stops.
    fn closed(&self, message: KernelMessage) -> Ingress {
        if !self.tasks.token().is_cancelled() {
            return Ingress::Refused;
        }
        PeerMessage::new(message).map_or(Ingress::Refused, Ingress::Stopping)
    }

    /// Checks a message: as it is here, and the mailbox it is for.
    fn arrive(&self, from: &Peer, message: PeerMessage) -> Option<(Mailbox, KernelMessage)> {
        let genuine = |capability: &_| self.network.is_genuine(capability);
        let message = match admit(&self.our, from.name(), message, genuine) {
            Ok(message) => message,
            Err(refusal) => return self.complain(refusal.verbosity(), &refusal),
        };
        self.traffic.see(&message);
        let target = &message.target.process;
        let verdict = {
            let table = self.table.read();
            let for_module = table.get(target).is_some_and(|entry| entry.module)
                && matches!(message.message, Message::Request(_))
                && target.process() != "net";
            (!for_module).then(|| route(&table, &message))
        };
        match verdict {
            Some(Verdict::Deliver) => {}
            Some(Verdict::Refused(refusal)) => {
                return self.complain(refusal.verbosity(), &refusal);
            }
            None | Some(Verdict::KernelCommand | Verdict::Egress) => {
                let from = &message.source;
                let text = format!("message from `{from}` dropped: `{target}` is not for others");
                return self.complain(2, &text);
            }
        }
        let mailbox = self.mailboxes.read().get(target).cloned();
        mailbox.map(|mailbox| (mailbox, message))
    }

    fn complain<T>(&self, verbosity: u8, about: &dyn std::fmt::Display) -> Option<T> {
        if self.complaints.0.lock().take(Instant::now()) {
            self.say(verbosity, &format!("kernel: {about}"));
        }
        None
    }
}
