//! What processes ask of the module, and why nothing may come of it. The
//! requests have one shape in every generation; what they are told has not
//! ([`super::codec`]).

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::websocket::{MAX_CONTROL, MessageType};

/// Headers by name, as processes give them.
pub(super) type Headers = BTreeMap<String, String>;

/// What is asked.
#[derive(Debug, Deserialize)]
pub(super) enum Action {
    /// One request, whose body is the blob.
    Http(Asked),
    /// A WebSocket, from then on known by a number of the process' choice.
    WebSocketOpen {
        url: String,
        headers: Headers,
        channel_id: u32,
    },
    /// Sends the blob on it.
    WebSocketPush {
        channel_id: u32,
        message_type: MessageType,
    },
    /// Ends it.
    WebSocketClose { channel_id: u32 },
}

/// A request as a process describes it.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) version: Option<String>,
    pub(super) url: String,
    pub(super) headers: Headers,
}

/// Why nothing came of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// The body is none of the actions.
    #[error("not an action: {0}")]
    Malformed(String),
    /// There is no such method, or none that can be sent.
    #[error("`{0}` is not a method")]
    Method(String),
    /// It is not a URL, or not of a kind that is spoken.
    #[error("`{0}` is not a URL for this")]
    Url(String),
    /// There is no such version of HTTP.
    #[error("`{0}` is not a version of HTTP")]
    Version(String),
    /// No request can be made of it.
    #[error("{0}")]
    Build(String),
    /// The request was made, and no answer came.
    #[error("{0}")]
    Execute(String),
    /// There is no WebSocket at this URL.
    #[error("no WebSocket could be opened at {0}")]
    Open(String),
    /// Nothing was pushed.
    #[error(transparent)]
    Push(#[from] PushError),
    /// The process has no such channel, so it cannot be closed.
    #[error("no such WebSocket channel: {0}")]
    Close(u32),
}

/// Why nothing was pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum PushError {
    /// The process has no such channel.
    #[error("no such WebSocket channel: {0}")]
    NoChannel(u32),
    /// The peer of this channel reads too slowly; it is being closed.
    #[error("the peer reads too slowly; the WebSocket channel {0} is being closed")]
    TooSlow(u32),
    /// Text and bytes come in the blob.
    #[error("what to push must be in the blob of the request, which has none")]
    NoBlob,
    /// Text is UTF-8.
    #[error("a text must be UTF-8")]
    BadText,
    /// It is longer than any message may be.
    #[error("a message has at most {0} bytes")]
    TooLong(usize),
    /// Control frames are short, by the protocol.
    #[error("a ping or pong carries at most {MAX_CONTROL} bytes")]
    LongControl,
}
