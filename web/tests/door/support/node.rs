//! A node whose answers the tests choose by path.

use std::collections::HashMap;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use lifecycle::{TaskKind, Tasks};
use node_api::{
    BoxError, ByteStream, HttpRequest, HttpResponse, LaunchError, LineOutcome, LoginVerifiers,
    NodeError, NodeHandle, NodeLauncher, NodeSpec, NodeStatus, NodeUsage, Origin, Rest, Secret,
    StopReason, TenantKey, TerminalSession, TerminalSize, Upgrade, UsageReport, Visit, body,
    empty_body,
};
use node_types::NodeName;
use tokio::sync::{Notify, mpsc, watch};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_util::sync::CancellationToken;

/// What the tests watch and decide, for all nodes of one launcher.
#[derive(Debug, Default)]
pub struct Control {
    /// Nodes launched.
    pub launches: AtomicUsize,
    /// Launches fail.
    pub broken: AtomicBool,
    /// Launches wait for `wake`.
    pub asleep: AtomicBool,
    pub wake: Notify,
    /// Every request that reached a node, as method and target.
    pub asked: std::sync::Mutex<Vec<String>>,
    /// Requests that are being answered or whose answers are being read.
    pub using: AtomicUsize,
    /// Told when one of them ends.
    pub left: Notify,
    /// Told when a request to `/hang` has arrived.
    pub hanging: Notify,
    /// Why a node is broken after a request to `/break`.
    pub reason: std::sync::Mutex<String>,
    /// Logins that nodes got while they ran: the verifiers of older clients.
    pub logins: std::sync::Mutex<Vec<[u8; 32]>>,
    /// WebSockets that are open.
    pub sockets: AtomicUsize,
    /// Told when one of them ends.
    pub socket_ended: Notify,
    /// Where the logs of nodes are, by name.
    pub logs: std::sync::Mutex<HashMap<String, PathBuf>>,
    /// Most bytes of a `/big` body that were made but not yet read.
    pub made: AtomicUsize,
    /// What nodes say that they use.
    pub report: std::sync::Mutex<Option<UsageReport>>,
}

/// Boots [`FakeNode`]s.
#[derive(Debug)]
pub struct Launcher(pub Arc<Control>);

#[async_trait]
impl NodeLauncher for Launcher {
    async fn launch(&self, spec: NodeSpec) -> Result<Arc<dyn NodeHandle>, LaunchError> {
        if self.0.broken.load(Ordering::SeqCst) {
            return Err(LaunchError::Storage("secret reason".to_owned()));
        }
        if self.0.asleep.load(Ordering::SeqCst) {
            self.0.wake.notified().await;
        }
        self.0.launches.fetch_add(1, Ordering::SeqCst);
        let mut logs = self.0.logs.lock().unwrap();
        logs.insert(spec.name.to_string(), spec.log_dir);
        drop(logs);
        Ok(Arc::new(FakeNode {
            name: spec.name,
            status: watch::Sender::new(NodeStatus::Active),
            control: self.0.clone(),
            tasks: Tasks::new(tokio::runtime::Handle::current(), &CancellationToken::new()),
        }))
    }

    async fn purge(&self, _: TenantKey, _: &[PathBuf]) -> Result<(), LaunchError> {
        Ok(())
    }
}

#[derive(Debug)]
struct FakeNode {
    name: NodeName,
    status: watch::Sender<NodeStatus>,
    control: Arc<Control>,
    /// Of its WebSockets.
    tasks: Tasks,
}

/// Counts a request while it lives.
struct Using(Arc<Control>);

impl Using {
    fn new(control: &Arc<Control>) -> Self {
        control.using.fetch_add(1, Ordering::SeqCst);
        Self(control.clone())
    }
}

impl Drop for Using {
    fn drop(&mut self) {
        self.0.using.fetch_sub(1, Ordering::SeqCst);
        self.0.left.notify_one();
    }
}

/// Size of `/big` and of its pieces.
pub const BIG: usize = 64 << 20;
pub const PIECE: usize = 64 << 10;

/// Makes its pieces only when asked, and counts them.
struct Big {
    left: usize,
    using: Using,
}

impl Body for Big {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= PIECE;
        self.using.0.made.fetch_add(PIECE, Ordering::SeqCst);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![7; PIECE])))))
    }
}

/// Never ends.
struct Endless {
    sent: bool,
    #[expect(dead_code, reason = "its drop is what counts")]
    using: Using,
}

impl Body for Endless {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if std::mem::replace(&mut self.sent, true) {
            return Poll::Pending;
        }
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"first")))))
    }
}

/// What arrived, as text that the tests compare.
fn describe(request: &HttpRequest, origin: Origin) -> String {
    let mut lines = vec![format!("{origin:?} {} {}", request.method(), request.uri())];
    for (name, value) in request.headers() {
        lines.push(format!(
            "{name}: {}",
            String::from_utf8_lossy(value.as_bytes())
        ));
    }
    lines.join("\n")
}

