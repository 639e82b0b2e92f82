//! A node whose terminal, command lines and HTTP follow a script.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use lifecycle::{TaskKind, Tasks};
use node_api::{
    ByteStream, HttpRequest, HttpResponse, LaunchError, LineOutcome, LoginVerifiers, NodeError,
    NodeHandle, NodeLauncher, NodeSpec, NodeStatus, NodeUsage, Origin, Rest, Secret, StopReason,
    TenantKey, TerminalInput, TerminalSession, TerminalSize,
};
use node_types::NodeName;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Launches scripted nodes, or fails.
#[derive(Debug, Default)]
pub struct Launcher {
    pub fails: Mutex<Option<String>>,
    pub launches: Mutex<Vec<String>>,
}

#[async_trait]
impl NodeLauncher for Launcher {
    async fn launch(&self, spec: NodeSpec) -> Result<Arc<dyn NodeHandle>, LaunchError> {
        self.launches.lock().push(spec.name.to_string());
        if let Some(reason) = self.fails.lock().clone() {
            return Err(LaunchError::Resources(reason));
        }
        Ok(Arc::new(Node::new(spec.name)))
    }

    async fn purge(&self, _key: TenantKey, _directories: &[PathBuf]) -> Result<(), LaunchError> {
        Ok(())
    }
}

#[derive(Debug)]
pub struct Node {
    name: NodeName,
    status: watch::Sender<NodeStatus>,
    tasks: Tasks,
}

impl Node {
    fn new(name: NodeName) -> Self {
        Self {
            name,
            status: watch::channel(NodeStatus::Active).0,
            tasks: Tasks::new(tokio::runtime::Handle::current(), &CancellationToken::new()),
        }
    }
}

/// Byte `index` of every generated body.
pub fn pattern(index: usize) -> u8 {
    (index.wrapping_mul(31) >> 3) as u8
}

/// Order-sensitive sum of a body.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Sum {
    pub bytes: usize,
    pub sum: u64,
}

impl Sum {
    pub fn add(&mut self, data: &[u8]) {
        for byte in data {
            self.sum = self
                .sum
                .wrapping_mul(0x0100_0000_01b3)
                .wrapping_add(u64::from(*byte));
        }
        self.bytes += data.len();
    }
}

#[async_trait]
impl NodeHandle for Node {
    fn name(&self) -> &NodeName {
        &self.name
    }

    fn status(&self) -> watch::Receiver<NodeStatus> {
        self.status.subscribe()
    }

    fn usage(&self) -> NodeUsage {
        NodeUsage::default()
    }

    fn ingress(&self, _: &node_api::Peer, _: node_types::PeerMessage) -> node_api::Ingress {
        node_api::Ingress::Refused
    }

    fn idle_for(&self) -> Duration {
        Duration::ZERO
    }

    async fn http(&self, _request: HttpRequest, _origin: Origin) -> HttpResponse {
        HttpResponse::new(node_api::empty_body())
    }

    fn login_cookie(&self, secure: bool) -> Option<String> {
        let end = if secure { "; Secure" } else { "" };
        Some(format!("kinode-auth_{}=fake; HttpOnly{end}", self.name()))
    }

    fn renew_login(&self, _: LoginVerifiers, _: Secret<[u8; 32]>) {}

    async fn serve_http(&self, io: Box<dyn ByteStream>, origin: Origin) {
        let stopping = self.tasks.token().clone();
        tokio::select! {
            () = stopping.cancelled() => {}
            served = serve(&self.name, io, origin) => { let _ = served; }
        }
    }

    async fn open_terminal(&self, size: TerminalSize) -> Result<TerminalSession, NodeError> {
        let (input, keys) = mpsc::channel(16);
        let (draw, output) = mpsc::channel(16);
        let name = self.name.to_string();
        let stopping = self.tasks.token().clone();
        self.tasks
            .spawn(TaskKind::graceful("terminal"), async move {
                tokio::select! {
                    () = stopping.cancelled() => {
                        let _ = draw.send("\r\nthe node is stopping\r\n".into()).await;
                    }
                    () = terminal(&name, size, keys, &draw) => {}
                }
            });
        Ok(TerminalSession { input, output })
    }

    async fn run_line(
        &self,
        line: String,
        output: mpsc::Sender<Bytes>,
        limit: Duration,
    ) -> Result<LineOutcome, NodeError> {
        let say = |text: String| async {
            output
                .send(text.into())
                .await
                .map_err(|_| NodeError::Stopping)
        };
        match line.as_str() {
            "refused" => Err(NodeError::Limit("too many lines at once".to_owned())),
            "endless" => {
                say("begun\n".to_owned()).await?;
                tokio::time::sleep(limit).await;
                say("out of time\n".to_owned()).await?;
                Ok(LineOutcome::Failed)
            }
            "flood" => {
                for _ in 0..1000 {
                    say("x".repeat(10_000)).await?;
                }
                Ok(LineOutcome::Done)
            }
            "nonsense" => {
                say("no script is called nonsense\n".to_owned()).await?;
                Ok(LineOutcome::Failed)
            }
            line => {
                say(format!("{}: {line}\n", self.name)).await?;
                Ok(LineOutcome::Done)
            }
        }
    }

