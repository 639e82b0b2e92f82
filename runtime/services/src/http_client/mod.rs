//! `http-client:distro:sys`: requests and WebSockets of processes to the
//! outside.
//!
//! Owns the node's requests under way, its connections to servers and the
//! WebSockets its processes opened. Invariants: every connection comes from
//! the node's [`Egress`], also those that a redirect asks for, so nothing is
//! reached that may not be; requests, sockets and what they hold in memory are
//! bounded for the node and for each process; a process' requests and sockets
//! end with its life; of a message that asks for one, what an answer needs is
//! kept and nothing else. It answers in the words of the receiver's generation,
//! and only who asked for an answer. It stops when its inbox closes or its
//! tasks are cancelled: requests are then dropped, and sockets told.
//!
//! One file per concern: [`action`] (what is asked), [`codec`] (answers),
//! [`outgoing`] (what is sent), [`request`] (a request to its answer),
//! [`redirect`], [`pool`] and [`connection`], [`decode`] (bodies), [`turns`] and
//! [`budget`] (who may have how much), [`sockets`] (WebSockets).

mod action;
mod budget;
mod codec;
mod connection;
mod decode;
mod outgoing;
mod pool;
mod redirect;
mod request;
mod sockets;
mod turns;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use lifecycle::Tasks;
use node_egress::Egress;
use node_types::{Address, Blob, KernelMessage, Message, NodeName, ProcessId, Request};
use serde_json::Value;

use crate::dialect::Dialect;
use crate::port::next_message;
use crate::{Delivery, Inbox, KernelPort, Service, answer, module};
use action::{Action, Failure};
use budget::Budget;
use pool::Pool;
use request::is_answered;
use sockets::{Sockets, Wanted};
use turns::Turns;

/// Longest action: a URL and headers, far longer than servers take. It is read
/// into memory, and lives as long as its request waits.
const MAX_ACTION: usize = 256 << 10;
/// Largest body of a response, and what the bodies of all responses that are
/// being read, or wait to be delivered, may take together.
const MAX_DOWNLOAD: u64 = 64 << 20;
/// The same for bodies of requests, which are not copied: they are the blobs
/// that their processes sent.
const MAX_UPLOAD: u64 = 64 << 20;

/// What the node is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Used {
    /// A WebSocket on which messages move; the end of it is not the end of the
    /// socket.
    Socket,
    /// A request, from its turn until its answer is delivered.
    Request,
}

/// Called when a use begins; what it gives is dropped when that ends, so that
/// the node counts as used meanwhile.
pub type InUse = Arc<dyn Fn(Used) -> Box<dyn Send + Sync> + Send + Sync>;

/// What the module needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// The node's name.
    pub our: NodeName,
    /// Largest body of a response, once decoded, and what all bodies of
    /// responses, and all of requests, may take together; each is at most 64
    /// MiB, whatever this says.
    pub response_bytes: u64,
    /// The node's way out.
    pub egress: Arc<Egress>,
}

/// See the module's documentation.
pub struct HttpClient {
    address: Address,
    response_bytes: u64,
    port: Arc<dyn KernelPort>,
    tasks: Tasks,
    in_use: InUse,
    pool: Arc<Pool>,
    turns: Arc<Turns>,
    /// Bodies of requests.
    uploads: Arc<Budget>,
    /// Bodies of responses.
    downloads: Arc<Budget>,
    sockets: Arc<Sockets>,
}

impl HttpClient {
    /// The module of one node.
    #[must_use]
    pub fn new(
        config: Config,
        port: Arc<dyn KernelPort>,
        tasks: Tasks,
        in_use: InUse,
    ) -> Arc<Self> {
        let Config {
            our,
            response_bytes,
            egress,
        } = config;
        Arc::new(Self {
            address: Address::new(our, module("http-client")),
            response_bytes: response_bytes.min(MAX_DOWNLOAD),
            port,
            in_use,
            pool: Pool::new(egress, tasks.clone()),
            tasks,
            turns: Turns::new(),
            uploads: Budget::new(response_bytes.min(MAX_UPLOAD)),
            downloads: Budget::new(response_bytes.min(MAX_DOWNLOAD)),
            sockets: Sockets::new(response_bytes),
        })
    }

