//! A served door, and ways to talk to it.

mod browser;
mod frames;
mod http2;
mod markup;
mod node;
mod raw;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lifecycle::{ManualClock, TaskKind, Tasks, Timestamp};
use node_api::{EgressOutcome, EgressRecord};
use serde_json::{Value, json};
use tenant_manager::testing::{FakeLogs, FakeOptions, MemoryRepositories, start_over};
use tenant_manager::{Manager, ManagerLimits};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use web::{Options, RateLimits};

pub use browser::{Browser, encode, fill_in};
pub use frames::{Outcome, Wire};
pub use http2::{connect, exchange as exchange_h2, whole};
pub use markup::{Form, Markup};
pub use node::{BIG, Control, PIECE};
pub use raw::{Answer, PATIENCE, answers, exchange};

/// A door that serves.
pub struct Host {
    pub address: SocketAddr,
    pub dashboard: String,
    pub manager: Manager,
    /// Its database, which can be taken away.
    pub rows: Arc<MemoryRepositories>,
    pub control: Arc<Control>,
    /// What its nodes printed.
    pub logs: Arc<FakeLogs>,
    pub clock: ManualClock,
    pub tasks: Tasks,
    pub closing: web::Closing,
    /// Told when the door has stopped serving.
    pub ended: oneshot::Receiver<()>,
}

/// The settings of most tests.
pub fn options() -> Options {
    Options {
        http: SocketAddr::from(([127, 0, 0, 1], 0)),
        domain: "localhost".to_owned(),
        node_domain: "localhost".to_owned(),
        node_suffix: "dev".to_owned(),
        public_url: None,
        trusted_proxies: Vec::new(),
        ssh_host: "localhost".to_owned(),
        ssh_port: 2222,
        local_http_port: 8080,
        allow_shared_domain: false,
        rate_limits: RateLimits::default(),
    }
}

impl Host {
    pub async fn start() -> Self {
        Self::start_with(options(), ManagerLimits::default()).await
    }

    pub async fn start_with(options: Options, limits: ManagerLimits) -> Self {
        let fakes = FakeOptions {
            limits,
            ..FakeOptions::default()
        };
        Self::start_over(options, fakes).await
    }

    /// Over a manager with these settings; its logs are ours.
    pub async fn start_over(options: Options, fakes: FakeOptions) -> Self {
        let tasks = Tasks::new(tokio::runtime::Handle::current(), &CancellationToken::new());
        let control = Arc::new(Control::default());
        let clock = ManualClock::default();
        let launcher = Arc::new(node::Launcher(control.clone()));
        let logs = Arc::new(FakeLogs::default());
        let fakes = FakeOptions {
            logs: logs.clone(),
            ..fakes
        };
        let rows = Arc::new(MemoryRepositories::default());
        let manager = start_over(fakes, launcher, rows.repositories(), &clock, &tasks)
            .await
            .unwrap();
        let bound = web::bind(options, manager.clone(), &tasks, Arc::new(clock.clone()))
            .await
            .unwrap();
        let address = bound.local_addr();
        let dashboard = bound.dashboard_url();
        let closing = bound.closing();
        let (end, ended) = oneshot::channel();
        tasks.spawn(TaskKind::essential("door"), async move {
            bound.serve().await;
            let _ = end.send(());
        });
        Self {
            address,
            dashboard,
            manager,
            rows,
            control,
            logs,
            clock,
            tasks,
            closing,
            ended,
        }
    }

    /// Sends raw bytes; gives every answer until the server closes.
    pub async fn raw(&self, bytes: impl AsRef<[u8]>) -> Vec<Answer> {
        answers(&exchange(self.address, bytes.as_ref()).await)
    }

    /// One request on a connection of its own.
    pub async fn send(
        &self,
        method: &str,
        host: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut bytes =
            format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
        for (name, value) in headers {
            bytes.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            bytes.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        bytes.push_str("\r\n");
        let mut bytes = bytes.into_bytes();
        bytes.extend_from_slice(body);
        let mut answers = self.raw(bytes).await;
        assert_eq!(answers.len(), 1, "{method} {path}: {answers:?}");
        answers.remove(0)
    }

    pub async fn get(&self, host: &str, path: &str) -> Answer {
        self.send("GET", host, path, &[], b"").await
    }

    /// One call of the API, with JSON if there is some.
    pub async fn api(&self, method: &str, path: &str, token: &str, input: Option<Value>) -> Answer {
        let bearer = format!("Bearer {token}");
        let mut headers = Vec::new();
        if !token.is_empty() {
            headers.push(("Authorization", bearer.as_str()));
        }
        let body = input.map(|input| input.to_string());
        if body.is_some() {
            headers.push(("Content-Type", "application/json"));
        }
        let body = body.unwrap_or_default();
        let path = format!("/api/v1{path}");
        let answer = self
            .send(method, "localhost", &path, &headers, body.as_bytes())
            .await;
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        answer
    }

    /// Signs somebody up; gives the token.
    pub async fn sign_up(&self, email: &str) -> String {
        let input = json!({"email": email, "password": "long enough"});
        let answer = self.api("POST", "/accounts", "", Some(input)).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()["token"].as_str().unwrap().to_owned()
    }

    /// Signs up somebody who is an operator; gives the token.
    pub async fn sign_up_operator(&self, email: &str) -> String {
        let token = self.sign_up(email).await;
        self.manager.promote_operator(email).await.unwrap();
        token
    }

    /// Makes a node and waits until it answers.
    pub async fn make_node(&self, token: &str, label: &str) {
        let input = json!({"label": label, "password": "node password"});
        let answer = self.api("POST", "/nodes", token, Some(input)).await;
        assert_eq!(answer.status, 202, "{}", answer.text());
        let host = format!("{label}.localhost");
        let answer = self.get(&host, "/name").await;
        assert_eq!(answer.text(), format!("{label}.dev"));
    }

    /// A process of the node prints something.
    pub fn print(&self, label: &str, verbosity: u8, text: &str) {
        self.logs
            .add(&self.log_of(label), verbosity, "app:pack:me.dev", text);
    }

    /// An app of the node connects to `target`, or is refused for a reason.
    pub fn connects(&self, label: &str, target: &str, refused: Option<&str>) {
        let record = EgressRecord {
            number: 0,
            time: Timestamp::UNIX_EPOCH,
            process: "app:pack:me.dev".to_owned(),
            scheme: "https".to_owned(),
            host: target.to_owned(),
            port: 8443,
            address: refused
                .is_none()
                .then(|| SocketAddr::from(([192, 0, 2, 1], 8443))),
            outcome: match refused {
                Some(_) => EgressOutcome::Refused,
                None => EgressOutcome::Connected,
            },
            reason: refused.map(str::to_owned),
        };
        self.logs.connected(&self.log_of(label), record);
    }

    /// Where the log of a node that has run is.
    pub fn log_of(&self, label: &str) -> PathBuf {
        self.control.logs.lock().unwrap()[&format!("{label}.dev")].clone()
    }

    /// Asks until the node has this status.
    pub async fn wait_for_status(&self, token: &str, label: &str, status: &str) {
        let waiting = async {
            loop {
                let node = self
                    .api("GET", &format!("/nodes/{label}"), token, None)
                    .await;
                if node.json()["status"] == status {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(8), waiting).await;
        assert!(waited.is_ok(), "{label} did not become {status}");
    }
}
