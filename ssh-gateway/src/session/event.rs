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
        /// Dropped once that has been recorded; only then the client is told.
        recorded: oneshot::Sender<()>,
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

/// A terminal size as clients send it, made plausible.
pub(crate) fn window(columns: u32, rows: u32) -> TerminalSize {
    let bounded = |value: u32, default: u16| match value {
        0 => default,
        value => u16::try_from(value).unwrap_or(u16::MAX),
    };
    let default = TerminalSize::default();
    TerminalSize {
        columns: bounded(columns, default.columns),
        rows: bounded(rows, default.rows),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_sizes_become_possible() {
        assert_eq!(window(0, 0), TerminalSize::default());
        let huge = window(u32::MAX, 50);
        assert_eq!((huge.columns, huge.rows), (u16::MAX, 50));
    }
}
