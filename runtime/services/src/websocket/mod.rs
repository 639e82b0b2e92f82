//! Open WebSockets, whichever side opened them.
//!
//! Owns the loop of an open socket ([`run`]) and what it needs: the memory that
//! sockets share ([`pool`], [`meter`]) and their ends ([`end`], [`hang_up`]).
//! Whom a socket belongs to, and what that is told of it, is up to its
//! [`Party`]: [`crate::http_server`] has those that clients open, and
//! [`crate::http_client`] those that processes open to servers. Invariant: what
//! keeps a socket within its bounds stands here, once, and no party can leave
//! it out. A socket stops when its peer, its process, its memory or the node
//! ends it.

pub(crate) mod end;
mod hang_up;
mod meter;
mod party;
mod pool;
mod run;

use serde::{Deserialize, Serialize};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

pub(crate) use end::{End, Ender};
pub(crate) use meter::Metered;
pub(crate) use party::{Line, Outgoing, Party};
pub(crate) use pool::{Part, Pool};
pub(crate) use run::Open;

/// Longest payload of a ping or pong, by the protocol.
pub(crate) const MAX_CONTROL: usize = 125;
/// What a message that waits to be sent counts at least.
pub(crate) const MIN_WAITING: usize = 1 << 10;
/// Read and write buffer of a socket: longer messages pass through them.
const BUFFER: usize = 16 << 10;

/// A socket whose two sides have agreed to it.
pub(crate) type Io = WebSocketStream<Metered>;

/// What a frame carries, in the words of the interfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum MessageType {
    Text,
    Binary,
    Ping,
    Pong,
    Close,
}

/// How a socket is set up that reads messages of up to `longest` bytes.
pub(crate) fn config(longest: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_message_size(Some(longest))
        .max_frame_size(Some(longest))
}
