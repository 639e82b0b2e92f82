//! WebSockets between browsers and processes.
//!
//! Owns the open sockets of a node and the paths bound for them. Invariants: a
//! channel belongs to the process whose path was opened, and only it can push
//! to it or close it; what waits to be sent is bounded per socket and per
//! node, and so is what was read and not delivered yet; a message that arrives
//! is kept until its process has room for it, and nothing more is read
//! meanwhile, so order is kept and a slow app slows its peer down. A socket
//! ends with its connection, its process, the login it was opened with, or the
//! node.
//!
//! A path that needs the owner's cookie opens only for a page of the very
//! origin it is on: WebSockets know no same-origin policy, and a browser sends
//! a node's cookie along for the pages of its siblings (decision 0006).

mod meter;
mod open;
mod run;

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use lifecycle::queue::{self, Bounds};
use node_types::ProcessId;
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::body::Budget;
use super::login::Session;
use super::routes::Routes;
pub(super) use open::is_upgrade;

/// Most open sockets of a node.
pub(super) const MAX_SOCKETS: usize = 128;
/// Most messages that wait to be sent on one socket.
pub(super) const MAX_WAITING: usize = 100;
/// Bytes that wait to be sent on all sockets of a node together, in KiB.
const WAITING_KIB: u32 = 64 << 10;
/// Longest payload of a ping or pong, by the protocol.
pub(super) const MAX_CONTROL: usize = 125;
/// Bytes read and not delivered, as a multiple of the largest message.
const UNDELIVERED: u64 = 8;
/// The same for the tunnel.
const UNDELIVERED_LOCAL: u64 = 2;
/// What all sockets may have read ahead, whatever the limits.
const READ_AHEAD: u64 = (2 * MAX_SOCKETS * run::BUFFER) as u64;

/// What a frame carries, in the words of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum MessageType {
    Text,
    Binary,
    Ping,
    Pong,
    Close,
}

/// Why nothing was pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PushError {
    /// The process has no such channel.
    NoChannel,
    /// The peer reads too slowly; its socket is being closed.
    TooSlow,
}

/// Why the node ends a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Its process asked for it.
    Closed,
    /// Its process is gone.
    ProcessGone,
    /// Whoever opened it is not signed in any more.
    SignedOut,
    /// The peer does not read.
    TooSlow,
    /// The peers of the node send more than it may hold.
    TooMuch,
    /// The peer sent a message beyond the limit.
    TooLong,
    /// The peer does not keep to the protocol.
    Malformed,
    /// The node stops.
    NodeStops,
}

impl End {
    fn frame(self) -> CloseFrame {
        let (code, reason) = match self {
            Self::Closed => (CloseCode::Normal, ""),
            Self::ProcessGone => (CloseCode::Error, "the app is gone"),
            Self::SignedOut => (CloseCode::Policy, "signed out"),
            Self::TooSlow => (CloseCode::Again, "too much is waiting to be read"),
            Self::TooMuch => (CloseCode::Again, "too much is being sent"),
            Self::TooLong => (CloseCode::Size, "the message is too long"),
            Self::Malformed => (CloseCode::Protocol, ""),
            Self::NodeStops => (CloseCode::Away, "the node stops"),
        };
        CloseFrame {
            code,
            reason: Utf8Bytes::from_static(reason),
        }
    }
}

/// A message on its way out, with its share of the node's bound.
#[derive(Debug)]
struct Outgoing {
    message: Message,
    share: OwnedSemaphorePermit,
}

#[derive(Debug)]
struct Socket {
    owner: ProcessId,
    /// The login it was opened with, if it needed one.
    session: Option<Session>,
    outgoing: queue::Sender<Outgoing>,
    /// Taken by the first who ends it; from then on nothing is pushed.
    end: Option<oneshot::Sender<End>>,
}

/// What the task of a socket holds.
#[derive(Debug)]
struct Registered {
    channel: u32,
    outgoing: queue::Receiver<Outgoing>,
    end: oneshot::Receiver<End>,
    sockets: Arc<Sockets>,
    /// Its place among the sockets of the node.
    _place: OwnedSemaphorePermit,
}

