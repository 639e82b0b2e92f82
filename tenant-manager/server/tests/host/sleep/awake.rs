//! What keeps a node awake, and nodes that never sleep by themselves.
//!
//! That nothing happens to a node shows beside a neighbour whom nobody uses:
//! while that one falls asleep again and again, the time without use passes for
//! both.

use std::io::{Read, Write};
use std::net::TcpStream;

use reqwest::StatusCode;

use super::super::sockets::Socket;
use super::support::{Host, Metrics, eventually};
use super::{Node, PATIENCE};

const IDLE: [&str; 2] = ["--idle-after", "500ms"];

/// Has the neighbour fall asleep often enough to be sure of the other.
async fn time_passes(neighbour: &Node) {
    for _ in 0..3 {
        neighbour.doze().await;
    }
}

#[tokio::test]
async fn what_is_open_keeps_a_node_awake_and_nothing_else_does() {
    let host = Host::start_with(&IDLE);
    let alice = Node::create(&host, "alice").await;
    let bob = Node::create(&host, "bob").await;
    alice.install(&host, "live:test.dev").await;
    let boots = async || Metrics::of(&host).await.boots();

    let path = "/live:live:test.dev/echo";
    let socket = eventually("the app", PATIENCE, async || {
        let opened = Socket::open(&host.http(), "alice.localhost", path, &[]).await;
        opened.ok()
    })
    .await;
    time_passes(&bob).await;
    assert_eq!(alice.status().await, "active", "beside a WebSocket");
    drop(socket);
    alice.is("hibernated").await;

    let mut shell = alice.ssh(&host).shell();
    shell.expect("alice.dev > ");
    time_passes(&bob).await;
    assert_eq!(alice.status().await, "active", "beside a terminal");
    shell.type_keys("echo still here\r");
    shell.expect("still here\r\n");
    drop(shell);
    alice.is("hibernated").await;

    let tunnel = alice.ssh(&host).tunnel();
    let mut stream = TcpStream::connect(("127.0.0.1", tunnel.port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
        .write_all(b"GET /login HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    time_passes(&bob).await;
    assert_eq!(alice.status().await, "active", "beside a tunnel");
    drop(stream);

    // Reading the API, as a page of the dashboard does, is no use of the node.
    // Nor is an SSH connection through which nothing is open.
    let before = boots().await;
    alice.is("hibernated").await;
    time_passes(&bob).await;
    assert_eq!(alice.status().await, "hibernated");
    assert_eq!(boots().await, before + 3.0, "bob's alone");
    drop(tunnel);
}

#[tokio::test]
async fn nodes_of_a_plan_without_sleep_run_from_the_start_of_the_host() {
    let mut host = Host::start_with(&IDLE);
    let bob = Node::create(&host, "bob").await;
    bob.is("hibernated").await;

    // The plan is that of the account, from when it was made.
    host.set_flags(&["--idle-after", "500ms", "--plan-always-on"]);
    host.restart();
    let bob = bob.again(&host);
    let alice = Node::create(&host, "alice").await;
    time_passes(&bob).await;
    assert_eq!(alice.status().await, "active");

    host.restart();
    let (alice, bob) = (alice.again(&host), bob.again(&host));
    alice.is("active").await;
    assert_eq!(bob.status().await, "hibernated");
    let metrics = Metrics::of(&host).await;
    assert_eq!(metrics.wakes("start"), 1.0);
    assert_eq!(metrics.boots(), 1.0, "nobody else was started");

    // Its owner's word counts more than the plan.
    alice.act("stop", "stopped").await;
    host.restart();
    let alice = alice.again(&host);
    assert_eq!(bob.again(&host).page("/login").await.0, StatusCode::OK);
    assert_eq!(alice.status().await, "stopped");
    alice.act("start", "active").await;
}
