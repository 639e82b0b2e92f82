//! From what an extension sends to what its app gets.
//!
//! Stateless. Invariant: an extension answers only what its process waits for
//! ([`super::super::asked`]). A request may carry any id: it asks for no answer,
//! so no process ever answers under it, and whoever awaits an answer under the
//! same id takes no request for it.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use node_types::{Address, Blob, KernelMessage, MessageId, Response};
use serde_json::{Value, json};

use super::super::extension::{self, Frame, Kind};
use super::{App, LARGE};
use crate::http_server::HttpServer;
use crate::websocket::MessageType;
use crate::{Delivery, Sending, request_from};

/// What makes a frame of an extension a message to its process.
struct Reader {
    server: Arc<HttpServer>,
    target: Address,
    channel: u32,
}

impl Reader {
    /// The message that `frame` is; `None` if nobody gets it.
    fn message(&self, frame: &Bytes) -> Option<KernelMessage> {
        let (id, kind, blob) = match extension::decode(frame) {
            Frame::Message { id, kind, blob } => (MessageId(id), kind, blob),
            Frame::Plain => {
                let id = self.server.port.new_message_id();
                (id, Kind::Request, frame.clone())
            }
            Frame::Unexpected => return None,
        };
        let body = push(self.channel, MessageType::Binary).to_string();
        let us = self.server.address.clone();
        let blob = Some(Blob {
            mime: None,
            bytes: blob,
        });
        let request = request_from(us, id, self.target.clone(), body, None, blob);
        if kind == Kind::Request {
            return Some(request);
        }
        if !self.server.sockets.answers(self.channel, id.0) {
            tracing::debug!(process = %self.target.process, "an extension answers what nobody asked");
            return None;
        }
        let response = Response {
            body: request.message.body().clone(),
            ..Response::default()
        };
        Some(KernelMessage {
            message: node_types::Message::Response(response, None),
            ..request
        })
    }
}

/// What an app is told of a frame.
pub(super) fn push(channel: u32, kind: MessageType) -> Value {
    json!({"WebSocketPush": {"channel_id": channel, "message_type": kind}})
}

impl App {
    /// Hands over what an extension sent, or begins to; what is large is decoded
    /// first, and nothing is read meanwhile.
    pub(super) fn deliver_of_extension(&self, frame: Bytes) -> Sending {
        let reader = Reader {
            server: Arc::clone(&self.server),
            target: self.target.clone(),
            channel: self.entry.channel,
        };
        if frame.len() <= LARGE {
            return match reader.message(&frame) {
                Some(message) => self.hand_over(message),
                None => Sending::Done(Delivery::Queued),
            };
        }
        let share = self.share;
        let delivering = async move {
            let server = Arc::clone(&reader.server);
            let reading = server.tasks.blocking(move || reader.message(&frame));
            let Some(message) = reading.await.flatten() else {
                return Delivery::Queued;
            };
            match server.port.send_when_room(message, share) {
                Sending::Done(delivery) => delivery,
                Sending::Waiting(delivering) => delivering.await,
            }
        };
        Sending::Waiting(delivering.boxed())
    }
}
