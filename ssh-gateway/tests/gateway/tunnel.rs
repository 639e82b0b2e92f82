//! `ssh -L port:localhost:8080`.

use std::process::Stdio;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::client::{PATIENCE, Tunnel, free_port, get_on, ran, read_head};
use crate::host::Host;
use crate::node::{Sum, pattern};

#[tokio::test(flavor = "multi_thread")]
async fn kits_own_command_makes_a_tunnel_that_counts_as_local() {
    let host = Host::start().await;
    let password = host.node("alice").await;
    let port = free_port().await;
    let control = host.directory().join("control");
    // `-f` returns once signed in and listening; the control socket is this
    // test's way to end what it left in the background.
    let mut command = host.ssh(&password);
    command.args(["-L", &format!("{port}:localhost:8080")]);
    command.args(["-M", "-S"]).arg(&control);
    command.args(["alice@127.0.0.1", "-N", "-f"]);
    // What it leaves behind would keep pipes open.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let status = tokio::time::timeout(PATIENCE, command.status()).await;
    assert!(
        status
            .expect("it goes to the background")
            .unwrap()
            .success()
    );
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    for path in ["/one", "/two"] {
        let body = get_on(&mut stream, path).await;
        assert_eq!(body, format!("alice.dev Tunnel {path}"));
    }
    let mut end = host.ssh(&password);
    end.args(["-O", "exit", "-S"]).arg(&control);
    assert_eq!(ran(end.arg("alice@127.0.0.1")).await.status, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_connections_at_once_and_each_its_own_answers() {
    let host = Host::start().await;
    let password = host.node("alice").await;
    for destination in ["localhost:8080", "127.0.0.1:8080", "[::1]:8080"] {
        let tunnel = host.tunnel("alice", &password, destination).await;
        let get = |number: usize| {
            let tunnel = &tunnel;
            async move {
                let mut stream = tunnel.connect().await;
                for round in 0..4 {
                    let path = format!("/{number}/{round}");
                    let body = get_on(&mut stream, &path).await;
                    assert_eq!(body, format!("alice.dev Tunnel {path}"));
                }
            }
        };
        futures::future::join_all((0..50).map(get)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_direction_ends_by_itself() {
    let host = Host::start().await;
    let password = host.node("alice").await;
    let tunnel = host.tunnel("alice", &password, "localhost:8080").await;

    let mut client_ends_first = tunnel.connect().await;
    client_ends_first
        .write_all(b"COUNT / HTTP/1.0\r\n\r\n")
        .await
        .unwrap();
    client_ends_first.write_all(&[7; 300_000]).await.unwrap();
    client_ends_first.shutdown().await.unwrap();
    let mut answer = String::new();
    let reading = client_ends_first.read_to_string(&mut answer);
    tokio::time::timeout(PATIENCE, reading)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(answer, "counted 300000");

    let mut node_ends_first = tunnel.connect().await;
    node_ends_first
        .write_all(b"LAST / HTTP/1.0\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    let reading = node_ends_first.read_to_string(&mut answer);
    tokio::time::timeout(PATIENCE, reading)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(answer, "all I have to say");
    // The other direction is open still; the node checks what arrives.
    node_ends_first.write_all(b"still listening").await.unwrap();
    node_ends_first.shutdown().await.unwrap();
    assert_eq!(tunnel.get("/after").await, "alice.dev Tunnel /after");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_megabytes_arrive_unchanged_in_both_directions() {
    const TOTAL: usize = 100_000_000;
    let host = Host::start().await;
    let password = host.node("alice").await;
    let mut command = host.ssh(&password);
    let port = free_port().await;
    command.args(["-N", "-L", &format!("{port}:localhost:8080")]);
    command.args(["-c", "aes256-gcm@openssh.com"]);
    let tunnel = Tunnel::start(command, "alice", port).await;

    let mut expected = Sum::default();
    let body: Vec<u8> = (0..TOTAL).map(pattern).collect();
    expected.add(&body);

    let mut down = tunnel.connect().await;
    let began = Instant::now();
    down.write_all(format!("GET /bytes/{TOTAL} HTTP/1.1\r\n\r\n").as_bytes())
        .await
        .unwrap();
    assert_eq!(read_head(&mut down).await, TOTAL);
    let mut received = vec![0; TOTAL];
    down.read_exact(&mut received).await.unwrap();
    let downwards = began.elapsed();
    assert!(received == body, "the download differs");

    let mut up = tunnel.connect().await;
    let began = Instant::now();
    up.write_all(format!("POST {TOTAL} HTTP/1.1\r\n\r\n").as_bytes())
        .await
        .unwrap();
    up.write_all(&body).await.unwrap();
    let mut answer = vec![0; format!("{} {}\r\n", expected.bytes, expected.sum).len()];
    up.read_exact(&mut answer).await.unwrap();
    let upwards = began.elapsed();
    let answer = String::from_utf8(answer).unwrap();
    assert_eq!(answer, format!("{} {}\r\n", expected.bytes, expected.sum));
    println!("100 MB: down {downwards:?}, up {upwards:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_not_read_does_not_hold_up_downloads() {
    let host = Host::start().await;
    let password = host.node("alice").await;
    let tunnel = host.tunnel("alice", &password, "localhost:8080").await;
    // The client takes nothing of this one.
    let mut lazy = tunnel.connect().await;
    lazy.write_all(b"GET /bytes/50000000 HTTP/1.1\r\n\r\n")
        .await
        .unwrap();
    for _ in 0..20 {
        assert_eq!(tunnel.get("/z").await, "alice.dev Tunnel /z");
    }
    // A connection that goes away in the middle leaves nothing behind.
    drop(lazy);
    assert_eq!(tunnel.get("/z").await, "alice.dev Tunnel /z");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_cannot_be_reached_is_a_failed_connection() {
    let host = Host::start().await;
    let password = host.node("alice").await;
    host.stop_node("alice").await;
    let answer = ran(host
        .ssh(&password)
        .args(["-W", "localhost:8080", "alice@127.0.0.1"]))
    .await;
    assert_ne!(answer.status, Some(0));
    assert!(answer.stderr.contains("connect failed"), "{answer:?}");
    assert!(answer.stderr.contains("this node is stopped"), "{answer:?}");

    host.suspend_node("alice").await;
    let answer = ran(host
        .ssh(&password)
        .args(["-W", "localhost:8080", "alice@127.0.0.1"]))
    .await;
    assert_ne!(answer.status, Some(0));
    assert!(answer.stderr.contains("connect failed"), "{answer:?}");
    assert!(answer.stderr.contains("suspended"), "{answer:?}");

    *host.launcher.fails.lock() = Some("luck".to_owned());
    let password = host.node("bob").await;
    let answer = ran(host
        .ssh(&password)
        .args(["-W", "localhost:8080", "bob@127.0.0.1"]))
    .await;
    assert_ne!(answer.status, Some(0));
    assert!(answer.stderr.contains("out of luck"), "{answer:?}");
}

/// Where tunnels must not lead, whatever listens there.
fn forbidden(own_port: u16) -> Vec<String> {
    let mut all = Vec::new();
    for port in [
        1, 22, 53, 80, 443, 2222, 5432, 8000, 8081, 8999, 9000, 9464, 10000,
    ] {
        for host in ["localhost", "127.0.0.1", "[::1]"] {
            all.push(format!("{host}:{port}"));
        }
    }
    for host in [
        "0.0.0.0",
        "[::]",
        "127.0.0.2",
        "127.1",
        "2130706433",
        "0x7f.1",
        "[::ffff:127.0.0.1]",
        "localhost.",
        "alice.localhost",
        "bob",
        "169.254.169.254",
        "10.0.0.1",
        "192.168.0.1",
        "example.org",
        "[fe80::1%lo]",
    ] {
        all.push(format!("{host}:8080"));
    }
    all.push("169.254.169.254:80".to_owned());
    all.push(format!("localhost:{own_port}"));
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_destination_can_be_reached_and_each_try_is_recorded() {
    let host = Host::start().await;
    let password = host.node("mallory").await;
    let control = host.directory().join("control");
    let mut master = host.ssh(&password);
    master.args(["-N", "-M", "-S"]).arg(&control);
    let _master = Tunnel::start(master, "mallory", 0).await;
    let targets = forbidden(host.port);
    assert!(targets.len() > 50);
    for target in &targets {
        let mut command = host.ssh(&password);
        command.arg("-S").arg(&control);
        let answer = ran(command.args(["-W", target, "mallory@127.0.0.1"])).await;
        assert_ne!(answer.status, Some(0), "{target}: {answer:?}");
        assert_eq!(answer.stdout, "", "{target}");
    }
    let recorded = crate::audit_log::about("mallory", "\"tunnel\"");
    assert_eq!(recorded.len(), targets.len(), "{recorded:#?}");
    // The connection is none the worse for it.
    let mut command = host.ssh(&password);
    command.arg("-S").arg(&control);
    let answer = ran(command.args(["mallory@127.0.0.1", "top"])).await;
    assert_eq!(answer.status, Some(0), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn remote_forwards_unix_sockets_and_other_channels_are_refused() {
    let host = Host::start().await;
    let password = host.node("eve").await;
    for forward in [
        "0:localhost:80",
        "8080:localhost:80",
        "/tmp/x.sock:localhost:80",
    ] {
        let answer = ran(host.ssh(&password).args([
            "-N",
            "-o",
            "ExitOnForwardFailure=yes",
            "-R",
            forward,
            "eve@127.0.0.1",
        ]))
        .await;
        assert_eq!(answer.status, Some(255), "{forward}: {answer:?}");
        assert!(
            answer.stderr.contains("remote port forwarding failed"),
            "{answer:?}"
        );
    }
    assert_eq!(crate::audit_log::about("eve", "remote").len(), 3);

    let port = free_port().await;
    let mut command = host.ssh(&password);
    command.args(["-N", "-L", &format!("{port}:/var/run/docker.sock")]);
    let tunnel = Tunnel::start(command, "eve", port).await;
    let mut stream = tunnel.connect().await;
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap_or(0), 0);
    assert_eq!(crate::audit_log::about("eve", "unix socket").len(), 2);

    let x11 =
        ran(host
            .ssh(&password)
            .env("DISPLAY", "127.0.0.1:9")
            .args(["-Y", "eve@127.0.0.1", "top"]))
        .await;
    assert_eq!(x11.stdout, "eve.dev: top\n", "{x11:?}");
    assert_eq!(crate::audit_log::about("eve", "x11").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn new_keys_in_the_middle_of_a_transfer_lose_nothing() {
    const TOTAL: usize = 20_000_000;
    let host = Host::start().await;
    let password = host.node("alice").await;
    let port = free_port().await;
    let mut command = host.ssh(&password);
    command.args(["-N", "-L", &format!("{port}:localhost:8080")]);
    command.args(["-o", "RekeyLimit=1M"]);
    let tunnel = Tunnel::start(command, "alice", port).await;
    let body: Vec<u8> = (0..TOTAL).map(pattern).collect();
    let mut expected = Sum::default();
    expected.add(&body);
    let down = async {
        let mut stream = tunnel.connect().await;
        let request = format!("GET /bytes/{TOTAL} HTTP/1.1\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        assert_eq!(read_head(&mut stream).await, TOTAL);
        let mut received = vec![0; TOTAL];
        stream.read_exact(&mut received).await.unwrap();
        assert!(received == body, "the download differs");
    };
    let up = async {
        let mut stream = tunnel.connect().await;
        let request = format!("POST {TOTAL} HTTP/1.1\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.write_all(&body).await.unwrap();
        let wanted = format!("{} {}\r\n", expected.bytes, expected.sum);
        let mut answer = vec![0; wanted.len()];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(String::from_utf8(answer).unwrap(), wanted);
    };
    let both = async { tokio::join!(down, up) };
    tokio::time::timeout(PATIENCE, both).await.expect("in time");
}
