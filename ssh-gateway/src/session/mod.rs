//! One connection after the protocol: who signed in, which channels are open,
//! what runs in them.
//!
//! Owns the channel table and the channel tasks. Invariant: the session task
//! never writes to the connection and never waits for it, so the russh task
//! may wait for the session task. Each channel has one task, the only one that
//! writes to that channel. Ends with an [`Ending`]; [`Session::close`] then
//! waits for the channel tasks.

pub(crate) mod channels;
pub(crate) mod event;
mod forward;
mod job;
mod line;
mod state;
mod terminal;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lifecycle::{TaskKind, Tasks};
use node_api::TerminalSize;
use russh::ChannelOpenFailure;
use russh::server::ChannelOpenHandle;
use tenant_manager::{Manager, TenantAccess};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::admission::Seat;
use crate::audit;
use channels::{Inlets, Outlet};
use event::{Event, Opening, Request};
use job::{Job, until_told};
use state::Table;

pub(crate) use job::FAREWELL;

/// Ends of channel tasks that may wait. A task waits when it is full.
const ENDED: usize = 64;
/// Refusals that one connection may cause, so that nobody can fill the log.
const REFUSALS: usize = 256;
/// How long channel tasks may take to end when the session does; more than a
/// word to the person may take.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Why a session is over.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The client has gone, or was cut off.
    Gone,
    /// The client shall be told this and disconnected.
    Told(String),
    /// The shell has ended and no other is open: the connection ends, even
    /// with tunnels open.
    ShellEnded,
    /// The host is stopping.
    Shutdown,
}

/// What a busy channel can be told.
#[derive(Debug)]
struct Busy {
    size: watch::Sender<TerminalSize>,
    interrupt: Arc<Notify>,
}

/// What an idle session channel keeps.
struct Parts {
    outlet: Outlet,
    inlet: mpsc::Receiver<Bytes>,
}

/// A channel task has ended.
struct Ended {
    id: u32,
    was_shell: bool,
}

/// Bounds and facts a session needs.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub local_http_port: u16,
    pub channels: usize,
    pub line_limit: Duration,
    pub sign_in_deadline: Duration,
}

/// See the module's documentation.
pub(crate) struct Session {
    settings: Settings,
    manager: Manager,
    peer: SocketAddr,
    seat: Seat,
    job: Option<Job>,
    table: Table<Parts, Busy>,
    inlets: Inlets,
    tasks: Tasks,
    ended: (mpsc::Sender<Ended>, mpsc::Receiver<Ended>),
    refusals_left: usize,
    /// Cancelled once the client has gone.
    gone: CancellationToken,
    /// See [`Job::stop`].
    stop: CancellationToken,
}

impl Session {
    pub(crate) fn new(
        settings: Settings,
        manager: Manager,
        peer: SocketAddr,
        seat: Seat,
        inlets: Inlets,
        tasks: Tasks,
    ) -> Self {
        Self {
            table: Table::new(settings.channels),
            settings,
            manager,
            peer,
            seat,
            job: None,
            inlets,
            tasks,
            ended: mpsc::channel(ENDED),
            refusals_left: REFUSALS,
            gone: CancellationToken::new(),
            stop: CancellationToken::new(),
        }
    }

    /// Serves the connection until there is a reason to end it.
    pub(crate) async fn run(
        &mut self,
        mut events: mpsc::Receiver<Event>,
        since: Instant,
        shutdown: &CancellationToken,
    ) -> Ending {
        let deadline = since + self.settings.sign_in_deadline;
        loop {
            let ending = tokio::select! {
                biased;
                () = shutdown.cancelled() => Some(Ending::Shutdown),
                () = tokio::time::sleep_until(deadline), if self.job.is_none() => {
                    let seconds = self.settings.sign_in_deadline.as_secs();
                    Some(Ending::Told(format!("no sign-in within {seconds} seconds")))
                }
                Some(ended) = self.ended.1.recv() => self.channel_ended(&ended),
                event = events.recv() => match event {
                    Some(event) => self.handle(event).await,
                    None => Some(Ending::Gone),
                },
            };
            if let Some(ending) = ending {
                return ending;
            }
        }
    }

    /// Ends every channel, properly unless the client has gone, and waits.
    pub(crate) async fn close(&mut self, gone: bool) {
        if gone {
            self.gone.cancel();
        }
        self.stop.cancel();
        self.ended.1.close();
        self.tasks.shutdown(LAST_WORDS).await;
        self.gone.cancel();
    }

    async fn handle(&mut self, event: Event) -> Option<Ending> {
        match event {
            Event::SignedIn(access) => return self.signed_in(access),
            Event::TurnedAway(why) => return Some(Ending::Told(why)),
            Event::OpenSession(opening) => self.open_session(opening).await,
            Event::OpenForward {
                opening,
                host,
                port,
            } => return self.open_forward(opening, &host, port).await,
            Event::Refused {
                what,
                detail,
                recorded: _recorded,
            } => return self.refused(what, &detail),
            Event::Request {
                id,
                request,
                verdict,
            } => {
                // Nobody waits for it if the connection is ending.
                let _ = verdict.send(self.request(id, request));
            }
            Event::Closed(id) => {
                self.table.close(id);
            }
        }
        None
    }

