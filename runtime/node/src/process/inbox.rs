//! What a process takes out of its mailbox, and in which order.
//!
//! Owns the receiving end, the messages met while waiting for an answer, and
//! the conversation whose deadlines compete with them. Invariant: of a message
//! and a deadline, whichever came first is delivered first; only a parked wait
//! holds a timer.

use std::collections::VecDeque;
use std::sync::Arc;

use lifecycle::queue;
use node_kernel::{Awaited, Conversation, Moment};
use node_types::{KernelMessage, MessageId};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::mailbox::Incoming;

/// Messages kept while a process waits for one answer; beyond that the
/// mailbox is left alone, and its senders feel the back-pressure.
const MAX_KEPT: usize = 4096;

/// The receiving end of a mailbox between two lives of its process, so that
/// queued messages survive a restart.
pub(crate) type ReceiverSlot = Arc<Mutex<Option<queue::Receiver<Incoming>>>>;

/// What comes next for a process.
pub(crate) enum Next {
    /// A message.
    Message(KernelMessage),
    /// A deadline of the conversation has come.
    Due,
    /// The mailbox is closed: the process is being removed.
    Closed,
}

/// See the module's documentation.
pub(crate) struct Inbox {
    receiver: Option<queue::Receiver<Incoming>>,
    slot: ReceiverSlot,
    /// Met while waiting for something else, with their arrival.
    kept: VecDeque<(KernelMessage, Moment)>,
    /// The zero of all moments of the node.
    epoch: Instant,
}

impl Inbox {
    /// Takes the receiver out of `slot` until dropped.
    pub(crate) fn new(slot: ReceiverSlot, epoch: Instant) -> Self {
        let receiver = slot.lock().take();
        Self {
            receiver,
            slot,
            kept: VecDeque::new(),
            epoch,
        }
    }

    /// The moment of `instant`.
    pub(crate) fn moment(&self, instant: Instant) -> Moment {
        Moment::since_start(instant.saturating_duration_since(self.epoch))
    }

    /// The moment now.
    pub(crate) fn now(&self) -> Moment {
        self.moment(Instant::now())
    }

    /// The next message or deadline, whichever came first.
    pub(crate) async fn next(&mut self, conversation: &mut Conversation) -> Next {
        if let Some((_, arrived)) = self.kept.front() {
            if conversation
                .next_deadline()
                .is_some_and(|due| due < *arrived)
            {
                return Next::Due;
            }
            if let Some((message, _)) = self.kept.pop_front() {
                return Next::Message(message);
            }
        }
        loop {
            let due = conversation.next_deadline();
            let Some(receiver) = &mut self.receiver else {
                return Next::Closed;
            };
            if let Some(arrival) = receiver.next_arrival() {
                let arrived = Moment::since_start(arrival.saturating_duration_since(self.epoch));
                if due.is_some_and(|due| due < arrived) {
                    return Next::Due;
                }
            } else if let Some(due) = due {
                let at = self.epoch + due.as_elapsed();
                if at <= Instant::now() {
                    return Next::Due;
                }
                tokio::select! {
                    biased;
                    received = receiver.recv() => match received {
                        Some((item, _)) => match absorb(item, conversation, self.epoch) {
                            Some(message) => return Next::Message(message),
                            None => continue,
                        },
                        None => return Next::Closed,
                    },
                    () = tokio::time::sleep_until(at) => return Next::Due,
                }
            }
            match receiver.recv().await {
                Some((item, _)) => {
                    if let Some(message) = absorb(item, conversation, self.epoch) {
                        return Next::Message(message);
                    }
                }
                None => return Next::Closed,
            }
        }
    }

    /// Waits for the answer to `awaited` and for nothing else: `Message` with
    /// it, or `Due` once its own deadline has come. Everything else met is kept
    /// in order.
    pub(crate) async fn next_for(
        &mut self,
        awaited: MessageId,
        conversation: &mut Conversation,
    ) -> Next {
        if let Some(at) = self
            .kept
            .iter()
            .position(|(message, _)| conversation.classify(message, awaited) == Awaited::Answer)
            && let Some((message, _)) = self.kept.remove(at)
        {
            return Next::Message(message);
        }
        loop {
            let Some(due) = conversation.deadline_of(awaited) else {
                return Next::Due;
            };
            let at = self.epoch + due.as_elapsed();
            if self.kept.len() >= MAX_KEPT {
                // Nothing more is taken, so the answer cannot be seen either.
                tokio::time::sleep_until(at).await;
                return Next::Due;
            }
            let Some(receiver) = &mut self.receiver else {
                return Next::Closed;
            };
            let (item, arrived) = if let Some(taken) = receiver.try_recv() {
                taken
            } else {
                if at <= Instant::now() {
                    return Next::Due;
                }
                tokio::select! {
                    biased;
                    received = receiver.recv() => match received {
                        Some(taken) => taken,
                        None => return Next::Closed,
                    },
                    () = tokio::time::sleep_until(at) => return Next::Due,
                }
            };
            if arrived > at {
                // The deadline was first; what came after it waits its turn.
                if let Some(message) = absorb(item, conversation, self.epoch) {
                    self.keep(message, arrived);
                }
                return Next::Due;
            }
            let Some(message) = absorb(item, conversation, self.epoch) else {
                continue;
            };
            match conversation.classify(&message, awaited) {
                Awaited::Answer => return Next::Message(message),
                Awaited::Other => self.keep(message, arrived),
                Awaited::Stray => {}
            }
        }
    }

    fn keep(&mut self, message: KernelMessage, arrived: Instant) {
        let arrived = self.moment(arrived);
        self.kept.push_back((message, arrived));
    }
}

/// A failure reported from elsewhere becomes a deadline that has come.
fn absorb(
    item: Incoming,
    conversation: &mut Conversation,
    epoch: Instant,
) -> Option<KernelMessage> {
    match item {
        Incoming::Message(message) => Some(message),
        Incoming::Failed { id, kind } => {
            let now = Moment::since_start(Instant::now().saturating_duration_since(epoch));
            conversation.bounce(id, kind, now);
            None
        }
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        *self.slot.lock() = self.receiver.take();
    }
}
