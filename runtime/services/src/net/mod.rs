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
use lifecycle::Tasks;
use node_types::{Address, Blob, KernelMessage, Message, NodeName, ProcessId, Request};
use tokio::time::Instant;

use self::codec::{Answer, NetAction};
use self::greeting::Greeters;
pub use self::network::Network;
use crate::{Inbox, KernelPort, Service, answer, module};

/// The longest body that is looked at as an action.
const MAX_ACTION: usize = 1 << 20;
/// The largest blob that is signed or verified: what a message to another node
/// can carry, and some more.
const MAX_SIGNED: usize = 16 << 20;
/// Bytes that are hashed without leaving the task.
const AT_ONCE: usize = 64 << 10;
/// What a greeting is answered with.
const ACK: &[u8] = b"ack";

/// See the module's documentation.
#[derive(Debug)]
pub struct Net {
    us: Address,
    port: Arc<dyn KernelPort>,
    network: Arc<Network>,
    tasks: Tasks,
}

impl Net {
    /// The module of one node.
    #[must_use]
    pub fn new(port: Arc<dyn KernelPort>, network: Arc<Network>, tasks: Tasks) -> Arc<Self> {
        let us = Address::new(port.our().clone(), module("net"));
        Arc::new(Self {
            us,
            port,
            network,
            tasks,
        })
    }

    async fn handle(&self, message: &KernelMessage, greeters: &mut Greeters) {
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
            Some(action) => self.act(message, action).await,
            None => {
                let text = format!("net: request of {} is no action", message.source.process);
                self.port.print(&self.us.process, 2, &text);
            }
        }
    }

    /// A request of another node.
    fn greeted(&self, message: &KernelMessage, request: &Request, greeters: &mut Greeters) {
        let from = &message.source.node;
        // Before anything that costs more than counting does.
        if !greeters.may_greet(from, Instant::now()) {
            return;
        }
        let refused = matches!(
            NetAction::decode_short(&request.body),
            Some(
                NetAction::ConnectionRequest(_)
                    | NetAction::KnsUpdate(_)
                    | NetAction::KnsBatchUpdate(_)
            )
        );
        if refused {
            return;
        }
        let line = greeting::line(from, &request.body);
        self.port.print(&self.us.process, 0, &line);
        if request.expects_response.is_some() || message.rsvp.is_some() {
            self.reply(message, ACK, None);
        }
    }

    /// An action of a process of this node.
    async fn act(&self, message: &KernelMessage, action: NetAction) {
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
            NetAction::Sign => return self.sign(message).await,
            NetAction::Verify { from, signature } => {
                Answer::Verified(self.verify(message, from, signature).await)
            }
        };
        self.reply(message, response.encode(), None);
    }

    /// Signs the blob in the name of the process that asks.
    async fn sign(&self, message: &KernelMessage) {
        let Some(blob) = self.blob(message) else {
            let text = format!(
                "net: {} asks to sign nothing, or more than {MAX_SIGNED} bytes",
                message.source.process
            );
            return self.port.print(&self.us.process, 1, &text);
        };
        let (network, source) = (self.network.clone(), message.source.clone());
        let size = blob.len();
        let sign = move || network.sign(&signed_bytes(&source, &blob));
        let Some(signature) = self.work(size, sign).await else {
            return;
        };
        let blob = Blob {
            mime: None,
            bytes: Bytes::copy_from_slice(&signature),
        };
        self.reply(message, Answer::Signed.encode(), Some(blob));
    }

    /// Whether the blob bears the signature of `from`.
    async fn verify(&self, message: &KernelMessage, from: Address, signature: Bytes) -> bool {
        let Some(blob) = self.blob(message) else {
            return false;
        };
        let (network, from) = (self.network.clone(), self.named(from));
        let size = blob.len();
        let verify = move || network.verify(&from.node, &signed_bytes(&from, &blob), &signature);
        self.work(size, verify).await.unwrap_or(false)
    }

    /// The blob of a message, if it is not too large to be hashed.
    fn blob(&self, message: &KernelMessage) -> Option<Bytes> {
        let blob = message.lazy_load_blob.as_ref()?;
        (blob.bytes.len() <= MAX_SIGNED).then(|| blob.bytes.clone())
    }

    /// Hashes `size` bytes, where that holds up nobody but this module.
    async fn work<T: Send + 'static>(
        &self,
        size: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        if size <= AT_ONCE {
            return Some(work());
        }
        self.tasks.blocking(work).await
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
            self.handle(&message, &mut greeters).await;
        }
    }
}

#[cfg(test)]
mod tests;
