//! `terminal:distro:sys`: people's terminals and single command lines.
//!
//! Owns the open sessions, the history of typed lines and what is said about
//! the verbosity of single processes. A typed line becomes a request from and to `terminal:terminal:sys`, the Wasm package that knows
//! commands; what processes print comes back as events. Invariants: text of
//! processes is filtered before it reaches a terminal; a reader that does not
//! read loses process output and holds up nobody. Stops by
//! [`Terminal::close_all`], or when its tasks are cancelled.

mod editor;
mod filter;
mod history;
mod keys;
mod run_line;
mod screen;
mod search;
mod session;
mod verbosity;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lifecycle::{Gate, TaskKind, Tasks};
use node_api::{NodeError, StopReason, TerminalSession, TerminalSize};
use node_types::{Address, KernelMessage, Message, MessageId, ProcessId, Request};
use tokio::sync::{Semaphore, mpsc, watch};

pub use self::filter::harmless;
use self::history::History;
pub use self::history::{HISTORY_LINES, HistoryStore, MemoryHistory};
use self::session::Session;
pub use self::verbosity::OverrideStore;
use self::verbosity::Verbosity;
use crate::pending::Pending;
use crate::port::next_message;
use crate::{Inbox, KernelPort, Service, module};

/// Most terminals open at once.
pub const MAX_SESSIONS: usize = 16;
/// Most command lines that run at once.
pub const MAX_LINES: usize = 16;
/// Key presses waiting to be handled; a flood of input waits.
const INPUT_QUEUE: usize = 64;
/// Pieces of output waiting for the reader; see [`session`] for what happens
/// when it is full.
const OUTPUT_QUEUE: usize = 128;
/// How long closing waits for sessions to say why.
const FAREWELL_TIME: Duration = Duration::from_secs(2);

/// See the module's documentation.
#[derive(Debug)]
pub struct Terminal {
    address: Address,
    /// The process that gets typed lines.
    shell: Address,
    port: Arc<dyn KernelPort>,
    tasks: Tasks,
    history: History,
    verbosity: Verbosity,
    pending: Arc<Pending>,
    sessions: Arc<Semaphore>,
    lines: Arc<Semaphore>,
    closing: watch::Sender<Option<StopReason>>,
    gate: Gate,
}

impl Terminal {
    /// The module of one node.
    #[must_use]
    pub fn new(
        port: Arc<dyn KernelPort>,
        tasks: Tasks,
        history: Arc<dyn HistoryStore>,
        overrides: Arc<dyn OverrideStore>,
    ) -> Arc<Self> {
        let our = port.our().clone();
        let kernel = module("kernel");
        let shell = ProcessId::new("terminal", "terminal", "sys").unwrap_or(kernel);
        Arc::new(Self {
            address: Address::new(our.clone(), module("terminal")),
            verbosity: Verbosity::new(overrides, &our),
            shell: Address::new(our, shell),
            port,
            tasks,
            history: History::new(history),
            pending: Pending::new(MAX_LINES),
            sessions: Arc::new(Semaphore::new(MAX_SESSIONS)),
            lines: Arc::new(Semaphore::new(MAX_LINES)),
            closing: watch::Sender::new(None),
            gate: Gate::default(),
        })
    }

    /// Opens a terminal; `use_of_node` is dropped when it ends.
    ///
    /// # Errors
    /// [`NodeError`] when stopping or when [`MAX_SESSIONS`] are open.
    pub fn open(
        self: &Arc<Self>,
        size: TerminalSize,
        use_of_node: impl Send + 'static,
    ) -> Result<TerminalSession, NodeError> {
        let guard = self.enter()?;
        let permit = Arc::clone(&self.sessions)
            .try_acquire_owned()
            .map_err(|_| {
                NodeError::Limit(format!(
                    "this node has {MAX_SESSIONS} terminals open already: close one"
                ))
            })?;
        let (input, keys) = mpsc::channel(INPUT_QUEUE);
        let (drawn, output) = mpsc::channel(OUTPUT_QUEUE);
        let session = Session::new(Arc::clone(self), size, keys, drawn);
        self.tasks
            .spawn(TaskKind::graceful("terminal session"), async move {
                let _held = (guard, permit, use_of_node);
                session.run().await;
            });
        Ok(TerminalSession { input, output })
    }

    /// Tells every open terminal why it ends and closes it; nothing can be
    /// opened any more. Waits a moment for slow readers.
    pub async fn close_all(&self, reason: StopReason) {
        self.closing.send_if_modified(|closing| {
            let first = closing.is_none();
            closing.get_or_insert(reason);
            first
        });
        if tokio::time::timeout(FAREWELL_TIME, self.gate.close())
            .await
            .is_err()
        {
            tracing::debug!("some terminals did not read why they were closed");
        }
    }

    fn enter(&self) -> Result<lifecycle::GateGuard, NodeError> {
        if self.closing.borrow().is_some() || self.tasks.token().is_cancelled() {
            return Err(NodeError::Stopping);
        }
        self.gate.enter().map_err(|_| NodeError::Stopping)
    }

    /// The request that a typed line becomes.
    fn typed(&self, id: MessageId, line: &str) -> KernelMessage {
        KernelMessage {
            id,
            source: self.shell.clone(),
            target: self.shell.clone(),
            rsvp: None,
            message: Message::Request(Request {
                body: line.as_bytes().to_vec().into(),
                ..Request::default()
            }),
            lazy_load_blob: None,
        }
    }
}

#[async_trait]
impl Service for Terminal {
    fn id(&self) -> &ProcessId {
        &self.address.process
    }

    async fn run(self: Arc<Self>, mut inbox: Inbox) {
        while let Some(message) = next_message(&mut inbox, &self.tasks).await {
            // Only the shell answers lines; nobody has a request for us.
            if message.source == self.shell && matches!(message.message, Message::Response(..)) {
                self.pending.resolve(message);
            } else {
                tracing::debug!(source = %message.source, "unexpected message ignored");
            }
        }
    }
}

/// What a person is told when the node stops.
fn farewell(reason: StopReason) -> &'static str {
    match reason {
        StopReason::Owner => "This node was stopped by its owner.",
        StopReason::Idle => {
            "This node was not used for a while and goes to sleep. Connect again to wake it."
        }
        StopReason::Suspended => "The host's operator holds this node.",
        StopReason::HostRestart => "The host starts anew. Connect again in a moment.",
        StopReason::HostShutdown => "The host is shutting down. Connect again in a moment.",
    }
}

#[cfg(test)]
mod tests;
