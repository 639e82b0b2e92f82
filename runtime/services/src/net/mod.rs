//! `net:distro:sys`: the node's identity among other nodes.
//!
//! Answers questions about peers, signs and checks signatures, and prints what
//! other nodes greet this one with. Messages to and from other nodes do not
//! pass through here: the kernel uses the same [`Network`].
//!
//! Invariants: another node can do nothing but greet: whatever it sends is
//! text, and actions are for processes of this node. A greeting cannot spell
//! anything but one line. A peer that floods is not answered, and holds up
//! nobody. Stops when its inbox closes.
//!
//! A greeting is answered with `ack`, as from 1.0 on; earlier nodes say
//! `delivered`. Every published asker shows the answer or only notes that
//! there was one, and nothing tells a node the generation of its peer.

mod codec;
mod greeting;
mod learned;
mod network;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use node_types::{Address, Blob, KernelMessage, Message, NodeName, ProcessId, Request};
use tokio::time::Instant;

use self::codec::{Answer, NetAction};
use self::greeting::Greeters;
pub use self::network::Network;
use crate::{Inbox, KernelPort, Service, answer, module};

/// The longest body that is looked at as an action.
const MAX_ACTION: usize = 1 << 20;
/// What a greeting is answered with.
const ACK: &[u8] = b"ack";

/// See the module's documentation.
#[derive(Debug)]
pub struct Net {
    us: Address,
    port: Arc<dyn KernelPort>,
    network: Arc<Network>,
}

impl Net {
    /// The module of one node.
    #[must_use]
    pub fn new(port: Arc<dyn KernelPort>, network: Arc<Network>) -> Arc<Self> {
        let us = Address::new(port.our().clone(), module("net"));
        Arc::new(Self { us, port, network })
    }

    fn handle(&self, message: &KernelMessage, greeters: &mut Greeters) {
        // Nobody owes us an answer.
        let Message::Request(request) = &message.message else {
            return;
        };
        if message.source.node != self.us.node {
            return self.greeted(message, request, greeters);
        }
        let action = (request.body.len() <= MAX_ACTION)
            .then(|| NetAction::decode(&request.body))
            .flatten();
        match action {
            Some(action) => self.act(message, action),
            None => {
                let text = format!("net: request of {} is no action", message.source.process);
                self.port.print(&self.us.process, 2, &text);
            }
        }
    }

    /// A request of another node.
    fn greeted(&self, message: &KernelMessage, request: &Request, greeters: &mut Greeters) {
        let refused = matches!(
            NetAction::decode_short(&request.body),
            Some(
                NetAction::ConnectionRequest(_)
                    | NetAction::KnsUpdate(_)
                    | NetAction::KnsBatchUpdate(_)
            )
        );
        let from = &message.source.node;
        if refused || !greeters.may_greet(from, Instant::now()) {
            return;
        }
        let line = greeting::line(from, &request.body);
        self.port.print(&self.us.process, 0, &line);
        if request.expects_response.is_some() || message.rsvp.is_some() {
            self.reply(message, ACK, None);
        }
    }

    /// An action of a process of this node.
    fn act(&self, message: &KernelMessage, action: NetAction) {
        let network = &self.network;
        let response = match action {
            // Only a router sends these, and we have none.
            NetAction::ConnectionRequest(_) => return,
            NetAction::KnsUpdate(update) => return network.learn(update),
            NetAction::KnsBatchUpdate(updates) => {
                for update in updates {
                    network.learn(update);
                }
                return;
            }
            NetAction::GetPeers => Answer::Peers(network.peers()),
            NetAction::GetPeer(name) => Answer::Peer(
                NodeName::new(&name)
                    .ok()
                    .and_then(|name| network.identity(&name)),
            ),
            NetAction::GetName(hash) => Answer::Name(network.name_of_hash(&hash)),
            NetAction::GetDiagnostics => Answer::Diagnostics(network.diagnostics()),
            NetAction::Sign => return self.sign(message),
            NetAction::Verify { from, signature } => {
                let from = self.named(from);
                let signed = message.lazy_load_blob.as_ref().is_some_and(|blob| {
                    let bytes = signed_bytes(&from, &blob.bytes);
                    network.verify(&from.node, &bytes, &signature)
                });
                Answer::Verified(signed)
            }
        };
        self.reply(message, response.encode(), None);
    }

    /// Signs the blob in the name of the process that asks.
    fn sign(&self, message: &KernelMessage) {
        let Some(blob) = &message.lazy_load_blob else {
            let text = format!("net: {} asks to sign nothing", message.source.process);
            return self.port.print(&self.us.process, 1, &text);
        };
        let signature = self
            .network
            .sign(&signed_bytes(&message.source, &blob.bytes));
        let blob = Blob {
            mime: None,
            bytes: Bytes::copy_from_slice(&signature),
        };
        self.reply(message, Answer::Signed.encode(), Some(blob));
    }

    fn named(&self, mut address: Address) -> Address {
        if address.node.as_str() == "our" {
            address.node = self.us.node.clone();
        }
        address
    }

    fn reply(&self, asked: &KernelMessage, body: impl Into<Bytes>, blob: Option<Blob>) {
        // One who is gone needs no answer.
        self.port
            .send(answer(self.us.clone(), asked, body, None, blob));
    }
}

/// What a signature made for `address` is about. Addresses begin with the name
/// of a node, so it cannot be taken for a capability, which begins with an
/// array.
fn signed_bytes(address: &Address, payload: &[u8]) -> Vec<u8> {
    [address.to_string().as_bytes(), payload].concat()
}

#[async_trait]
impl Service for Net {
    fn id(&self) -> &ProcessId {
        &self.us.process
    }

    async fn run(self: Arc<Self>, mut inbox: Inbox) {
        let mut greeters = Greeters::default();
        while let Some((message, _)) = inbox.recv().await {
            self.handle(&message, &mut greeters);
        }
    }
}

#[cfg(test)]
mod tests;
