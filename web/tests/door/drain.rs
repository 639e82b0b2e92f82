//! Stopping: what is in flight ends, nothing new begins.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::events::Events;
use crate::support::{Host, PATIENCE, options};

/// What a browser sends for a stream that it will ask for again.
const COMES_BACK: &str = "Accept: text/event-stream\r\n";

#[tokio::test]
async fn idle_connections_close_and_requests_in_flight_finish() {
    let host = Host::start().await;
    let token = host.sign_up("ann@example.org").await;
    host.make_node(&token, "alice").await;
    let mut idle = TcpStream::connect(host.address).await.unwrap();
    idle.write_all(b"GET /name HTTP/1.1\r\nHost: alice.localhost\r\n\r\n")
        .await
        .unwrap();
    let mut answer = [0; 15];
    idle.read_exact(&mut answer).await.unwrap();
    let mut busy = TcpStream::connect(host.address).await.unwrap();
    let head = b"POST /count HTTP/1.1\r\nHost: alice.localhost\r\nContent-Length: 10\r\n\r\nhello";
    busy.write_all(head).await.unwrap();
    while host.control.using.load(std::sync::atomic::Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }

    host.tasks.token().cancel();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(PATIENCE, idle.read_to_end(&mut rest)).await;
    ended.expect("idle connections are closed").unwrap();
    busy.write_all(b"world").await.unwrap();
    let mut answer = Vec::new();
    busy.read_to_end(&mut answer).await.unwrap();
    let text = String::from_utf8_lossy(&answer);
    assert!(
        text.starts_with("HTTP/1.1 200") && text.ends_with("10"),
        "{text}"
    );
    let ended = tokio::time::timeout(Duration::from_secs(5), host.ended).await;
    ended.expect("nothing is left").unwrap();
    assert!(TcpStream::connect(host.address).await.is_err());
}

#[tokio::test]
async fn a_door_that_closes_answers_what_was_asked_and_what_is_on_its_way() {
    let host = Host::start().await;
    let token = host.sign_up("ann@example.org").await;
    host.make_node(&token, "alice").await;
    let ask = b"GET /name HTTP/1.1\r\nHost: alice.localhost\r\n\r\n";
    let mut late = TcpStream::connect(host.address).await.unwrap();
    late.write_all(ask).await.unwrap();
    let mut answer = [0; 15];
    late.read_exact(&mut answer).await.unwrap();
    let silent = TcpStream::connect(host.address).await.unwrap();
    let mut slow = TcpStream::connect(host.address).await.unwrap();
    slow.write_all(&ask[..20]).await.unwrap();
    let mut busy = TcpStream::connect(host.address).await.unwrap();
    let head = b"POST /count HTTP/1.1\r\nHost: alice.localhost\r\nContent-Length: 10\r\n\r\nhello";
    busy.write_all(head).await.unwrap();
    let mut events = Events::of(&host, &token, "/events", COMES_BACK)
        .await
        .unwrap();
    events.until("\n\n").await.unwrap();
    while host.control.using.load(std::sync::atomic::Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }

    let clients = async {
        late.write_all(ask).await.unwrap();
        slow.write_all(&ask[20..]).await.unwrap();
        for stream in [&mut late, &mut slow] {
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.unwrap();
            let text = String::from_utf8_lossy(&rest).to_lowercase();
            assert!(
                text.contains("http/1.1 200") && text.contains("connection: close"),
                "{text}"
            );
        }
        assert!(TcpStream::connect(host.address).await.is_err());
        busy.write_all(b"world").await.unwrap();
        let mut answer = Vec::new();
        busy.read_to_end(&mut answer).await.unwrap();
        let text = String::from_utf8_lossy(&answer).into_owned();
        assert!(text.contains("200 OK") && text.ends_with("10"), "{text}");
        assert!(text.contains("connection: close"), "{text}");
        assert!(events.until("never").await.is_none(), "the stream ends");
        let left = events.left();
        assert!(!left.contains("\r\n0\r\n"), "and is cut: {left:?}");
    };
    let (finished, ()) = tokio::join!(host.closing.finish(PATIENCE), clients);
    assert!(finished, "nobody is left");
    drop(silent);
    // Nodes are still there, and the rest of the door.
    assert!(!host.tasks.token().is_cancelled());
    host.tasks.token().cancel();
    let ended = tokio::time::timeout(Duration::from_secs(5), host.ended).await;
    ended.expect("nothing is left").unwrap();
}

#[tokio::test]
async fn who_waits_to_be_accepted_when_the_door_closes_is_answered() {
    let host = Host::start().await;
    let token = host.sign_up("ann@example.org").await;
    host.make_node(&token, "alice").await;
    // Nothing is accepted meanwhile: this thread is the door's too.
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let mut stream = std::net::TcpStream::connect(host.address).unwrap();
            let ask = b"GET /name HTTP/1.1\r\nHost: alice.localhost\r\n\r\n";
            std::io::Write::write_all(&mut stream, ask).unwrap();
            stream
        })
        .collect();
    assert!(host.closing.finish(PATIENCE).await, "nobody is left");
    for stream in waiting {
        stream.set_nonblocking(true).unwrap();
        let mut stream = TcpStream::from_std(stream).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let text = String::from_utf8_lossy(&answer).to_lowercase();
        assert!(
            text.starts_with("http/1.1 200") && text.contains("connection: close"),
            "{text}"
        );
    }
    assert!(TcpStream::connect(host.address).await.is_err());
}

#[tokio::test]
async fn a_stream_whose_client_may_not_come_back_has_the_grace() {
    let host = Host::start().await;
    let token = host.sign_up("ann@example.org").await;
    let mut events = Events::of(&host, &token, "/events", "").await.unwrap();
    events.until("\n\n").await.unwrap();
    let finished = host.closing.finish(Duration::from_millis(100)).await;
    assert!(!finished, "it is waited for");
    let end = tokio::time::timeout(Duration::from_millis(50), events.until("never"));
    assert!(end.await.is_err(), "it goes on");
    host.tasks.token().cancel();
    assert!(events.until("never").await.is_none());
    let ended = tokio::time::timeout(Duration::from_secs(5), host.ended).await;
    ended.expect("nothing is left").unwrap();
}

#[tokio::test]
async fn a_port_in_use_is_told_before_anything_is_served() {
    let host = Host::start().await;
    let mut taken = options();
    taken.http = host.address;
    let clock = std::sync::Arc::new(host.clock.clone());
    let bound = web::bind(taken, host.manager.clone(), &host.tasks, clock).await;
    let error = bound.expect_err("the port is taken").to_string();
    assert!(
        error.contains(&host.address.to_string()) && error.contains("--http"),
        "{error}"
    );
}
