//! From an upgraded connection to the end of its socket: what its app is told.
//!
//! Owns nothing but what the app is known by. Invariant: what is told to the
//! app stays within its share of the mailbox. It stops with the socket.

mod incoming;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lifecycle::Tasks;
use node_api::{Origin, Upgrading};
use node_types::{Address, Blob, KernelMessage, ProcessId};
use serde_json::{Value, json};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::socket::Content;
use super::{Entry, Opener, Registered};
use crate::http_server::HttpServer;
use crate::http_server::client::Standing;
use crate::websocket::{self, End, MessageType, Metered, Open, Party};
use crate::{Sending, Share, request_from};

/// How long the connection may take to be handed over.
const UPGRADE_TIME: Duration = Duration::from_secs(10);
/// Payloads of extensions above this are encoded and decoded off the async
/// threads.
const LARGE: usize = 256 << 10;

/// What was opened.
pub(super) struct Opened {
    pub(super) owner: ProcessId,
    /// Told to the process, together with the channel.
    pub(super) message: Value,
    pub(super) opener: Opener,
}

/// The process whose path was opened.
struct App {
    server: Arc<HttpServer>,
    entry: Entry,
    target: Address,
    /// The socket is that of an extension, which may answer.
    extension: bool,
    /// What the socket may fill of the app's mailbox.
    share: Share,
}

impl HttpServer {
    /// Serves a socket to its end and tells its process of that.
    pub(super) async fn serve_socket(
        self: Arc<Self>,
        upgrading: Upgrading,
        registered: Registered,
        opened: Opened,
    ) {
        let stop = self.tasks.token().clone();
        let io = tokio::select! {
            io = tokio::time::timeout(UPGRADE_TIME, upgrading) => io,
            () = stop.cancelled() => return,
        };
        let io = match io {
            Ok(Ok(io)) => io,
            Ok(Err(error)) => {
                tracing::debug!("a connection did not become a WebSocket: {error}");
                return;
            }
            Err(_) => return,
        };
        let limit = match opened.opener.origin {
            Origin::Public => self.config.public_message_bytes,
            Origin::Tunnel => self.config.local_message_bytes,
        };
        let config = websocket::config(usize::try_from(limit).unwrap_or(usize::MAX));
        let metered = Metered {
            io,
            meter: registered.line.undelivered.clone(),
        };
        let socket = WebSocketStream::from_raw_socket(metered, Role::Server, Some(config)).await;
        let app = App {
            target: Address::new(self.config.our.clone(), opened.owner),
            server: self,
            entry: registered.entry,
            extension: opened.opener.extension,
            share: match opened.opener.standing {
                Standing::Stranger => Share::StrangersFrames,
                Standing::Owner => Share::OwnersFrames,
            },
        };
        let told = app.opened(opened.message);
        let mut open = Open::new(app, registered.line, socket);
        let end = open.run(told).await;
        open.finish(end).await;
    }
}

impl App {
    /// Tells the app that the socket is open, or begins to.
    fn opened(&self, mut message: Value) -> Sending {
        message["channel_id"] = self.entry.channel.into();
        self.tell(&json!({"WebSocketOpen": message}), None)
    }

    /// Tells the app something, or begins to.
    fn tell(&self, body: &Value, bytes: Option<Bytes>) -> Sending {
        self.hand_over(request_from(
            self.server.address.clone(),
            self.server.port.new_message_id(),
            self.target.clone(),
            body.to_string(),
            None,
            bytes.map(|bytes| Blob { mime: None, bytes }),
        ))
    }

    fn hand_over(&self, message: KernelMessage) -> Sending {
        self.server.port.send_when_room(message, self.share)
    }
}

impl Party for App {
    type Content = Content;

    const ROLE: Role = Role::Server;
    const NAME: &'static str = "a WebSocket";

    fn tasks(&self) -> &Tasks {
        &self.server.tasks
    }

    fn last_word(&self) -> End {
        self.server.sockets.last_word()
    }

    async fn frame(&mut self, content: Content) -> Option<Message> {
        match content {
            Content::Frame(message) => Some(message),
            Content::Extension(push) if push.blob.len() <= LARGE => {
                Some(Message::Binary(push.encode().into()))
            }
            Content::Extension(push) => {
                let encoding = self.server.tasks.blocking(move || push.encode());
                encoding
                    .await
                    .map(|encoded| Message::Binary(encoded.into()))
            }
        }
    }

    fn deliver(&mut self, kind: MessageType, bytes: Bytes) -> Sending {
        if self.extension && kind == MessageType::Binary {
            return self.deliver_of_extension(bytes);
        }
        self.tell(&incoming::push(self.entry.channel, kind), Some(bytes))
    }

    fn closed(&self) -> Sending {
        self.tell(&json!({"WebSocketClose": self.entry.channel}), None)
    }

    fn leave(&mut self) {
        self.entry.leave();
    }
}
