//! What differs between the sockets that clients open and those that processes
//! open.
//!
//! Owns nothing: [`super::run`] asks, and the modules that have sockets answer.
//! Invariant: a party only says what is told to whom; none of its calls but
//! those that are `async` waits.

use std::future::pending;
use std::sync::Arc;

use bytes::Bytes;
use lifecycle::{Tasks, queue};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::MessageType;
use super::end::{End, Ending};
use super::pool::{self, Part};
use crate::Sending;

/// Our side of a socket: the process it belongs to, as its module knows it.
/// Dropped after everything else of the socket, so it may hold its place.
pub(crate) trait Party: Send + Sync {
    /// What waits to be sent.
    type Content: Send;

    /// What the node is for the protocol.
    const ROLE: Role;
    /// What logs call the socket.
    const NAME: &'static str;

    /// Those of the module: the socket ends with them.
    fn tasks(&self) -> &Tasks;

    /// What the peer is told when the node stops.
    fn last_word(&self) -> End;

    /// The frame to be sent; `None` if there can be none, and then the
    /// connection is over.
    fn frame(&mut self, content: Self::Content) -> impl Future<Output = Option<Message>> + Send;

    /// Hands what came from the peer to the process, or begins to; never a
    /// [`MessageType::Close`].
    fn deliver(&mut self, kind: MessageType, bytes: Bytes) -> Sending;

    /// Tells the process that the socket is closed, or begins to.
    fn closed(&self) -> Sending;

    /// Waits until the process is gone, if the socket does not hear of that as
    /// of other ends.
    ///
    /// # Cancel-Safety
    /// Safe.
    fn life_ended(&self) -> impl Future<Output = ()> + Send {
        pending()
    }

    /// Whether nobody is there any more for what comes of a socket that ends
    /// like this: what is being delivered is then given up, and the end is not
    /// told.
    fn is_lost(&self, _end: Option<End>) -> bool {
        false
    }

    /// Waits until that is so while the end is being told.
    ///
    /// # Cancel-Safety
    /// Safe.
    fn lost(&self) -> impl Future<Output = ()> + Send {
        pending()
    }

    /// A time to look after whatever the party holds for the socket; it comes
    /// at every tick.
    fn look(&mut self) {}

    /// The socket ends: from here on its process does not have it.
    fn leave(&mut self) {}
}

/// A message on its way out, with what it counts.
#[derive(Debug)]
pub(crate) struct Outgoing<C> {
    pub(crate) content: C,
    pub(crate) waiting: pool::Bytes,
}

/// What ties the task of a socket to whoever pushes to it or ends it.
#[derive(Debug)]
pub(crate) struct Line<C> {
    pub(crate) outgoing: queue::Receiver<Outgoing<C>>,
    pub(crate) end: Ending,
    /// Counts what was read and not delivered.
    pub(crate) undelivered: Arc<Part>,
}
