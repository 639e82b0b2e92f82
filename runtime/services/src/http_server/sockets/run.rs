//! One open socket, from its first frame to its end.

mod incoming;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use node_api::{Origin, Upgrading};
use node_types::{Address, ProcessId};
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, sleep_until};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::end::End;
use super::hang_up::hang_up;
use super::meter::Metered;
use super::pool::{self, Part};
use super::socket::{Content, Outgoing};
use super::{Opener, Registered};
use crate::http_server::HttpServer;
use crate::http_server::client::Standing;
use crate::{Delivery, Sending, Share, request_from};

/// How long the connection may take to be handed over.
const UPGRADE_TIME: Duration = Duration::from_secs(10);
/// How often a socket is looked after.
const TICK: Duration = Duration::from_secs(30);
/// A peer that was silent for so long, pings unanswered, is gone.
const SILENCE: Duration = Duration::from_secs(90);
/// How long a message may take to be written, to a tick.
const WRITE_TIME: Duration = Duration::from_secs(30);
/// In how many ticks a message must arrive, once it has begun to.
const READ_TICKS: u32 = 4;
/// Frames that are read per second; beyond it reading pauses.
const FRAMES_PER_SECOND: u32 = 20_000;
/// Read and write buffer of a socket: longer messages pass through them.
pub(super) const BUFFER: usize = 16 << 10;
/// Payloads of extensions above this are encoded and decoded off the async
/// threads.
const LARGE: usize = 256 << 10;
/// Tells our own pings from those of apps.
const KEEP_ALIVE: &[u8] = b"keep-alive";

type Io = WebSocketStream<Metered>;

/// What was opened.
pub(super) struct Opened {
    pub(super) owner: ProcessId,
    /// Told to the process, together with the channel.
    pub(super) message: Value,
    pub(super) opener: Opener,
}

/// How it goes on.
enum Next {
    Go,
    /// The connection is over.
    Gone,
    /// The node ends it.
    End(End),
}

/// A socket and what it is busy with.
struct Open {
    server: Arc<HttpServer>,
    sink: SplitSink<Io, Message>,
    stream: SplitStream<Io>,
    registered: Registered,
    target: Address,
    meter: Arc<Part>,
    /// It is an extension, which may answer.
    extension: bool,
    /// A message on its way into the app's mailbox; nothing is read meanwhile.
    delivering: Option<BoxFuture<'static, Delivery>>,
    /// What it may fill of the app's mailbox.
    share: Share,
    /// What is being delivered is a whole message, and not a control frame
    /// that may have come between the pieces of one.
    whole: bool,
    /// Since when a message is being written, with what it counts.
    writing: Option<(Instant, Option<pool::Bytes>)>,
    /// The process closed it; what it pushed before is still sent.
    closing: bool,
    heard: Instant,
    /// Frames since `second` began.
    frames: u32,
    second: Instant,
    /// Ticks for which a message has been arriving.
    arriving: u32,
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
        let meter = registered.undelivered.clone();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(BUFFER)
            .max_message_size(Some(limit))
            .max_frame_size(Some(limit));
        let metered = Metered {
            io,
            meter: meter.clone(),
        };
        let socket = WebSocketStream::from_raw_socket(metered, Role::Server, Some(config)).await;
        let (sink, stream) = socket.split();
        let now = Instant::now();
        let mut open = Open {
            target: Address::new(self.config.our.clone(), opened.owner),
            server: self,
            sink,
            stream,
            registered,
            meter,
            extension: opened.opener.extension,
            delivering: None,
            share: match opened.opener.standing {
                Standing::Stranger => Share::StrangersFrames,
                Standing::Owner => Share::OwnersFrames,
            },
            whole: false,
            writing: None,
            closing: false,
            heard: now,
            frames: 0,
            second: now,
            arriving: 0,
        };
        let mut message = opened.message;
        message["channel_id"] = open.registered.channel.into();
        let end = match open.deliver(&json!({"WebSocketOpen": message}), None) {
            Next::Go => open.run().await,
            Next::Gone => None,
            Next::End(end) => Some(end),
        };
        open.finish(end).await;
    }
}

impl Open {
    /// Serves until somebody ends it; `None` when the connection is gone.
    async fn run(&mut self) -> Option<End> {
        let stop = self.server.tasks.token().clone();
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.reset();
        loop {
            let paused = self.paused_until();
            let reads = self.delivering.is_none() && paused.is_none() && !self.closing;
            let next = tokio::select! {
                biased;
                () = stop.cancelled() => Next::End(self.server.sockets.last_word()),
                end = self.registered.end.next() => match end {
                    // After what was pushed before it.
                    Some(End::Closed) => {
                        self.closing = true;
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
        let Outgoing { content, waiting } = outgoing;
        let message = match content {
            Content::Frame(message) => message,
            Content::Extension(push) if push.blob.len() <= LARGE => {
                Message::Binary(push.encode().into())
            }
            Content::Extension(push) => {
                let encoding = self.server.tasks.blocking(move || push.encode());
                match encoding.await {
                    Some(encoded) => Message::Binary(encoded.into()),
                    None => return Next::Gone,
                }
            }
        };
        let fed = self.sink.feed(message).await;
        self.writing = Some((Instant::now(), Some(waiting)));
        gone_if(fed.is_err())
    }

    /// Looks after the deadlines and keeps the connection alive.
    async fn tick(&mut self) -> Next {
        if let Some((since, _)) = &self.writing {
            let slow = since.elapsed() >= WRITE_TIME;
            return if slow {
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
            self.arriving = if self.meter.held() > 0 {
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

    /// Closes the connection and tells the app.
    async fn finish(mut self, end: Option<End>) {
        self.registered.leave();
        // Nothing more is sent, and nobody should pay for it meanwhile.
        while self.registered.outgoing.try_recv().is_some() {}
        if end == Some(End::TooMuch) {
            self.delivering = None;
        }
        hang_up(self.sink, self.stream, end, self.writing.is_none()).await;
        let closed = json!({"WebSocketClose": self.registered.channel});
        let tell = async {
            if let Some(delivering) = self.delivering.take() {
                tokio::select! {
                    biased;
                    () = self.registered.end.too_much() => {}
                    _ = delivering => {}
                }
            }
            let message = request_from(
                self.server.address.clone(),
                self.server.port.new_message_id(),
                self.target.clone(),
                closed.to_string(),
                None,
                None,
            );
            let sending = self.server.port.send_when_room(message, self.share);
            if let Sending::Waiting(delivering) = sending {
                delivering.await;
            }
        };
        tokio::select! {
            () = tell => {}
            () = self.server.tasks.token().cancelled() => {}
        }
    }
}

fn gone_if(gone: bool) -> Next {
    if gone { Next::Gone } else { Next::Go }
}

/// Waits for what is there, or for ever.
async fn pending(delivering: &mut Option<BoxFuture<'static, Delivery>>) -> Delivery {
    match delivering {
        Some(delivering) => delivering.await,
        None => std::future::pending().await,
    }
}
