//! What a process takes out of its mailbox, and in which order.
//!
//! Owns the receiving end and the messages of this node met while waiting for
//! an answer. Invariants: of messages and a deadline, whichever came first is
//! delivered first; messages of other nodes stay in the mailbox until they are
//! received, so that their share of it is all they can fill; an answer is found
//! whatever is in its way. A process that waits for no answer holds no timer.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use lifecycle::queue;
use node_kernel::{Awaited, Conversation, Moment};
use node_types::{KernelMessage, MessageId, SendErrorKind};
use parking_lot::Mutex;
use tokio::time::{Instant, Sleep};

use crate::mailbox::Letter;

/// Messages kept while a process waits for one answer; beyond that they stay
/// in the mailbox, and their senders feel the back-pressure.
const MAX_KEPT: usize = 4096;
/// The same in bytes.
const MAX_KEPT_BYTES: usize = 32 << 20;

/// The receiving end of a mailbox between two lives of its process, so that
/// queued messages survive a restart.
pub(crate) type ReceiverSlot = Arc<Mutex<Option<Waiting>>>;

/// What waits for a process.
pub(crate) struct Waiting {
    receiver: queue::Receiver<Letter>,
    kept: Kept,
}

impl From<queue::Receiver<Letter>> for Waiting {
    fn from(receiver: queue::Receiver<Letter>) -> Self {
        Self {
            receiver,
            kept: Kept::default(),
        }
    }
}

/// Messages met while waiting for something else, with their arrival.
#[derive(Default)]
struct Kept {
    messages: VecDeque<(KernelMessage, Instant)>,
    bytes: usize,
}

impl Kept {
    fn has_room(&self) -> bool {
        self.messages.len() < MAX_KEPT && self.bytes < MAX_KEPT_BYTES
    }

    fn push(&mut self, message: KernelMessage, arrived: Instant) {
        self.bytes += message.cost();
        self.messages.push_back((message, arrived));
    }

    /// When the first arrived.
    fn next_arrival(&self) -> Option<Instant> {
        self.messages.front().map(|(_, arrived)| *arrived)
    }

    fn remove(&mut self, at: usize) -> Option<KernelMessage> {
        let (message, _) = self.messages.remove(at)?;
        self.bytes = self.bytes.saturating_sub(message.cost());
        Some(message)
    }

    fn remove_answer(
        &mut self,
        awaited: MessageId,
        conversation: &Conversation,
    ) -> Option<KernelMessage> {
        let is_answer = |(message, _): &(KernelMessage, Instant)| {
            conversation.classify(message, awaited) == Awaited::Answer
        };
        let at = self.messages.iter().position(is_answer)?;
        self.remove(at)
    }
}

/// What comes next for a process.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly always a message, and gone at once: a box would cost more"
)]
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
    waiting: Option<Waiting>,
    slot: ReceiverSlot,
    /// The zero of all moments of the node.
    epoch: Instant,
    /// Armed for some deadline, not later than the next one to wait for: a
    /// timer that is moved at every message would cost more than the message.
    timer: Option<Pin<Box<Sleep>>>,
}

/// What came out of the mailbox.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly always a message, and gone at once: a box would cost more"
)]
enum Taken {
    Message(KernelMessage, Instant),
    Undelivered(MessageId, SendErrorKind, Instant),
    Due,
    Closed,
}

impl From<(Letter, Instant)> for Taken {
    fn from((letter, arrived): (Letter, Instant)) -> Self {
        match letter {
            Letter::Message(message) => Self::Message(message, arrived),
            Letter::Undelivered { id, kind } => Self::Undelivered(id, kind, arrived),
        }
    }
}

