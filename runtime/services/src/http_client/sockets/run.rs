//! From an agreed socket to its end: what the process that opened it is told.
//!
//! Owns what the socket is use of the node by. Invariants: messages carry the
//! id of the request that opened the socket; a process that has ended, or has
//! given the number to another channel, is told nothing any more. It stops with
//! the socket.

use std::future::ready;
use std::sync::Arc;

use bytes::Bytes;
use lifecycle::Tasks;
use node_types::{Address, Blob, KernelMessage, MessageId};
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::used::Use;
use super::{Entry, Registered};
use crate::http_client::{HttpClient, codec};
use crate::websocket::{End, Io, MessageType, Open, Party};
use crate::{Delivery, Sending, Share, request_from};

/// The process that opened a socket.
struct Opener {
    client: Arc<HttpClient>,
    /// The node is used while messages move.
    used: Use,
    /// Of the request that opened it.
    id: MessageId,
    target: Address,
    entry: Entry,
}

impl HttpClient {
    /// Tells the process that its socket is open, serves it to its end, and
    /// tells of that.
    pub(super) async fn serve_socket(
        self: Arc<Self>,
        message: KernelMessage,
        socket: Io,
        registered: Registered,
    ) {
        let used = Use::begin(self.in_use.clone());
        let told = if self.tell(&message, &codec::acknowledged()) {
            Delivery::Queued
        } else {
            Delivery::Refused
        };
        let opener = Opener {
            client: self,
            used,
            id: message.id,
            target: message.source,
            entry: registered.entry,
        };
        let mut open = Open::new(opener, registered.line, socket);
        let end = open.run(Sending::Done(told)).await;
        open.finish(end).await;
    }
}

impl Opener {
    /// Tells the process something, or begins to. Servers are strangers: they
    /// leave room in the mailbox for the others.
    fn tell(&self, body: &Value, blob: Option<Blob>) -> Sending {
        let us = self.client.address.clone();
        let target = self.target.clone();
        let message = request_from(us, self.id, target, body.to_string(), None, blob);
        self.client
            .port
            .send_when_room(message, Share::StrangersFrames)
    }
}

impl Party for Opener {
    type Content = Message;

    const ROLE: Role = Role::Client;
    const NAME: &'static str = "a WebSocket to a server";

    fn tasks(&self) -> &Tasks {
        &self.client.tasks
    }

    fn last_word(&self) -> End {
        End::NodeStops
    }

    fn frame(&mut self, message: Message) -> impl Future<Output = Option<Message>> + Send {
        if message.is_text() || message.is_binary() {
            self.used.moved();
        }
        ready(Some(message))
    }

    fn deliver(&mut self, kind: MessageType, bytes: Bytes) -> Sending {
        let mime = match kind {
            MessageType::Text => Some("text/plain"),
            MessageType::Binary => Some("application/octet-stream"),
            MessageType::Ping | MessageType::Pong | MessageType::Close => None,
        };
        let blob = mime.map(|mime| Blob {
            mime: Some(mime.to_owned()),
            bytes,
        });
        if blob.is_some() {
            self.used.moved();
        }
        self.tell(&codec::pushed(self.entry.key.1, kind), blob)
    }

    fn closed(&self) -> Sending {
        self.tell(&codec::closed(self.entry.key.1), None)
    }

    fn life_ended(&self) -> impl Future<Output = ()> + Send {
        self.entry.life.cancelled()
    }

    /// Its number means another channel, or its process is gone.
    fn is_lost(&self, end: Option<End>) -> bool {
        end == Some(End::ProcessGone) || self.entry.replaced.is_cancelled()
    }

    async fn lost(&self) {
        tokio::select! {
            biased;
            () = self.entry.replaced.cancelled() => {}
            () = self.entry.life.cancelled() => {}
        }
    }

    fn look(&mut self) {
        self.used.look();
    }

    fn leave(&mut self) {
        // Nobody uses what only waits for its end.
        self.used.end();
    }
}
