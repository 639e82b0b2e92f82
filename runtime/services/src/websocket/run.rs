//! One open socket, from its first frame to its end.
//!
//! Owns the connection and what the socket is busy with. Invariants: one
//! message at a time is being written, and one delivered, and nothing is read
//! while a message waits for room with its process; nothing is waited for
//! without a deadline but that room and the next frame of a peer that answers
//! pings. It stops when anybody ends it, and has then told its process unless
//! that or the node is what ended.

use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use tokio::time::{Instant, MissedTickBehavior, sleep_until};
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::end::End;
use super::hang_up::hang_up;
use super::party::{Line, Outgoing, Party};
use super::{Io, MessageType, pool};
use crate::{Delivery, Sending};

/// How often a socket is looked after.
const TICK: Duration = Duration::from_secs(30);
/// A peer that was silent for so long, pings unanswered, is gone.
const SILENCE: Duration = Duration::from_secs(90);
/// How long a message may take to be written, to a tick.
const WRITE_TIME: Duration = Duration::from_secs(30);
/// In how many ticks a message must arrive, once it has begun to.
const READ_TICKS: u32 = 4;
/// How long a server that has closed may take to hang up.
const LEAVE_TIME: Duration = Duration::from_secs(2);
/// Frames that are read per second; beyond it reading pauses.
const FRAMES_PER_SECOND: u32 = 20_000;
/// Tells our own pings from those of processes.
const KEEP_ALIVE: &[u8] = b"keep-alive";

/// How it goes on.
enum Next {
    Go,
    /// The connection is over.
    Gone,
    /// The node ends it.
    End(End),
}

/// A socket and what it is busy with.
pub(crate) struct Open<P: Party> {
    sink: SplitSink<Io, Message>,
    stream: SplitStream<Io>,
    line: Line<P::Content>,
    party: P,
    /// A message on its way into the process' mailbox; nothing is read
    /// meanwhile.
    delivering: Option<BoxFuture<'static, Delivery>>,
    /// What is being delivered is a whole message, and not a control frame
    /// that may have come between the pieces of one.
    whole: bool,
    /// Since when a message is being written, with what it counts.
    writing: Option<(Instant, Option<pool::Bytes>)>,
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

impl<P: Party> Open<P> {
    /// A socket on which nothing has moved yet.
    pub(crate) fn new(party: P, line: Line<P::Content>, socket: Io) -> Self {
        let (sink, stream) = socket.split();
        let now = Instant::now();
        Self {
            sink,
            stream,
            line,
            party,
            delivering: None,
            whole: false,
            writing: None,
            closing: false,
            leaves: None,
            heard: now,
            frames: 0,
            second: now,
            arriving: 0,
        }
    }