impl Inbox {
    /// Takes what waits out of `slot` until dropped.
    pub(crate) fn new(slot: ReceiverSlot, epoch: Instant) -> Self {
        let waiting = slot.lock().take();
        Self {
            waiting,
            slot,
            epoch,
            timer: None,
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

    fn instant(&self, moment: Moment) -> Instant {
        self.epoch + moment.as_elapsed()
    }

    /// The next message or deadline, whichever came first.
    pub(crate) async fn next(&mut self, conversation: &mut Conversation) -> Next {
        loop {
            let due = conversation.next_deadline().map(|due| self.instant(due));
            match self.take(due).await {
                Taken::Message(message, _) => return Next::Message(message),
                Taken::Undelivered(id, kind, arrived) => {
                    conversation.bounce(id, kind, self.moment(arrived));
                }
                Taken::Due => return Next::Due,
                Taken::Closed => return Next::Closed,
            }
        }
    }

    /// What came first: a kept message, one in the mailbox, or the deadline.
    async fn take(&mut self, due: Option<Instant>) -> Taken {
        let Some(Waiting { receiver, kept }) = &mut self.waiting else {
            return Taken::Closed;
        };
        let passed = |arrived: Instant| due.is_some_and(|due| due < arrived);
        if let Some(first) = kept.next_arrival()
            && receiver.next_arrival().is_none_or(|next| first <= next)
        {
            if passed(first) {
                return Taken::Due;
            }
            if let Some(message) = kept.remove(0) {
                return Taken::Message(message, first);
            }
        }
        let Some(due) = due else {
            self.timer = None;
            return receiver.recv().await.map_or(Taken::Closed, Taken::from);
        };
        // Arrivals are in order: behind one that is too late all are.
        let in_time = receiver.recv_picked(|_, arrived| arrived <= due);
        until(&mut self.timer, due, in_time).await
    }

    /// Waits for the answer to `awaited` and for nothing else: `Message` with
    /// it, or `Due` once its own deadline has come. Everything else is kept in
    /// order.
    pub(crate) async fn next_for(
        &mut self,
        awaited: MessageId,
        conversation: &mut Conversation,
    ) -> Next {
        loop {
            let Some(due) = conversation.deadline_of(awaited) else {
                return Next::Due;
            };
            let due = self.instant(due);
            let Some(Waiting { receiver, kept }) = &mut self.waiting else {
                return Next::Closed;
            };
            if let Some(answer) = kept.remove_answer(awaited, conversation) {
                return Next::Message(answer);
            }
            let room = kept.has_room();
            let asked = &*conversation;
            let picked = receiver.recv_picked(move |letter, arrived| {
                arrived <= due && concerns(letter, awaited, asked, room)
            });
            let (message, arrived) = match until(&mut self.timer, due, picked).await {
                Taken::Message(message, arrived) => (message, arrived),
                Taken::Undelivered(id, kind, arrived) => {
                    conversation.bounce(id, kind, self.moment(arrived));
                    continue;
                }
                Taken::Due => return Next::Due,
                Taken::Closed => return Next::Closed,
            };
            match conversation.classify(&message, awaited) {
                Awaited::Answer => return Next::Message(message),
                Awaited::Other => kept.push(message, arrived),
                Awaited::Stray => {}
            }
        }
    }
}

/// Whether a letter is taken out of the mailbox of a process that waits for the
/// answer to `awaited`: the answer, what needs no place, and, while there is
/// `room` to keep them, messages of its own node.
fn concerns(letter: &Letter, awaited: MessageId, conversation: &Conversation, room: bool) -> bool {
    match letter {
        Letter::Undelivered { .. } => true,
        Letter::Message(message) => match conversation.classify(message, awaited) {
            Awaited::Answer | Awaited::Stray => true,
            Awaited::Other => room && message.source.node == *conversation.our_node(),
        },
    }
}

/// What is received before the deadline, or that it has come.
async fn until(
    timer: &mut Option<Pin<Box<Sleep>>>,
    due: Instant,
    receiving: impl Future<Output = Option<(Letter, Instant)>>,
) -> Taken {
    tokio::pin!(receiving);
    // What is there already needs no timer, and is in time even if the deadline
    // has passed since.
    if let Poll::Ready(received) = futures::poll!(receiving.as_mut()) {
        return received.map_or(Taken::Closed, Taken::from);
    }
    loop {
        if due <= Instant::now() {
            return Taken::Due;
        }
        let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        if timer.is_elapsed() || timer.deadline() > due {
            timer.as_mut().reset(due);
        }
        tokio::select! {
            biased;
            received = receiving.as_mut() => {
                return received.map_or(Taken::Closed, Taken::from);
            }
            () = timer.as_mut() => {}
        }
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        *self.slot.lock() = self.waiting.take();
    }
}

#[cfg(test)]
#[path = "inbox_tests.rs"]
mod tests;
