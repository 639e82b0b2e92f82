//! What one client may take of a node, seen from behind a trusted proxy.

use std::time::Duration;

use tenant_manager::ManagerLimits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::support::{Host, PATIENCE, options};

const STRANGER: &str = "192.0.2.7";
const OWNER: &str = "198.51.100.1";

/// Whose clients are who the proxy says.
async fn host() -> Host {
    let mut options = options();
    options.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    let host = Host::start_with(options, ManagerLimits::default()).await;
    let token = host.sign_up("ann@example.org").await;
    for label in ["alice", "bob"] {
        host.make_node(&token, label).await;
    }
    host
}

/// Opens a WebSocket for `client`, or gives the status of the refusal.
async fn open(host: &Host, label: &str, client: &str) -> Result<WebSocketStream<TcpStream>, u16> {
    let stream = TcpStream::connect(host.address).await.unwrap();
    let url = format!("ws://{label}.localhost/socket");
    let mut request = url.into_client_request().unwrap();
    let client = client.parse().unwrap();
    request.headers_mut().insert("x-forwarded-for", client);
    match client_async(request, stream).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(refusal)) => Err(refusal.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

/// A request of `client` whose answer has begun and does not end.
async fn begin(host: &Host, client: &str) -> TcpStream {
    let mut stream = TcpStream::connect(host.address).await.unwrap();
    let request = format!(
        "GET /endless HTTP/1.1\r\nHost: alice.localhost\r\nX-Forwarded-For: {client}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let first = async {
        let mut answer = Vec::new();
        while !String::from_utf8_lossy(&answer).contains("first") {
            assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0);
        }
    };
    tokio::time::timeout(PATIENCE, first).await.unwrap();
    stream
}

#[tokio::test]
async fn a_stranger_takes_a_quarter_of_a_nodes_sockets() {
    let host = host().await;
    let mut held = Vec::new();
    for _ in 0..32 {
        held.push(open(&host, "alice", STRANGER).await.unwrap());
    }
    assert_eq!(open(&host, "alice", STRANGER).await.err(), Some(429));
    // Another client, and another node, are no worse off.
    open(&host, "alice", OWNER).await.unwrap();
    open(&host, "bob", STRANGER).await.unwrap();
    for last in 0..32 {
        let client = format!("2001:db8::{last:x}");
        held.push(open(&host, "alice", &client).await.unwrap());
    }
    let same = "2001:db8::ffff:1";
    assert_eq!(open(&host, "alice", same).await.err(), Some(429));
    open(&host, "alice", "2001:db8:0:1::1").await.unwrap();
}

#[tokio::test]
async fn a_stranger_takes_a_quarter_of_a_nodes_requests() {
    let host = host().await;
    let mut held = Vec::new();
    for _ in 0..64 {
        held.push(begin(&host, STRANGER).await);
    }
    let ask = async |client: &str| {
        let headers = [("X-Forwarded-For", client), ("Accept", "application/json")];
        host.send("GET", "alice.localhost", "/name", &headers, b"")
            .await
    };
    let refused = ask(STRANGER).await;
    assert!(refused.problem(429).contains("from your address"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(ask(OWNER).await.text(), "alice.dev");
    // Nothing says who is behind a proxy that does not tell.
    let silent = host.get("alice.localhost", "/name").await;
    assert_eq!(silent.text(), "alice.dev");
}

#[tokio::test]
async fn this_machine_is_a_client_if_so_configured() {
    let mut options = options();
    options.rate_limits.count_loopback = true;
    let host = Host::start_with(options, ManagerLimits::default()).await;
    let token = host.sign_up("ann@example.org").await;
    host.make_node(&token, "alice").await;
    let mut held = Vec::new();
    for _ in 0..32 {
        held.push(open(&host, "alice", STRANGER).await.unwrap());
    }
    assert_eq!(open(&host, "alice", OWNER).await.err(), Some(429));
}

#[tokio::test]
async fn a_refused_sign_in_comes_late_and_keeps_nobody_else_waiting() {
    let host = host().await;
    let attempt = async |client: &str| {
        let headers = [("X-Forwarded-For", client), ("Accept", "application/json")];
        let begun = Instant::now();
        let answer = host
            .send("POST", "alice.localhost", "/login", &headers, b"{}")
            .await;
        (answer, begun.elapsed())
    };
    let mut refused = None;
    for _ in 0..50 {
        let (answer, took) = attempt(STRANGER).await;
        if answer.status == 429 {
            refused = Some((answer, took));
            break;
        }
    }
    let (refused, took) = refused.unwrap();
    assert!(took >= Duration::from_secs(1), "{took:?}");
    assert!(refused.header("retry-after").is_some());
    // While many such answers are held, the owner's comes at once.
    let flood = futures::future::join_all((0..100).map(|_| attempt(STRANGER)));
    tokio::pin!(flood);
    assert!(futures::poll!(flood.as_mut()).is_pending());
    let (owner, _) = tokio::select! {
        biased;
        owner = attempt(OWNER) => owner,
        _ = &mut flood => panic!("the flood was answered first"),
    };
    assert_ne!(owner.status, 429);
    flood.await;
}
