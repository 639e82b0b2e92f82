//! What each door lets through: the RPC only through the owner's tunnel.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use reqwest::{Method, StatusCode};

use super::support::{Host, Kit, Ssh};

const RPC: &str = r#"{"process":"main:app-store:sys","body":"\"Apis\"","expects_response":5}"#;

/// One raw request; the status line's number.
fn raw_status(address: &str, request: &str) -> u16 {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    let mut buffer = [0; 1024];
    while !answer.contains("\r\n") {
        let read = stream.read(&mut buffer).unwrap();
        assert_ne!(read, 0, "no answer to {request:?}");
        answer.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn the_rpc_is_403_through_the_proxy_however_it_is_spelled() {
    let host = Host::start();
    let api = host.api().sign_up("alice@example.org").await;
    api.create_node("alice").await;
    let address = host.http();
    let port = address.rsplit(':').next().unwrap().to_owned();
    let post = |target: &str, host_header: &str, headers: &str| {
        format!(
            "POST {target} HTTP/1.1\r\nHost: {host_header}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n{headers}\r\n{RPC}",
            RPC.len()
        )
    };
    let own = format!("alice.localhost:{port}");
    let forbidden = tokio::task::spawn_blocking(move || {
        let mut wrong = Vec::new();
        for target in [
            "/rpc:distro:sys/message",
            "/rpc:distro:sys/message/",
            "/rpc:distro:sys/message?x=1",
            "/rpc%3Adistro%3Asys/message",
            "/rpc%3adistro%3asys%2fmessage",
            "//rpc:distro:sys/message",
            "/rpc:distro:sys//message",
            "/./rpc:distro:sys/message",
            "/x/../rpc:distro:sys/message",
            "/%72pc:distro:sys/message",
            &format!("http://{own}/rpc:distro:sys/message"),
        ] {
            let status = raw_status(&address, &post(target, &own, ""));
            // Anything that is not the RPC path itself may also be unknown.
            if !matches!(status, 403 | 404 | 400)
                || (target.starts_with("/rpc:") && !target.contains("//") && status != 403)
            {
                wrong.push((target.to_owned(), status));
            }
        }
        for headers in [
            "X-Forwarded-For: 127.0.0.1\r\n",
            "X-Real-IP: 127.0.0.1\r\nX-Forwarded-Host: localhost\r\n",
            "Forwarded: for=127.0.0.1;host=localhost\r\n",
            "X-Forwarded-Proto: https\r\nX-Forwarded-For: ::1\r\n",
            "X-Original-URL: /rpc:distro:sys/message\r\n",
        ] {
            let status = raw_status(&address, &post("/rpc:distro:sys/message", &own, headers));
            if status != 403 {
                wrong.push((headers.to_owned(), status));
            }
        }
        for host_header in [
            "ALICE.LOCALHOST",
            "alice.localhost:1",
            "app.alice.localhost",
        ] {
            let status = raw_status(&address, &post("/rpc:distro:sys/message", host_header, ""));
            if !matches!(status, 403 | 400 | 404 | 421) {
                wrong.push((host_header.to_owned(), status));
            }
        }
        wrong
    })
    .await
    .unwrap();
    assert_eq!(forbidden, [], "these came through");
}

#[tokio::test]
async fn the_tunnel_reaches_the_rpc_and_nothing_else() {
    let host = Host::start();
    let api = host.api().sign_up("alice@example.org").await;
    api.create_node("alice").await;
    let ssh = Ssh::new(host.ssh_port(), "alice", &api.ssh_password("alice").await);
    let tunnel = ssh.tunnel();
    let kit = Kit::new(tunnel.port);

    let apis = kit.inject("main:app-store:sys", "\"Apis\"").await;
    assert_eq!(apis.status, StatusCode::OK);
    assert!(apis.body.starts_with(r#"{"ApisResponse":"#), "{apis:?}");
    let old_name = kit.inject("main:app_store:sys", "\"Apis\"").await;
    assert_eq!(old_name.body, apis.body, "both spellings are one process");
    let silent = kit.rpc("main:app-store:sys", "\"Apis\"", None, None).await;
    assert_eq!((silent.status, silent.body.as_str()), (StatusCode::OK, ""));
    assert_eq!(
        kit.inject("not a process", "{}").await.status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        kit.inject("nobody:nothing:x.dev", "{}").await.status,
        StatusCode::REQUEST_TIMEOUT
    );

    for target in [
        format!("localhost:{}", host.ssh_port()),
        format!("127.0.0.1:{}", host.metrics().rsplit(':').next().unwrap()),
        "localhost:22".to_owned(),
        "localhost:5432".to_owned(),
        "169.254.169.254:80".to_owned(),
        "127.0.0.2:8080".to_owned(),
        "bob.localhost:8080".to_owned(),
    ] {
        let elsewhere = ssh.tunnel_to(&target);
        let mut stream = TcpStream::connect(("127.0.0.1", elsewhere.port)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let mut buffer = [0; 64];
        let read = stream.read(&mut buffer).unwrap_or(0);
        assert_eq!(
            read,
            0,
            "{target} answered {:?}",
            String::from_utf8_lossy(&buffer[..read])
        );
    }
}

#[tokio::test]
async fn an_unbound_path_is_404_and_login_is_a_page() {
    let host = Host::start();
    let api = host.api().sign_up("alice@example.org").await;
    api.create_node("alice").await;
    let (status, body) = api.node_get("alice.localhost", "/no/such/path").await;
    assert_eq!((status, body.as_str()), (StatusCode::NOT_FOUND, ""));
    let login = api.node(Method::GET, "alice.localhost", "/login", "").await;
    assert_eq!(login.status(), StatusCode::OK);
    assert!(login.text().await.unwrap().contains("alice.dev"));
}
