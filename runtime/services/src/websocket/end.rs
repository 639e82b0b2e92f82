//! Why and how the node ends a socket.
//!
//! Owns the close codes. Invariant: the first reason stands, except that a
//! socket which only sends what is left can be ended at once, and that what
//! holds too much memory always can.

use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// Why the node ends a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
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
    /// The node stops because its host starts anew: the peer may come back soon.
    HostRestarts,
}

impl End {
    pub(crate) fn frame(self) -> CloseFrame {
        let (code, reason) = match self {
            Self::Closed => (CloseCode::Normal, ""),
            Self::ProcessGone => (CloseCode::Error, "the app is gone"),
            Self::SignedOut => (CloseCode::Policy, "signed out"),
            Self::TooSlow => (CloseCode::Again, "too much is waiting to be read"),
            Self::TooMuch => (CloseCode::Again, "too much is being sent"),
            Self::TooLong => (CloseCode::Size, "the message is too long"),
            Self::Malformed => (CloseCode::Protocol, ""),
            Self::NodeStops => (CloseCode::Away, "the node stops"),
            Self::HostRestarts => (CloseCode::Restart, "the host starts anew"),
        };
        CloseFrame {
            code,
            reason: Utf8Bytes::from_static(reason),
        }
    }
}

/// The right to end a socket. Clones end the same one.
#[derive(Debug, Clone)]
pub(crate) struct Ender(watch::Sender<Option<End>>);

/// Where a socket hears that it shall end.
#[derive(Debug)]
pub(crate) struct Ending(watch::Receiver<Option<End>>);

/// Both ends.
pub(crate) fn channel() -> (Ender, Ending) {
    let (sender, receiver) = watch::channel(None);
    (Ender(sender), Ending(receiver))
}

impl Ender {
    /// Ends the socket, unless it is ending for a reason that stands.
    pub(crate) fn end(&self, end: End) {
        self.0.send_if_modified(|now| {
            let free = match now {
                None => true,
                Some(End::Closed) => end != End::Closed,
                Some(_) => end == End::TooMuch,
            };
            if free {
                *now = Some(end);
            }
            free
        });
    }

    /// Whether nobody has ended it.
    pub(crate) fn is_open(&self) -> bool {
        self.0.borrow().is_none()
    }
}

impl Ending {
    /// The next reason to end; `None` if there will be none.
    ///
    /// # Cancel-Safety
    /// Safe: a reason that was not returned is returned by the next call.
    pub(crate) async fn next(&mut self) -> Option<End> {
        loop {
            self.0.changed().await.ok()?;
            if let Some(end) = *self.0.borrow_and_update() {
                return Some(end);
            }
        }
    }

    /// Waits until the socket has to give back all memory, however it ends.
    ///
    /// # Cancel-Safety
    /// Safe.
    pub(crate) async fn too_much(&mut self) {
        let too_much = |end: &Option<End>| *end == Some(End::TooMuch);
        let told = self.0.wait_for(too_much).await.is_ok();
        if !told {
            std::future::pending().await
        }
    }
}
