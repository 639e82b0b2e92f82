//! What hostile apps, servers and visitors do over HTTP, through the real doors
//! of a whole host: apps that reach for what is not theirs, servers that answer
//! badly, names that change their meaning, clients that neither ask nor go.

mod addresses;
mod bench_slow;
mod bombs;
mod corpus;
mod doors;
mod flood;
mod h2;
mod origin;
mod rebinding;
mod redirects;
mod slow;
mod ssrf;
mod tokens;
mod witness;

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::support::{Api, Host, Kit, Ssh, Tunnel, eventually, json as body_of};

/// The module that apps ask for what is outside.
const CLIENT: &str = "http-client:distro:sys";
/// How long a test waits for something that has to come.
const PATIENCE: Duration = Duration::from_secs(30);
/// Words of the answers that say "not now": such a request is made again.
const NOT_NOW: [&str; 2] = ["try again", "busy"];
/// In which the node may open some dozen connections more.
const REFILL: Duration = Duration::from_secs(1);

/// A node whose apps ask for what they like.
struct Bed {
    host: Host,
    api: Api,
    kit: Kit,
    tunnel: Tunnel,
}

/// What the node's HTTP client made of a request.
#[derive(Debug)]
enum Outcome {
    /// An answer of the other side, or that a WebSocket is open.
    Answered { answer: Value, body: Vec<u8> },
    /// An error, as the app reads it.
    Failed(String),
    /// Nothing in the time that the app waits.
    Nothing,
}

impl Outcome {
    /// The status of an answer.
    fn status(&self) -> Option<u64> {
        match self {
            Self::Answered { answer, .. } => answer["Http"]["status"].as_u64(),
            _ => None,
        }
    }

    /// The body of an answer with status 200.
    fn text(&self) -> Option<String> {
        match self {
            Self::Answered { body, .. } if self.status() == Some(200) => {
                Some(String::from_utf8_lossy(body).into_owned())
            }
            _ => None,
        }
    }

    fn is_failure(&self) -> bool {
        matches!(self, Self::Failed(_))
    }
}

/// A request for `url`.
fn get(url: &str) -> Value {
    json!({"Http": {"method": "GET", "version": null, "url": url, "headers": {}}})
}

impl Bed {
    /// A host with these flags, and a node.
    async fn start(flags: &[&str]) -> Self {
        let host = Host::start_with(flags);
        let api = host.api().sign_up("alice@example.org").await;
        api.create_node("alice").await;
        let ssh = Ssh::new(host.ssh_port(), "alice", &api.ssh_password("alice").await);
        let tunnel = ssh.tunnel();
        Self {
            kit: Kit::new(tunnel.port),
            host,
            api,
            tunnel,
        }
    }

    /// The owner's end of the tunnel.
    fn port(&self) -> u16 {
        self.tunnel.port
    }

    /// Asks the client once.
    async fn try_ask(&self, request: &Value) -> Outcome {
        let answer = self.kit.inject(CLIENT, &request.to_string()).await;
        if answer.status == StatusCode::REQUEST_TIMEOUT {
            return Outcome::Nothing;
        }
        assert_eq!(answer.status, StatusCode::OK, "{request}: {answer:?}");
        let told: Value = serde_json::from_str(&answer.body).unwrap();
        match told.get("Ok") {
            Some(ok) => Outcome::Answered {
                answer: ok.clone(),
                body: answer.blob.unwrap_or_default(),
            },
            None => {
                assert!(told.get("Err").is_some(), "{request}: {told}");
                Outcome::Failed(told["Err"].to_string())
            }
        }
    }

    /// Asks until it is not told to come back.
    async fn ask(&self, request: &Value) -> Outcome {
        let (outcome, ()) = self.ask_counting(request, || ()).await;
        outcome
    }

    /// The same, with what `count` said before the try that counts.
    async fn ask_counting<T>(&self, request: &Value, count: impl Fn() -> T) -> (Outcome, T) {
        eventually(&request.to_string(), PATIENCE, async || {
            let before = count();
            let outcome = self.try_ask(request).await;
            let not_now = match &outcome {
                Outcome::Failed(error) => {
                    let error = error.to_lowercase();
                    NOT_NOW.iter().any(|words| error.contains(words))
                }
                _ => false,
            };
            if not_now {
                // A chain of redirects needs many connections of the node's
                // rate: who asks at once again uses up what comes.
                tokio::time::sleep(REFILL).await;
            }
            (!not_now).then_some((outcome, before))
        })
        .await
    }

    /// GET.
    async fn get(&self, url: &str) -> Outcome {
        self.ask(&get(url)).await
    }

    /// The node's egress log, all of it, newest first.
    async fn egress(&self) -> Vec<Value> {
        let mut records = Vec::new();
        let mut path = "/nodes/alice/egress?limit=100".to_owned();
        loop {
            let answer = self.api.get(&path).await;
            assert_eq!(answer.status(), StatusCode::OK, "{path}");
            let page = body_of(answer).await;
            records.extend(page["items"].as_array().unwrap().iter().cloned());
            let Some(cursor) = page["next_cursor"].as_str() else {
                return records;
            };
            path = format!("/nodes/alice/egress?limit=100&cursor={cursor}");
        }
    }

    /// The egress log once it has a record that `matches`: they are written
    /// after the answer.
    async fn egress_with(&self, what: &str, matches: impl Fn(&Value) -> bool) -> Vec<Value> {
        eventually(what, PATIENCE, async || {
            let records = self.egress().await;
            records.iter().any(&matches).then_some(records)
        })
        .await
    }
}

/// Whether a record of the egress log is of a connection to this address.
fn connected_to(record: &Value, address: &str) -> bool {
    let dialled = record["address"].as_str().unwrap_or_default();
    let dialled: Option<SocketAddr> = dialled.parse().ok();
    let dialled = dialled.map(|dialled| dialled.ip().to_canonical());
    record["outcome"] == "connected" && dialled == address.parse().ok()
}
