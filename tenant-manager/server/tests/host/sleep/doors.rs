//! Which doors wake a sleeping node, and what does not.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use reqwest::{Method, StatusCode};
use tokio_tungstenite::tungstenite::Message;

use super::super::sockets::Socket;
use super::support::{Host, Metrics, Visitor, eventually};
use super::{Node, PATIENCE, wakes};

/// Requests that find a node asleep at once.
const CROWD: usize = 50;
const ECHO: &str = "/live:live:test.dev/echo";

#[tokio::test]
async fn a_page_and_a_websocket_wake_a_sleeping_node() {
    let host = Host::start();
    let alice = Node::create(&host, "alice").await;
    alice.install(&host, "live:test.dev").await;
    let open = async || Socket::open(&host.http(), "alice.localhost", ECHO, &[]).await;
    eventually("the app", PATIENCE, async || open().await.ok()).await;

    alice.sleep().await;
    wakes(&host, "http", async || {
        let (status, page) = alice.page("/login").await;
        assert_eq!(status, StatusCode::OK, "{page}");
        assert_eq!(alice.status().await, "active");
    })
    .await;

    // The first to come after a sleep is let in, not only the second.
    alice.sleep().await;
    wakes(&host, "http", async || {
        let mut socket = open().await.unwrap_or_else(|status| panic!("{status}"));
        socket.send(Message::text("awake")).await;
        assert_eq!(socket.next().await, Message::text("awake"));
    })
    .await;
}

#[tokio::test]
async fn a_terminal_a_command_and_a_tunnel_wake_a_sleeping_node() {
    let host = Host::start();
    let alice = Node::create(&host, "alice").await;

    alice.sleep().await;
    wakes(&host, "ssh", async || {
        let mut shell = alice.ssh(&host).shell();
        shell.expect("alice.dev > ");
        assert_eq!(alice.status().await, "active");
    })
    .await;

    alice.sleep().await;
    wakes(&host, "ssh", async || {
        let echo = alice.ssh(&host).exec("echo good morning");
        assert!(echo.status.success(), "{echo:?}");
        assert_eq!(echo.stdout.trim_ascii(), b"good morning");
    })
    .await;

    alice.sleep().await;
    wakes(&host, "tunnel", async || {
        let (_tunnel, kit) = alice.kit(&host);
        let apis = kit.inject("main:app-store:sys", "\"Apis\"").await;
        assert_eq!(apis.status, StatusCode::OK, "{apis:?}");
    })
    .await;
}

#[tokio::test]
async fn the_api_wakes_by_start_and_open_and_never_by_reading() {
    let host = Host::start();
    let alice = Node::create(&host, "alice").await;
    alice.sleep().await;
    let boots = Metrics::of(&host).await.boots();
    for path in [
        "/nodes",
        "/nodes/alice",
        "/nodes/alice/logs",
        "/nodes/alice/usage",
        "/nodes/alice/ssh-password",
        "/names/alice",
        "/account",
    ] {
        let read = alice.api.get(path).await;
        assert_eq!(read.status(), StatusCode::OK, "{path}");
    }
    let usage = host.berth(&["node", "usage", "alice"]);
    assert!(usage.status.success(), "{usage:?}");
    assert_eq!(alice.status().await, "hibernated");
    assert_eq!(Metrics::of(&host).await.boots(), boots);

    wakes(&host, "api", async || alice.act("start", "active").await).await;
    alice.sleep().await;
    let owner = Visitor::owner(&host, &alice.api, "alice").await;
    assert!(owner.page(&host, "/").await.contains("alice.dev"));
    assert_eq!(Metrics::of(&host).await.boots(), boots + 2.0);
}

#[tokio::test]
async fn a_neighbours_message_wakes_a_sleeping_node() {
    let host = Host::start();
    let alice = Node::create(&host, "alice").await;
    let bob = Node::create(&host, "bob").await;
    bob.sleep().await;
    wakes(&host, "peer", async || {
        let hi = alice.ssh(&host).exec("hi bob.dev wake up");
        let said = hi.stdout.trim_ascii();
        assert_eq!(said, b"response from bob.dev: ack", "{hi:?}");
        assert_eq!(bob.status().await, "active");
    })
    .await;
}

