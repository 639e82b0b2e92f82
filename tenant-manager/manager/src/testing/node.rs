//! A node that answers everything and runs nothing.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use lifecycle::{TaskKind, Tasks};
use node_api::{
    ByteStream, HttpRequest, HttpResponse, Ingress, LineOutcome, LoginVerifiers, NodeError,
    NodeHandle, NodeStatus, NodeUsage, Origin, Peer, Rest, Secret, StopReason, TerminalInput,
    TerminalSession, TerminalSize, Transport,
};
use node_types::{KernelMessage, NodeName, PeerMessage};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Chunks queued in each direction of a terminal.
const TERMINAL_QUEUE: usize = 64;
/// Longest request head.
const HEAD: usize = 64 * 1024;
/// Ctrl+D.
const END: u8 = 4;
/// Messages of peers that it keeps until a test takes some.
const MAILBOX: usize = 8;

/// See the module's documentation. `http` answers 200 and the line
/// `<name> <origin> <method> <path and query>`, as does `serve_http` for each
/// request without a body; a terminal prints `<name> > ` and echoes keys until
/// Ctrl+D; a line that begins with `fail` fails, any other prints `ran <line>`.
/// Messages of peers go into a small mailbox, which tests empty.
#[derive(Debug)]
pub struct FakeNode {
    name: NodeName,
    status: watch::Sender<NodeStatus>,
    last_used: Mutex<Instant>,
    wake_in: Mutex<Option<Duration>>,
    stopped_for: Mutex<Option<StopReason>>,
    hold_stop: watch::Sender<bool>,
    transport: Arc<dyn Transport>,
    logins: Mutex<Vec<[u8; 32]>>,
    before_login: Mutex<Hook>,
    mailbox: Mutex<VecDeque<KernelMessage>>,
    /// Told after every change of the mailbox.
    mailbox_changed: watch::Sender<()>,
    tasks: Tasks,
}

/// Something that a test does in the midst of something else, once.
#[derive(Default)]
pub(super) struct Hook(pub(super) Option<Box<dyn FnOnce() + Send>>);

impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Hook").field(&self.0.is_some()).finish()
    }
}

impl FakeNode {
    pub(super) fn start(
        name: NodeName,
        transport: Arc<dyn Transport>,
        before_login: Hook,
    ) -> Arc<Self> {
        Arc::new(Self {
            name,
            status: watch::channel(NodeStatus::Active).0,
            last_used: Mutex::new(Instant::now()),
            wake_in: Mutex::default(),
            stopped_for: Mutex::new(None),
            hold_stop: watch::channel(false).0,
            transport,
            logins: Mutex::default(),
            before_login: Mutex::new(before_login),
            mailbox: Mutex::default(),
            mailbox_changed: watch::channel(()).0,
            tasks: Tasks::new(tokio::runtime::Handle::current(), &CancellationToken::new()),
        })
    }

    /// Whether it has not been stopped.
    pub fn is_running(&self) -> bool {
        *self.status.borrow() != NodeStatus::Stopped
    }

    /// Fails by itself.
    pub fn break_down(&self, reason: &str) {
        self.status
            .send_replace(NodeStatus::Broken(reason.to_owned()));
    }

    /// Someone uses it now.
    pub fn touch(&self) {
        *self.last_used.lock() = Instant::now();
    }

    /// Its first timer elapses so long after its stop.
    pub fn set_wake_in(&self, wake_in: Option<Duration>) {
        *self.wake_in.lock() = wake_in;
    }

    /// Whether `stop` waits until told otherwise.
    pub fn hold_stop(&self, hold: bool) {
        self.hold_stop.send_replace(hold);
    }

    /// Why it was stopped.
    pub fn stopped_for(&self) -> Option<StopReason> {
        *self.stopped_for.lock()
    }

    /// The logins put in place since it was launched, in order: the verifiers
    /// of the older clients.
    pub fn logins(&self) -> Vec<[u8; 32]> {
        self.logins.lock().clone()
    }

    /// Its way to other nodes.
    pub fn transport(&self) -> Arc<dyn Transport> {
        self.transport.clone()
    }

    /// Takes the oldest message of a peer; waits for one.
    pub async fn take(&self) -> KernelMessage {
        let mut changed = self.mailbox_changed.subscribe();
        loop {
            let taken = self.mailbox.lock().pop_front();
            if let Some(message) = taken {
                self.mailbox_changed.send_replace(());
                return message;
            }
            // The sender lives in `self`, so waiting cannot fail.
            let _ = changed.changed().await;
        }
    }

    /// Messages in its mailbox.
    pub fn mail(&self) -> usize {
        self.mailbox.lock().len()
    }

    fn line(&self, origin: Origin, method: &str, path: &str) -> String {
        format!("{} {origin:?} {method} {path}\n", self.name)
    }

    fn accepts(&self) -> Result<(), NodeError> {
        if *self.status.borrow() == NodeStatus::Active {
            Ok(())
        } else {
            Err(NodeError::Stopping)
        }
    }

    async fn answer_one(
        &self,
        io: &mut Box<dyn ByteStream>,
        origin: Origin,
    ) -> std::io::Result<bool> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if head.len() > HEAD || io.read(&mut byte).await? == 0 {
                return Ok(false);
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head);
        let mut words = head.split_ascii_whitespace();
        let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let body = self.line(origin, method, path);
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        io.write_all(answer.as_bytes()).await?;
        io.flush().await?;
        Ok(true)
    }
}

