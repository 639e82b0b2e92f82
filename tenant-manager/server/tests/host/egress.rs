//! Where apps connected to, or were kept from connecting, is kept and shown to
//! their owner only.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::support::{self, Api, Host, Kit, Ssh, Tunnel, eventually};

/// Whoever asks through the tunnel is this process.
const ASKER: &str = "http-server:distro:sys";
const EGRESS: &str = "/nodes/alice/egress";
/// Tests reach this machine only.
const HERE: [&str; 2] = ["--plan-egress-allow", "127.0.0.0/8"];

/// A server on this machine that answers everybody and counts them.
struct Origin {
    port: u16,
    visits: Arc<AtomicUsize>,
}

impl Origin {
    fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let visits = Arc::new(AtomicUsize::new(0));
        let counted = visits.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                counted.fetch_add(1, Ordering::SeqCst);
                let mut stream = stream.unwrap();
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) > 0 {
                    head.push(byte[0]);
                }
                let answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi";
                let _ = stream.write_all(answer);
            }
        });
        Self { port, visits }
    }

    fn visits(&self) -> usize {
        self.visits.load(Ordering::SeqCst)
    }

    fn url(&self, host: &str) -> String {
        format!("http://{host}:{}/", self.port)
    }
}

/// Alice's node, which is asked to connect through a tunnel.
struct Bench {
    api: Api,
    /// Dropped before the host.
    tunnel: Option<(Tunnel, Kit)>,
    host: Host,
}

impl Bench {
    async fn start(flags: &[&str]) -> Self {
        let host = Host::start_with(flags);
        let api = host.api().sign_up("alice@example.org").await;
        api.create_node("alice").await;
        let password = api.ssh_password("alice").await;
        let tunnel = Ssh::new(host.ssh_port(), "alice", &password).tunnel();
        let kit = Kit::new(tunnel.port);
        Self {
            api,
            tunnel: Some((tunnel, kit)),
            host,
        }
    }

    /// What `http-client` answers to whoever wants `url`.
    async fn get(&self, url: &str) -> Value {
        let body = json!({"Http": {"method": "GET", "version": null, "url": url, "headers": {}}});
        let kit = &self.tunnel.as_ref().unwrap().1;
        let answer = kit
            .inject("http-client:distro:sys", &body.to_string())
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        serde_json::from_str(&answer.body).unwrap()
    }

    async fn page(&self, query: &str) -> Value {
        let answer = self.api.get(&format!("{EGRESS}{query}")).await;
        assert_eq!(answer.status(), StatusCode::OK);
        support::json(answer).await
    }

    /// Waits until so many connections are told; gives them, newest first.
    async fn connections(&self, count: usize) -> Vec<Value> {
        eventually("connections", Duration::from_secs(10), async || {
            let page = self.page("?limit=1000").await;
            let items = page["items"].as_array().unwrap().clone();
            (items.len() >= count).then_some(items)
        })
        .await
    }

    /// What stands on the page of the dashboard.
    async fn dashboard(&self) -> String {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let name = self.host.ready()["dashboard"].as_str().unwrap();
        let answer = client
            .get(format!("http://{}{EGRESS}", self.host.http()))
            .header("host", name.trim_start_matches("http://"))
            .header("cookie", format!("berth-session={}", self.api.token()))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        answer.text().await.unwrap()
    }
}

