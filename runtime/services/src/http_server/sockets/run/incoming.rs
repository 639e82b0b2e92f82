//! From what a socket reads to what its app gets.
//!
//! Stateless. Invariant: an extension answers only what its process waits for
//! ([`super::super::asked`]). A request may carry any id: it asks for no answer,
//! so no process ever answers under it, and whoever awaits an answer under the
//! same id takes no request for it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use node_types::{Address, Blob, KernelMessage, MessageId, Response};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::super::MessageType;
use super::super::end::End;
use super::super::extension::{self, Frame, Kind};
use super::{KEEP_ALIVE, LARGE, Next, Open};
use crate::http_server::HttpServer;
use crate::{Delivery, Sending, request_from};

/// Header and mask of a control frame.
const CONTROL_HEAD: u64 = 6;

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
fn push(channel: u32, kind: MessageType) -> Value {
    json!({"WebSocketPush": {"channel_id": channel, "message_type": kind}})
}

impl Open {
    /// Takes what was read.
    pub(super) fn read(&mut self, frame: Option<Result<Message, Error>>) -> Next {
        let message = match frame {
            Some(Ok(message)) => message,
            Some(Err(error)) => return broken(&error),
            None => return Next::Gone,
        };
        self.heard = Instant::now();
        if self.heard - self.second >= Duration::from_secs(1) {
            (self.second, self.frames) = (self.heard, 0);
        }
        self.frames += 1;
        let (kind, bytes) = match message {
            Message::Text(text) => (MessageType::Text, Bytes::from(text)),
            Message::Binary(bytes) => (MessageType::Binary, bytes),
            Message::Ping(bytes) => (MessageType::Ping, bytes),
            Message::Pong(bytes) => (MessageType::Pong, bytes),
            // The library answers it, and the stream then ends.
            Message::Close(_) | Message::Frame(_) => return Next::Go,
        };
        self.whole = !matches!(kind, MessageType::Ping | MessageType::Pong);
        if !self.whole {
            self.meter.give_back(bytes.len() as u64 + CONTROL_HEAD);
            if kind == MessageType::Pong && *bytes == *KEEP_ALIVE {
                return Next::Go;
            }
        } else {
            self.arriving = 0;
        }
        if self.extension && kind == MessageType::Binary {
            return self.read_extension(bytes);
        }
        let push = push(self.registered.channel, kind);
        self.deliver(&push, Some(bytes))
    }

    /// Takes a message of an extension. Nothing is read while a large one is
    /// being decoded.
    fn read_extension(&mut self, frame: Bytes) -> Next {
        let reader = Reader {
            server: Arc::clone(&self.server),
            target: self.target.clone(),
            channel: self.registered.channel,
        };
        if frame.len() <= LARGE {
            return match reader.message(&frame) {
                Some(message) => self.hand_over(message),
                None => self.delivered(Delivery::Queued),
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
        self.delivering = Some(delivering.boxed());
        Next::Go
    }

    /// Tells the app something, or begins to.
    pub(super) fn deliver(&mut self, body: &Value, bytes: Option<Bytes>) -> Next {
        let message = request_from(
            self.server.address.clone(),
            self.server.port.new_message_id(),
            self.target.clone(),
            body.to_string(),
            None,
            bytes.map(|bytes| Blob { mime: None, bytes }),
        );
        self.hand_over(message)
    }

    fn hand_over(&mut self, message: KernelMessage) -> Next {
        match self.server.port.send_when_room(message, self.share) {
            Sending::Done(delivery) => self.delivered(delivery),
            Sending::Waiting(delivering) => {
                self.delivering = Some(delivering);
                Next::Go
            }
        }
    }

    /// A message is in the app's mailbox, or never will be.
    pub(super) fn delivered(&mut self, delivery: Delivery) -> Next {
        if self.whole {
            self.meter.give_back(u64::MAX);
        }
        match delivery {
            Delivery::Queued => Next::Go,
            Delivery::Refused => Next::End(End::ProcessGone),
        }
    }
}

/// What a failure to read means.
fn broken(error: &Error) -> Next {
    tracing::debug!("a WebSocket ended: {error}");
    match error {
        Error::Capacity(_) => Next::End(End::TooLong),
        Error::Protocol(_) | Error::Utf8(_) => Next::End(End::Malformed),
        Error::Io(error) if error.kind() == std::io::ErrorKind::QuotaExceeded => {
            Next::End(End::TooMuch)
        }
        _ => Next::Gone,
    }
}