#[tokio::test]
async fn nothing_wakes_a_stopped_node_but_its_owner() {
    let host = Host::start();
    let alice = Node::create(&host, "alice").await;
    let bob = Node::create(&host, "bob").await;
    bob.act("stop", "stopped").await;
    let boots = Metrics::of(&host).await.boots();
    refuses(&host, &bob, "stopped").await;
    let hi = alice.ssh(&host).exec("hi bob.dev wake up");
    assert_eq!(
        hi.stdout.trim_ascii(),
        b"bob.dev is offline or does not exist",
        "{hi:?}"
    );
    assert_eq!(bob.status().await, "stopped");
    assert_eq!(Metrics::of(&host).await.boots(), boots);
    bob.act("start", "active").await;
}

/// Checks that nobody gets into a node by any door, and is told `word`.
pub(super) async fn refuses(host: &Host, node: &Node, word: &str) {
    let (status, page) = node.page("/login").await;
    assert!(
        status.is_server_error() || status.is_client_error(),
        "{status}"
    );
    assert!(page.contains(word), "{page}");
    let socket = Socket::open(&host.http(), &node.name(), ECHO, &[]).await;
    assert!(socket.is_err());
    let command = node.ssh(host).exec("echo let me in");
    assert!(!command.status.success(), "{command:?}");
    assert!(command.stdout.is_empty(), "{command:?}");
    // Refused is the sign-in or, behind it, the way to the node.
    if let Ok(tunnel) = node.ssh(host).try_tunnel("localhost:8080") {
        let mut stream = TcpStream::connect(("127.0.0.1", tunnel.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let _ = stream.write_all(b"GET /login HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let mut buffer = [0; 64];
        let read = match stream.read(&mut buffer) {
            Ok(read) => read,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("neither let in nor refused")
            }
            Err(_closed) => 0,
        };
        assert_eq!(read, 0, "{}", String::from_utf8_lossy(&buffer[..read]));
    }
}

#[tokio::test]
async fn a_crowd_at_a_sleeping_node_boots_it_once_and_is_answered() {
    let host = Host::start();
    let alice = Node::create(&host, "alice").await;
    alice.install(&host, "counter:tester.dev").await;
    let path = "/counter:counter:tester.dev/api";
    alice.serves(path).await;
    alice.sleep().await;
    let before = Metrics::of(&host).await;
    let crowd = (0..CROWD).map(|_| alice.api.node(Method::POST, "alice.localhost", path, ""));
    for answer in futures::future::join_all(crowd).await {
        assert_eq!(answer.status(), StatusCode::OK);
    }
    let after = Metrics::of(&host).await;
    assert_eq!(after.boots(), before.boots() + 1.0);
    assert_eq!(after.wakes("http"), before.wakes("http") + 1.0);
    let (_, count) = alice.page(path).await;
    assert_eq!(count, format!("{{\"count\":{CROWD}}}"));
}

#[tokio::test]
async fn the_metrics_tell_how_nodes_are_and_name_nobody() {
    let host = Host::start();
    let alice = Node::create(&host, "quillfeather").await;
    let count = async |state: &str, count: f64| {
        eventually(state, PATIENCE, async || {
            (Metrics::of(&host).await.nodes(state) == count).then_some(())
        })
        .await;
    };
    count("active", 1.0).await;
    alice.sleep().await;
    count("hibernated", 1.0).await;
    count("active", 0.0).await;
    assert_eq!(alice.page("/login").await.0, StatusCode::OK);
    alice.act("stop", "stopped").await;
    count("stopped", 1.0).await;

    let metrics = Metrics::of(&host).await;
    assert_eq!(metrics.sum("berth_boot_queue_length", &[]), 0.0);
    assert!(metrics.text().contains("berth_boot_phase_seconds"));
    assert!(metrics.text().contains("phase=\""));
    let named = metrics.text().lines().find(|line| line.contains("quill"));
    assert_eq!(named, None);
}
