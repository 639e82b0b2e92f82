//! A body that comes too slowly is given up, and its sender is told why.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Answer, Host, PATIENCE, answers};

/// What a server says that waits for a body.
const GO_ON: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Sends `head`, and of the body that it announces one byte. From when the host
/// waits for the rest, time passes as soon as nothing else happens.
async fn begin_body(host: &Host, head: &str) -> Answer {
    let mut stream = TcpStream::connect(host.address).await.unwrap();
    let head = format!(
        "POST {head}\r\nHost: localhost\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = vec![0; GO_ON.len()];
    let asked = tokio::time::timeout(PATIENCE, stream.read_exact(&mut go_on)).await;
    asked.unwrap().unwrap();
    assert_eq!(go_on, GO_ON);
    stream.write_all(b"{").await.unwrap();
    tokio::time::pause();
    let mut wire = Vec::new();
    stream.read_to_end(&mut wire).await.unwrap();
    tokio::time::resume();
    let mut answers = answers(&wire);
    assert_eq!(answers.len(), 1, "{answers:?}");
    answers.remove(0)
}

#[tokio::test]
async fn a_slow_body_is_a_408_that_says_what_to_do() {
    let host = Host::start().await;
    let token = host.sign_up("ann@example.org").await;
    let json = format!("Authorization: Bearer {token}\r\nContent-Type: application/json");
    for path in [
        "/api/v1/accounts",
        "/api/v1/sessions",
        "/api/v1/nodes",
        "/api/v1/nodes/alice/start",
    ] {
        let answer = begin_body(&host, &format!("{path} HTTP/1.1\r\n{json}")).await;
        let detail = answer.problem(408);
        assert!(detail.contains("slowly"), "{detail}");
        assert_eq!(answer.json()["type"], "urn:berth:problem:too-slow");
        assert_eq!(answer.header("connection"), Some("close"));
    }
    let form = "Content-Type: application/x-www-form-urlencoded\r\nSec-Fetch-Site: same-origin";
    for path in ["/sign-in", "/sign-up"] {
        let answer = begin_body(&host, &format!("{path} HTTP/1.1\r\n{form}")).await;
        let text = answer.text();
        assert_eq!(answer.status, 408, "{text}");
        let media_type = answer.header("content-type");
        assert_eq!(media_type, Some("text/html; charset=utf-8"));
        assert!(text.contains("slowly"), "{text}");
        assert_eq!(answer.header("connection"), Some("close"));
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_slow_one() {
    let host = Host::start().await;
    let mut stream = TcpStream::connect(host.address).await.unwrap();
    let request = b"POST /api/v1/accounts HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\
                    Content-Type: application/json\r\n\r\n{";
    stream.write_all(request).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut wire = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut wire)).await;
    read.unwrap().unwrap();
    for answer in answers(&wire) {
        answer.problem(400);
    }
}
