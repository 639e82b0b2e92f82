//! Why an action of a process failed, in the words of its generation.

use node_types::Edition;
use serde_json::{Value, json};

use super::bind_error::BindError;
use super::sockets::PushError;
use crate::websocket::MAX_CONTROL;

/// Most bytes of a malformed request that its sender gets back.
const MAX_ECHO: usize = 1 << 10;

/// Why an action failed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ActionError {
    /// No action at all: what came, and why it is none.
    #[error("not an action: {why}")]
    Malformed {
        /// The request, as far as it is told back.
        request: String,
        /// What is wrong with it.
        why: String,
    },
    #[error("the request carries no blob, or one that cannot be sent like this")]
    NoBlob,
    #[error("{0}")]
    Bind(#[from] BindError),
    /// Newer generations have stricter names.
    #[error("paths are bound for lower-case names of letters, digits and hyphens only")]
    BadSource,
    /// What only the module says.
    #[error("{0} is what the HTTP server sends, not what it is sent")]
    WrongWay(&'static str),
    #[error("a ping or pong carries at most {MAX_CONTROL} bytes")]
    LongControl,
    #[error("no such WebSocket channel")]
    NoChannel,
    #[error("the peer reads too slowly; the WebSocket channel is being closed")]
    TooSlow,
}

impl From<PushError> for ActionError {
    fn from(error: PushError) -> Self {
        match error {
            PushError::NoChannel => Self::NoChannel,
            PushError::TooSlow => Self::TooSlow,
        }
    }
}

impl ActionError {
    /// The error of a request that could not be read.
    pub(super) fn malformed(request: &[u8], why: &serde_json::Error) -> Self {
        let request = request.get(..MAX_ECHO).unwrap_or(request);
        Self::Malformed {
            request: String::from_utf8_lossy(request).into_owned(),
            why: why.to_string(),
        }
    }

    /// The answer to the process.
    pub(super) fn json(&self, edition: Option<Edition>) -> Value {
        let error = if edition.is_some_and(Edition::uses_underscores) {
            let error = || json!({"error": self.to_string()});
            match self {
                Self::Malformed { request, .. } => json!({"BadRequest": {"req": request}}),
                Self::NoBlob => json!("NoBlob"),
                Self::Bind(_) | Self::BadSource => json!({"PathBindError": error()}),
                Self::WrongWay(_) | Self::LongControl | Self::NoChannel | Self::TooSlow => {
                    json!({"WebSocketPushError": error()})
                }
            }
        } else {
            match self {
                Self::Malformed { .. } | Self::Bind(_) | Self::WrongWay(_) => {
                    json!("MalformedRequest")
                }
                Self::NoBlob => json!("NoBlob"),
                Self::BadSource => json!("InvalidSourceProcess"),
                Self::LongControl => json!("WsPingPongTooLong"),
                Self::NoChannel | Self::TooSlow => json!("WsChannelNotFound"),
            }
        };
        json!({"Err": error})
    }

    /// What the answer has no room for is printed.
    pub(super) fn worth_printing(&self) -> bool {
        matches!(
            self,
            Self::Malformed { .. } | Self::Bind(_) | Self::BadSource | Self::WrongWay(_)
        )
    }
}
