//! One open socket as the module sees it, which pushes to it.
//!
//! Owns nothing but its end of the socket's queue; its task has the other.
//! Invariant: what is queued counts, from before it is queued to after it is
//! written. It stops being pushed to once it is ended.

use std::sync::Arc;

use lifecycle::queue;
use node_types::ProcessId;
use tokio_tungstenite::tungstenite::Message;

use super::PushError;
use super::asked::Asked;
use super::extension::Push;
use crate::http_server::login::Session;
use crate::websocket::{End, Ender, MIN_WAITING, Outgoing, Part};

/// What is pushed.
#[derive(Debug)]
pub(super) enum Content {
    Frame(Message),
    /// Becomes a frame once it is its turn: that is larger.
    Extension(Push),
}

impl Content {
    fn len(&self) -> usize {
        match self {
            Self::Frame(message) => message.len(),
            Self::Extension(push) => push.blob.len(),
        }
    }
}

#[derive(Debug)]
pub(super) struct Socket {
    pub(super) owner: ProcessId,
    /// The login it was opened with, if it needed one.
    pub(super) session: Option<Session>,
    pub(super) outgoing: queue::Sender<Outgoing<Content>>,
    pub(super) waiting: Arc<Part>,
    /// What an extension may answer; of other sockets nothing.
    pub(super) asked: Option<Asked>,
    /// Once it is ended nothing is pushed.
    pub(super) end: Ender,
}

impl Socket {
    /// Whether `owner` can push to it.
    pub(super) fn is_of(&self, owner: &ProcessId) -> bool {
        self.owner == *owner && self.end.is_open()
    }

    /// Queues `content`, or ends the socket.
    pub(super) fn send(&self, content: Content) -> Result<(), PushError> {
        let cost = content.len();
        let waiting = self.waiting.take_bytes(cost.max(MIN_WAITING) as u64);
        let sent = waiting.is_some_and(|waiting| {
            let outgoing = Outgoing { content, waiting };
            self.outgoing.try_send(outgoing, cost).is_ok()
        });
        if !sent {
            self.end.end(End::TooSlow);
            return Err(PushError::TooSlow);
        }
        Ok(())
    }
}
