//! What a process remembers between its host calls: which message it is
//! answering, which answers it waits for and until when, which blob it holds.
//!
//! Invariant: a response reaches the process only while the request it
//! answers is outstanding, and every outstanding request ends exactly once,
//! by an answer, a failure, or a later request under the same (inherited) id
//! that takes its place. Whoever drives it compares the arrival time of
//! queued messages with [`Conversation::next_deadline`] and delivers what
//! came first.

use std::collections::HashMap;

use bytes::Bytes;
use node_types::{
    Address, Blob, Capability, KernelMessage, Message, MessageId, NodeName, Request, Response,
    SendError, SendErrorKind,
};

use crate::blob::{BlobPolicy, BlobSlot};
use crate::deadlines::{Deadline, Deadlines, Moment};
use crate::local::{localise_address, localise_attached};
use crate::received::Received;

/// Most requests of one process that can wait for an answer. A further one is
/// refused; the caller ends the process with the error's sentence.
pub const MAX_OUTSTANDING: usize = 4096;
/// Bytes of outstanding requests beyond which a further one is refused. They
/// are kept because a failed send gives back what was sent. A single request
/// may be larger.
pub const MAX_OUTSTANDING_BYTES: usize = 128 << 20;

/// A request as the process hands it over.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Whom it is for.
    pub target: Address,
    /// The request.
    pub request: Request,
    /// Given back with the answer; kept only if an answer is expected.
    pub context: Option<Bytes>,
    /// An explicit blob.
    pub blob: Option<Blob>,
}

/// A request ready to be routed.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The message. Its capabilities are still to be filtered by
    /// [`crate::ProcessTable::filter_attached`].
    pub message: KernelMessage,
    /// When it fails for want of an answer; `None` = none is expected.
    pub deadline: Option<Moment>,
}

/// Why a request was not prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PrepareError {
    /// Too many of them.
    #[error(
        "limit of outstanding requests reached: {MAX_OUTSTANDING} requests already wait for a response; receive some of them first"
    )]
    TooMany,
    /// Too large all together.
    #[error(
        "limit of outstanding requests reached: those that wait for a response hold {} MiB; receive some of them first",
        MAX_OUTSTANDING_BYTES >> 20
    )]
    TooLarge,
}

/// What a message means to a process that waits for the answer to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaited {
    /// It is the answer.
    Answer,
    /// It is to be kept, in order, for a later `receive`. That includes a
    /// request under the awaited id: other nodes choose their ids, so it must
    /// not do any harm.
    Other,
    /// It answers nothing that was asked: to be dropped.
    Stray,
}

/// The message that a response now would answer.
#[derive(Debug, Clone)]
struct Prompt {
    id: MessageId,
    source: Address,
    rsvp: Option<Address>,
}

#[derive(Debug)]
pub(crate) struct Outstanding {
    pub(crate) target: Address,
    pub(crate) request: Request,
    blob: Option<Blob>,
    pub(crate) context: Option<Bytes>,
    /// What was being answered when the request was sent.
    prompt: Option<Prompt>,
    pub(crate) sent: Moment,
    deadline: Deadline,
    /// What it means when the deadline passes.
    kind: SendErrorKind,
    bytes: usize,
}

/// The message state of one process.
#[derive(Debug)]
pub struct Conversation {
    our: Address,
    prompt: Option<Prompt>,
    blob: BlobSlot,
    received: Received,
    outstanding: HashMap<MessageId, Outstanding>,
    outstanding_bytes: usize,
    deadlines: Deadlines,
}

impl Conversation {
    /// The state of process `our` before its first message.
    #[must_use]
    pub fn new(our: Address, policy: BlobPolicy) -> Self {
        Self {
            our,
            prompt: None,
            blob: BlobSlot::new(policy),
            received: Received::default(),
            outstanding: HashMap::new(),
            outstanding_bytes: 0,
            deadlines: Deadlines::default(),
        }
    }

    /// The node of the process.
    #[must_use]
    pub fn our_node(&self) -> &NodeName {
        &self.our.node
    }

    /// The id of the message that a response now would answer.
    #[must_use]
    pub fn prompt(&self) -> Option<MessageId> {
        self.prompt.as_ref().map(|prompt| prompt.id)
    }

