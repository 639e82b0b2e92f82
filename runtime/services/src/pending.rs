//! Requests of a module that wait for their answer.
//!
//! Owns the map from message id to waiter, bounded: when it is full the caller
//! is told so at once. A ticket that is dropped leaves the map, so an answer
//! that comes too late finds nobody and is forgotten.

use std::collections::HashMap;
use std::sync::Arc;

use node_types::{KernelMessage, MessageId};
use parking_lot::Mutex;
use tokio::sync::oneshot;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Pending {
    capacity: usize,
    waiting: Mutex<HashMap<MessageId, oneshot::Sender<KernelMessage>>>,
}

/// The right to one answer.
#[derive(Debug)]
pub(crate) struct Ticket {
    pending: Arc<Pending>,
    id: MessageId,
    answer: oneshot::Receiver<KernelMessage>,
}

impl Pending {
    /// A map for at most `capacity` waiters.
    pub(crate) fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self {
            capacity,
            waiting: Mutex::default(),
        })
    }

    /// A ticket for the answer to `id`; `None` when too many wait already.
    pub(crate) fn ticket(self: &Arc<Self>, id: MessageId) -> Option<Ticket> {
        self.ticket_within(id, self.capacity)
    }

    /// The same for a caller that leaves the places beyond `most` to others.
    pub(crate) fn ticket_within(self: &Arc<Self>, id: MessageId, most: usize) -> Option<Ticket> {
        let mut waiting = self.waiting.lock();
        if waiting.len() >= most.min(self.capacity) || waiting.contains_key(&id) {
            return None;
        }
        let (sender, answer) = oneshot::channel();
        waiting.insert(id, sender);
        drop(waiting);
        Some(Ticket {
            pending: Arc::clone(self),
            id,
            answer,
        })
    }

    /// Hands `answer` to whoever waits for its id. The first answer wins.
    pub(crate) fn resolve(&self, answer: KernelMessage) {
        let waiter = self.waiting.lock().remove(&answer.id);
        if let Some(waiter) = waiter {
            // The waiter may have given up in this very moment.
            let _ = waiter.send(answer);
        }
    }

    /// How many wait now.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.waiting.lock().len()
    }
}

impl Ticket {
    /// Waits for the answer.
    ///
    /// # Cancel-Safety
    /// Safe: the answer stays in the ticket.
    pub(crate) async fn answer(&mut self) -> Option<KernelMessage> {
        (&mut self.answer).await.ok()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.pending.waiting.lock().remove(&self.id);
    }
}
