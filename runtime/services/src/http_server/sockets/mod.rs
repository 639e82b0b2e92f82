//! WebSockets between browsers and processes.
//!
//! Owns the open sockets of a node and the paths bound for them. Invariants: a
//! channel belongs to the process whose path was opened, and only it can push
//! to it or close it; what waits to be sent is bounded per socket and per
//! node, and so is what was read and not delivered yet; strangers have bounds
//! of their own, so that they never close or shut out a socket of the owner's,
//! and whoever holds most pays first ([`Pool`]); a message that arrives is kept
//! until its process has room for it, and nothing more is read meanwhile, so
//! order is kept and a slow app slows its peer down. A socket ends with its
//! connection, its process, the login it was opened with, or the node.
//!
//! An extension ([`extension`]) answers in its process's name: only the
//! messages that the process has pushed to it and waits for ([`asked`]).
//!
//! A path that needs the owner's cookie opens only for a page of the very
//! origin it is on: WebSockets know no same-origin policy, and a browser sends
//! a node's cookie along for the pages of its siblings (decision 0006).

mod asked;
pub(super) mod extension;
mod open;
mod run;
mod socket;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use lifecycle::queue::{self, Bounds};
use node_api::{Origin, StopReason};
use node_types::ProcessId;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use super::HttpServer;
use super::client::Standing;
use super::login::Session;
use super::routes::Routes;
use crate::websocket::{End, Line, MessageType, Pool, end};
use asked::Asked;
pub(super) use open::is_upgrade;
use socket::{Content, Socket};

/// Most open sockets of a node.
pub(super) const MAX_SOCKETS: usize = 128;
/// Of these, what strangers may have.
pub(super) const STRANGERS_SOCKETS: usize = 96;
/// Most messages that wait to be sent on one socket.
pub(super) const MAX_WAITING: usize = 100;
/// Bytes that wait to be sent on all sockets of strangers together, and on all
/// of the owner's.
const WAITING: u64 = 32 << 20;
/// Bytes read from strangers and not delivered, as a multiple of the largest
/// message, and the same for the owner.
const UNDELIVERED: u64 = 4;
/// The same for the tunnel, in both directions.
const LOCAL: u64 = 2;

/// Why nothing was pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PushError {
    /// The process has no such channel.
    NoChannel,
    /// The peer reads too slowly; its socket is being closed.
    TooSlow,
}

/// Who opens a socket.
#[derive(Debug, Clone, Copy)]
struct Opener {
    origin: Origin,
    standing: Standing,
    /// The login it is opened with, if it needs one.
    session: Option<Session>,
    /// It is an extension.
    extension: bool,
}

/// What the task of a socket holds.
#[derive(Debug)]
struct Registered {
    line: Line<Content>,
    entry: Entry,
}

/// A socket's entry in the table, and its place, until it is dropped.
#[derive(Debug)]
struct Entry {
    channel: u32,
    sockets: Arc<Sockets>,
    _place: Place,
}

/// A place among the sockets of the node, and among those of strangers.
#[derive(Debug)]
struct Place {
    _among_all: OwnedSemaphorePermit,
    _among_strangers: Option<OwnedSemaphorePermit>,
}

impl Entry {
    /// From here on its process has no such channel.
    fn leave(&self) {
        self.sockets.open.lock().remove(&self.channel);
    }
}

impl Drop for Entry {
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
    strangers_places: Arc<Semaphore>,
    waiting: Pools,
    waiting_local: Arc<Pool>,
    undelivered: Pools,
    undelivered_local: Arc<Pool>,
    /// Bytes that wait to be sent on one socket, and on one of the tunnel.
    max_waiting: usize,
    max_waiting_local: usize,
    /// The host starts anew when the node stops.
    host_restarts: AtomicBool,
}

/// A pool for strangers and one for the owner.
#[derive(Debug)]
struct Pools {
    strangers: Arc<Pool>,
    owners: Arc<Pool>,
}

impl Pools {
    fn new(limit: u64, end: End) -> Self {
        Self {
            strangers: Pool::new(limit, end),
            owners: Pool::new(limit, end),
        }
    }

    fn of(&self, standing: Standing) -> &Arc<Pool> {
        match standing {
            Standing::Stranger => &self.strangers,
            Standing::Owner => &self.owners,
        }
    }
}

impl Sockets {
    pub(super) fn new(public_message: u64, local_message: u64) -> Arc<Self> {
        let (public, local) = (
            public_message.saturating_mul(UNDELIVERED),
            local_message.saturating_mul(LOCAL),
        );
        let bound = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        Arc::new(Self {
            routes: RwLock::default(),
            open: Mutex::default(),
            places: Arc::new(Semaphore::new(MAX_SOCKETS)),
            strangers_places: Arc::new(Semaphore::new(STRANGERS_SOCKETS)),
            waiting: Pools::new(WAITING, End::TooSlow),
            waiting_local: Pool::new(local.max(WAITING), End::TooSlow),
            undelivered: Pools::new(public, End::TooMuch),
            undelivered_local: Pool::new(local, End::TooMuch),
            max_waiting: bound(public_message.saturating_mul(2)),
            max_waiting_local: bound(local),
            host_restarts: AtomicBool::new(false),
        })
    }