    /// Turns a request into a message and, if it expects a response, begins
    /// to wait for that. `fresh_id` yields a random id.
    ///
    /// # Errors
    /// [`PrepareError`] when too much is outstanding; nothing has changed then.
    pub fn prepare_request(
        &mut self,
        outgoing: Outgoing,
        fresh_id: impl FnOnce() -> MessageId,
        now: Moment,
    ) -> Result<Prepared, PrepareError> {
        let Outgoing {
            mut target,
            request,
            context,
            blob,
        } = outgoing;
        let expects = request.expects_response;
        if expects.is_some() {
            self.check_room()?;
        }
        localise_address(&mut target, &self.our.node);
        let inherited = self.prompt.as_ref().filter(|_| request.inherit);
        let id = match inherited {
            Some(prompt) => prompt.id,
            None => self.unused(fresh_id()),
        };
        let rsvp = match (expects, inherited) {
            (Some(_), _) => Some(self.our.clone()),
            // A module names nobody: it is itself who waits.
            (None, Some(prompt)) => Some(prompt.rsvp.as_ref().unwrap_or(&prompt.source).clone()),
            (None, None) => None,
        };
        let blob = blob.or_else(|| self.blob.last().filter(|_| request.inherit));
        let mut message = KernelMessage {
            id,
            source: self.our.clone(),
            target,
            rsvp,
            message: Message::Request(request),
            lazy_load_blob: blob,
        };
        localise_attached(&mut message, &self.our.node);
        let deadline = expects.map(|seconds| now.plus_seconds(seconds));
        if let Some(at) = deadline {
            self.remember(&message, context, now, at);
        }
        Ok(Prepared { message, deadline })
    }

    fn check_room(&self) -> Result<(), PrepareError> {
        if self.outstanding.len() >= MAX_OUTSTANDING {
            return Err(PrepareError::TooMany);
        }
        if self.outstanding_bytes > MAX_OUTSTANDING_BYTES {
            return Err(PrepareError::TooLarge);
        }
        Ok(())
    }

    /// `id`, or the next one that nothing outstanding uses.
    fn unused(&self, mut id: MessageId) -> MessageId {
        while self.outstanding.contains_key(&id) {
            id = MessageId(id.0.wrapping_add(1));
        }
        id
    }

    fn remember(
        &mut self,
        message: &KernelMessage,
        context: Option<Bytes>,
        sent: Moment,
        at: Moment,
    ) {
        let Message::Request(request) = &message.message else {
            return;
        };
        // An inherited id may be in use already. The later request wins, as
        // in every published runtime; the earlier one's answer is dropped.
        self.forget(message.id);
        let bytes = message.cost() + context.as_ref().map_or(0, Bytes::len);
        self.outstanding_bytes += bytes;
        let waiting = Outstanding {
            target: message.target.clone(),
            request: request.clone(),
            blob: message.lazy_load_blob.clone(),
            context,
            prompt: self.prompt.clone(),
            sent,
            deadline: self.deadlines.set(message.id, at),
            kind: SendErrorKind::Timeout,
            bytes,
        };
        self.outstanding.insert(message.id, waiting);
    }

    fn forget(&mut self, id: MessageId) -> Option<Outstanding> {
        let waiting = self.outstanding.remove(&id)?;
        self.outstanding_bytes -= waiting.bytes;
        self.deadlines.cancel(&waiting.deadline);
        Some(waiting)
    }

    /// Turns a response into a message to whoever waits for it; `None` if
    /// there is nothing to answer. Answering does not use up the prompt.
    /// Capabilities are still to be filtered.
    pub fn prepare_response(
        &mut self,
        response: Response,
        blob: Option<Blob>,
    ) -> Option<KernelMessage> {
        let prompt = self.prompt.as_ref()?;
        let blob = if response.inherit {
            self.blob.last()
        } else {
            blob
        };
        let mut message = KernelMessage {
            id: prompt.id,
            source: self.our.clone(),
            target: prompt.rsvp.as_ref().unwrap_or(&prompt.source).clone(),
            rsvp: None,
            message: Message::Response(response, None),
            lazy_load_blob: blob,
        };
        localise_attached(&mut message, &self.our.node);
        Some(message)
    }

    /// Takes a message out of the mailbox: what the process gets to see, with
    /// its source. `None`: a response to nothing, to be dropped.
    pub fn ingest(&mut self, message: KernelMessage) -> Option<(Address, Message)> {
        let KernelMessage {
            id,
            source,
            rsvp,
            message,
            lazy_load_blob,
            ..
        } = message;
        let seen = match message {
            Message::Request(request) => {
                if request.expects_response.is_some() || rsvp.is_some() {
                    self.prompt = Some(Prompt {
                        id,
                        source: source.clone(),
                        rsvp,
                    });
                }
                Message::Request(request)
            }
            // Context on the wire is ignored: only our own is given back.
            Message::Response(response, _) => {
                let waiting = self.forget(id)?;
                self.prompt = waiting.prompt;
                Message::Response(response, waiting.context)
            }
        };
        self.blob.received(lazy_load_blob);
        self.received.remember(seen.capabilities());
        Some((source, seen))
    }

