//! WebSockets through the real listener.

use std::sync::atomic::Ordering;

use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message as Frame};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::support::{Host, PATIENCE, exchange};

const HANDSHAKE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: alice.localhost\r\nConnection: close\r\n\r\n";

async fn host() -> (Host, String) {
    let host = Host::start().await;
    let token = host.sign_up("ann@example.org").await;
    host.make_node(&token, "alice").await;
    (host, token)
}

/// Opens a WebSocket, or gives the status of the refusal.
async fn open(host: &Host, url: &str) -> Result<WebSocketStream<TcpStream>, u16> {
    let stream = TcpStream::connect(host.address).await.unwrap();
    let request = url.into_client_request().unwrap();
    match client_async(request, stream).await {
        Ok((client, response)) => {
            assert!(!response.headers().contains_key("x-hop"));
            Ok(client)
        }
        Err(Error::Http(refusal)) => Err(refusal.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

/// Waits until so many are open at the node.
async fn wait_for(host: &Host, sockets: usize) {
    let waiting = async {
        while host.control.sockets.load(Ordering::SeqCst) != sockets {
            host.control.socket_ended.notified().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap();
}

#[tokio::test]
async fn frames_pass_both_ways() {
    let (host, _) = host().await;
    let mut client = open(&host, "ws://alice.localhost/socket").await.unwrap();
    for length in [0, 1, 125, 126, 65_535, 65_536, 1 << 20] {
        let frame = Frame::Binary(vec![7; length].into());
        client.send(frame.clone()).await.unwrap();
        assert_eq!(client.next().await.unwrap().unwrap(), frame);
    }
    client.send(Frame::text("over")).await.unwrap();
    assert_eq!(client.next().await.unwrap().unwrap(), Frame::text("over"));
    client.close(None).await.unwrap();
    while let Some(Ok(_)) = client.next().await {}
    wait_for(&host, 0).await;
}

#[tokio::test]
async fn a_client_that_leaves_frees_the_node() {
    let (host, token) = host().await;
    let mut client = open(&host, "ws://alice.localhost/socket").await.unwrap();
    client.send(Frame::text("here")).await.unwrap();
    client.next().await.unwrap().unwrap();
    drop(client);
    wait_for(&host, 0).await;
    host.api("POST", "/nodes/alice/stop", &token, None).await;
    host.wait_for_status(&token, "alice", "stopped").await;
}

#[tokio::test]
async fn a_stopping_node_says_goodbye() {
    let (host, token) = host().await;
    let mut client = open(&host, "ws://alice.localhost/socket").await.unwrap();
    client.send(Frame::text("here")).await.unwrap();
    client.next().await.unwrap().unwrap();
    host.api("POST", "/nodes/alice/stop", &token, None).await;
    let frame = client.next().await.unwrap().unwrap();
    assert!(
        matches!(&frame, Frame::Close(Some(close)) if u16::from(close.code) == 1001),
        "{frame}"
    );
    while let Some(Ok(_)) = client.next().await {}
    host.wait_for_status(&token, "alice", "stopped").await;
}

#[tokio::test]
async fn nothing_but_101_turns_a_connection_over() {
    let (host, _) = host().await;
    // No WebSocket there: an ordinary answer, and the next request is one.
    let plain = format!("GET /name HTTP/1.1\r\nHost: alice.localhost\r\n{HANDSHAKE}\r\n{HIDDEN}");
    let answers = host.raw(plain).await;
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[0].text(), "alice.dev");
    // Other protocols, other methods, the dashboard.
    for (request, status) in [
        ("GET /socket HTTP/1.1\r\nHost: alice.localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n".to_owned(), 501),
        (format!("POST /socket HTTP/1.1\r\nHost: alice.localhost\r\n{HANDSHAKE}"), 501),
        (format!("GET /socket HTTP/1.0\r\nHost: alice.localhost\r\n{HANDSHAKE}"), 501),
        (format!("GET /socket HTTP/1.1\r\nHost: alice.localhost\r\nContent-Length: 5\r\n{HANDSHAKE}\r\nhello"), 400),
        (format!("GET /socket HTTP/1.1\r\nHost: alice.localhost\r\nTransfer-Encoding: chunked\r\n{HANDSHAKE}\r\n0\r\n"), 400),
        (format!("GET /rpc:distro:sys/message HTTP/1.1\r\nHost: alice.localhost\r\n{HANDSHAKE}"), 403),
    ] {
        let request = format!("{request}\r\n{HIDDEN}");
        let wire = exchange(host.address, request.as_bytes()).await;
        let text = String::from_utf8_lossy(&wire);
        assert_eq!(&text[9..12], status.to_string(), "{request}");
    }
    assert_eq!(host.control.sockets.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn what_is_hidden_behind_an_upgrade_is_no_request() {
    let (host, _) = host().await;
    for path in ["/socket", "/switch"] {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: alice.localhost\r\n{HANDSHAKE}\r\n{HIDDEN}");
        let wire = exchange(host.address, request.as_bytes()).await;
        let text = String::from_utf8_lossy(&wire);
        assert!(text.starts_with("HTTP/1.1 101"), "{text}");
        assert_eq!(text.matches("HTTP/1.1").count(), 1, "{text}");
        assert!(!text.contains("/hidden"), "{text}");
    }
    // Bytes that are neither: refused as a head before the switch, or passed on
    // after it; the connection ends either way.
    let mut stream = TcpStream::connect(host.address).await.unwrap();
    let request =
        format!("GET /socket HTTP/1.1\r\nHost: alice.localhost\r\n{HANDSHAKE}\r\n\u{1}\u{2}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut wire = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut wire)).await;
    read.expect("an end").unwrap();
    assert!(wire.starts_with(b"HTTP/1.1 101"));
    wait_for(&host, 0).await;
}

#[tokio::test]
async fn one_node_has_so_many_sockets() {
    let (host, token) = host().await;
    host.make_node(&token, "bob").await;
    let mut clients = Vec::new();
    for _ in 0..128 {
        clients.push(open(&host, "ws://alice.localhost/socket").await.unwrap());
    }
    assert_eq!(
        open(&host, "ws://alice.localhost/socket").await.err(),
        Some(503)
    );
    // Nobody else minds, nor do the node's own requests.
    open(&host, "ws://bob.localhost/socket").await.unwrap();
    assert_eq!(host.get("alice.localhost", "/name").await.status, 200);
    clients.clear();
    wait_for(&host, 0).await;
    open(&host, "ws://alice.localhost/socket").await.unwrap();
}

#[tokio::test]
async fn a_node_is_told_who_visits_and_where() {
    let (host, _) = host().await;
    for (authority, site, subdomain) in [
        ("Alice.localhost:8000", "alice.localhost:8000", "None"),
        ("alice.localhost", "alice.localhost", "None"),
        (
            "My-App.alice.localhost:8000",
            "alice.localhost:8000",
            "Some(\"my-app\")",
        ),
    ] {
        let told = host
            .send(
                "GET",
                authority,
                "/visit",
                &[("X-Forwarded-For", "192.0.2.7")],
                b"",
            )
            .await
            .text();
        assert!(told.contains("client: 127.0.0.1:"), "{told}");
        assert!(!told.contains("127.0.0.1:0,"), "{told}");
        let place = format!("secure: false, site: \"{site}\", subdomain: {subdomain}");
        assert!(told.contains(&place), "{told}");
    }
}
