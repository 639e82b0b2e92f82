//! One node's identity and its way to other nodes, shared by its kernel and
//! its `net` module.
//!
//! Owns the networking key, which leaves nobody's hands but in signatures, and
//! what is known of peers. Bounded, and holds no task.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use node_api::{Departure, Handover, Peer, Receipt, Secret, Transport};
use node_types::{CapSignature, Capability, NodeName, PeerMessage};
use parking_lot::Mutex;

use super::codec::{Identity, KnsUpdate, Routing};
use super::learned::{Learned, spell_key};

/// Peers remembered as those we talk with; the longest silent is forgotten.
const MAX_RECENT: usize = 64;

/// See the module's documentation.
pub struct Network {
    our: NodeName,
    key: SigningKey,
    transport: Arc<dyn Transport>,
    learned: Mutex<Learned>,
    /// The last one first.
    recent: Mutex<VecDeque<NodeName>>,
}

impl Network {
    /// The network of node `our`, whose key has this seed.
    #[must_use]
    pub fn new(our: NodeName, seed: &Secret<[u8; 32]>, transport: Arc<dyn Transport>) -> Arc<Self> {
        Arc::new(Self {
            our,
            key: SigningKey::from_bytes(seed.expose()),
            transport,
            learned: Mutex::default(),
            recent: Mutex::default(),
        })
    }

    /// Hands a message over.
    pub fn send(&self, message: PeerMessage, receipt: Receipt) -> Handover {
        let target = message.target().node.clone();
        let handover = self.transport.send(message, receipt);
        if handover == Handover::Accepted {
            self.note(&target);
        }
        handover
    }

    /// The same for a process, which can wait for room.
    pub fn send_when_room(&self, message: PeerMessage, receipt: Receipt) -> Departure {
        let target = message.target().node.clone();
        let departure = self.transport.send_when_room(message, receipt);
        if !matches!(departure, Departure::Done(Handover::Offline)) {
            self.note(&target);
        }
        departure
    }

    /// A message of `peer` has been taken.
    pub fn heard_from(&self, peer: &Peer) {
        self.note(peer.name());
    }

    fn note(&self, name: &NodeName) {
        let mut recent = self.recent.lock();
        if recent.front() == Some(name) {
            return;
        }
        if let Some(at) = recent.iter().position(|known| known == name) {
            recent.remove(at);
        }
        recent.push_front(name.clone());
        recent.truncate(MAX_RECENT);
    }

    /// Signs a capability of this node.
    #[must_use]
    pub fn sign_capability(&self, capability: &Capability) -> CapSignature {
        CapSignature::new(self.sign(&capability_bytes(capability)))
    }

    /// Whether a capability bears this node's signature.
    #[must_use]
    pub fn is_genuine(&self, capability: &Capability) -> bool {
        capability.signature().is_some_and(|signature| {
            let signature = Signature::from_bytes(signature.as_bytes());
            let bytes = capability_bytes(capability);
            let public = self.key.verifying_key();
            public.verify_strict(&bytes, &signature).is_ok()
        })
    }

    pub(super) fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        self.key.sign(bytes).to_bytes()
    }

    /// Whether `node` signed `bytes`; a node nobody knows has signed nothing.
    pub(super) fn verify(&self, node: &NodeName, bytes: &[u8], signature: &[u8]) -> bool {
        let key = self
            .public_key(node)
            .and_then(|key| VerifyingKey::from_bytes(&key).ok());
        let signature = <[u8; 64]>::try_from(signature).map(|bytes| Signature::from_bytes(&bytes));
        match (key, signature) {
            (Some(key), Ok(signature)) => key.verify_strict(bytes, &signature).is_ok(),
            _ => false,
        }
    }

    /// Our public key.
    pub(super) fn own_key(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }

    fn public_key(&self, node: &NodeName) -> Option<[u8; 32]> {
        if *node == self.our {
            return Some(self.own_key());
        }
        match self.transport.identity(node) {
            Some(identity) => Some(identity.networking_key),
            None => self.learned.lock().key(node),
        }
    }

    /// Who `node` is; the host's own directory before what was told.
    pub(super) fn identity(&self, node: &NodeName) -> Option<Identity> {
        let ours = (*node == self.our).then(|| self.own_key());
        let of_host = ours.or_else(|| Some(self.transport.identity(node)?.networking_key));
        match of_host {
            Some(key) => Some(Identity {
                name: node.to_string(),
                networking_key: spell_key(&key),
                routing: Routing::Routers(Vec::new()),
            }),
            None => self.learned.lock().identity(node),
        }
    }

    /// The nodes that messages were exchanged with lately.
    pub(super) fn peers(&self) -> Vec<Identity> {
        let recent: Vec<NodeName> = self.recent.lock().iter().cloned().collect();
        recent
            .iter()
            .filter_map(|name| self.identity(name))
            .collect()
    }

    /// Takes in what a process of this node tells of another one.
    pub(super) fn learn(&self, update: KnsUpdate) {
        self.learned.lock().learn(update);
    }

    pub(super) fn name_of_hash(&self, hash: &str) -> Option<String> {
        self.learned.lock().name_of_hash(hash)
    }

    /// How the network looks from here, in lines for people.
    pub(super) fn diagnostics(&self) -> String {
        let recent: Vec<NodeName> = self.recent.lock().iter().cloned().collect();
        let key = spell_key(&self.own_key());
        let mut lines = vec![
            format!("our name is {}, our networking key {key}", self.our),
            "nodes of this host reach each other inside it".to_owned(),
            format!(
                "we have talked with {} peers ({MAX_RECENT} are remembered):",
                recent.len()
            ),
        ];
        lines.extend(recent.iter().map(|name| format!("    {name}")));
        let known = self.transport.known();
        let learned = self.learned.lock().len();
        lines.push(format!(
            "we know {} names: {known} of this host, {learned} from our processes",
            known.saturating_add(learned)
        ));
        lines.join("\r\n")
    }
}

/// What the signature of a capability is about: `[issuer, params]`.
fn capability_bytes(capability: &Capability) -> Vec<u8> {
    let pair = (capability.issuer.to_string(), &capability.params);
    // Two strings: this cannot fail.
    rmp_serde::to_vec(&pair).unwrap_or_default()
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("our", &self.our)
            .finish_non_exhaustive()
    }
}