    fn signed_in(&mut self, access: Arc<TenantAccess>) -> Option<Ending> {
        if let Err(full) = self.seat.sign_in(access.tenant()) {
            return Some(Ending::Told(full.to_string()));
        }
        tracing::Span::current().record("node", access.label().as_str());
        self.job = Some(Job {
            manager: self.manager.clone(),
            access,
            line_limit: self.settings.line_limit,
            stop: self.stop.clone(),
        });
        None
    }

    /// The channel's two halves, or `None` after refusing it.
    async fn admit(&mut self, opening: Opening) -> Option<(Job, Parts, ChannelOpenHandle)> {
        let Opening { writer, reply } = opening;
        let Some(job) = self.job.clone() else {
            // russh opens no channel before authentication.
            return None;
        };
        if self.table.is_full() {
            let most = self.settings.channels;
            let reason = format!("a connection may have {most} channels");
            reply
                .reject(ChannelOpenFailure::Other { code: 4, reason })
                .await;
            return None;
        }
        let closed = self.gone.child_token();
        let inlet = self.inlets.open(writer.id().number(), closed.clone());
        let outlet = Outlet::new(writer, closed);
        Some((job, Parts { outlet, inlet }, reply))
    }

    async fn open_session(&mut self, opening: Opening) {
        if let Some((_, parts, reply)) = self.admit(opening).await {
            self.table.open_session(parts.outlet.id(), parts);
            reply.accept().await;
        }
    }

    /// Records a refusal; ends a connection that asks for too many.
    fn refused(&mut self, what: &str, detail: &str) -> Option<Ending> {
        if let Some(job) = &self.job {
            audit::refused(job.access.label().as_str(), self.peer, what, detail);
        }
        self.refusals_left = self.refusals_left.saturating_sub(1);
        (self.refusals_left == 0).then(|| Ending::Told("too many refused requests".to_owned()))
    }

    async fn open_forward(&mut self, opening: Opening, host: &str, port: u32) -> Option<Ending> {
        let http_port = self.settings.local_http_port;
        if !forward::is_allowed(host, port, http_port) {
            let ending = self.refused("tunnel", &format!("{host}:{port}"));
            let reason = format!("only localhost:{http_port}, the node's HTTP, can be reached");
            opening
                .reply
                .reject(ChannelOpenFailure::Other { code: 1, reason })
                .await;
            return ending;
        }
        let (job, parts, reply) = self.admit(opening).await?;
        let id = parts.outlet.id();
        let (busy, _, _) = Busy::new();
        self.table.open_forward(id, busy);
        let inlets = self.inlets.clone();
        let ended = self.ended.0.clone();
        self.tasks
            .spawn(TaskKind::graceful("ssh-tunnel"), async move {
                forward::run(&job, parts.outlet, parts.inlet, reply).await;
                inlets.close(id);
                let was_shell = false;
                let _ = ended.send(Ended { id, was_shell }).await;
            });
        None
    }

    /// Whether the request is granted.
    fn request(&mut self, id: u32, request: Request) -> bool {
        match request {
            Request::Terminal(size) => self.table.request_terminal(id, size),
            Request::Resize(size) => self
                .table
                .running(id)
                .is_some_and(|busy| busy.size.send(size).is_ok()),
            Request::Interrupt => self.table.running(id).is_some_and(|busy| {
                busy.interrupt.notify_one();
                true
            }),
            Request::Shell => self.start(id, None),
            Request::Exec(line) => self.start(id, Some(line)),
        }
    }

    /// Starts a shell, or `line` if there is one.
    fn start(&mut self, id: u32, line: Option<Bytes>) -> bool {
        let Some(job) = self.job.clone() else {
            return false;
        };
        let (busy, size, interrupt) = Busy::new();
        let Some(start) = self.table.start(id, busy) else {
            return false;
        };
        let Parts { outlet, inlet } = start.parts;
        let was_shell = line.is_none();
        if let (Some(terminal), Some(busy)) = (start.terminal, self.table.running(id)) {
            busy.size.send_replace(terminal);
        }
        let http_port = self.settings.local_http_port;
        let with_terminal = start.terminal.is_some() && was_shell;
        let inlets = self.inlets.clone();
        let ended = self.ended.0.clone();
        self.tasks
            .spawn(TaskKind::graceful("ssh-session"), async move {
                let work = async {
                    match line {
                        Some(line) => {
                            // A line reads nothing: what is sent is discarded
                            // instead of holding up the connection.
                            drop(inlet);
                            line::exec(&job, &outlet, &line, &interrupt, http_port).await
                        }
                        None if with_terminal => {
                            terminal::run(&job, &outlet, inlet, size, &interrupt).await
                        }
                        None => line::shell(&job, &outlet, inlet, &interrupt).await,
                    }
                };
                let status = until_told(&job, &outlet, with_terminal, work).await;
                if let Some(status) = status {
                    outlet.finish(status).await;
                }
                inlets.close(id);
                let _ = ended.send(Ended { id, was_shell }).await;
            });
        true
    }

    fn channel_ended(&mut self, ended: &Ended) -> Option<Ending> {
        self.table.close(ended.id);
        let last = ended.was_shell && !self.table.has_sessions();
        last.then_some(Ending::ShellEnded)
    }
}

impl Busy {
    fn new() -> (Self, watch::Receiver<TerminalSize>, Arc<Notify>) {
        let (sender, receiver) = watch::channel(TerminalSize::default());
        let interrupt = Arc::new(Notify::new());
        let busy = Self {
            size: sender,
            interrupt: interrupt.clone(),
        };
        (busy, receiver, interrupt)
    }
}
