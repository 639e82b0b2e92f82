//! Requests on their way to a node and back.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tenant_manager::ManagerLimits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{BIG, Host, PATIENCE, PIECE, exchange, options};

async fn host() -> (Host, String) {
    let host = Host::start().await;
    let token = host.sign_up("ann@example.org").await;
    host.make_node(&token, "alice").await;
    (host, token)
}

#[tokio::test]
async fn the_node_sees_a_clean_public_request() {
    let (host, _) = host().await;
    let headers = [
        ("Connection", "x-hop"),
        ("X-Hop", "1"),
        ("X-Mine", "kept"),
        ("Cookie", "a=1"),
        ("Upgrade", "websocket"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "evil"),
        ("Forwarded", "for=127.0.0.1"),
        ("X-Real-IP", "10.0.0.1"),
    ];
    let answer = host
        .send(
            "GET",
            "Alice.localhost:8000",
            "/a%20b//c?q=%2F",
            &headers,
            b"",
        )
        .await;
    assert_eq!(answer.status, 200);
    let text = answer.text();
    let mut lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.remove(0), "Public GET /a%20b//c?q=%2F");
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "cookie: a=1",
            "host: Alice.localhost:8000",
            "x-forwarded-for: 127.0.0.1",
            "x-forwarded-host: alice.localhost:8000",
            "x-forwarded-proto: http",
            "x-mine: kept",
        ]
    );
}

#[tokio::test]
async fn a_trusted_proxy_is_believed() {
    let mut options = options();
    options.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    let host = Host::start_with(options, ManagerLimits::default()).await;
    let token = host.sign_up("ann@example.org").await;
    host.make_node(&token, "alice").await;
    let headers = [
        ("X-Forwarded-For", "10.9.9.9, 203.0.113.7"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "evil"),
    ];
    let text = host
        .send("GET", "alice.localhost", "/", &headers, b"")
        .await
        .text();
    assert!(text.contains("x-forwarded-for: 203.0.113.7"), "{text}");
    assert!(text.contains("x-forwarded-proto: https"), "{text}");
    assert!(text.contains("x-forwarded-host: alice.localhost"), "{text}");
}