    /// Ends what `process` has under way; to be called when it leaves the
    /// process map.
    pub fn forget(&self, process: &ProcessId) {
        self.process_ended(process);
    }

    /// The same when a life of `process` ended: its next one knows nothing of
    /// these requests and channels.
    pub fn process_ended(&self, process: &ProcessId) {
        // In this order: what is kept from here on belongs to the next life.
        self.turns.end(process);
        self.pool.end(process);
        self.sockets.process_ended(process);
    }

    /// Begins to do what a message asks for.
    fn act(self: &Arc<Self>, message: KernelMessage) {
        if message.source.node != self.address.node {
            tracing::debug!(source = %message.source, "action of another node ignored");
            return;
        }
        let Some((message, body, blob)) = apart(message) else {
            return;
        };
        if body.len() > MAX_ACTION {
            let text = format!("too long: it has at most {MAX_ACTION} bytes");
            return self.fail(&message, &Failure::Malformed(text));
        }
        let owner = &message.source.process;
        let length = body.len();
        let action = serde_json::from_slice::<Action>(&body);
        drop(body);
        match action {
            Err(error) => self.fail(&message, &Failure::Malformed(error.to_string())),
            Ok(Action::Http(asked)) => self.request(message, asked, length, blob),
            Ok(Action::WebSocketOpen {
                url,
                headers,
                channel_id,
            }) => {
                let wanted = Wanted {
                    url,
                    headers,
                    channel: channel_id,
                };
                self.open(message, wanted);
            }
            Ok(Action::WebSocketPush {
                channel_id,
                message_type,
            }) => {
                let bytes = blob.map(|blob| blob.bytes);
                let pushed = self.sockets.push(owner, channel_id, message_type, bytes);
                self.acknowledge(&message, pushed.map_err(Failure::from));
            }
            Ok(Action::WebSocketClose { channel_id }) => {
                let closed = self.sockets.close(owner, channel_id);
                self.acknowledge(&message, closed);
            }
        }
    }

    /// Answers something about a WebSocket.
    fn acknowledge(&self, message: &KernelMessage, done: Result<(), Failure>) {
        match done {
            Ok(()) => {
                self.tell(message, &codec::acknowledged());
            }
            Err(failure) => self.fail(message, &failure),
        }
    }

    /// Answers that nothing came of it.
    fn fail(&self, message: &KernelMessage, failure: &Failure) {
        let dialect = Dialect::of_answer(&*self.port, message, false);
        self.tell(message, &codec::failed(failure, dialect));
    }

    /// Answers, if anybody wants to know; false if whoever does cannot be told.
    fn tell(&self, message: &KernelMessage, body: &Value) -> bool {
        if !is_answered(message) {
            return true;
        }
        let us = self.address.clone();
        let answer = answer(us, message, body.to_string(), None, None);
        self.port.send(answer) == Delivery::Queued
    }
}

/// A request without what only its sender has a use for, its body and its
/// blob; `None` if it is none. What is under way keeps the first for minutes,
/// or as long as a socket is open, and metadata may be of any size.
fn apart(message: KernelMessage) -> Option<(KernelMessage, Bytes, Option<Blob>)> {
    let KernelMessage {
        message: Message::Request(request),
        lazy_load_blob: blob,
        id,
        source,
        target,
        rsvp,
    } = message
    else {
        return None;
    };
    let bare = KernelMessage {
        id,
        source,
        target,
        rsvp,
        message: Message::Request(Request {
            expects_response: request.expects_response,
            ..Request::default()
        }),
        lazy_load_blob: None,
    };
    Some((bare, request.body, blob))
}

#[async_trait]
impl Service for HttpClient {
    fn id(&self) -> &ProcessId {
        &self.address.process
    }

    async fn run(self: Arc<Self>, mut inbox: Inbox) {
        while let Some(message) = next_message(&mut inbox, &self.tasks).await {
            self.act(message);
        }
    }
}

#[cfg(test)]
mod tests;