    /// How many more sockets there may be.
    #[cfg(test)]
    pub(super) fn free_places(&self) -> usize {
        self.places.available_permits()
    }

    fn place(&self, standing: Standing) -> Option<Place> {
        let among_strangers = match standing {
            Standing::Stranger => Some(self.strangers_places.clone().try_acquire_owned().ok()?),
            Standing::Owner => None,
        };
        Some(Place {
            _among_all: self.places.clone().try_acquire_owned().ok()?,
            _among_strangers: among_strangers,
        })
    }

    /// Registers a socket of `owner` under a channel made by `random`; `None`
    /// when the node has too many.
    fn register(
        self: &Arc<Self>,
        owner: &ProcessId,
        opener: Opener,
        random: impl Fn() -> u64,
    ) -> Option<Registered> {
        let place = self.place(opener.standing)?;
        let (undelivered, waiting, cost) = match opener.origin {
            Origin::Public => (
                self.undelivered.of(opener.standing),
                self.waiting.of(opener.standing),
                self.max_waiting,
            ),
            Origin::Tunnel => (
                &self.undelivered_local,
                &self.waiting_local,
                self.max_waiting_local,
            ),
        };
        let (sender, outgoing) = queue::channel(Bounds {
            items: MAX_WAITING,
            cost,
        });
        let (end, ending) = end::channel();
        let undelivered = undelivered.part(end.clone());
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
            session: opener.session,
            outgoing: sender,
            waiting: waiting.part(end.clone()),
            asked: opener.extension.then(Asked::default),
            end,
        };
        open.insert(channel, socket);
        let line = Line {
            outgoing,
            end: ending,
            undelivered,
        };
        let entry = Entry {
            channel,
            sockets: self.clone(),
            _place: place,
        };
        Some(Registered { line, entry })
    }

    /// Sends `bytes` on a channel of `owner`, or closes it.
    pub(super) fn push(
        &self,
        owner: &ProcessId,
        channel: u32,
        kind: MessageType,
        bytes: Bytes,
    ) -> Result<(), PushError> {
        let open = self.open.lock();
        let socket = open
            .get(&channel)
            .filter(|socket| socket.is_of(owner))
            .ok_or(PushError::NoChannel)?;
        let message = match kind {
            MessageType::Text => Message::text(String::from_utf8_lossy(&bytes).into_owned()),
            MessageType::Binary => Message::Binary(bytes),
            MessageType::Ping => Message::Ping(bytes),
            MessageType::Pong => Message::Pong(bytes),
            MessageType::Close => {
                socket.end.end(End::Closed);
                return Ok(());
            }
        };
        socket.send(Content::Frame(message))
    }

    /// Sends a message of `owner` to what is at the other end of its channel.
    /// An extension may answer it for as long as `owner` waits.
    pub(super) fn push_to_extension(
        &self,
        owner: &ProcessId,
        channel: u32,
        push: extension::Push,
        waits: Option<u64>,
    ) -> Result<(), PushError> {
        let mut open = self.open.lock();
        let socket = open
            .get_mut(&channel)
            .filter(|socket| socket.is_of(owner))
            .ok_or(PushError::NoChannel)?;
        let id = push.id;
        socket.send(Content::Extension(push))?;
        // Entered in time: who answers needs the table, which is locked.
        if let (Some(asked), Some(seconds)) = (&mut socket.asked, waits) {
            asked.enter(id, seconds, Instant::now());
        }
        Ok(())
    }

    /// Whether the process of a channel waits for an answer of its extension
    /// under this id; from here on it does not.
    fn answers(&self, channel: u32, id: u64) -> bool {
        let mut open = self.open.lock();
        let asked = open
            .get_mut(&channel)
            .and_then(|socket| socket.asked.as_mut());
        asked.is_some_and(|asked| asked.take(id, Instant::now()))
    }

    /// Closes a channel of `owner`, after what was pushed before. An unknown
    /// one is closed already.
    pub(super) fn close(&self, owner: &ProcessId, channel: u32) {
        if let Some(socket) = self.open.lock().get(&channel)
            && socket.owner == *owner
        {
            socket.end.end(End::Closed);
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

    /// Why sockets end with the node.
    fn last_word(&self) -> End {
        if self.host_restarts.load(Ordering::Relaxed) {
            End::HostRestarts
        } else {
            End::NodeStops
        }
    }

    fn finish_all(&self, end: End, which: impl Fn(&Socket) -> bool) {
        for socket in self.open.lock().values().filter(|socket| which(socket)) {
            socket.end.end(end);
        }
    }
}

impl HttpServer {
    /// Says why the node is about to stop, so that its sockets can tell.
    pub fn stops_for(&self, reason: StopReason) {
        let restarts = reason == StopReason::HostRestart;
        self.sockets
            .host_restarts
            .store(restarts, Ordering::Relaxed);
    }
}
