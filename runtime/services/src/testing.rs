//! A kernel for tests of modules: records what is sent, with settable rights.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use futures::FutureExt;
use lifecycle::{Entropy, SeededEntropy};
use node_types::{
    Address, Blob, CapKey, Capability, Edition, KernelMessage, Message, MessageId, NodeName,
    ProcessId, Request,
};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, broadcast, mpsc};

use crate::{Delivery, KernelPort, NodeEvent, Sending, Share, Traffic, TrafficWatch};

/// Events kept for a slow reader; more is skipped, as in the real kernel.
const EVENTS: usize = 1024;

/// A [`KernelPort`] that keeps everything in memory.
#[derive(Debug)]
pub struct FakePort {
    our: NodeName,
    sent: mpsc::UnboundedSender<KernelMessage>,
    ids: SeededEntropy,
    caps: Mutex<HashMap<ProcessId, HashSet<CapKey>>>,
    editions: Mutex<HashMap<ProcessId, Edition>>,
    refused: Mutex<HashSet<ProcessId>>,
    full: Mutex<HashMap<ProcessId, BTreeMap<Share, Arc<Semaphore>>>>,
    prints: Mutex<Vec<(ProcessId, u8, String)>>,
    events: broadcast::Sender<NodeEvent>,
    traffic: Traffic,
}

impl FakePort {
    /// A kernel of node `our`, and what modules send through it.
    #[must_use]
    pub fn new(our: &str) -> (Arc<Self>, mpsc::UnboundedReceiver<KernelMessage>) {
        let (sent, receiver) = mpsc::unbounded_channel();
        let port = Self {
            our: our.parse().unwrap(),
            sent,
            ids: SeededEntropy::new(1),
            caps: Mutex::default(),
            editions: Mutex::default(),
            refused: Mutex::default(),
            full: Mutex::default(),
            prints: Mutex::default(),
            events: broadcast::channel(EVENTS).0,
            traffic: Traffic::default(),
        };
        (Arc::new(port), receiver)
    }

    /// Sets the edition of `process`.
    pub fn set_edition(&self, process: &str, edition: Edition) {
        let process = process.parse().unwrap();
        self.editions.lock().insert(process, edition);
    }

    /// Makes every message to `process` be refused.
    pub fn refuse(&self, process: &str) {
        self.refused.lock().insert(process.parse().unwrap());
    }

    /// Fills `share` of the mailbox of `process`: patient senders with this
    /// share or less wait for one of the permits, others are refused nothing.
    pub fn fill(&self, process: &str, share: Share) -> Arc<Semaphore> {
        let room = Arc::new(Semaphore::new(0));
        let process = process.parse().unwrap();
        let mut full = self.full.lock();
        let shares = full.entry(process).or_default();
        shares.insert(share, room.clone());
        room
    }

    /// What was printed so far.
    #[must_use]
    pub fn prints(&self) -> Vec<(ProcessId, u8, String)> {
        self.prints.lock().clone()
    }

    /// Tells the modules that something happened.
    pub fn emit(&self, event: NodeEvent) {
        let _ = self.events.send(event);
    }

    /// Shows a message to whoever watches.
    pub fn route(&self, message: &KernelMessage) {
        self.traffic.see(message);
    }

    /// An address on this node.
    #[must_use]
    pub fn address(&self, process: &str) -> Address {
        Address::new(self.our.clone(), process.parse().unwrap())
    }

    /// A request from `source` to `target`, both of this node, that expects an
    /// answer.
    #[must_use]
    pub fn request(
        &self,
        source: &str,
        target: &str,
        body: impl Into<bytes::Bytes>,
        blob: Option<&[u8]>,
    ) -> KernelMessage {
        KernelMessage {
            id: self.new_message_id(),
            source: self.address(source),
            target: self.address(target),
            rsvp: None,
            message: Message::Request(Request {
                expects_response: Some(5),
                body: body.into(),
                ..Request::default()
            }),
            lazy_load_blob: blob.map(|bytes| Blob {
                mime: None,
                bytes: bytes.to_vec().into(),
            }),
        }
    }
}

impl KernelPort for FakePort {
    fn our(&self) -> &NodeName {
        &self.our
    }

    fn send(&self, message: KernelMessage) -> Delivery {
        if self.refused.lock().contains(&message.target.process) {
            return Delivery::Refused;
        }
        match self.sent.send(message) {
            Ok(()) => Delivery::Queued,
            Err(_) => Delivery::Refused,
        }
    }

    fn send_when_room(&self, message: KernelMessage, share: Share) -> Sending {
        if self.refused.lock().contains(&message.target.process) {
            return Sending::Done(Delivery::Refused);
        }
        let full = self.full.lock();
        let shares = full.get(&message.target.process);
        let room = shares.and_then(|shares| shares.range(share..).next());
        let room = room.map(|(_, room)| room.clone());
        drop(full);
        let Some(room) = room else {
            return Sending::Done(self.send(message));
        };
        let sent = self.sent.clone();
        let sending = async move {
            let Ok(permit) = room.acquire().await else {
                return Delivery::Refused;
            };
            permit.forget();
            match sent.send(message) {
                Ok(()) => Delivery::Queued,
                Err(_) => Delivery::Refused,
            }
        };
        Sending::Waiting(sending.boxed())
    }

    fn new_message_id(&self) -> MessageId {
        MessageId(self.ids.next_u64())
    }

    fn holds(&self, process: &ProcessId, capability: &Capability) -> bool {
        let caps = self.caps.lock();
        caps.get(process)
            .is_some_and(|held| held.contains(&capability.key()))
    }

    fn grant(&self, process: &ProcessId, capability: Capability) {
        let mut caps = self.caps.lock();
        caps.entry(process.clone())
            .or_default()
            .insert(capability.key());
    }

    fn edition(&self, process: &ProcessId) -> Option<Edition> {
        self.editions.lock().get(process).copied()
    }

    fn print(&self, source: &ProcessId, verbosity: u8, text: &str) {
        self.prints
            .lock()
            .push((source.clone(), verbosity, text.to_owned()));
        self.emit(NodeEvent::Print {
            source: source.clone(),
            about: None,
            verbosity,
            text: text.into(),
        });
    }

    fn events(&self) -> broadcast::Receiver<NodeEvent> {
        self.events.subscribe()
    }

    fn watch_traffic(&self) -> TrafficWatch {
        self.traffic.watch()
    }
}
