//! The module as apps, browsers and kit see it, over a fake kernel.

mod answers;
mod apps;
mod budgets;
mod connections;
mod doors;
mod kept;
mod logins;
mod sites;
mod sockets;
mod statics;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use lifecycle::queue::{self, Bounds};
use lifecycle::{ManualClock, TaskKind};
use node_api::{HttpResponse, Keyfile, body};
use node_types::{Blob, Response};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::testing::FakePort;

const APP: &str = "app:test:alice.dev";
const PUBLIC_LIMIT: u64 = 1000;
const LOCAL_LIMIT: u64 = 5000;
const PASSWORD: &str = "correct horse";

struct Harness {
    server: Arc<HttpServer>,
    port: Arc<FakePort>,
    sent: mpsc::UnboundedReceiver<KernelMessage>,
    inbox: queue::Sender<KernelMessage>,
    tasks: Tasks,
    clock: ManualClock,
}

/// `0x` + hex, as browsers up to 0.9 send the password.
fn hash_text(password: &str) -> String {
    format!("0x{}", hex::encode(Sha256::digest(password.as_bytes())))
}

fn config(tls: bool) -> Config {
    Config {
        our: "alice.dev".parse().unwrap(),
        jwt_secret: Secret::new([7; 32]),
        login: LoginVerifiers {
            sha256: Sha256::digest(hash_text(PASSWORD).as_bytes()).into(),
            argon2id: [0; 32],
            keyfile: Keyfile::default(),
        },
        public_message_bytes: PUBLIC_LIMIT,
        local_message_bytes: LOCAL_LIMIT,
        signed_out: SignedOut::default(),
        tls,
        hashing: Arc::new(Semaphore::new(HASHING_PERMITS)),
    }
}

impl Harness {
    fn new() -> Self {
        Self::with(config(false))
    }

    fn with(config: Config) -> Self {
        let (port, sent) = FakePort::new("alice.dev");
        let tasks = Tasks::new(tokio::runtime::Handle::current(), &CancellationToken::new());
        let clock = ManualClock::default();
        clock.advance(1_000_000);
        let server = HttpServer::new(config, port.clone(), tasks.clone(), Arc::new(clock.clone()));
        let (inbox, receiver) = queue::channel(Bounds {
            items: 10_000,
            cost: usize::MAX,
        });
        let running = Arc::clone(&server);
        tasks.spawn(TaskKind::graceful("http-server"), async move {
            running.run(receiver).await;
        });
        server.set_ready(true);
        Self {
            server,
            port,
            sent,
            inbox,
            tasks,
            clock,
        }
    }

    /// Sends `action` from `source` and returns the answer's JSON.
    async fn act(&mut self, source: &str, action: &Value, blob: Option<&[u8]>) -> Value {
        let body = action.to_string();
        let request = self
            .port
            .request(source, "http-server:distro:sys", body, blob);
        let id = request.id;
        self.inbox.try_send(request, 1).unwrap();
        let answer = self.sent.recv().await.unwrap();
        assert_eq!(answer.id, id);
        assert_eq!(answer.target, self.port.address(source));
        serde_json::from_slice(answer.message.body()).unwrap()
    }

    async fn bind(&mut self, path: &str, authenticated: bool, local_only: bool) {
        let action = json!({"Bind": {"path": path, "authenticated": authenticated,
            "local_only": local_only, "cache": false}});
        assert_eq!(self.act(APP, &action, None).await, json!({"Ok": null}));
    }

    /// Begins a request; its answer comes through the receiver.
    fn begin(
        &self,
        request: http::Request<node_api::HttpBody>,
        origin: node_api::Origin,
    ) -> tokio::sync::oneshot::Receiver<HttpResponse> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let server = Arc::clone(&self.server);
        self.tasks
            .spawn(TaskKind::abortable("request"), async move {
                let _ = sender.send(server.handle(request, origin).await);
            });
        receiver
    }

    async fn public(&self, method: Method, path: &str) -> HttpResponse {
        let request = request(method, path, &[], "");
        self.server.handle(request, node_api::Origin::Public).await
    }

    /// Answers `asked` as an app does.
    fn answer(&self, asked: &KernelMessage, body: impl Into<Bytes>, blob: Option<&'static [u8]>) {
        let answer = KernelMessage {
            id: asked.id,
            source: asked.target.clone(),
            target: asked.source.clone(),
            rsvp: None,
            message: Message::Response(
                Response {
                    body: body.into(),
                    ..Response::default()
                },
                None,
            ),
            lazy_load_blob: blob.map(|bytes| Blob {
                mime: None,
                bytes: Bytes::from_static(bytes),
            }),
        };
        self.inbox.try_send(answer, 1).unwrap();
    }
}

/// A request as the proxy hands it over, from a client at `client`, to the
/// node's own host or to a subdomain of it.
fn visited(
    mut request: http::Request<node_api::HttpBody>,
    client: &str,
    subdomain: Option<&str>,
) -> http::Request<node_api::HttpBody> {
    request.extensions_mut().insert(node_api::Visit {
        client: client.parse().unwrap(),
        secure: false,
        site: "alice.localhost:8000".to_owned(),
        subdomain: subdomain.map(str::to_owned),
    });
    request
}

fn request(
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    content: impl Into<Bytes>,
) -> http::Request<node_api::HttpBody> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body(content)).unwrap()
}

/// A login cookie of the owner's.
fn cookie(harness: &Harness) -> String {
    let cookie = harness.server.login_cookie(false).unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

async fn text(response: HttpResponse) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}