#[async_trait]
impl NodeHandle for FakeNode {
    fn name(&self) -> &NodeName {
        &self.name
    }

    fn status(&self) -> watch::Receiver<NodeStatus> {
        self.status.subscribe()
    }

    fn usage(&self) -> NodeUsage {
        NodeUsage {
            memory_bytes: 1 << 20,
            disk_bytes: 4096,
            disk_files_bytes: 3072,
            disk_sqlite_bytes: 1024,
            processes: 1,
            ..NodeUsage::default()
        }
    }

    fn idle_for(&self) -> Duration {
        self.last_used.lock().elapsed()
    }

    async fn http(&self, request: HttpRequest, origin: Origin) -> HttpResponse {
        let path = request
            .uri()
            .path_and_query()
            .map_or("/", http::uri::PathAndQuery::as_str);
        let line = self.line(origin, request.method().as_str(), path);
        HttpResponse::new(node_api::body(line))
    }

    fn login_cookie(&self, secure: bool) -> Option<String> {
        let end = if secure { "; Secure" } else { "" };
        Some(format!("kinode-auth_{}=fake; HttpOnly{end}", self.name()))
    }

    fn renew_login(&self, login: LoginVerifiers, _: Secret<[u8; 32]>) {
        let hook = self.before_login.lock().0.take();
        if let Some(hook) = hook {
            hook();
        }
        self.logins.lock().push(login.sha256);
    }

    async fn serve_http(&self, mut io: Box<dyn ByteStream>, origin: Origin) {
        let cancelled = self.tasks.token().clone();
        let serve = async { while matches!(self.answer_one(&mut io, origin).await, Ok(true)) {} };
        tokio::select! {
            () = cancelled.cancelled() => {}
            () = serve => {}
        }
    }

    async fn open_terminal(&self, _size: TerminalSize) -> Result<TerminalSession, NodeError> {
        self.accepts()?;
        let (input, mut keys) = mpsc::channel(TERMINAL_QUEUE);
        let (draw, output) = mpsc::channel(TERMINAL_QUEUE);
        let prompt = Bytes::from(format!("{} > ", self.name));
        let cancelled = self.tasks.token().clone();
        self.tasks
            .spawn(TaskKind::graceful("fake terminal"), async move {
                let _ = draw.send(prompt).await;
                loop {
                    let next = tokio::select! {
                        () = cancelled.cancelled() => {
                            let _ = draw.try_send(Bytes::from_static(b"the node stops\r\n"));
                            return;
                        }
                        next = keys.recv() => next,
                    };
                    match next {
                        Some(TerminalInput::Keys(keys)) if !keys.contains(&END) => {
                            let _ = draw.send(keys).await;
                        }
                        Some(TerminalInput::Resize(size)) => {
                            let text = format!("[{}x{}]", size.columns, size.rows);
                            let _ = draw.send(Bytes::from(text)).await;
                        }
                        _ => return,
                    }
                }
            });
        Ok(TerminalSession { input, output })
    }

    async fn run_line(
        &self,
        line: String,
        output: mpsc::Sender<Bytes>,
        _limit: Duration,
    ) -> Result<LineOutcome, NodeError> {
        self.accepts()?;
        if line.starts_with("fail") {
            let _ = output.send(Bytes::from_static(b"it failed\n")).await;
            return Ok(LineOutcome::Failed);
        }
        let _ = output.send(Bytes::from(format!("ran {line}\n"))).await;
        Ok(LineOutcome::Done)
    }

    fn ingress(&self, from: &Peer, message: PeerMessage) -> Ingress {
        if self.accepts().is_err() {
            return Ingress::Stopping(message);
        }
        let mut mailbox = self.mailbox.lock();
        let deaf = message.target().process.process() == "deaf";
        if deaf || mailbox.len() >= MAILBOX {
            return Ingress::Full(message);
        }
        mailbox.push_back(message.arriving_from(from.name().clone()));
        drop(mailbox);
        self.mailbox_changed.send_replace(());
        Ingress::Taken
    }

    async fn ingress_when_room(&self, from: &Peer, mut message: PeerMessage) -> Ingress {
        let mut changed = self.mailbox_changed.subscribe();
        let mut status = self.status.subscribe();
        loop {
            message = match self.ingress(from, message) {
                Ingress::Full(message) => message,
                done => return done,
            };
            tokio::select! {
                _ = changed.changed() => {}
                _ = status.changed() => {}
                () = tokio::time::sleep(Duration::from_secs(5)) => return Ingress::Refused,
            }
        }
    }

    async fn stop(&self, reason: StopReason) -> Rest {
        self.status.send_replace(NodeStatus::Stopping);
        self.stopped_for.lock().get_or_insert(reason);
        let _ = self.hold_stop.subscribe().wait_for(|hold| !*hold).await;
        self.tasks.shutdown(Duration::from_secs(1)).await;
        self.status.send_replace(NodeStatus::Stopped);
        Rest {
            wake_in: self.wake_in.lock().filter(|_| reason.is_rest()),
            disk: Some(self.usage().disk()),
        }
    }
}
