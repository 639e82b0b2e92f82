//! The module as processes see it, over a fake kernel and real connections to
//! servers on this machine.

mod bodies;
mod bounds;
mod redirects;
mod requests;
mod sockets;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use lifecycle::queue::{self, Bounds};
use lifecycle::{ManualClock, TaskKind};
use node_api::EgressRecord;
use node_egress::{Dialer, EgressLimits, EgressLog, EgressOptions, EgressPolicy};
use node_types::{Blob, Edition};
use parking_lot::Mutex;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::testing::FakePort;

const APP: &str = "app:test:alice.dev";
/// A process of the generation with underscores.
const OLD: &str = "old:test:alice.dev";
const LIMIT: u64 = 1 << 20;

/// Keeps the records of connections.
#[derive(Debug, Default)]
struct Log(Mutex<Vec<EgressRecord>>);

impl EgressLog for Log {
    fn write(&self, record: EgressRecord) {
        self.0.lock().push(record);
    }
}

/// Counts itself while it lives.
struct Use(Arc<AtomicUsize>);

impl Use {
    fn begin(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count.clone())
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Rig {
    client: Arc<HttpClient>,
    port: Arc<FakePort>,
    sent: mpsc::UnboundedReceiver<KernelMessage>,
    inbox: queue::Sender<KernelMessage>,
    tasks: Tasks,
    log: Arc<Log>,
    used: Arc<AtomicUsize>,
}

impl Rig {
    fn new() -> Self {
        Self::with_connections(1000)
    }

    /// With at most so many connections.
    fn with_connections(connections: usize) -> Self {
        let (port, sent) = FakePort::new("alice.dev");
        port.set_edition(OLD, Edition::V0_8);
        port.set_edition(APP, Edition::V1_0);
        let tasks = Tasks::new(tokio::runtime::Handle::current(), &CancellationToken::new());
        let log = Arc::new(Log::default());
        let egress = Egress::new(
            Dialer::new(&EgressOptions::default()).unwrap(),
            EgressPolicy {
                allow: vec!["127.0.0.0/8".parse().unwrap()],
            },
            EgressLimits {
                connections,
                per_second: 1000,
                burst: 1000,
                ..EgressLimits::default()
            },
            log.clone(),
            Arc::new(ManualClock::default()),
        );
        let config = Config {
            our: "alice.dev".parse().unwrap(),
            response_bytes: LIMIT,
            egress,
        };
        let used = Arc::new(AtomicUsize::new(0));
        let counted = used.clone();
        let in_use: InUse =
            Arc::new(move |_: Used| -> Box<dyn Send + Sync> { Box::new(Use::begin(&counted)) });
        let client = HttpClient::new(config, port.clone(), tasks.clone(), in_use);
        let (inbox, receiver) = queue::channel(Bounds {
            items: 10_000,
            cost: usize::MAX,
        });
        let running = client.clone();
        tasks.spawn(TaskKind::graceful("http-client"), async move {
            running.run(receiver).await;
        });
        Self {
            client,
            port,
            sent,
            inbox,
            tasks,
            log,
            used,
        }
    }

    /// A message from `source` to the module.
    fn message(&self, source: &str, action: &Value, blob: Option<&[u8]>) -> KernelMessage {
        let body = action.to_string();
        self.port
            .request(source, "http-client:distro:sys", body, blob)
    }

    fn give(&self, message: KernelMessage) {
        self.inbox.try_send(message, 1).unwrap();
    }

    /// What the module sends next.
    async fn next(&mut self) -> KernelMessage {
        let next = tokio::time::timeout(Duration::from_secs(20), self.sent.recv());
        let message = next.await.unwrap().unwrap();
        assert_eq!(message.source, self.port.address("http-client:distro:sys"));
        message
    }

    /// Does `action` in the name of `source`; its answer and blob.
    async fn ask(
        &mut self,
        source: &str,
        action: &Value,
        blob: Option<&[u8]>,
    ) -> (Value, Option<Blob>) {
        let message = self.message(source, action, blob);
        let id = message.id;
        self.give(message);
        let answer = self.next().await;
        assert_eq!(answer.id, id);
        assert_eq!(answer.target, self.port.address(source));
        assert!(matches!(answer.message, Message::Response(..)));
        (read(&answer), answer.lazy_load_blob)
    }

    /// Gets a URL; status, headers and body, or the error.
    async fn get(&mut self, url: &str) -> Result<(u64, Value, Bytes), Value> {
        let (answer, blob) = self.ask(APP, &http("GET", url), None).await;
        let Some(http) = answer.pointer("/Ok/Http") else {
            return Err(answer["Err"].clone());
        };
        let blob = blob.unwrap();
        assert_eq!(blob.mime, None);
        let status = http["status"].as_u64().unwrap();
        Ok((status, http["headers"].clone(), blob.bytes))
    }

    /// The text of the error that getting a URL ends with.
    async fn failure(&mut self, url: &str) -> String {
        let error = self.get(url).await.unwrap_err();
        let text = error["ExecuteRequestFailed"].as_str();
        text.unwrap_or_else(|| panic!("{error}")).to_owned()
    }

    /// How many connections were made.
    fn connected(&self) -> usize {
        let log = self.log.0.lock();
        let made = log.iter().filter(|record| record.reason.is_none());
        made.count()
    }
}

fn read(message: &KernelMessage) -> Value {
    serde_json::from_slice(message.message.body()).unwrap()
}

/// A request without headers.
fn http(method: &str, url: &str) -> Value {
    json!({"Http": {"method": method, "version": null, "url": url, "headers": {}}})
}

/// A server that gives canned answers.
struct Server {
    address: SocketAddr,
    /// The requests, each as it came.
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// A server whose answer to each request `answer` makes, from its text. It
    /// closes the connection after answers that say so.
    async fn start(
        tasks: &Tasks,
        answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer) = (seen.clone(), Arc::new(answer));
        let address = listen(tasks, move |mut stream| {
            let (seen, answer) = (kept.clone(), answer.clone());
            async move {
                while let Some(request) = read_request(&mut stream).await {
                    seen.lock().push(request.clone());
                    let answer = answer(&request);
                    if stream.write_all(&answer).await.is_err() {
                        return;
                    }
                    if String::from_utf8_lossy(&answer).contains("connection: close") {
                        return;
                    }
                }
            }
        })
        .await;
        Self { address, seen }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().clone()
    }
}

/// Serves every connection with a future of its own.
async fn listen<F>(tasks: &Tasks, serve: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tasks.clone();
    tasks.spawn(TaskKind::abortable("server"), async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            serving.spawn(TaskKind::abortable("connection"), serve(stream));
        }
    });
    address
}

/// A head with the body it announces; `None` at the end of the connection.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(bytes).unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(head + &String::from_utf8_lossy(&body))
}

/// An answer with these headers, each with its line's end, and this body.
fn response(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// Waits until `is_so`.
async fn until(is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting)
        .await
        .unwrap();
}
