//! Our SSH gateway beside OpenSSH's server, with the same client and cipher: how fast a tunnel is and how long a connection takes (`make bench`).

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::json;

use super::bench::percentile;
use super::support::nginx::Nginx;
use super::support::sshd::{Client, Key, Proof, Sshd};
use super::support::{Host, Kit, Ssh};

const MIB: usize = 1 << 20;
/// A page at the other end of the tunnels.
const PAGE: usize = 8 * MIB;
/// How often it is fetched in one go.
const FETCHES: usize = 32;
/// Turns of each side.
const TURNS: usize = 3;
/// Connections of each side.
const CONNECTIONS: usize = 30;
const CIPHERS: [&str; 3] = [
    "chacha20-poly1305@openssh.com",
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
];
/// What the node calls a page that its HTTP server itself has bound.
const PATH: &str = "/http-server:distro:sys/page";

/// Fetches the page again and again on one connection; MiB a second.
fn fetch(port: u16, path: &str) -> f64 {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_nodelay(true).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n");
    let mut buffer = vec![0; 256 << 10];
    let begun = Instant::now();
    for _ in 0..FETCHES {
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        let end = loop {
            let read = stream.read(&mut buffer).unwrap();
            assert_ne!(read, 0, "{}", String::from_utf8_lossy(&head));
            head.extend_from_slice(&buffer[..read]);
            if let Some(end) = head.windows(4).position(|part| part == b"\r\n\r\n") {
                break end + 4;
            }
        };
        assert!(head.starts_with(b"HTTP/1.1 200"));
        let mut left = PAGE - (head.len() - end);
        while left > 0 {
            let read = stream.read(&mut buffer).unwrap();
            assert_ne!(read, 0, "{left} bytes are missing");
            left -= read;
        }
    }
    (FETCHES * PAGE / MIB) as f64 / begun.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// How long a connection takes on which one line is run.
fn connect(client: &Client<'_>, line: &str) -> Duration {
    let begun = Instant::now();
    let ran = client.exec(CIPHERS[0], line);
    assert!(ran.status.success(), "{ran:?}");
    begun.elapsed()
}

/// Has alice's HTTP server itself bind a page.
async fn publish(host: &Host, password: &str, page: &[u8]) {
    let tunnel = Ssh::new(host.ssh_port(), "alice", password).tunnel();
    let bind = json!({"Bind": {
        "path": "/page", "authenticated": false, "local_only": false, "cache": true,
    }})
    .to_string();
    let kit = Kit::new(tunnel.port);
    let server = "http-server:distro:sys";
    let bound = kit.rpc(server, &bind, Some(page), Some(15)).await;
    assert_eq!(bound.body, r#"{"Ok":null}"#);
}

/// The user that the tests run as, whom sshd lets in.
fn whoami() -> String {
    let output = Command::new("whoami").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: make bench"]
async fn bench_tunnel_beside_sshd() {
    let host = Host::start();
    let api = host.api().sign_up("alice@example.org").await;
    api.create_node("alice").await;
    let key = Key::generate();
    let given = json!({"key": key.public(), "name": "bench"});
    let given = api.post("/nodes/alice/ssh-keys", &given).await;
    let password = api.ssh_password("alice").await;
    // A host that takes no keys yet takes the password, which costs it more.
    let (proof, by) = match given.status() {
        StatusCode::CREATED => (Proof::Key(&key), "a key"),
        _ => (Proof::Password(&password), "a password"),
    };
    let page: Vec<u8> = (0..PAGE).map(|at| (at % 251) as u8).collect();
    publish(&host, &password, &page).await;
    let nginx = Nginx::serving(&page).await;
    let sshd = Sshd::start(&key);
    let user = whoami();
    let ours = Client {
        proof,
        user: "alice",
        port: host.ssh_port(),
    };
    let theirs = Client {
        proof: Proof::Key(&key),
        user: &user,
        port: sshd.port,
    };
    println!("{} MiB through a tunnel:", FETCHES * PAGE / MIB);
    for cipher in CIPHERS {
        if !ours.exec(cipher, "echo").status.success() {
            println!("  {cipher}: not spoken here");
            continue;
        }
        let (mut own, mut other, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        let to_node = ours.forward(cipher, "localhost:8080");
        let to_nginx = theirs.forward(cipher, &format!("127.0.0.1:{}", nginx.port));
        for _ in 0..TURNS {
            own.push(fetch(to_node.port, PATH));
            other.push(fetch(to_nginx.port, "/page"));
            ratios.push(own[own.len() - 1] / other[other.len() - 1]);
        }
        println!(
            "  {cipher}: {:.0} MiB/s against {:.0} of sshd, {:.2}x (goal: at least 1)",
            median(own),
            median(other),
            median(ratios)
        );
    }
    let bare = fetch(nginx.port, "/page");
    println!("  (nginx without a tunnel: {bare:.0} MiB/s)");

    let (mut own, mut other) = (Vec::new(), Vec::new());
    connect(&ours, "echo");
    connect(&theirs, "true");
    for _ in 0..CONNECTIONS {
        own.push(connect(&ours, "echo"));
        other.push(connect(&theirs, "true"));
    }
    let (own, other) = (percentile(&mut own, 0.5), percentile(&mut other, 0.5));
    println!(
        "connect, log in by {by}, run a line: p50 {own:?} against {other:?} of sshd by a key, \
         {:.2}x (goal: at most 0.5)",
        own.as_secs_f64() / other.as_secs_f64()
    );
}
