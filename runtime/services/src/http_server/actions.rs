//! Requests of processes to the module: binding and unbinding paths, and what
//! they push to their WebSockets.
//!
//! Decodes the action shapes of every generation and answers in the caller's
//! own. Success is answered only when asked for, errors always and to the
//! source.

use bytes::Bytes;
use http::HeaderValue;
use node_types::{Address, Blob, Edition, KernelMessage, Message, ProcessId, Response};
use parking_lot::RwLock;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::HttpServer;
use super::bind_error::BindError;
use super::routes::{Content, Flags, Routes};
use super::sockets::{MAX_CONTROL, MessageType, PushError};
use crate::answer;

/// Type of static content whose blob names none.
pub(super) const DEFAULT_CONTENT: &str = "text/plain";

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
    WebSocketBind {
        path: String,
        authenticated: bool,
        #[serde(default)]
        extension: bool,
    },
    WebSocketSecureBind {
        path: String,
        #[serde(default)]
        extension: bool,
    },
    WebSocketUnbind {
        path: String,
    },
    WebSocketPush {
        channel_id: u32,
        message_type: MessageType,
    },
    WebSocketExtPushOutgoing(IgnoredAny),
    WebSocketClose(u32),
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
    #[error("messages to extensions are not available on this host yet")]
    NoExtensions,
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
    fn json(&self, edition: Option<Edition>) -> Value {
        let text = self.to_string();
        let error = if edition.is_some_and(Edition::uses_underscores) {
            match self {
                Self::Malformed(_) => json!({"BadRequest": {"req": text}}),
                Self::NoBlob => json!("NoBlob"),
                Self::Bind(_) => json!({"PathBindError": {"error": text}}),
                Self::NoExtensions | Self::LongControl | Self::NoChannel | Self::TooSlow => {
                    json!({"WebSocketPushError": {"error": text}})
                }
            }
        } else {
            match self {
                Self::Malformed(_) | Self::Bind(_) | Self::NoExtensions => {
                    json!("MalformedRequest")
                }
                Self::NoBlob => json!("NoBlob"),
                Self::LongControl => json!("WsPingPongTooLong"),
                Self::NoChannel | Self::TooSlow => json!("WsChannelNotFound"),
            }
        };
        json!({"Err": error})
    }

    /// The newer generation has no room for a reason, so it is printed.
    fn worth_printing(&self) -> bool {
        matches!(self, Self::Bind(_) | Self::NoExtensions)
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
                Ok(self.bind(&self.routes, owner, &path, flags)?)
            }
            Action::SecureBind { path, cache } => {
                let flags = Flags {
                    authenticated: true,
                    secure: true,
                    local_only: false,
                    fallback,
                    content: content(cache, blob)?,
                };
                Ok(self.bind(&self.routes, owner, &path, flags)?)
            }
            Action::Unbind { path } => self.unbind(&self.routes, owner, &path),
            Action::WebSocketBind {
                path,
                authenticated,
                extension,
            } => {
                let flags = socket_flags(authenticated, false, extension);
                Ok(self.bind(&self.sockets.routes, owner, &path, flags)?)
            }
            Action::WebSocketSecureBind { path, extension } => {
                let flags = socket_flags(true, true, extension);
                Ok(self.bind(&self.sockets.routes, owner, &path, flags)?)
            }
            Action::WebSocketUnbind { path } => self.unbind(&self.sockets.routes, owner, &path),
            Action::WebSocketPush {
                channel_id,
                message_type,
            } => self.push(owner, channel_id, message_type, blob),
            Action::WebSocketExtPushOutgoing(_) => Err(ActionError::NoExtensions),
            Action::WebSocketClose(channel) => {
                self.sockets.close(owner, channel);
                Ok(())
            }
        }
    }

    /// Binds a path, and its package's subdomain if it is secure.
    pub(super) fn bind(
        &self,
        routes: &RwLock<Routes>,
        owner: &ProcessId,
        path: &str,
        flags: Flags,
    ) -> Result<(), BindError> {
        let package = owner.package_id();
        let secure = flags.secure;
        if secure {
            self.subdomains.claim(&package)?;
        }
        let bound = routes.write().bind(owner, path, flags);
        if secure && bound.is_err() {
            self.release_unused(&package);
        }
        self.routes_changed();
        bound
    }

    fn unbind(
        &self,
        routes: &RwLock<Routes>,
        owner: &ProcessId,
        path: &str,
    ) -> Result<(), ActionError> {
        routes.write().unbind(owner, path)?;
        self.routes_changed();
        Ok(())
    }

    fn push(
        &self,
        owner: &ProcessId,
        channel: u32,
        kind: MessageType,
        blob: Option<&Blob>,
    ) -> Result<(), ActionError> {
        let bytes = match (kind, blob) {
            (_, Some(blob)) => blob.bytes.clone(),
            (MessageType::Text | MessageType::Binary, None) => return Err(ActionError::NoBlob),
            (MessageType::Ping | MessageType::Pong | MessageType::Close, None) => Bytes::new(),
        };
        let is_control = matches!(kind, MessageType::Ping | MessageType::Pong);
        if is_control && bytes.len() > MAX_CONTROL {
            return Err(ActionError::LongControl);
        }
        Ok(self.sockets.push(owner, channel, kind, bytes)?)
    }
}

/// How a path for WebSockets is bound. Extensions are programs on the machine
/// that a tunnel ends at.
fn socket_flags(authenticated: bool, secure: bool, extension: bool) -> Flags {
    Flags {
        authenticated,
        secure,
        local_only: extension,
        fallback: false,
        content: None,
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
