//! Requests of processes to the module: binding and unbinding paths.
//!
//! Decodes the action shapes of every generation and answers in the caller's
//! own. Success is answered only when asked for, errors always and to the
//! source.

use bytes::Bytes;
use http::HeaderValue;
use node_types::{Address, Blob, Edition, KernelMessage, Message, Response};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::HttpServer;
use super::routes::{BindError, Content, Flags};
use crate::answer;

/// Type of static content whose blob names none.
const DEFAULT_CONTENT: &str = "text/plain";

#[derive(Debug, Deserialize)]
enum Action {
    Bind {
        path: String,
        authenticated: bool,
        local_only: bool,
        cache: bool,
    },
    SecureBind {
        path: String,
        cache: bool,
    },
    Unbind {
        path: String,
    },
    WebSocketBind(IgnoredAny),
    WebSocketSecureBind(IgnoredAny),
    WebSocketUnbind(IgnoredAny),
    WebSocketPush(IgnoredAny),
    WebSocketExtPushOutgoing(IgnoredAny),
    WebSocketClose(IgnoredAny),
}

/// Why an action failed; each generation has its own words for it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum ActionError {
    #[error("{0}")]
    Malformed(String),
    #[error("cache is set but the request carries no blob")]
    NoBlob,
    #[error("{0}")]
    Bind(#[from] BindError),
    #[error("WebSockets are not available on this host yet")]
    NoWebSockets,
    #[error("no such WebSocket channel")]
    NoChannel,
}

impl ActionError {
    fn json(&self, edition: Option<Edition>) -> Value {
        let text = self.to_string();
        let error = if edition.is_some_and(Edition::uses_underscores) {
            match self {
                Self::Malformed(_) => json!({"BadRequest": {"req": text}}),
                Self::NoBlob => json!("NoBlob"),
                Self::Bind(_) | Self::NoWebSockets => json!({"PathBindError": {"error": text}}),
                Self::NoChannel => json!({"WebSocketPushError": {"error": text}}),
            }
        } else {
            match self {
                Self::Malformed(_) | Self::Bind(_) | Self::NoWebSockets => {
                    json!("MalformedRequest")
                }
                Self::NoBlob => json!("NoBlob"),
                Self::NoChannel => json!("WsChannelNotFound"),
            }
        };
        json!({"Err": error})
    }

    /// The newer generation has no room for a reason, so it is printed.
    fn worth_printing(&self) -> bool {
        matches!(self, Self::Bind(_) | Self::NoWebSockets)
    }
}

impl HttpServer {
    /// Carries out one request of a process.
    pub(super) fn act(&self, message: &KernelMessage) {
        let Message::Request(request) = &message.message else {
            return;
        };
        // Only processes of this node have paths here.
        if message.source.node != self.config.our {
            tracing::debug!(source = %message.source, "action of another node ignored");
            return;
        }
        let source = &message.source.process;
        let edition = self.port.edition(source);
        match self.apply(message, &request.body, edition) {
            Ok(()) if message.rsvp.is_some() || request.expects_response.is_some() => {
                let body = json!({"Ok": null}).to_string();
                self.port
                    .send(answer(self.address.clone(), message, body, None, None));
            }
            Ok(()) => {}
            Err(error) => {
                if error.worth_printing() {
                    let text = format!("http-server: {source}: {error}");
                    self.port.print(&self.address.process, 0, &text);
                }
                let body = error.json(edition).to_string();
                self.port.send(refusal(&self.address, message, body));
            }
        }
    }

    fn apply(
        &self,
        message: &KernelMessage,
        body: &[u8],
        edition: Option<Edition>,
    ) -> Result<(), ActionError> {
        let owner = &message.source.process;
        let blob = message.lazy_load_blob.as_ref();
        let fallback = !edition.is_some_and(Edition::uses_underscores);
        let action = serde_json::from_slice(body)
            .map_err(|error| ActionError::Malformed(format!("not an action: {error}")))?;
        match action {
            Action::Bind {
                path,
                authenticated,
                local_only,
                cache,
            } => {
                let flags = Flags {
                    authenticated,
                    secure: false,
                    local_only,
                    fallback,
                    content: content(cache, blob)?,
                };
                self.routes.write().bind(owner, &path, flags)?;
            }
            Action::SecureBind { path, cache } => {
                let flags = Flags {
                    authenticated: true,
                    secure: true,
                    local_only: false,
                    fallback,
                    content: content(cache, blob)?,
                };
                self.routes.write().bind(owner, &path, flags)?;
            }
            Action::Unbind { path } => self.routes.write().unbind(owner, &path)?,
            // Nothing can be open or bound, so both succeed as they do for
            // unknown channels and paths.
            Action::WebSocketUnbind(_) | Action::WebSocketClose(_) => return Ok(()),
            Action::WebSocketBind(_) | Action::WebSocketSecureBind(_) => {
                return Err(ActionError::NoWebSockets);
            }
            Action::WebSocketPush(_) | Action::WebSocketExtPushOutgoing(_) => {
                return Err(ActionError::NoChannel);
            }
        }
        self.routes_changed();
        Ok(())
    }
}

fn content(cache: bool, blob: Option<&Blob>) -> Result<Option<Content>, ActionError> {
    if !cache {
        return Ok(None);
    }
    let blob = blob.ok_or(ActionError::NoBlob)?;
    let mime = blob.mime.as_deref().unwrap_or(DEFAULT_CONTENT);
    Ok(Some(Content {
        mime: HeaderValue::from_str(mime)
            .unwrap_or_else(|_| HeaderValue::from_static(DEFAULT_CONTENT)),
        bytes: blob.bytes.clone(),
    }))
}

/// An error goes to the source even when the request names an rsvp.
fn refusal(us: &Address, asked: &KernelMessage, body: impl Into<Bytes>) -> KernelMessage {
    KernelMessage {
        id: asked.id,
        source: us.clone(),
        target: asked.source.clone(),
        rsvp: None,
        message: Message::Response(
            Response {
                body: body.into(),
                ..Response::default()
            },
            None,
        ),
        lazy_load_blob: None,
    }
}
