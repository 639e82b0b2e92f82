//! Somebody else's server, which nodes call: HTTP/1.1 and WebSockets on a
//! loopback address, in the test's own process.
//!
//! Owns its listener and what it has seen; dropping it ends it. Everything that
//! it reads is bounded, a connection answers one request and ends within
//! [`PATIENCE`]. What the first segments of a path mean:
//!
//! | path | answer |
//! |---|---|
//! | `/echo…` | the request as JSON: `method`, `target`, `version`, `headers`, `body`, `length` |
//! | `/back` | the body that was sent, byte for byte |
//! | `/status/N` | status N |
//! | `/headers` | headers that test how they are told |
//! | `/redirect/N` | 302, N times, and then `/echo` |
//! | `/moved/STATUS?URL` | STATUS to the URL, as it is written |
//! | `/gzip`, `/deflate` | `/echo`, compressed |
//! | `/bomb/N` | N zero bytes in gzip |
//! | `/big/N` | N bytes of a pattern, with their length |
//! | `/chunked/N` | the same in chunks |
//! | `/endless` | bytes until the client hangs up |
//! | `/slow/MILLIS` | `/echo`, after a while |
//! | `/drip/N` | N bytes, one every tenth of a second |
//! | `/close` | none: the connection ends |
//! | `/half` | less than it says |
//! | `/garbage` | not HTTP |
//! | `/ws/echo` | a WebSocket that echoes text and binary messages |
//! | `/ws/head` | one that tells the request as JSON and then echoes |
//! | `/ws/header/NAME` | one that tells this header's value and then echoes |
//! | `/ws/ping` | one that pings, and then echoes |
//! | `/ws/close/CODE` | one that is closed at once |
//! | `/ws/drop` | one whose connection ends without a word |
//! | `/ws/refuse` | 403 |
//!
//! Everything else is 404.

mod answers;
mod request;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};

use answers::{answer, special, whole};
use request::{Request, read};

/// Most connections at a time.
const MAX_CONNECTIONS: usize = 256;
/// Most requests that are remembered.
const MAX_SEEN: usize = 10_000;
/// Longest life of a connection.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running server.
pub struct Origin {
    address: SocketAddr,
    seen: Arc<Seen>,
    task: JoinHandle<()>,
}

/// What came.
#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    requests: Mutex<Vec<String>>,
}

impl Origin {
    /// Starts one at 127.0.0.1.
    pub async fn start() -> Self {
        Self::start_at(IpAddr::V4(Ipv4Addr::LOCALHOST)).await
    }

    /// Starts one at an address of this machine.
    pub async fn start_at(ip: IpAddr) -> Self {
        let listener = TcpListener::bind((ip, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let task = tokio::spawn(accept(listener, seen.clone()));
        Self {
            address,
            seen,
            task,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of one of its paths.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The same for a WebSocket.
    pub fn socket(&self, path: &str) -> String {
        format!("ws://{}{path}", self.address)
    }

    /// How many connections were opened so far.
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::Relaxed)
    }

    /// `METHOD TARGET` of each request so far, the oldest first.
    pub fn requests(&self) -> Vec<String> {
        self.seen.requests.lock().unwrap().clone()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, seen: Arc<Seen>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    while let Ok((stream, _)) = listener.accept().await {
        seen.connections.fetch_add(1, Ordering::Relaxed);
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        let seen = seen.clone();
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            // Whatever fails here is for the client to see.
            let _ = tokio::time::timeout(PATIENCE, serve(stream, &seen)).await;
            drop(place);
        });
    }
}

/// Answers the one request of a connection.
async fn serve(mut stream: TcpStream, seen: &Seen) -> std::io::Result<()> {
    let Some(request) = read(&mut stream).await? else {
        return Ok(());
    };
    {
        let mut requests = seen.requests.lock().unwrap();
        if requests.len() < MAX_SEEN {
            requests.push(format!("{} {}", request.method, request.target));
        }
    }
    let target = request.target.clone();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut parts = path.split('/').skip(1);
    let (first, second) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    if first == "ws" {
        return socket(stream, &request, second, parts.next()).await;
    }
    match answer(&request, first, second, query) {
        Some(answer) => stream.write_all(&answer).await?,
        None => special(&mut stream, &request, first, second).await?,
    }
    stream.shutdown().await?;
    // So that what was sent is not lost to a reset.
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

/// Becomes a WebSocket, or refuses to.
async fn socket(
    mut stream: TcpStream,
    request: &Request,
    kind: &str,
    which: Option<&str>,
) -> std::io::Result<()> {
    let key = request.headers.get("sec-websocket-key");
    let (Some(key), false) = (key, kind == "refuse") else {
        let refusal = whole(request, 403, &[], b"no WebSocket");
        return stream.write_all(&refusal).await;
    };
    let accepted = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        derive_accept_key(key.as_bytes())
    );
    stream.write_all(accepted.as_bytes()).await?;
    if kind == "drop" {
        return Ok(());
    }
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
    let header = which.and_then(|name| request.headers.get(name));
    let code = which.and_then(|code| code.parse::<u16>().ok());
    let first = match kind {
        "head" => Some(Message::text(request.told().to_string())),
        "ping" => Some(Message::Ping(b"are you there".to_vec().into())),
        "close" => Some(Message::Close(Some(CloseFrame {
            code: code.unwrap_or(1000).into(),
            reason: "as told".into(),
        }))),
        "header" => header.map(Message::text),
        _ => None,
    };
    // An end of the other side is none of ours.
    if let Some(first) = first
        && socket.send(first).await.is_err()
    {
        return Ok(());
    }
    while let Some(Ok(message)) = socket.next().await {
        let echoes = matches!(message, Message::Text(_) | Message::Binary(_));
        if echoes && socket.send(message).await.is_err() {
            break;
        }
    }
    Ok(())
}
