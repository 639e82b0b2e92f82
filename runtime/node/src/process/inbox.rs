//! What a process takes out of its mailbox, and in which order.
//!
//! Owns the receiving end, the messages met while waiting for an answer, and
//! the conversation whose deadlines compete with them. Invariant: of a message
//! and a deadline, whichever came first is delivered first; a process that
//! waits for no answer holds no timer.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;

use lifecycle::queue;
use node_kernel::{Awaited, Conversation, Moment};
use node_types::{KernelMessage, MessageId, SendErrorKind};
use parking_lot::Mutex;
use tokio::time::{Instant, Sleep};

use crate::mailbox::Letter;

/// Messages kept while a process waits for one answer; beyond that the
/// mailbox is left alone, and its senders feel the back-pressure.
const MAX_KEPT: usize = 4096;
/// The same in bytes.
const MAX_KEPT_BYTES: usize = 32 << 20;

/// The receiving end of a mailbox between two lives of its process, so that
/// queued messages survive a restart.
pub(crate) type ReceiverSlot = Arc<Mutex<Option<queue::Receiver<Letter>>>>;

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
    receiver: Option<queue::Receiver<Letter>>,
    slot: ReceiverSlot,
    /// Met while waiting for something else, with their arrival.
    kept: VecDeque<(KernelMessage, Moment)>,
    kept_bytes: usize,
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
    /// Takes the receiver out of `slot` until dropped.
    pub(crate) fn new(slot: ReceiverSlot, epoch: Instant) -> Self {
        let receiver = slot.lock().take();
        Self {
            receiver,
            slot,
            kept: VecDeque::new(),
            kept_bytes: 0,
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

    /// The next message or deadline, whichever came first.
    pub(crate) async fn next(&mut self, conversation: &mut Conversation) -> Next {
        loop {
            let due = conversation.next_deadline();
            if let Some((_, arrived)) = self.kept.front() {
                if due.is_some_and(|due| due < *arrived) {
                    return Next::Due;
                }
                if let Some((message, _)) = self.kept.pop_front() {
                    self.kept_bytes = self.kept_bytes.saturating_sub(message.cost());
                    return Next::Message(message);
                }
            }
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

    /// What the mailbox yields before the deadline: an item that arrived in
    /// time, if there is one or one comes.
    async fn take(&mut self, due: Option<Moment>) -> Taken {
        let Some(receiver) = &mut self.receiver else {
            return Taken::Closed;
        };
        let due = due.map(|due| self.epoch + due.as_elapsed());
        if let (Some(due), Some(arrived)) = (due, receiver.next_arrival())
            && due < arrived
        {
            return Taken::Due;
        }
        if let Some(received) = receiver.try_recv() {
            return received.into();
        }
        let Some(due) = due else {
            self.timer = None;
            return receiver.recv().await.map_or(Taken::Closed, Taken::from);
        };
        loop {
            if due <= Instant::now() {
                return Taken::Due;
            }
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
            if timer.is_elapsed() || timer.deadline() > due {
                timer.as_mut().reset(due);
            }
            tokio::select! {
                biased;
                received = receiver.recv() => {
                    return received.map_or(Taken::Closed, Taken::from);
                }
                () = timer.as_mut() => {}
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
            self.kept_bytes = self.kept_bytes.saturating_sub(message.cost());
            return Next::Message(message);
        }
        loop {
            let Some(due) = conversation.deadline_of(awaited) else {
                return Next::Due;
            };
            if self.kept.len() >= MAX_KEPT || self.kept_bytes >= MAX_KEPT_BYTES {
                // Nothing more is taken, so the answer cannot be seen either.
                tokio::time::sleep_until(self.epoch + due.as_elapsed()).await;
                return Next::Due;
            }
            let (message, arrived) = match self.take(Some(due)).await {
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
                Awaited::Other => self.keep(message, arrived),
                Awaited::Stray => {}
            }
        }
    }

    fn keep(&mut self, message: KernelMessage, arrived: Instant) {
        let arrived = self.moment(arrived);
        self.kept_bytes += message.cost();
        self.kept.push_back((message, arrived));
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        *self.slot.lock() = self.receiver.take();
    }
}

#[cfg(test)]
mod tests {
    use node_kernel::{BlobPolicy, Outgoing};
    use node_types::{Message, Request};

    use super::*;
    use crate::mailbox::{Mailbox, PROCESS_BOUNDS};

    const REQUEST: MessageId = MessageId(7);

    struct Process {
        inbox: Inbox,
        conversation: Conversation,
        mailbox: Mailbox,
    }

    /// A process that waits ten seconds for an answer to [`REQUEST`].
    fn waiting() -> (Process, KernelMessage) {
        let (sender, receiver) = queue::channel(PROCESS_BOUNDS);
        let inbox = Inbox::new(Arc::new(Mutex::new(Some(receiver))), Instant::now());
        let our = "me.dev@a:b:c".parse().unwrap();
        let mut conversation = Conversation::new(our, BlobPolicy::CurrentMessage);
        let request = Outgoing {
            target: "bob.dev@a:b:c".parse().unwrap(),
            request: Request {
                expects_response: Some(10),
                ..Request::default()
            },
            context: None,
            blob: None,
        };
        let sent = conversation
            .prepare_request(request, || REQUEST, inbox.now())
            .unwrap();
        let process = Process {
            inbox,
            conversation,
            mailbox: Mailbox::Process(sender),
        };
        (process, sent.message)
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_request_fails_in_its_turn_and_long_before_its_time() {
        let (mut process, sent) = waiting();
        let before = KernelMessage {
            id: MessageId(1),
            message: Message::Request(Request::default()),
            ..sent
        };
        process.mailbox.try_send(before).unwrap();
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        process.mailbox.undelivered(REQUEST, SendErrorKind::Offline);
        let next = process.inbox.next(&mut process.conversation).await;
        assert!(matches!(next, Next::Message(message) if message.id == MessageId(1)));
        let next = process.inbox.next(&mut process.conversation).await;
        assert!(matches!(next, Next::Due));
        let now = process.inbox.now();
        let (error, _) = process.conversation.fail_due(now).unwrap();
        assert_eq!(error.kind, SendErrorKind::Offline);
        assert!(now < Moment::default().plus_seconds(2));
    }

    #[tokio::test(start_paused = true)]
    async fn who_awaits_the_answer_hears_of_the_loss_at_once() {
        let (mut process, _) = waiting();
        let mailbox = process.mailbox.clone();
        {
            let next = process.inbox.next_for(REQUEST, &mut process.conversation);
            tokio::pin!(next);
            assert!(futures::poll!(next.as_mut()).is_pending());
            // Of a request that is over nothing is told.
            mailbox.undelivered(MessageId(1), SendErrorKind::Timeout);
            assert!(futures::poll!(next.as_mut()).is_pending());
            mailbox.undelivered(REQUEST, SendErrorKind::Offline);
            assert!(matches!(next.await, Next::Due));
        }
        let now = process.inbox.now();
        let (error, _) = process.conversation.fail_if_due(REQUEST, now).unwrap();
        assert_eq!(error.kind, SendErrorKind::Offline);
        assert!(now < Moment::default().plus_seconds(1));
    }
}