impl Registered {
    /// From here on its process has no such channel.
    fn leave(&self) {
        self.sockets.open.lock().remove(&self.channel);
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.leave();
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Sockets {
    /// Paths bound for WebSockets, apart from those for requests.
    pub(super) routes: RwLock<Routes>,
    open: Mutex<HashMap<u32, Socket>>,
    places: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    undelivered: Arc<Budget>,
    undelivered_local: Arc<Budget>,
    /// Bytes that wait to be sent on one socket.
    max_waiting: usize,
}

impl Sockets {
    pub(super) fn new(public_message: u64, local_message: u64) -> Arc<Self> {
        let budget = |message: u64, times| {
            let messages = message.saturating_mul(times);
            Arc::new(Budget::new(messages.saturating_add(READ_AHEAD)))
        };
        Arc::new(Self {
            routes: RwLock::default(),
            open: Mutex::default(),
            places: Arc::new(Semaphore::new(MAX_SOCKETS)),
            waiting: Arc::new(Semaphore::new(WAITING_KIB as usize)),
            undelivered: budget(public_message, UNDELIVERED),
            undelivered_local: budget(local_message, UNDELIVERED_LOCAL),
            max_waiting: usize::try_from(public_message.saturating_mul(2)).unwrap_or(usize::MAX),
        })
    }

    /// How many more sockets there may be.
    #[cfg(test)]
    pub(super) fn free_places(&self) -> usize {
        self.places.available_permits()
    }

    /// Registers a socket of `owner` under a channel made by `random`; `None`
    /// when the node has too many.
    fn register(
        self: &Arc<Self>,
        owner: &ProcessId,
        session: Option<Session>,
        random: impl Fn() -> u64,
    ) -> Option<Registered> {
        let place = self.places.clone().try_acquire_owned().ok()?;
        let (sender, outgoing) = queue::channel(Bounds {
            items: MAX_WAITING,
            cost: self.max_waiting,
        });
        let (end, ended) = oneshot::channel();
        let mut open = self.open.lock();
        let channel = loop {
            // The lower half of a random number is one too.
            let [a, b, c, d, ..] = random().to_le_bytes();
            let channel = u32::from_le_bytes([a, b, c, d]);
            if !open.contains_key(&channel) {
                break channel;
            }
        };
        let socket = Socket {
            owner: owner.clone(),
            session,
            outgoing: sender,
            end: Some(end),
        };
        open.insert(channel, socket);
        Some(Registered {
            channel,
            outgoing,
            end: ended,
            sockets: self.clone(),
            _place: place,
        })
    }

    /// Sends `bytes` on a channel of `owner`, or closes it.
    pub(super) fn push(
        &self,
        owner: &ProcessId,
        channel: u32,
        kind: MessageType,
        bytes: Bytes,
    ) -> Result<(), PushError> {
        let mut open = self.open.lock();
        let socket = open
            .get_mut(&channel)
            .filter(|socket| socket.owner == *owner && socket.end.is_some())
            .ok_or(PushError::NoChannel)?;
        let message = match kind {
            MessageType::Text => Message::text(String::from_utf8_lossy(&bytes).into_owned()),
            MessageType::Binary => Message::Binary(bytes),
            MessageType::Ping => Message::Ping(bytes),
            MessageType::Pong => Message::Pong(bytes),
            MessageType::Close => {
                socket.finish(End::Closed);
                return Ok(());
            }
        };
        let cost = message.len();
        // A message beyond the whole bound goes alone.
        let kib = u32::try_from(cost.div_ceil(1024)).unwrap_or(u32::MAX);
        let kib = kib.clamp(1, WAITING_KIB);
        let share = self.waiting.clone().try_acquire_many_owned(kib);
        let sent = share.is_ok_and(|share| {
            let outgoing = Outgoing { message, share };
            socket.outgoing.try_send(outgoing, cost).is_ok()
        });
        if !sent {
            socket.finish(End::TooSlow);
            return Err(PushError::TooSlow);
        }
        Ok(())
    }

    /// Closes a channel of `owner`, after what was pushed before. An unknown
    /// one is closed already.
    pub(super) fn close(&self, owner: &ProcessId, channel: u32) {
        let mut open = self.open.lock();
        if let Some(socket) = open.get_mut(&channel)
            && socket.owner == *owner
        {
            socket.finish(End::Closed);
        }
    }

    /// Ends every socket of a process that is gone, and forgets its paths.
    pub(super) fn forget(&self, owner: &ProcessId) {
        self.routes.write().forget(owner);
        self.process_ended(owner);
    }

    /// Ends every socket of a process.
    pub(super) fn process_ended(&self, owner: &ProcessId) {
        self.finish_all(End::ProcessGone, |socket| socket.owner == *owner);
    }

    /// Ends every socket that was opened with this login, or with any.
    pub(super) fn sign_out(&self, session: Option<&Session>) {
        self.finish_all(End::SignedOut, |socket| match (&socket.session, session) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(opened_with), Some(session)) => opened_with == session,
        });
    }

    fn finish_all(&self, end: End, which: impl Fn(&Socket) -> bool) {
        for socket in self.open.lock().values_mut() {
            if which(socket) {
                socket.finish(end);
            }
        }
    }
}

impl Socket {
    fn finish(&mut self, end: End) {
        if let Some(sender) = self.end.take() {
            // A socket whose task is gone has ended.
            let _ = sender.send(end);
        }
    }
}
