//! One open socket, from its first frame to its end.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use node_types::{Address, Blob, KernelMessage, MessageId};
use serde_json::Value;
use tokio::time::{Instant, MissedTickBehavior, sleep_until};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::used::Use;
use super::{Outgoing, Registered};
use crate::http_client::{HttpClient, codec};
use crate::http_server::shared::{self, End, MessageType, Metered, hang_up};
use crate::{Delivery, Sending, Share, request_from};

/// How often a socket is looked after.
const TICK: Duration = Duration::from_secs(30);
/// A server that was silent for so long, pings unanswered, is gone.
const SILENCE: Duration = Duration::from_secs(90);
/// How long a message may take to be written, to a tick.
const WRITE_TIME: Duration = Duration::from_secs(30);
/// In how many ticks a message must arrive, once it has begun to.
const READ_TICKS: u32 = 4;
/// How long a server that has closed may take to hang up.
const LEAVE_TIME: Duration = Duration::from_secs(2);
/// Frames that are read per second; beyond it reading pauses.
const FRAMES_PER_SECOND: u32 = 20_000;
/// Read and write buffer of a socket: longer messages pass through them.
pub(super) const BUFFER: usize = 16 << 10;
/// Header of a control frame that a server sends.
const CONTROL_HEAD: u64 = 2;
/// Tells our own pings from those of processes.
const KEEP_ALIVE: &[u8] = b"keep-alive";

/// A socket that the server agreed to.
pub(super) type Io = WebSocketStream<Metered>;

/// How it goes on.
enum Next {
    Go,
    /// The connection is over.
    Gone,
    /// We end it.
    End(End),
}

/// A socket and what it is busy with.
struct Open {
    client: Arc<HttpClient>,
    sink: SplitSink<Io, Message>,
    stream: SplitStream<Io>,
    registered: Registered,
    /// The node is used while messages move.
    used: Use,
    /// Of the request that opened it.
    id: MessageId,
    target: Address,
    /// A message on its way into the process' mailbox; nothing is read
    /// meanwhile.
    delivering: Option<BoxFuture<'static, Delivery>>,
    /// What is being delivered is a whole message, and not a control frame
    /// that may have come between the pieces of one.
    whole: bool,
    /// Since when a message is being written, with what it counts.
    writing: Option<(Instant, Option<shared::Bytes>)>,
    /// The process closed it; what it pushed before is still sent.
    closing: bool,
    /// The server has closed it, and should have hung up by then.
    leaves: Option<Instant>,
    heard: Instant,
    /// Frames since `second` began.
    frames: u32,
    second: Instant,
    /// Ticks for which a message has been arriving.
    arriving: u32,
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
        let told = self.tell(&message, &codec::acknowledged());
        let (sink, stream) = socket.split();
        let now = Instant::now();
        let mut open = Open {
            client: self,
            sink,
            stream,
            registered,
            used,
            id: message.id,
            target: message.source,
            delivering: None,
            whole: false,
            writing: None,
            closing: false,
            leaves: None,
            heard: now,
            frames: 0,
            second: now,
            arriving: 0,
        };
        // Whoever cannot be told that it is open does not know of it, and would
        // never close it.
        let end = if told {
            open.run().await
        } else {
            Some(End::ProcessGone)
        };
        open.finish(end).await;
    }
}

