//! Requests of processes to the module: binding and unbinding paths, and what
//! they push to their WebSockets.
//!
//! Decodes the action shapes of every generation and answers in the caller's
//! own. Success is answered only when asked for, errors always and to the
//! source. What is pushed to an extension is answered by that.

use bytes::Bytes;
use node_types::{Address, Blob, Edition, KernelMessage, Message, ProcessId, Response};
use parking_lot::RwLock;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use super::HttpServer;
use super::action_error::ActionError;
use super::bind_error::BindError;
use super::content::{Content, DEFAULT_CONTENT};
use super::routes::{Flags, Routes};
use super::sockets::extension::{self, Kind};
use crate::answer;
use crate::websocket::{MAX_CONTROL, MessageType};

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
    WebSocketExtPushOutgoing {
        channel_id: u32,
        message_type: MessageType,
        desired_reply_type: Kind,
    },
    WebSocketClose(u32),
    WebSocketOpen(IgnoredAny),
    WebSocketExtPushData(IgnoredAny),
}

/// Whose answer an action gets.
enum Answer {
    /// The module's.
    Ours,
    /// That of an extension.
    Extension,
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
            Ok(Answer::Ours) if message.rsvp.is_some() || request.expects_response.is_some() => {
                let body = json!({"Ok": null}).to_string();
                self.port
                    .send(answer(self.address.clone(), message, body, None, None));
            }
            Ok(Answer::Ours | Answer::Extension) => {}
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
    ) -> Result<Answer, ActionError> {
        let owner = &message.source.process;
        let blob = message.lazy_load_blob.as_ref();
        let fallback = !edition.is_some_and(Edition::uses_underscores);
        let action =
            serde_json::from_slice(body).map_err(|error| ActionError::malformed(body, &error))?;
        match action {
            Action::Bind {
                path,
                authenticated,
                local_only,
                cache,
            } => {
                check_source(owner, edition)?;
                let flags = Flags {
                    authenticated,
                    secure: false,
                    local_only,
                    fallback,
                    content: content(cache, blob)?,
                };
                self.bind(&self.routes, owner, &path, flags)?;
            }
            Action::SecureBind { path, cache } => {
                check_source(owner, edition)?;
                let flags = Flags {
                    authenticated: true,
                    secure: true,
                    local_only: false,
                    fallback,
                    content: content(cache, blob)?,
                };
                self.bind(&self.routes, owner, &path, flags)?;
            }
            Action::Unbind { path } => self.unbind(&self.routes, owner, &path)?,
            Action::WebSocketBind {
                path,
                authenticated,
                extension,
            } => {
                check_source(owner, edition)?;
                let flags = socket_flags(authenticated, false, extension);
                self.bind(&self.sockets.routes, owner, &path, flags)?;
            }
            Action::WebSocketSecureBind { path, extension } => {
                check_source(owner, edition)?;
                let flags = socket_flags(true, true, extension);
                self.bind(&self.sockets.routes, owner, &path, flags)?;
            }
            Action::WebSocketUnbind { path } => self.unbind(&self.sockets.routes, owner, &path)?,
            Action::WebSocketPush {
                channel_id,
                message_type,
            } => self.push(owner, channel_id, message_type, blob)?,
            Action::WebSocketExtPushOutgoing {
                channel_id,
                message_type,
                desired_reply_type,
            } => {
                let reply = desired_reply_type;
                self.push_to_extension(message, edition, channel_id, message_type, reply)?;
                return Ok(Answer::Extension);
            }
            Action::WebSocketClose(channel) => self.sockets.close(owner, channel),
            Action::WebSocketOpen(_) => return Err(ActionError::WrongWay("WebSocketOpen")),
            Action::WebSocketExtPushData(_) => {
                return Err(ActionError::WrongWay("WebSocketExtPushData"));
            }
        }
        Ok(Answer::Ours)
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
        let mut table = routes.write();
        let was_secure = table.is_secure(owner, path);
        let bound = table.bind(owner, path, flags);
        drop(table);
        let moved_away = bound.is_ok() && was_secure && !secure;
        if (secure && bound.is_err()) || moved_away {
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
    ) -> Result<(), BindError> {
        let mut table = routes.write();
        let was_secure = table.is_secure(owner, path);
        let unbound = table.unbind(owner, path);
        drop(table);
        if was_secure && unbound.is_ok() {
            self.release_unused(&owner.package_id());
        }
        self.routes_changed();
        unbound
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

    /// Sends what `message` carries together with its id, under which it may be
    /// answered. So it may to whatever has opened the channel, but only what
    /// an extension says is taken for an answer.
    fn push_to_extension(
        &self,
        message: &KernelMessage,
        edition: Option<Edition>,
        channel: u32,
        kind: MessageType,
        reply: Kind,
    ) -> Result<(), ActionError> {
        let blob = message.lazy_load_blob.as_ref();
        let blob = blob
            .filter(|_| kind == MessageType::Binary)
            .ok_or(ActionError::NoBlob)?;
        let push = extension::Push {
            id: message.id.0,
            reply,
            edition,
            blob: blob.bytes.clone(),
        };
        let waits = match &message.message {
            Message::Request(request) => request.expects_response,
            Message::Response(..) => None,
        };
        let owner = &message.source.process;
        Ok(self
            .sockets
            .push_to_extension(owner, channel, push, waits)?)
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
    Ok(Some(Content::new(mime, blob.bytes.clone())))
}

/// From 1.0 on paths are bound for processes whose names are those of the
/// chain; before, names were free.
fn check_source(owner: &ProcessId, edition: Option<Edition>) -> Result<(), ActionError> {
    if !matches!(edition, Some(Edition::V1_0 | Edition::Hyperware)) {
        return Ok(());
    }
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let right = owner.process().bytes().all(plain)
        && owner.package().bytes().all(plain)
        && owner.publisher().bytes().all(|b| plain(b) || b == b'.');
    right.then_some(()).ok_or(ActionError::BadSource)
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
