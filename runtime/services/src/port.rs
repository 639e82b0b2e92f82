//! What a module sees of the kernel, and what the kernel sees of a module.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use lifecycle::{Tasks, queue};
use node_types::{
    Address, Blob, Capability, Edition, KernelMessage, Message, MessageId, NodeName, ProcessId,
    Response,
};
use tokio::sync::broadcast;

use crate::TrafficWatch;

/// A module's mailbox.
pub type Inbox = queue::Receiver<KernelMessage>;

/// What became of a message that a module sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// It is in the target's mailbox, or on its way to another node.
    Queued,
    /// The target does not exist, does not accept messages from this source,
    /// or its mailbox is full. It will never be answered.
    Refused,
}

/// How much of a mailbox a patient sender may fill, least first: what is above
/// is kept for the others. Messages of other nodes stand between the first two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Share {
    /// Frames of WebSockets that anybody may open.
    StrangersFrames,
    /// Requests that anybody may send.
    StrangersRequests,
    /// Frames of the owner's WebSockets.
    OwnersFrames,
    /// Requests of the owner: all of it.
    OwnersRequests,
}

/// What became of a message that its sender keeps until there is room.
pub enum Sending {
    /// That is settled.
    Done(Delivery),
    /// The target's mailbox is full. Dropping this drops the message.
    Waiting(BoxFuture<'static, Delivery>),
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProcessExit {
    /// `init` returned.
    Finished,
    /// It trapped or could not be started; the text says why.
    Failed(String),
    /// It was killed.
    Killed,
}

/// Something a person at a terminal may want to see.
#[derive(Debug, Clone)]
pub enum NodeEvent {
    /// A process or module printed.
    Print {
        /// Who.
        source: ProcessId,
        /// The process that the kernel complains about, if it does.
        about: Option<ProcessId>,
        /// 0 = always shown, 1 = debug, 2 = runtime information, 3 = every kernel event.
        verbosity: u8,
        /// The text, unfiltered.
        text: Arc<str>,
    },
    /// A process ended.
    Exited {
        /// Which.
        process: ProcessId,
        /// How.
        exit: ProcessExit,
    },
}

/// The kernel as modules use it. No call blocks.
pub trait KernelPort: Send + Sync + std::fmt::Debug {
    /// The node's name.
    fn our(&self) -> &NodeName;

    /// Routes `message` under the ordinary capability rules for its `source`.
    /// Only modules can call this, so `source` is believed.
    fn send(&self, message: KernelMessage) -> Delivery;

    /// [`KernelPort::send`] for a sender that takes nothing more in meanwhile
    /// and so may wait for room in its share of a mailbox, for as long as there
    /// is a mailbox.
    fn send_when_room(&self, message: KernelMessage, share: Share) -> Sending;

    /// A fresh random message id.
    fn new_message_id(&self) -> MessageId;

    /// Whether `process` of this node holds `capability`.
    fn holds(&self, process: &ProcessId, capability: &Capability) -> bool;

    /// Gives `capability` to `process`, and persists that.
    fn grant(&self, process: &ProcessId, capability: Capability);

    /// The edition of a process of this node; `None` for modules, unknown
    /// processes and other nodes.
    fn edition(&self, process: &ProcessId) -> Option<Edition>;

    /// Prints in the name of `source`.
    fn print(&self, source: &ProcessId, verbosity: u8, text: &str);

    /// Prints and exits from now on. A slow reader skips.
    fn events(&self) -> broadcast::Receiver<NodeEvent>;

    /// Messages from now on, as they are routed. A slow watcher skips.
    fn watch_traffic(&self) -> TrafficWatch;
}

/// A runtime module.
#[async_trait]
pub trait Service: Send + Sync {
    /// Its process id, such as `vfs:distro:sys`.
    fn id(&self) -> &ProcessId;

    /// Handles messages until `inbox` closes. Called once.
    async fn run(self: Arc<Self>, inbox: Inbox);
}

/// The next message of a module; `None` when its inbox closes, or at once when
/// its tasks are cancelled.
///
/// # Cancel-Safety
/// Safe.
pub(crate) async fn next_message(inbox: &mut Inbox, tasks: &Tasks) -> Option<KernelMessage> {
    tokio::select! {
        biased;
        () = tasks.token().cancelled() => None,
        next = inbox.recv() => next.map(|(message, _)| message),
    }
}

/// The id of the runtime module `name:distro:sys`.
///
/// Only for names that are constants of this crate; a malformed name yields
/// the kernel's id, which no module answers to.
#[must_use]
pub fn module(name: &str) -> ProcessId {
    ProcessId::new(name, "distro", "sys").unwrap_or_else(|_| module("kernel"))
}

/// The answer of module `us` to `asked`, ready to send: the request's id, to
/// its rsvp or source, `inherit` off. `metadata` is passed through as given.
#[must_use]
pub fn answer(
    us: Address,
    asked: &KernelMessage,
    body: impl Into<Bytes>,
    metadata: Option<String>,
    blob: Option<Blob>,
) -> KernelMessage {
    KernelMessage {
        id: asked.id,
        source: us,
        target: asked.answer_to().clone(),
        rsvp: None,
        message: Message::Response(
            Response {
                inherit: false,
                body: body.into(),
                metadata,
                capabilities: Vec::new(),
            },
            None,
        ),
        lazy_load_blob: blob,
    }
}

/// A request of module `us`, ready to send.
#[must_use]
pub fn request_from(
    us: Address,
    id: MessageId,
    target: Address,
    body: impl Into<Bytes>,
    expects_response: Option<u64>,
    blob: Option<Blob>,
) -> KernelMessage {
    KernelMessage {
        id,
        source: us,
        target,
        rsvp: None,
        message: Message::Request(node_types::Request {
            inherit: false,
            expects_response,
            body: body.into(),
            metadata: None,
            capabilities: Vec::new(),
        }),
        lazy_load_blob: blob,
    }
}