impl Open {
    /// Serves until somebody ends it; `None` when the connection is gone.
    async fn run(&mut self) -> Option<End> {
        let stop = self.client.tasks.token().clone();
        let life = self.registered.life.clone();
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.reset();
        loop {
            let paused = self.paused_until();
            let reads = self.delivering.is_none() && paused.is_none() && !self.closing;
            let next = tokio::select! {
                biased;
                () = stop.cancelled() => Next::End(End::NodeStops),
                () = life.cancelled() => Next::End(End::ProcessGone),
                end = self.registered.end.next() => match end {
                    // After what was pushed before it.
                    Some(End::Closed) => {
                        self.closing = true;
                        if self.registered.replaced.is_cancelled() {
                            self.let_go();
                        }
                        Next::Go
                    }
                    Some(end) => Next::End(end),
                    None => Next::Gone,
                },
                delivered = pending(&mut self.delivering) => {
                    self.delivering = None;
                    self.delivered(delivered)
                }
                written = self.sink.flush(), if self.writing.is_some() => {
                    self.writing = None;
                    gone_if(written.is_err())
                }
                outgoing = self.registered.outgoing.recv(), if self.writing.is_none() => {
                    match outgoing {
                        Some((outgoing, _)) => self.write(outgoing).await,
                        // Its process closed it, and everything is sent.
                        None => Next::End(End::Closed),
                    }
                }
                frame = self.stream.next(), if reads => self.read(frame),
                () = sleep_until(paused.unwrap_or(self.second)), if paused.is_some() => {
                    self.frames = 0;
                    Next::Go
                }
                () = sleep_until(self.leaves.unwrap_or(self.second)), if self.leaves.is_some() => {
                    Next::Gone
                }
                _ = ticks.tick() => self.tick().await,
            };
            match next {
                Next::Go => {}
                Next::Gone => return None,
                Next::End(end) => return Some(end),
            }
            if self.closing {
                // What is queued can still be taken.
                self.registered.outgoing.close();
            }
        }
    }

    /// When reading goes on, if there were too many frames this second.
    fn paused_until(&self) -> Option<Instant> {
        (self.frames > FRAMES_PER_SECOND).then(|| self.second + Duration::from_secs(1))
    }

    /// Begins to write a message; nothing else is being written.
    async fn write(&mut self, outgoing: Outgoing) -> Next {
        let Outgoing { message, waiting } = outgoing;
        if message.is_text() || message.is_binary() {
            self.used.moved();
        }
        let fed = self.sink.feed(message).await;
        self.writing = Some((Instant::now(), Some(waiting)));
        gone_if(fed.is_err())
    }

    /// Looks after the deadlines and keeps the connection alive.
    async fn tick(&mut self) -> Next {
        self.used.look();
        if let Some((since, _)) = &self.writing {
            return if since.elapsed() >= WRITE_TIME {
                Next::End(End::TooSlow)
            } else {
                Next::Go
            };
        }
        if self.delivering.is_none() {
            // Otherwise nothing is read, so nothing could be heard.
            if self.heard.elapsed() > SILENCE {
                return Next::Gone;
            }
            self.arriving = if self.registered.undelivered.held() > 0 {
                self.arriving + 1
            } else {
                0
            };
            if self.arriving > READ_TICKS {
                return Next::End(End::TooSlow);
            }
        }
        let ping = Message::Ping(Bytes::from_static(KEEP_ALIVE));
        let fed = self.sink.feed(ping).await;
        self.writing = Some((Instant::now(), None));
        gone_if(fed.is_err())
    }

