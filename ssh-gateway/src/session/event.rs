//! What the russh callbacks tell the session task.

use std::sync::Arc;

use bytes::Bytes;
use node_api::TerminalSize;
use russh::ChannelWriteHalf;
use russh::server::{ChannelOpenHandle, Msg};
use tenant_manager::TenantAccess;
use tokio::sync::oneshot;

/// Events that may wait for the session task. When full, the connection is
/// not read; the session task never waits for the connection, so it drains.
pub(crate) const EVENTS: usize = 32;

/// Something the client did.
pub(crate) enum Event {
    /// It proved to be the owner of a node.
    SignedIn(Arc<TenantAccess>),
    /// It shall be told this and go.
    TurnedAway(String),
    /// It wants a session channel.
    OpenSession(Opening),
    /// It wants a tunnel to this destination.
    OpenForward {
        /// The channel.
        opening: Opening,
        /// Where to, as the client says it.
        host: String,
        /// Which port.
        port: u32,
    },
    /// It wants something on a session channel, and waits for the verdict.
    Request {
        /// Which channel.
        id: u32,
        /// What.
        request: Request,
        /// Whether it is granted.
        verdict: oneshot::Sender<bool>,
    },
    /// It asked for something that nobody can have, and was refused.
    Refused {
        /// What kind of thing.
        what: &'static str,
        /// Which one, as the client says it.
        detail: String,
    },
    /// It closed a channel.
    Closed(u32),
}

/// A channel that the client wants to open.
pub(crate) struct Opening {
    /// Writes to it, once accepted.
    pub writer: ChannelWriteHalf<Msg>,
    /// Accepts or refuses it; dropping refuses.
    pub reply: ChannelOpenHandle,
}

/// A request on a session channel.
#[derive(Debug)]
pub(crate) enum Request {
    /// A terminal of this size.
    Terminal(TerminalSize),
    /// Its size changed.
    Resize(TerminalSize),
    /// The node's terminal.
    Shell,
    /// One command line.
    Exec(Bytes),
    /// Stop what runs.
    Interrupt,
}