    /// Remembers what the process gives up: it may have it back.
    pub fn gave_up(&mut self, capabilities: &[Capability]) {
        self.received.remember(capabilities);
    }

    /// What the process may keep of `capability`, which it names: what it was
    /// given as it was given, what it issues itself, and what other nodes
    /// issue, for they check it themselves. `None` for a right of this node
    /// that nobody gave it.
    #[must_use]
    pub fn as_received(&self, capability: Capability) -> Option<Capability> {
        if let Some(received) = self.received.find(&capability) {
            return Some(received);
        }
        let own = capability.issuer == self.our;
        let foreign = capability.issuer.node != self.our.node;
        (own || foreign).then_some(capability)
    }

    /// What the process was given, or held and gave up.
    pub fn received(&self) -> impl Iterator<Item = Capability> {
        self.received.all()
    }

    /// What `message` means to the process while it waits for the answer to
    /// `awaited` and for nothing else.
    #[must_use]
    pub fn classify(&self, message: &KernelMessage, awaited: MessageId) -> Awaited {
        match message.message {
            Message::Request(_) => Awaited::Other,
            Message::Response(..) if !self.outstanding.contains_key(&message.id) => Awaited::Stray,
            Message::Response(..) if message.id == awaited => Awaited::Answer,
            Message::Response(..) => Awaited::Other,
        }
    }

    /// Ends an outstanding request without an answer: the error and context
    /// for the process. `None` if the request is not outstanding (any more).
    pub fn fail(
        &mut self,
        id: MessageId,
        kind: SendErrorKind,
    ) -> Option<(SendError, Option<Bytes>)> {
        let waiting = self.forget(id)?;
        self.prompt = waiting.prompt;
        self.blob.failed();
        let error = SendError {
            kind,
            target: waiting.target,
            message: Message::Request(waiting.request),
            lazy_load_blob: waiting.blob,
        };
        Some((error, waiting.context))
    }

    /// Makes an outstanding request fail `now` instead of at its deadline, in
    /// its turn: after what reached the mailbox before. For sends that the
    /// kernel refused or the network could not deliver.
    pub fn bounce(&mut self, id: MessageId, kind: SendErrorKind, now: Moment) {
        let Some(waiting) = self.outstanding.get_mut(&id) else {
            return;
        };
        // What has already timed out stays a timeout.
        if waiting.deadline.0 > now {
            self.deadlines.cancel(&waiting.deadline);
            waiting.deadline = self.deadlines.set(id, now);
            waiting.kind = kind;
        }
    }

    /// When the next outstanding request fails.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Moment> {
        self.deadlines.first().map(|(at, _, _)| at)
    }

    /// When the outstanding request `id` fails.
    #[must_use]
    pub fn deadline_of(&self, id: MessageId) -> Option<Moment> {
        self.outstanding.get(&id).map(|waiting| waiting.deadline.0)
    }

    /// The first request whose deadline has come; it stays outstanding.
    #[must_use]
    pub fn expire(&self, now: Moment) -> Option<MessageId> {
        let (at, _, id) = self.deadlines.first()?;
        (at <= now).then_some(id)
    }

    /// Ends the first request whose deadline has come.
    pub fn fail_due(&mut self, now: Moment) -> Option<(SendError, Option<Bytes>)> {
        let id = self.expire(now)?;
        self.fail_if_due(id, now)
    }

    /// Ends request `id` if its deadline has come; others due stay as they are.
    pub fn fail_if_due(
        &mut self,
        id: MessageId,
        now: Moment,
    ) -> Option<(SendError, Option<Bytes>)> {
        let waiting = self.outstanding.get(&id)?;
        if waiting.deadline.0 > now {
            return None;
        }
        let kind = waiting.kind;
        self.fail(id, kind)
    }

    /// How many requests wait for an answer.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.outstanding.len()
    }

    /// The requests that wait for an answer, in no order.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = (MessageId, &Outstanding)> {
        self.outstanding.iter().map(|(id, waiting)| (*id, waiting))
    }

    /// Bytes of the requests that wait for an answer.
    #[must_use]
    pub fn outstanding_bytes(&self) -> usize {
        self.outstanding_bytes
    }

    /// Whether `get-blob` has something to give.
    #[must_use]
    pub fn has_blob(&self) -> bool {
        self.blob.has_current()
    }

    /// What `get-blob` gives; it can be asked again and again.
    #[must_use]
    pub fn get_blob(&self) -> Option<Blob> {
        self.blob.current()
    }

    /// What `last-blob` gives: the slot, whatever message it came with.
    #[must_use]
    pub fn last_blob(&self) -> Option<Blob> {
        self.blob.last()
    }
}