    fn read(&mut self, frame: Option<Result<Message, Error>>) -> Next {
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
            // The library answers it, and the server hangs up.
            Message::Close(_) => {
                self.leaves = Some(self.heard + LEAVE_TIME);
                return Next::Go;
            }
            Message::Frame(_) => return Next::Go,
        };
        self.whole = !matches!(kind, MessageType::Ping | MessageType::Pong);
        if self.whole {
            self.arriving = 0;
            self.used.moved();
        } else {
            let came = bytes.len() as u64 + CONTROL_HEAD;
            self.registered.undelivered.give_back(came);
            if kind == MessageType::Pong && *bytes == *KEEP_ALIVE {
                return Next::Go;
            }
        }
        self.deliver(kind, bytes)
    }

    /// Hands a message to the process, or begins to.
    fn deliver(&mut self, kind: MessageType, bytes: Bytes) -> Next {
        let mime = match kind {
            MessageType::Text => Some("text/plain"),
            MessageType::Binary => Some("application/octet-stream"),
            MessageType::Ping | MessageType::Pong | MessageType::Close => None,
        };
        let blob = mime.map(|mime| Blob {
            mime: Some(mime.to_owned()),
            bytes,
        });
        let body = codec::pushed(self.registered.key.1, kind);
        match self.send(&body, blob) {
            Sending::Done(delivery) => self.delivered(delivery),
            Sending::Waiting(delivering) => {
                self.delivering = Some(delivering);
                Next::Go
            }
        }
    }

    /// Servers are strangers: they leave room in the mailbox for the others.
    fn send(&self, body: &Value, blob: Option<Blob>) -> Sending {
        let us = self.client.address.clone();
        let target = self.target.clone();
        let message = request_from(us, self.id, target, body.to_string(), None, blob);
        self.client
            .port
            .send_when_room(message, Share::StrangersFrames)
    }

    /// A message is in the process' mailbox, or never will be.
    fn delivered(&mut self, delivery: Delivery) -> Next {
        if self.whole {
            self.registered.undelivered.give_back(u64::MAX);
        }
        match delivery {
            Delivery::Queued => Next::Go,
            Delivery::Refused => Next::End(End::ProcessGone),
        }
    }

    /// Gives up what is being delivered: its number means another channel, or
    /// nobody is there.
    fn let_go(&mut self) {
        if self.delivering.take().is_some() && self.whole {
            self.registered.undelivered.give_back(u64::MAX);
        }
    }

    /// Closes the connection and tells the process.
    async fn finish(mut self, end: Option<End>) {
        // Nobody uses what only waits for its end.
        self.used.end();
        // From here on nothing is pushed, and what was is not sent; nobody
        // should pay for it meanwhile.
        self.registered.outgoing.close();
        while self.registered.outgoing.try_recv().is_some() {}
        if end == Some(End::TooMuch) {
            self.delivering = None;
        }
        if end == Some(End::ProcessGone) || self.registered.replaced.is_cancelled() {
            self.let_go();
        }
        // Where memory is to be given back at once, a last frame would be
        // written by hand, and not as clients have to write.
        let between_frames = self.writing.is_none() && end != Some(End::TooMuch);
        hang_up(self.sink, self.stream, end, between_frames).await;
        if matches!(end, Some(End::ProcessGone | End::NodeStops)) {
            return;
        }
        let (us, target) = (self.client.address.clone(), self.target.clone());
        let closed = codec::closed(self.registered.key.1).to_string();
        let message = request_from(us, self.id, target, closed, None, None);
        let port = self.client.port.clone();
        let delivering = self.delivering.take();
        let Registered {
            end,
            replaced,
            life,
            ..
        } = &mut self.registered;
        let tell = async {
            if let Some(delivering) = delivering {
                tokio::select! {
                    biased;
                    () = end.too_much() => {}
                    _ = delivering => {}
                }
            }
            let sending = port.send_when_room(message, Share::StrangersFrames);
            if let Sending::Waiting(delivering) = sending {
                delivering.await;
            }
        };
        tokio::select! {
            biased;
            () = replaced.cancelled() => {}
            () = life.cancelled() => {}
            () = self.client.tasks.token().cancelled() => {}
            () = tell => {}
        }
    }
}

fn gone_if(gone: bool) -> Next {
    if gone { Next::Gone } else { Next::Go }
}

/// What a failure to read means.
fn broken(error: &Error) -> Next {
    tracing::debug!("a WebSocket to a server ended: {error}");
    match error {
        Error::Capacity(_) => Next::End(End::TooLong),
        Error::Protocol(_) | Error::Utf8(_) => Next::End(End::Malformed),
        Error::Io(error) if error.kind() == std::io::ErrorKind::QuotaExceeded => {
            Next::End(End::TooMuch)
        }
        _ => Next::Gone,
    }
}

/// Waits for what is there, or for ever.
async fn pending(delivering: &mut Option<BoxFuture<'static, Delivery>>) -> Delivery {
    match delivering {
        Some(delivering) => delivering.await,
        None => std::future::pending().await,
    }
}