#[tokio::test]
async fn the_rpc_is_closed_in_every_spelling() {
    let (host, _) = host().await;
    let local = [
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Real-IP", "127.0.0.1"),
        ("Forwarded", "for=127.0.0.1;host=localhost"),
        ("Via", "1.1 localhost"),
    ];
    for path in [
        "/rpc:distro:sys/message",
        "/rpc:distro:sys/message/",
        "/rpc:distro:sys/message?x=y",
        "//rpc:distro:sys/message",
        "/rpc%3Adistro%3Asys/message",
        "/x/../rpc:distro:sys/message",
        "/%2e/rpc:distro:sys/message",
        "/RPC:distro:sys/message",
        "http://alice.localhost/rpc:distro:sys/message",
    ] {
        for method in ["POST", "GET"] {
            let answer = host
                .send(method, "alice.localhost", path, &local, b"{}")
                .await;
            assert_eq!(answer.status, 403, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn apps_do_not_reach_beyond_their_answer() {
    let (host, _) = host().await;
    let answer = host.get("alice.localhost", "/lies").await;
    assert_eq!(answer.text(), "short");
    assert_eq!(answer.header("content-length"), Some("5"));
    assert_eq!(answer.header("set-cookie"), Some("b=2; Path=/"));
    assert_eq!(answer.header("x-secret"), None);
    assert_eq!(answer.header("upgrade"), None);
    assert_eq!(host.get("alice.localhost", "/switch").await.status, 502);
    let head = b"HEAD /lies HTTP/1.1\r\nHost: alice.localhost\r\nConnection: close\r\n\r\n";
    let wire = exchange(host.address, head).await;
    assert!(wire.ends_with(b"\r\n\r\n"), "no body for HEAD");
}

#[tokio::test]
async fn large_bodies_stream_both_ways() {
    let (host, _) = host().await;
    // Up and down at once: the node sends back what it gets. Were anything
    // collected on the way, nothing would come back before all was sent.
    let mut stream = TcpStream::connect(host.address).await.unwrap();
    let total = 8 << 20;
    let head =
        format!("POST /echo HTTP/1.1\r\nHost: alice.localhost\r\nContent-Length: {total}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let piece = vec![3_u8; 256 << 10];
    let mut sent = 0;
    let mut received = 0;
    let mut buffer = vec![0; 512 << 10];
    while sent < total {
        stream.write_all(&piece).await.unwrap();
        sent += piece.len();
        let wanted = sent;
        while received < wanted {
            let read = tokio::time::timeout(PATIENCE, stream.read(&mut buffer)).await;
            let read = read.expect("an echo before the end").unwrap();
            assert_ne!(read, 0, "{received} of {wanted}");
            received += read;
        }
    }
}

#[tokio::test]
async fn a_slow_reader_holds_back_the_node() {
    let (host, _) = host().await;
    let mut stream = TcpStream::connect(host.address).await.unwrap();
    let request = b"GET /big HTTP/1.1\r\nHost: alice.localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut first = vec![0; 1024];
    stream.read_exact(&mut first).await.unwrap();
    // What the sockets hold is a few MiB at most; let it fill up.
    let mut before = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let made = host.control.made.load(Ordering::SeqCst);
        if made == before {
            break;
        }
        before = made;
    }
    assert!(before < BIG / 2, "{before} bytes made for a reader of 1024");
    let mut read = first.len();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = stream.read(&mut buffer).await.unwrap();
        if count == 0 {
            break;
        }
        read += count;
    }
    assert!(read > BIG, "{read}");
    assert_eq!(host.control.made.load(Ordering::SeqCst) % PIECE, 0);
}

#[tokio::test]
async fn uploads_have_a_bound() {
    let (host, _) = host().await;
    let declared =
        "POST /count HTTP/1.1\r\nHost: alice.localhost\r\nContent-Length: 134217729\r\n\r\n";
    let answers = host.raw(declared).await;
    assert_eq!(answers[0].status, 413);
    let counted = host
        .send("POST", "alice.localhost", "/count", &[], &vec![0; 3 << 20])
        .await;
    assert_eq!(counted.text(), (3 << 20).to_string());
    let mut stream = TcpStream::connect(host.address).await.unwrap();
    let head = b"POST /count HTTP/1.1\r\nHost: alice.localhost\r\nContent-Length: 5\r\n\
                 Expect: 100-continue\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"hello").await.unwrap();
    let mut answer = vec![0; 15];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 200 OK");
}

/// Leaves in the middle of a request; then the lease must be free.
async fn leaves(path: &str, wait_for_body: bool) {
    let (host, token) = host().await;
    let mut stream = TcpStream::connect(host.address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: alice.localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    if wait_for_body {
        let mut seen = Vec::new();
        while !seen.ends_with(b"first\r\n") {
            seen.push(stream.read_u8().await.unwrap());
        }
    } else {
        host.control.hanging.notified().await;
    }
    assert_eq!(host.control.using.load(Ordering::SeqCst), 1);
    drop(stream);
    let left = async {
        while host.control.using.load(Ordering::SeqCst) > 0 {
            host.control.left.notified().await;
        }
    };
    tokio::time::timeout(PATIENCE, left)
        .await
        .expect("the request ends with its client");
    // A stop waits for leases much longer than this does.
    host.api("POST", "/nodes/alice/stop", &token, None).await;
    host.wait_for_status(&token, "alice", "stopped").await;
}

#[tokio::test]
async fn a_client_that_leaves_while_waiting_frees_the_node() {
    leaves("/hang", false).await;
}

#[tokio::test]
async fn a_client_that_leaves_while_reading_frees_the_node() {
    leaves("/endless", true).await;
}

#[tokio::test]
async fn a_stop_does_not_wait_for_clients() {
    let (host, token) = host().await;
    let mut stream = TcpStream::connect(host.address).await.unwrap();
    let request = b"GET /endless HTTP/1.1\r\nHost: alice.localhost\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"first\r\n") {
        seen.push(stream.read_u8().await.unwrap());
    }
    host.api("POST", "/nodes/alice/stop", &token, None).await;
    host.wait_for_status(&token, "alice", "stopped").await;
}

#[tokio::test]
async fn a_node_that_cannot_wake_is_explained() {
    let limits = ManagerLimits {
        acquire_deadline: Duration::from_secs(1),
        ..ManagerLimits::default()
    };
    let host = Host::start_with(options(), limits).await;
    let token = host.sign_up("ann@example.org").await;
    host.make_node(&token, "alice").await;
    host.api("POST", "/nodes/alice/hibernate", &token, None)
        .await;
    host.wait_for_status(&token, "alice", "hibernated").await;

    host.control.asleep.store(true, Ordering::SeqCst);
    let page = host.get("alice.localhost", "/name").await;
    assert_eq!(page.status, 503);
    assert!(page.header("retry-after").is_some());
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert!(page.text().contains("waking up"), "{}", page.text());
    let again = ["http-equiv=\"refresh\"", "tries again by itself"];
    assert!(again.iter().all(|part| page.text().contains(part)));
    // Loading a page again would not send its form again.
    let form = host
        .send("POST", "alice.localhost", "/name", &[], b"a=b")
        .await;
    assert_eq!(form.status, 503);
    assert!(form.header("retry-after").is_some());
    assert!(!again.iter().any(|part| form.text().contains(part)));
    let accept = [("Accept", "application/json")];
    let problem = host
        .send("GET", "alice.localhost", "/name", &accept, b"")
        .await;
    problem.problem(503);
    host.control.asleep.store(false, Ordering::SeqCst);
    host.control.wake.notify_one();
    host.wait_for_status(&token, "alice", "active").await;
    assert_eq!(
        host.get("alice.localhost", "/name").await.text(),
        "alice.dev"
    );

    host.api("POST", "/nodes/alice/stop", &token, None).await;
    host.wait_for_status(&token, "alice", "stopped").await;
    host.control.broken.store(true, Ordering::SeqCst);
    host.api("POST", "/nodes/alice/start", &token, None).await;
    host.wait_for_status(&token, "alice", "broken").await;
    let page = host.get("alice.localhost", "/name").await;
    assert_eq!(page.status, 503);
    let node = host.api("GET", "/nodes/alice", &token, None).await.json();
    let reason = node["status_reason"].as_str().expect("the owner sees why");
    assert!(!page.text().contains(reason), "nobody else does");
    assert!(page.text().contains("out of order"), "{}", page.text());
}

#[tokio::test]
async fn one_node_cannot_take_every_connection() {
    let (host, token) = host().await;
    host.make_node(&token, "bob").await;
    let mut streams = Vec::new();
    for _ in 0..256 {
        let mut stream = TcpStream::connect(host.address).await.unwrap();
        stream
            .write_all(b"GET /hang HTTP/1.1\r\nHost: alice.localhost\r\n\r\n")
            .await
            .unwrap();
        streams.push(stream);
    }
    let all_in = async {
        while host.control.using.load(Ordering::SeqCst) < 256 {
            host.control.hanging.notified().await;
        }
    };
    tokio::time::timeout(PATIENCE, all_in).await.unwrap();
    let busy = host.get("alice.localhost", "/name").await;
    assert_eq!((busy.status, busy.header("retry-after")), (503, Some("1")));
    assert_eq!(host.get("bob.localhost", "/name").await.text(), "bob.dev");
    drop(streams);
}
