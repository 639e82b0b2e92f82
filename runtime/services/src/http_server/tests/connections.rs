//! Whole connections.

use node_api::Origin;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;

fn connect(harness: &Harness, origin: Origin) -> (DuplexStream, CancellationToken) {
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    let stop = CancellationToken::new();
    let server = Arc::clone(&harness.server);
    let stopped = stop.clone();
    harness
        .tasks
        .spawn(TaskKind::graceful("connection"), async move {
            server.serve(Box::new(theirs), origin, stopped).await;
        });
    (ours, stop)
}

/// Reads one answer with a Content-Length.
async fn one_answer(io: &mut DuplexStream) -> (String, String) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(io.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length = head.split("content-length: ").nth(1).unwrap();
    let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    io.read_exact(&mut body).await.unwrap();
    (head, String::from_utf8(body).unwrap())
}

#[tokio::test]
async fn one_connection_serves_many_requests_also_after_half_close() {
    let mut harness = Harness::new();
    let (mut io, _stop) = connect(&harness, Origin::Tunnel);
    let call = json!({"process": APP, "body": "x", "expects_response": 5}).to_string();
    let raw = format!(
        "POST /rpc:distro:sys/message HTTP/1.1\r\nHost: localhost:8080\r\nContent-Length: {}\r\n\r\n{call}",
        call.len()
    );
    for _ in 0..2 {
        io.write_all(raw.as_bytes()).await.unwrap();
        let message = harness.sent.recv().await.unwrap();
        harness.answer(&message, "by", None);
        let (head, body) = one_answer(&mut io).await;
        assert!(head.starts_with("http/1.1 200 ok"));
        assert_eq!(body, r#"{"body":[98,121],"lazy_load_blob":null}"#);
    }
    io.write_all(raw.as_bytes()).await.unwrap();
    io.shutdown().await.unwrap();
    let message = harness.sent.recv().await.unwrap();
    harness.answer(&message, "by", None);
    let (_, body) = one_answer(&mut io).await;
    assert!(body.contains("98,121"));
    let mut rest = Vec::new();
    io.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty());
}

#[tokio::test]
async fn the_origin_belongs_to_the_connection() {
    let harness = Harness::new();
    let (mut io, _stop) = connect(&harness, Origin::Public);
    let raw = "POST http://127.0.0.1:8080/rpc:distro:sys/message HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n";
    io.write_all(raw.as_bytes()).await.unwrap();
    let (head, _) = one_answer(&mut io).await;
    assert!(head.starts_with("http/1.1 403"));
}

#[tokio::test]
async fn stopping_finishes_what_is_in_progress() {
    let mut harness = Harness::new();
    harness.bind("/", false, false).await;
    let (mut busy, stop_busy) = connect(&harness, Origin::Public);
    let raw = format!("GET /{APP} HTTP/1.1\r\nHost: a\r\n\r\n");
    busy.write_all(raw.as_bytes()).await.unwrap();
    let message = harness.sent.recv().await.unwrap();
    stop_busy.cancel();
    harness.answer(&message, r#"{"status":200,"headers":{}}"#, Some(b"done"));
    let (head, body) = one_answer(&mut busy).await;
    assert!(head.contains("connection: close"));
    assert_eq!(body, "done");
    let (mut idle, stop_idle) = connect(&harness, Origin::Public);
    stop_idle.cancel();
    assert_eq!(idle.read(&mut [0; 8]).await.unwrap(), 0);
}

#[tokio::test]
async fn garbage_and_smuggling_end_the_connection() {
    let harness = Harness::new();
    for raw in [
        "nonsense\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n".to_owned(),
        format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(200_000)),
    ] {
        let (mut io, _stop) = connect(&harness, Origin::Public);
        let (mut reader, mut writer) = tokio::io::split(&mut io);
        let mut text = Vec::new();
        let (_, read) = tokio::join!(
            async {
                let _ = writer.write_all(raw.as_bytes()).await;
            },
            reader.read_to_end(&mut text)
        );
        read.unwrap();
        let text = String::from_utf8_lossy(&text);
        assert!(text.starts_with("HTTP/1.1 4"), "{text}");
        assert_eq!(text.matches("HTTP/1.1").count(), 1);
    }
}
