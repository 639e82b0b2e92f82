//! Floods and deadlines.

use std::time::Duration;

use ssh_gateway::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::client::{PATIENCE, Tunnel};
use crate::host::{Host, key_path, limits};
use crate::terminal::Shell;

#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_are_closed_and_hurt_nobody() {
    let host = Host::with(Limits {
        sign_in_deadline: Duration::from_secs(3),
        ..limits()
    })
    .await;
    let password = host.node("alice").await;
    let mut shell = Shell::start(host.ssh(&password).args(["-tt", "alice@127.0.0.1"]));
    shell.shows("alice.dev > ").await;

    let began = Instant::now();
    let mut silent = Vec::new();
    for _ in 0..200 {
        let stream = TcpStream::connect(("127.0.0.1", host.port)).await;
        silent.push(stream.unwrap());
    }
    // Both an old session and a new one work meanwhile.
    shell.types("hello\r").await;
    shell.shows("you said hello").await;
    let answer = host.exec("alice", &password, "top").await;
    assert_eq!(answer.status, Some(0), "{answer:?}");
    for mut stream in silent {
        let mut rest = Vec::new();
        let ended = stream.read_to_end(&mut rest);
        // Closed or reset: both are an end.
        let _ = tokio::time::timeout(PATIENCE, ended).await.expect("closed");
    }
    assert!(began.elapsed() < Duration::from_secs(15));
    shell.types("exit\r").await;
    assert_eq!(
        shell.ends().await.0,
        Some(0),
        "the deadline is for strangers"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_has_a_bounded_number_of_connections() {
    let host = Host::with(Limits {
        connections_per_node: 2,
        ..limits()
    })
    .await;
    let password = host.node("alice").await;
    let first = host.tunnel("alice", &password, "localhost:8080").await;
    let second = host.tunnel("alice", &password, "localhost:8080").await;
    let third = host.exec("alice", &password, "top").await;
    assert_eq!(third.status, Some(255));
    // The sentence, or, if the client was quick to ask for a channel, the
    // refusal of that.
    let told = [
        "already has 2 SSH connections",
        "administratively prohibited",
    ];
    assert!(
        told.iter().any(|text| third.stderr.contains(text)),
        "{third:?}"
    );
    let other = host.node("bob").await;
    assert_eq!(host.exec("bob", &other, "top").await.status, Some(0));
    // A place becomes free when a connection ends, however that happens.
    drop(first);
    let deadline = Instant::now() + PATIENCE;
    while host.exec("alice", &password, "top").await.status != Some(0) {
        assert!(Instant::now() < deadline, "the place was never free");
    }
    assert_eq!(second.get("/").await, "alice.dev Tunnel /");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_has_a_bounded_number_of_channels() {
    let host = Host::with(Limits {
        channels: 4,
        ..limits()
    })
    .await;
    let password = host.node("alice").await;
    let tunnel = host.tunnel("alice", &password, "localhost:8080").await;
    let mut open = Vec::new();
    for number in 0..4 {
        let mut stream = tunnel.connect().await;
        let path = format!("/{number}");
        let body = crate::client::get_on(&mut stream, &path).await;
        assert_eq!(body, format!("alice.dev Tunnel {path}"));
        open.push(stream);
    }
    let mut fifth = tunnel.connect().await;
    assert_eq!(fifth.read(&mut [0; 8]).await.unwrap_or(0), 0, "refused");
    for (number, stream) in open.iter_mut().enumerate() {
        let path = format!("/again/{number}");
        let body = crate::client::get_on(stream, &path).await;
        assert_eq!(body, format!("alice.dev Tunnel {path}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_key_is_kept_and_a_bad_one_is_an_error_that_helps() {
    let host = Host::start().await;
    let path = key_path(host.directory());
    assert!(host.shutdown().await);
    let again = || async {
        let tasks = lifecycle::Tasks::new(
            tokio::runtime::Handle::current(),
            &tokio_util::sync::CancellationToken::new(),
        );
        let address = "127.0.0.1:0".parse().unwrap();
        let options = ssh_gateway::Options::new(address, path.clone());
        ssh_gateway::bind(options, host.manager.clone(), &tasks).await
    };
    let second = again().await.unwrap();
    assert_eq!(second.host_key_fingerprint(), host.fingerprint);
    std::fs::write(&path, "garbage").unwrap();
    let error = again().await.unwrap_err().to_string();
    assert!(error.contains("delete it to get a new one"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stopped_answering_is_found_by_keepalives() {
    let host = Host::with(Limits {
        connections_per_node: 1,
        keepalive_interval: Duration::from_millis(200),
        keepalives_missed: 2,
        ..limits()
    })
    .await;
    let password = host.node("alice").await;
    let tunnel = host.tunnel("alice", &password, "localhost:8080").await;
    let pid = tunnel.child.id().unwrap().to_string();
    let signal = |name: &'static str| {
        let mut kill = tokio::process::Command::new("kill");
        kill.args([name, &pid]);
        kill
    };
    // Silence alone is no reason: the client answers the questions.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(tunnel.get("/").await, "alice.dev Tunnel /");
    assert!(signal("-STOP").status().await.unwrap().success());
    let deadline = Instant::now() + PATIENCE;
    while host.exec("alice", &password, "top").await.status != Some(0) {
        assert!(Instant::now() < deadline, "the dead connection stays");
    }
    assert!(signal("-KILL").status().await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clients_own_keepalives_are_answered() {
    let host = Host::start().await;
    let password = host.node("alice").await;
    let port = crate::client::free_port().await;
    let mut command = host.ssh(&password);
    command.args(["-N", "-L", &format!("{port}:localhost:8080")]);
    command.args(["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=1"]);
    let mut tunnel = Tunnel::start(command, "alice", port).await;
    // Unanswered, the client would leave after two seconds.
    let left = tokio::time::timeout(Duration::from_secs(4), tunnel.child.wait()).await;
    assert!(left.is_err(), "{left:?}");
    assert_eq!(tunnel.get("/").await, "alice.dev Tunnel /");
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_before_signing_in_ends_that_connection_only() {
    let host = Host::start().await;
    let password = host.node("alice").await;
    let banner = b"SSH-2.0-x\r\n".to_vec();
    let mut openings: Vec<Vec<u8>> = vec![
        b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
        vec![b'x'; 1 << 20],
        vec![0; 4096],
        [banner.clone(), vec![0xff; 100_000]].concat(),
        // A packet that claims 4 GiB, and a key exchange cut short.
        [banner.clone(), vec![0xff, 0xff, 0xff, 0xff, 4, 20]].concat(),
        [
            banner.clone(),
            vec![0, 0, 0, 12, 4, 20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0],
        ]
        .concat(),
    ];
    let mut state = 1_u64;
    for length in 1..100 {
        let mut noise = banner.clone();
        for _ in 0..length * 7 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            noise.push((state >> 56) as u8);
        }
        openings.push(noise);
    }
    for opening in openings {
        let mut stream = TcpStream::connect(("127.0.0.1", host.port)).await.unwrap();
        // It may be closed before all is sent; then half-closed or left alone.
        let _ = stream.write_all(&opening).await;
        let _ = stream.shutdown().await;
        let mut rest = Vec::new();
        let ended = stream.read_to_end(&mut rest);
        let _ = tokio::time::timeout(PATIENCE, ended).await.expect("closed");
    }
    assert_eq!(host.exec("alice", &password, "top").await.status, Some(0));
    assert!(host.shutdown().await, "nothing is left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_keeps_asking_for_the_forbidden_is_sent_away() {
    let host = Host::start().await;
    let password = host.node("frank").await;
    let tunnel = host.tunnel("frank", &password, "localhost:22").await;
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "it may go on for ever");
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", tunnel.port)).await else {
            break;
        };
        let _ = stream.read(&mut [0; 8]).await;
    }
    let (status, text) = tunnel.ended().await;
    assert_eq!(status, Some(255));
    assert!(text.contains("too many refused requests"), "{text}");
    assert_eq!(crate::audit_log::about("frank", "\"tunnel\"").len(), 256);
}
