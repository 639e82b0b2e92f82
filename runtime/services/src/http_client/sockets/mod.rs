//! WebSockets that processes open to servers.
//!
//! Owns the channels of a node. Invariants: a channel belongs to the process
//! that opened it and is known by the number it chose; what waits to be sent,
//! and what was read and not delivered, is bounded per socket and per node,
//! and whoever holds most pays first; a message that arrives is kept until its
//! process has room for it, and nothing more is read meanwhile. Messages carry
//! the id of the request that opened the channel.
//!
//! A channel is there from the request that opens it: what is pushed before
//! the server has agreed is sent after it has. Opening a number again closes
//! what had it before, of which no end is told, since by then the number means
//! another. The end of every other channel that was opened is told once,
//! whoever ended it, unless its process or the node is what ended: a node that
//! was asleep has no channels, and its processes open them again.
//!
//! Where there is no place for one more, what has a number again shares the
//! place of what had it, once: a third waits until the first is gone.

mod open;
mod run;
mod used;

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use lifecycle::queue::{self, Bounds, NotSent};
use node_types::ProcessId;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_util::sync::CancellationToken;

use super::action::{Failure, PushError};
use crate::websocket::{
    End, Ender, Line, MAX_CONTROL, MIN_WAITING, MessageType, Outgoing, Part, Pool, end,
};
pub(super) use open::Wanted;

/// Most sockets of a node.
pub(super) const MAX_CHANNELS: usize = 64;
/// Of these, what one process may have.
pub(super) const CHANNELS_OF_ONE: usize = 32;
/// Longest message that is read, or sent.
const MAX_MESSAGE: u64 = 10 << 20;
/// Bytes that wait to be sent on all sockets together.
const WAITING: u64 = 32 << 20;
/// Most messages that wait to be sent on one socket.
const MAX_WAITING: usize = 100;
/// Bytes read and not delivered, as a multiple of the longest message.
const UNDELIVERED: u64 = 4;

/// A process and the number it chose.
type Key = (ProcessId, u32);

#[derive(Debug)]
struct Channel {
    /// Tells it from others that have its key later.
    serial: u64,
    outgoing: queue::Sender<Outgoing<Message>>,
    waiting: Arc<Part>,
    /// Once it is ended nothing is pushed.
    end: Ender,
    replaced: CancellationToken,
    place: Weak<Place>,
}

/// A socket's place among those of its process and of the node, until the last
/// that has it is gone.
#[derive(Debug)]
struct Place {
    owner: ProcessId,
    sockets: Arc<Sockets>,
    _of_node: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.sockets.state.lock();
        if let Some(owned) = state.owners.get_mut(&self.owner) {
            owned.places -= 1;
            if owned.places == 0 {
                state.owners.remove(&self.owner);
            }
        }
    }
}

/// What the task of a socket holds.
#[derive(Debug)]
struct Registered {
    line: Line<Message>,
    entry: Entry,
}

/// A socket's entry among the channels, and its place, until it is dropped.
#[derive(Debug)]
struct Entry {
    key: Key,
    serial: u64,
    /// Its number means another channel now.
    replaced: CancellationToken,
    /// Cancelled with the life of its process, also once it has lost its number.
    life: CancellationToken,
    sockets: Arc<Sockets>,
    _place: Arc<Place>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        // The place is given back after this, so it is there for whoever finds
        // the channel.
        let mut state = self.sockets.state.lock();
        let own = state.channels.get(&self.key);
        if own.is_some_and(|channel| channel.serial == self.serial) {
            state.channels.remove(&self.key);
        }
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Sockets {
    state: Mutex<State>,
    places: Arc<Semaphore>,
    waiting: Arc<Pool>,
    undelivered: Arc<Pool>,
    max_message: usize,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    channels: HashMap<Key, Channel>,
    /// Processes that have sockets, also such as have lost their number and are
    /// not gone yet.
    owners: HashMap<ProcessId, Owned>,
}

/// What a process has.
#[derive(Debug, Default)]
struct Owned {
    places: usize,
    /// Of sockets that are opened from now on.
    life: CancellationToken,
}

impl Sockets {
    /// No channels yet; no message is longer than `largest` bytes.
    pub(super) fn new(largest: u64) -> Arc<Self> {
        let max_message = largest.min(MAX_MESSAGE);
        let undelivered = max_message.saturating_mul(UNDELIVERED);
        Arc::new(Self {
            state: Mutex::default(),
            places: Arc::new(Semaphore::new(MAX_CHANNELS)),
            waiting: Pool::new(WAITING, End::TooSlow),
            undelivered: Pool::new(undelivered, End::TooMuch),
            max_message: usize::try_from(max_message).unwrap_or(usize::MAX),
        })
    }

    /// How many channels there are, and how many more sockets there may be.
    #[cfg(test)]
    pub(super) fn count(&self) -> (usize, usize) {
        let channels = self.state.lock().channels.len();
        (channels, self.places.available_permits())
    }

