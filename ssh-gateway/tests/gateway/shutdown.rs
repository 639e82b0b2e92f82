//! The host goes down while people are connected.

use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use crate::host::Host;
use crate::terminal::Shell;

#[tokio::test(flavor = "multi_thread")]
async fn everyone_is_told_and_gone_within_seconds() {
    let host = Host::start().await;
    let password = host.node("alice").await;
    let mut shell = Shell::start(host.ssh(&password).args(["-tt", "alice@127.0.0.1"]));
    shell.shows("alice.dev > ").await;
    let tunnel = host.tunnel("alice", &password, "localhost:8080").await;
    let mut in_use = tunnel.connect().await;
    let body = crate::client::get_on(&mut in_use, "/").await;
    assert_eq!(body, "alice.dev Tunnel /");
    let mut line = Shell::start(host.ssh(&password).args(["alice@127.0.0.1", "endless"]));
    line.shows("begun").await;
    let mut stranger = tokio::net::TcpStream::connect(("127.0.0.1", host.port))
        .await
        .unwrap();

    let began = Instant::now();
    assert!(host.shutdown().await, "every task ended by itself");
    assert!(began.elapsed() < Duration::from_secs(6));

    let (_, text) = shell.ends().await;
    assert!(text.contains("The host is shutting down"), "{text}");
    let (status, text) = line.ends().await;
    assert_ne!(status, Some(0));
    assert!(text.contains("The host is shutting down"), "{text}");
    let (status, text) = tunnel.ended().await;
    assert_eq!(status, Some(255));
    assert!(text.contains("The host is shutting down"), "{text}");
    assert_eq!(in_use.read(&mut [0; 8]).await.unwrap_or(0), 0);
    let _ = stranger.read_to_end(&mut Vec::new()).await;
}
