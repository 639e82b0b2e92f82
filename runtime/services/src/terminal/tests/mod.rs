//! Terminals as people see them, over a fake kernel.

mod drawing;
mod keys;
mod levels;
mod lines;
mod sessions;
mod vt;

use std::time::Duration;

use bytes::Bytes;
use lifecycle::queue::{self, Bounds};
use node_api::TerminalInput;
use node_types::Response;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::testing::FakePort;
use crate::{NodeEvent, ProcessExit};
use vt::Vt;

struct Harness {
    terminal: Arc<Terminal>,
    port: Arc<FakePort>,
    sent: mpsc::UnboundedReceiver<KernelMessage>,
    inbox: queue::Sender<KernelMessage>,
    tasks: Tasks,
    store: Arc<MemoryHistory>,
    overrides: Arc<MemoryOverrides>,
}

/// Overrides as they are kept; may be told to fail.
#[derive(Debug, Default)]
struct MemoryOverrides {
    saved: parking_lot::Mutex<Option<Vec<u8>>>,
    failing: std::sync::atomic::AtomicBool,
}

#[async_trait]
impl OverrideStore for MemoryOverrides {
    fn load(&self) -> Option<Vec<u8>> {
        self.saved.lock().clone()
    }

    async fn save(&self, saved: Vec<u8>) -> Result<(), String> {
        if self.failing.load(std::sync::atomic::Ordering::Relaxed) {
            return Err("the disk is full".to_owned());
        }
        *self.saved.lock() = Some(saved);
        Ok(())
    }
}

impl Harness {
    fn new() -> Self {
        let (port, sent) = FakePort::new("alice.dev");
        let tasks = Tasks::new(tokio::runtime::Handle::current(), &CancellationToken::new());
        let store = Arc::new(MemoryHistory::default());
        let overrides = Arc::new(MemoryOverrides::default());
        let terminal = Terminal::new(
            port.clone(),
            tasks.clone(),
            store.clone(),
            overrides.clone(),
        );
        let (inbox, receiver) = queue::channel(Bounds {
            items: 100,
            cost: usize::MAX,
        });
        let running = Arc::clone(&terminal);
        tasks.spawn(TaskKind::graceful("terminal"), async move {
            running.run(receiver).await;
        });
        Self {
            terminal,
            port,
            sent,
            inbox,
            tasks,
            store,
            overrides,
        }
    }

    fn print(&self, source: &str, verbosity: u8, text: &str) {
        self.port.emit(NodeEvent::Print {
            source: source.parse().unwrap(),
            about: None,
            verbosity,
            text: text.into(),
        });
    }

    fn exited(&self, process: &str, exit: ProcessExit) {
        let process = process.parse().unwrap();
        self.port.emit(NodeEvent::Exited { process, exit });
    }

    /// Answers `asked` as the shell does.
    fn answer(&self, asked: &KernelMessage, body: &str) {
        let answer = KernelMessage {
            id: asked.id,
            source: asked.target.clone(),
            target: asked.answer_to().clone(),
            rsvp: None,
            message: Message::Response(
                Response {
                    body: body.as_bytes().to_vec().into(),
                    ..Response::default()
                },
                None,
            ),
            lazy_load_blob: None,
        };
        self.inbox.try_send(answer, 1).unwrap();
    }
}

/// An open terminal and the window it is shown in.
struct Window {
    session: TerminalSession,
    vt: Vt,
    ended: bool,
}

impl Window {
    async fn open(harness: &Harness, columns: u16, rows: u16) -> Self {
        let session = harness
            .terminal
            .open(TerminalSize { columns, rows }, ())
            .unwrap();
        let mut window = Self {
            session,
            vt: Vt::new(columns.into(), rows.into()),
            ended: false,
        };
        window.settle().await;
        window
    }

    /// Shows everything that comes until nothing happens any more: with a
    /// paused clock the time-out passes once every task is idle.
    async fn settle(&mut self) {
        let soon = Duration::from_millis(1);
        loop {
            match tokio::time::timeout(soon, self.session.output.recv()).await {
                Ok(Some(bytes)) => self.vt.feed(std::str::from_utf8(&bytes).unwrap()),
                Ok(None) => {
                    self.ended = true;
                    return;
                }
                Err(_) => return,
            }
        }
    }

    async fn keys(&mut self, keys: &str) {
        let keys = TerminalInput::Keys(Bytes::copy_from_slice(keys.as_bytes()));
        let _ = self.session.input.send(keys).await;
        self.settle().await;
    }

    /// The lines below the welcome.
    fn lines(&self) -> Vec<String> {
        self.vt.lines().split_off(1)
    }
}