    async fn stop(&self, _reason: StopReason) -> Rest {
        self.status.send_replace(NodeStatus::Stopping);
        // As with a real node, the doors may know before the terminals do.
        tokio::time::sleep(Duration::from_millis(50)).await;
        self.tasks.shutdown(Duration::from_secs(1)).await;
        self.status.send_replace(NodeStatus::Stopped);
        Rest::default()
    }
}

/// Prompt, echo, `size`, `flood`, `exit` and Ctrl+D.
async fn terminal(
    name: &str,
    mut size: TerminalSize,
    mut keys: mpsc::Receiver<TerminalInput>,
    draw: &mpsc::Sender<Bytes>,
) {
    let mut line = String::new();
    let prompt = format!("{name} > ");
    let say = |text: String| async { draw.send(text.into()).await.is_ok() };
    say(prompt.clone()).await;
    while let Some(input) = keys.recv().await {
        let bytes = match input {
            TerminalInput::Resize(new) => {
                size = new;
                say(format!("[now {}x{}]", size.columns, size.rows)).await;
                continue;
            }
            TerminalInput::Keys(bytes) => bytes,
        };
        for byte in bytes {
            match byte {
                3 => {
                    line.clear();
                    say("^C\r\n".to_owned()).await;
                }
                4 => return,
                b'\r' | b'\n' => {
                    let answer = match line.as_str() {
                        "exit" => {
                            say("\r\nbye\r\n".to_owned()).await;
                            return;
                        }
                        "size" => format!("\r\n[{}x{}]\r\n", size.columns, size.rows),
                        "flood" => {
                            for _ in 0..2000 {
                                if !say("y".repeat(10_000)).await {
                                    return;
                                }
                            }
                            "\r\n".to_owned()
                        }
                        other => format!("\r\nyou said {other}\r\n"),
                    };
                    line.clear();
                    say(answer + &prompt).await;
                }
                byte => {
                    line.push(char::from(byte));
                    say(char::from(byte).to_string()).await;
                }
            }
        }
    }
}

/// `GET /…` answers where it came from; `GET /bytes/N` a body of N bytes;
/// `POST` sums its body; `COUNT` counts bytes until the end of file and answers
/// then; `LAST` answers at once, ends its side and counts what still comes.
async fn serve(
    name: &NodeName,
    mut io: Box<dyn ByteStream>,
    origin: Origin,
) -> std::io::Result<()> {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if io.read(&mut byte).await? == 0 {
                return io.shutdown().await;
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let words: Vec<&str> = head.split_ascii_whitespace().collect();
        match (words[0], words[1]) {
            ("GET", path) if path.starts_with("/bytes/") => {
                let total: usize = path["/bytes/".len()..].parse().unwrap();
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {total}\r\n\r\n");
                io.write_all(head.as_bytes()).await?;
                let mut sent = 0;
                while sent < total {
                    let chunk: Vec<u8> = (sent..total.min(sent + 65_536)).map(pattern).collect();
                    io.write_all(&chunk).await?;
                    sent += chunk.len();
                }
            }
            ("GET", path) => {
                let body = format!("{name} {origin:?} {path}");
                let length = body.len();
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
                io.write_all(answer.as_bytes()).await?;
            }
            ("POST", total) => {
                let total: usize = total.parse().unwrap();
                let mut sum = Sum::default();
                let mut buffer = vec![0; 65_536];
                while sum.bytes < total {
                    let read = io.read(&mut buffer).await?;
                    if read == 0 {
                        return Ok(());
                    }
                    sum.add(&buffer[..read]);
                }
                io.write_all(format!("{} {}\r\n", sum.bytes, sum.sum).as_bytes())
                    .await?;
            }
            ("COUNT", _) => {
                let read = io.read_to_end(&mut Vec::new()).await?;
                io.write_all(format!("counted {read}").as_bytes()).await?;
                return io.shutdown().await;
            }
            ("LAST", _) => {
                io.write_all(b"all I have to say").await?;
                io.shutdown().await?;
                let mut rest = Vec::new();
                io.read_to_end(&mut rest).await?;
                assert_eq!(rest, b"still listening");
                return Ok(());
            }
            // Never reads again.
            ("DEAF", _) => return std::future::pending().await,
            other => panic!("unknown request {other:?}"),
        }
        io.flush().await?;
    }
}