impl FakeNode {
    /// Becomes a WebSocket that sends everything back.
    fn echo(&self, mut request: HttpRequest) -> HttpResponse {
        let mut response = HttpResponse::new(empty_body());
        let header = |name: &str| request.headers().get(name).cloned();
        let marked = header("upgrade").is_some_and(|value| value == "websocket")
            && header("connection").is_some_and(|value| value == "Upgrade");
        let key = header("sec-websocket-key");
        let upgrading = Upgrade::take(request.extensions_mut());
        let (true, Some(key), Some(upgrading)) = (marked, key, upgrading) else {
            *response.status_mut() = http::StatusCode::NOT_IMPLEMENTED;
            return response;
        };
        *response.status_mut() = http::StatusCode::SWITCHING_PROTOCOLS;
        let accept = derive_accept_key(key.as_bytes()).parse().unwrap();
        response
            .headers_mut()
            .insert("sec-websocket-accept", accept);
        response.headers_mut().insert("x-hop", "1".parse().unwrap());
        response
            .headers_mut()
            .insert("connection", "x-hop, upgrade".parse().unwrap());
        let (stop, control) = (self.tasks.token().clone(), self.control.clone());
        self.tasks.spawn(TaskKind::graceful("echo"), async move {
            if let Ok(io) = upgrading.await {
                control.sockets.fetch_add(1, Ordering::SeqCst);
                let mut socket = WebSocketStream::from_raw_socket(io, Role::Server, None).await;
                loop {
                    let frame = tokio::select! {
                        frame = socket.next() => frame,
                        () = stop.cancelled() => {
                            let away = CloseFrame { code: CloseCode::Away, reason: "".into() };
                            let _ = socket.close(Some(away)).await;
                            break;
                        }
                    };
                    match frame {
                        Some(Ok(frame @ (Message::Text(_) | Message::Binary(_)))) => {
                            let _ = socket.send(frame).await;
                        }
                        Some(Ok(_)) => {}
                        _ => break,
                    }
                }
                drop(socket);
                control.sockets.fetch_sub(1, Ordering::SeqCst);
                control.socket_ended.notify_one();
            }
        });
        response
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
        self.report().node
    }

    fn report(&self) -> UsageReport {
        let little = || UsageReport {
            node: NodeUsage {
                memory_bytes: 1000,
                disk_bytes: 2000,
                disk_files_bytes: 2000,
                processes: 3,
                ..NodeUsage::default()
            },
            ..UsageReport::default()
        };
        let told = self.control.report.lock().unwrap().clone();
        told.unwrap_or_else(little)
    }

    fn ingress(&self, _: &node_api::Peer, _: node_types::PeerMessage) -> node_api::Ingress {
        node_api::Ingress::Refused
    }

    fn idle_for(&self) -> Duration {
        Duration::ZERO
    }

    async fn http(&self, request: HttpRequest, origin: Origin) -> HttpResponse {
        let using = Using::new(&self.control);
        let asked = format!("{} {}", request.method(), request.uri());
        self.control.asked.lock().unwrap().push(asked);
        let path = request.uri().path().to_owned();
        let mut response = HttpResponse::new(empty_body());
        match path.as_str() {
            "/name" => *response.body_mut() = body(self.name.to_string()),
            "/socket" => return self.echo(request),
            "/visit" => {
                let visit = request.extensions().get::<Visit>().unwrap();
                *response.body_mut() = body(format!("{visit:?}"));
            }
            "/echo" => *response.body_mut() = request.into_body(),
            "/count" => {
                let collected = request.into_body().collect().await;
                *response.body_mut() = body(match collected {
                    Ok(collected) => collected.to_bytes().len().to_string(),
                    Err(error) => format!("error: {error}"),
                });
            }
            "/big" => *response.body_mut() = Big { left: BIG, using }.boxed_unsync(),
            "/endless" => {
                *response.body_mut() = Endless { sent: false, using }.boxed_unsync();
            }
            "/hang" => {
                self.control.hanging.notify_one();
                std::future::pending::<()>().await;
            }
            "/lies" => {
                *response.body_mut() = body("short");
                let headers = response.headers_mut();
                headers.append("content-length", "5000".parse().unwrap());
                headers.append("transfer-encoding", "chunked".parse().unwrap());
                headers.append("connection", "upgrade, x-secret".parse().unwrap());
                headers.append("x-secret", "1".parse().unwrap());
                headers.append("set-cookie", "a=1; Domain=localhost".parse().unwrap());
                headers.append("set-cookie", "b=2; Path=/".parse().unwrap());
            }
            "/break" => {
                let reason = self.control.reason.lock().unwrap().clone();
                self.status.send_replace(NodeStatus::Broken(reason));
            }
            "/switch" => *response.status_mut() = http::StatusCode::SWITCHING_PROTOCOLS,
            _ => *response.body_mut() = body(describe(&request, origin)),
        }
        response
    }

    fn login_cookie(&self, secure: bool) -> Option<String> {
        let end = if secure { "; Secure" } else { "" };
        Some(format!("kinode-auth_{}=fake; HttpOnly{end}", self.name()))
    }

    fn renew_login(&self, login: LoginVerifiers, _: Secret<[u8; 32]>) {
        self.control.logins.lock().unwrap().push(login.sha256);
    }

    async fn serve_http(&self, _: Box<dyn ByteStream>, _: Origin) {}

    async fn open_terminal(&self, _: TerminalSize) -> Result<TerminalSession, NodeError> {
        Err(NodeError::Stopping)
    }

    async fn run_line(
        &self,
        _: String,
        _: mpsc::Sender<Bytes>,
        _: Duration,
    ) -> Result<LineOutcome, NodeError> {
        Err(NodeError::Stopping)
    }

    async fn stop(&self, _: StopReason) -> Rest {
        self.status.send_replace(NodeStatus::Stopping);
        self.tasks.shutdown(Duration::from_secs(5)).await;
        self.status.send_replace(NodeStatus::Stopped);
        Rest {
            disk: Some(self.usage().disk()),
            ..Rest::default()
        }
    }
}