    /// Serves until somebody ends it; `None` when the connection is gone. `told`
    /// is the notice to the process that it is open: a process that cannot be
    /// told does not know of it, and would never close it.
    pub(crate) async fn run(&mut self, told: Sending) -> Option<End> {
        match self.sent(told) {
            Next::Go => {}
            Next::Gone => return None,
            Next::End(end) => return Some(end),
        }
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.reset();
        loop {
            let paused = self.paused_until();
            let reads = self.delivering.is_none() && paused.is_none() && !self.closing;
            let wakes = [paused, self.leaves].into_iter().flatten().min();
            let next = tokio::select! {
                biased;
                () = self.party.tasks().token().cancelled() => Next::End(self.party.last_word()),
                () = self.party.life_ended() => Next::End(End::ProcessGone),
                end = self.line.end.next() => match end {
                    // After what was pushed before it.
                    Some(End::Closed) => {
                        self.closing = true;
                        if self.party.is_lost(Some(End::Closed)) {
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
                outgoing = self.line.outgoing.recv(), if self.writing.is_none() => {
                    match outgoing {
                        Some((outgoing, _)) => self.write(outgoing).await,
                        // Its process closed it, and everything is sent.
                        None => Next::End(End::Closed),
                    }
                }
                frame = self.stream.next(), if reads => self.read(frame),
                () = sleep_until(wakes.unwrap_or(self.second)), if wakes.is_some() => self.woken(),
                _ = ticks.tick() => self.tick().await,
            };
            match next {
                Next::Go => {}
                Next::Gone => return None,
                Next::End(end) => return Some(end),
            }
            if self.closing {
                // What is queued can still be taken.
                self.line.outgoing.close();
            }
        }
    }

    /// When reading goes on, if there were too many frames this second.
    fn paused_until(&self) -> Option<Instant> {
        (self.frames > FRAMES_PER_SECOND).then(|| self.second + Duration::from_secs(1))
    }

    /// The second is over in which there were too many frames, or the time is
    /// in which a server should have hung up.
    fn woken(&mut self) -> Next {
        if self.leaves.is_some_and(|leaves| leaves <= Instant::now()) {
            return Next::Gone;
        }
        self.frames = 0;
        Next::Go
    }

    /// Begins to write a message; nothing else is being written.
    async fn write(&mut self, outgoing: Outgoing<P::Content>) -> Next {
        let Outgoing { content, waiting } = outgoing;
        let Some(message) = self.party.frame(content).await else {
            return Next::Gone;
        };
        let fed = self.sink.feed(message).await;
        self.writing = Some((Instant::now(), Some(waiting)));
        gone_if(fed.is_err())
    }

    /// Looks after the deadlines and keeps the connection alive.
    async fn tick(&mut self) -> Next {
        self.party.look();
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
            self.arriving = if self.line.undelivered.held() > 0 {
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

    /// Takes what was read.
    fn read(&mut self, frame: Option<Result<Message, Error>>) -> Next {
        let message = match frame {
            Some(Ok(message)) => message,
            Some(Err(error)) => return broken(P::NAME, &error),
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
            // The library answers it, and the stream then ends if we are the
            // server. If the peer is, it is the one to hang up.
            Message::Close(_) => {
                if P::ROLE == Role::Client {
                    self.leaves = Some(self.heard + LEAVE_TIME);
                }
                return Next::Go;
            }
            Message::Frame(_) => return Next::Go,
        };
        self.whole = !matches!(kind, MessageType::Ping | MessageType::Pong);
        if self.whole {
            self.arriving = 0;
        } else {
            let came = bytes.len() as u64 + control_head(P::ROLE);
            self.line.undelivered.give_back(came);
            if kind == MessageType::Pong && *bytes == *KEEP_ALIVE {
                return Next::Go;
            }
        }
        let sending = self.party.deliver(kind, bytes);
        self.sent(sending)
    }

    /// Something is in the process' mailbox, or waits for room there.
    fn sent(&mut self, sending: Sending) -> Next {
        match sending {
            Sending::Done(delivery) => self.delivered(delivery),
            Sending::Waiting(delivering) => {
                self.delivering = Some(delivering);
                Next::Go
            }
        }
    }

    /// A message is in the process' mailbox, or never will be.
    fn delivered(&mut self, delivery: Delivery) -> Next {
        if self.whole {
            self.line.undelivered.give_back(u64::MAX);
        }
        match delivery {
            Delivery::Queued => Next::Go,
            Delivery::Refused => Next::End(End::ProcessGone),
        }
    }

    /// Gives up what is being delivered: nobody is there for it.
    fn let_go(&mut self) {
        if self.delivering.take().is_some() && self.whole {
            self.line.undelivered.give_back(u64::MAX);
        }
    }

    /// Closes the connection and tells the process.
    pub(crate) async fn finish(mut self, end: Option<End>) {
        self.party.leave();
        // From here on nothing is pushed, and what was is not sent; nobody
        // should pay for it meanwhile.
        self.line.outgoing.close();
        while self.line.outgoing.try_recv().is_some() {}
        if end == Some(End::TooMuch) {
            self.delivering = None;
        }
        if self.party.is_lost(end) {
            self.let_go();
        }
        // Where memory is to be given back at once, a last frame is written by
        // hand, and that is not how clients have to write.
        let by_hand = end == Some(End::TooMuch) && P::ROLE == Role::Client;
        let between_frames = self.writing.is_none() && !by_hand;
        hang_up(self.sink, self.stream, end, between_frames).await;
        if self.party.is_lost(end) {
            return;
        }
        let tell = async {
            if let Some(delivering) = self.delivering.take() {
                tokio::select! {
                    biased;
                    () = self.line.end.too_much() => {}
                    _ = delivering => {}
                }
            }
            if let Sending::Waiting(delivering) = self.party.closed() {
                delivering.await;
            }
        };
        tokio::select! {
            biased;
            () = self.party.lost() => {}
            () = self.party.tasks().token().cancelled() => {}
            () = tell => {}
        }
    }
}

fn gone_if(gone: bool) -> Next {
    if gone { Next::Gone } else { Next::Go }
}

/// Header of a control frame that comes from the peer: clients mask theirs.
const fn control_head(role: Role) -> u64 {
    match role {
        Role::Server => 6,
        Role::Client => 2,
    }
}

/// What a failure to read means.
fn broken(name: &str, error: &Error) -> Next {
    tracing::debug!("{name} ended: {error}");
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