#[tokio::test]
async fn what_the_plan_allows_is_reached_and_told_asleep_and_after_a_restart() {
    let mut bench = Bench::start(&HERE).await;
    let origin = Origin::start();
    for _ in 0..3 {
        let answer = bench.get(&origin.url("127.0.0.1")).await;
        assert_eq!(answer["Ok"]["Http"]["status"], 200, "{answer}");
    }
    assert_eq!(origin.visits(), 3);
    let told = bench.connections(3).await;
    assert_eq!(told.len(), 3, "{told:?}");
    let newest = &told[0];
    let time = newest["time"].as_str().unwrap();
    assert!(time.starts_with("20") && time.ends_with('Z'), "{time}");
    for (field, value) in [
        ("process", json!(ASKER)),
        ("scheme", json!("http")),
        ("host", json!("127.0.0.1")),
        ("port", json!(origin.port)),
        ("address", json!(format!("127.0.0.1:{}", origin.port))),
        ("outcome", json!("connected")),
        ("reason", Value::Null),
    ] {
        assert_eq!(newest[field], value, "{field}: {newest}");
    }
    let first = bench.page("?limit=2").await;
    assert_eq!(first["items"], json!(told[..2]));
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = bench.page(&format!("?limit=2&cursor={cursor}")).await;
    assert_eq!(rest["items"], json!(told[2..]));
    assert_eq!(rest["next_cursor"], Value::Null);

    // Nobody else is told, and of the plan its owner is.
    let eve = bench.host.api().sign_up("eve@example.org").await;
    assert_eq!(eve.get(EGRESS).await.status(), StatusCode::NOT_FOUND);
    let account = support::json(bench.api.get("/account").await).await;
    assert_eq!(account["plan"]["egress_allow"], json!(["127.0.0.0/8"]));

    // The last one is there once the node sleeps, and reading wakes nobody.
    bench.get(&origin.url("127.0.0.1")).await;
    bench.tunnel = None;
    bench.api.hibernate("alice").await;
    let asleep = bench.page("?limit=1000").await;
    assert_eq!(asleep["items"].as_array().unwrap().len(), 4);
    assert_eq!(bench.api.status("alice").await, "hibernated");
    bench.host.restart();
    bench.api = bench.api.again(&bench.host);
    assert_eq!(bench.page("?limit=1000").await, asleep);
}

#[tokio::test]
async fn what_is_not_allowed_is_not_reached_and_why_is_told_everywhere() {
    let bench = Bench::start(&[]).await;
    let origin = Origin::start();
    let answer = bench.get(&origin.url("127.0.0.1")).await;
    assert!(!answer["Err"].is_null(), "{answer}");
    // The same address, spelled otherwise.
    bench.get(&origin.url("0x7f.1")).await;
    bench.get(&origin.url("[::ffff:127.0.0.1]")).await;
    let told = bench.connections(3).await;
    assert_eq!(origin.visits(), 0);
    for connection in &told {
        assert_eq!(connection["outcome"], "refused", "{connection}");
        assert_eq!(connection["process"], ASKER);
        assert!(!connection["reason"].as_str().unwrap().is_empty());
    }

    let page = bench.dashboard().await;
    let target = format!("http://127.0.0.1:{}", origin.port);
    for words in ["Outgoing connections of alice", &target, "Refused", ASKER] {
        assert!(page.contains(words), "{words}: {page}");
    }

    let printed = bench.host.berth(&["node", "egress", "alice"]);
    assert!(printed.status.success(), "{printed:?}");
    let printed = String::from_utf8(printed.stdout).unwrap();
    let rows: Vec<&str> = printed.lines().collect();
    assert!(rows[0].starts_with("TIME") && rows.len() == 4, "{printed}");
    for (row, connection) in rows[1..].iter().zip(&told) {
        let time = connection["time"].as_str().unwrap();
        let reason = connection["reason"].as_str().unwrap();
        assert!(row.starts_with(time) && row.contains("refused"), "{row}");
        assert!(row.contains(ASKER) && row.ends_with(reason), "{row}");
    }
    let one = bench
        .host
        .berth(&["node", "egress", "alice", "--limit", "1", "--json"]);
    let one: Value = serde_json::from_slice(&one.stdout).unwrap();
    assert_eq!(one["items"], json!(told[..1]));
    assert!(one["next_cursor"].is_string(), "{one}");
    let unknown = bench.host.berth(&["node", "egress", "nobody"]);
    assert_eq!(unknown.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(errors.contains("no node with this label"), "{errors}");
}

#[tokio::test]
async fn a_try_that_came_to_nothing_is_told_as_that() {
    let bench = Bench::start(&HERE).await;
    let port = support::ssh::free_port();
    let answer = bench.get(&format!("http://127.0.0.1:{port}/")).await;
    assert!(!answer["Err"].is_null(), "{answer}");
    let told = bench.connections(1).await;
    assert_eq!(told[0]["outcome"], "failed", "{told:?}");
    assert_eq!(told[0]["port"], port);
    assert!(told[0]["reason"].is_string(), "{told:?}");
}