    /// Registers a channel, and closes the one that had its number; `None`
    /// when there are too many, and then that one stays.
    fn register(self: &Arc<Self>, owner: &ProcessId, channel: u32) -> Option<Registered> {
        let key = (owner.clone(), channel);
        let mut state = self.state.lock();
        let place = self.place(&mut state, &key)?;
        if let Some(before) = state.channels.remove(&key) {
            before.replaced.cancel();
            before.end.end(End::Closed);
        }
        let life = state.owners.entry(owner.clone()).or_default().life.clone();
        let (sender, outgoing) = queue::channel(Bounds {
            items: MAX_WAITING,
            cost: self.max_message.saturating_mul(2),
        });
        let (end, ending) = end::channel();
        let undelivered = self.undelivered.part(end.clone());
        let serial = state.next;
        state.next += 1;
        let channel = Channel {
            serial,
            outgoing: sender,
            waiting: self.waiting.part(end.clone()),
            end,
            replaced: CancellationToken::new(),
            place: Arc::downgrade(&place),
        };
        let replaced = channel.replaced.clone();
        state.channels.insert(key.clone(), channel);
        drop(state);
        let line = Line {
            outgoing,
            end: ending,
            undelivered,
        };
        let entry = Entry {
            key,
            serial,
            replaced,
            life,
            sockets: self.clone(),
            _place: place,
        };
        Some(Registered { line, entry })
    }

    /// A place for a socket, or a share of that which its number has.
    fn place(self: &Arc<Self>, state: &mut State, key: &Key) -> Option<Arc<Place>> {
        let owner = &key.0;
        let taken = state.owners.get(owner).map_or(0, |owned| owned.places);
        if taken < CHANNELS_OF_ONE
            && let Ok(of_node) = self.places.clone().try_acquire_owned()
        {
            state.owners.entry(owner.clone()).or_default().places += 1;
            return Some(Arc::new(Place {
                owner: owner.clone(),
                sockets: self.clone(),
                _of_node: of_node,
            }));
        }
        // Never the last: while the channel is there, so is its socket.
        let place = state.channels.get(key)?.place.upgrade()?;
        (Arc::strong_count(&place) == 2).then_some(place)
    }

    /// Sends the blob of a request on a channel of `owner`, or closes it.
    pub(super) fn push(
        &self,
        owner: &ProcessId,
        number: u32,
        kind: MessageType,
        bytes: Option<Bytes>,
    ) -> Result<(), PushError> {
        let state = self.state.lock();
        let channel = state
            .channels
            .get(&(owner.clone(), number))
            .filter(|channel| channel.end.is_open())
            .ok_or(PushError::NoChannel(number))?;
        let message = match kind {
            MessageType::Text => {
                let bytes = whole(bytes, self.max_message)?;
                Message::Text(Utf8Bytes::try_from(bytes).map_err(|_| PushError::BadText)?)
            }
            MessageType::Binary => Message::Binary(whole(bytes, self.max_message)?),
            MessageType::Ping => Message::Ping(control(bytes)?),
            MessageType::Pong => Message::Pong(control(bytes)?),
            MessageType::Close => {
                channel.end.end(End::Closed);
                return Ok(());
            }
        };
        let cost = message.len();
        let waiting = channel.waiting.take_bytes(cost.max(MIN_WAITING) as u64);
        let sent = waiting.map(|waiting| {
            let outgoing = Outgoing {
                content: message,
                waiting,
            };
            channel.outgoing.try_send(outgoing, cost)
        });
        match sent {
            Some(Ok(())) => Ok(()),
            // Its end is being told.
            Some(Err(NotSent::Closed(_))) => Err(PushError::NoChannel(number)),
            Some(Err(NotSent::Full(_))) | None => {
                channel.end.end(End::TooSlow);
                Err(PushError::TooSlow(number))
            }
        }
    }

    /// Closes a channel of `owner`, after what was pushed before.
    pub(super) fn close(&self, owner: &ProcessId, number: u32) -> Result<(), Failure> {
        let state = self.state.lock();
        let channel = state.channels.get(&(owner.clone(), number));
        let open = channel.filter(|channel| channel.end.is_open());
        let channel = open.ok_or(Failure::Close(number))?;
        channel.end.end(End::Closed);
        Ok(())
    }

    /// Ends every socket of a process.
    pub(super) fn process_ended(&self, owner: &ProcessId) {
        let mut state = self.state.lock();
        if let Some(owned) = state.owners.get_mut(owner) {
            std::mem::take(&mut owned.life).cancel();
        }
        for ((of, _), channel) in &state.channels {
            if of == owner {
                channel.end.end(End::ProcessGone);
            }
        }
    }
}

/// What a message carries.
fn whole(bytes: Option<Bytes>, longest: usize) -> Result<Bytes, PushError> {
    let bytes = bytes.ok_or(PushError::NoBlob)?;
    if bytes.len() > longest {
        return Err(PushError::TooLong(longest));
    }
    Ok(bytes)
}

/// What a ping or pong carries.
fn control(bytes: Option<Bytes>) -> Result<Bytes, PushError> {
    let bytes = bytes.unwrap_or_default();
    if bytes.len() > MAX_CONTROL {
        return Err(PushError::LongControl);
    }
    Ok(bytes)
}
