//! A WebSocket echo through a Wasm process, beside one of the same library
//! without a host: one message after the other, and as many as go (`make
//! bench`).

use std::time::{Duration, Instant};

use futures::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{accept_async, tungstenite::Message};

use super::bench::percentile;
use super::sockets::Socket;
use super::support::{Host, Kit, Ssh, Tunnel, eventually, test_package};

/// A path of the app that returns each frame.
const ECHO: &str = "/live:live:test.dev/echo";

const ROUNDS: usize = 5000;
/// How long each load runs.
const LOAD: Duration = Duration::from_secs(4);
/// Messages on their way on one socket.
const IN_FLIGHT: usize = 32;
/// Sockets of a crowd: fewer than strangers may have at a node.
const CROWD: usize = 64;

/// Echoes on one connection until that ends.
async fn serve(stream: TcpStream) {
    stream.set_nodelay(true).unwrap();
    let mut socket = accept_async(stream).await.unwrap();
    while let Some(Ok(message)) = socket.next().await {
        if message.is_close() || socket.send(message).await.is_err() {
            return;
        }
    }
}

/// Echoes on every connection until the test ends.
async fn bare_echo() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let listener = listener.into_std().unwrap();
    std::thread::spawn(move || {
        runtime.unwrap().block_on(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream));
            }
        });
    });
    address
}

/// Round trips one after the other; p50 and p99.
async fn round_trips(socket: &mut Socket, size: usize) -> (Duration, Duration) {
    let mut times = Vec::with_capacity(ROUNDS);
    let message = Message::Binary(vec![7; size].into());
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        socket.send(message.clone()).await;
        assert_eq!(socket.next().await.len(), size);
        times.push(begun.elapsed());
    }
    (percentile(&mut times, 0.5), percentile(&mut times, 0.99))
}

/// Messages a second that come back on `sockets` of a path together, with
/// `in_flight` on their way on each.
async fn throughput(at: &Place<'_>, sockets: usize, size: usize, in_flight: usize) -> f64 {
    let message = Message::Binary(vec![7; size].into());
    let mut opened = Vec::new();
    for _ in 0..sockets {
        let socket = Socket::open(at.address, at.authority, at.path, &[]).await;
        opened.push(socket.unwrap());
    }
    let begun = Instant::now();
    let echoes = opened.iter_mut().map(|socket| {
        let message = &message;
        async move {
            for _ in 0..in_flight {
                socket.send(message.clone()).await;
            }
            let mut echoed = 0_u64;
            while begun.elapsed() < LOAD {
                assert_eq!(socket.next().await.len(), message.len());
                echoed += 1;
                socket.send(message.clone()).await;
            }
            echoed
        }
    });
    let echoed: u64 = futures::future::join_all(echoes).await.iter().sum();
    echoed as f64 / begun.elapsed().as_secs_f64()
}

/// Where an echo is.
struct Place<'a> {
    address: &'a str,
    authority: &'a str,
    path: &'a str,
}

/// A host whose node has an app that echoes; its tunnel goes with it.
async fn echoing() -> (Host, Tunnel) {
    let host = Host::start();
    let api = host.api().sign_up("alice@example.org").await;
    api.create_node("alice").await;
    let tunnel = Ssh::new(host.ssh_port(), "alice", &api.ssh_password("alice").await).tunnel();
    Kit::new(tunnel.port)
        .install(&test_package("live:test.dev"))
        .await;
    eventually("the app", Duration::from_secs(20), async || {
        let opened = Socket::open(&host.http(), "alice.localhost", ECHO, &[]).await;
        opened.is_ok().then_some(())
    })
    .await;
    (host, tunnel)
}

#[tokio::test]
#[ignore = "a measurement: make bench"]
async fn bench_websocket_echo_through_a_process() {
    let (host, _tunnel) = echoing().await;
    let through = Socket::open(&host.http(), "alice.localhost", ECHO, &[]).await;
    let mut through = through.unwrap();
    let bare = bare_echo().await;
    let mut bare = Socket::open(&bare, "localhost", "/", &[]).await.unwrap();
    for size in [64, 16 << 10] {
        round_trips(&mut through, size).await;
        let (p50, p99) = round_trips(&mut through, size).await;
        let (bare50, bare99) = round_trips(&mut bare, size).await;
        println!(
            "WebSocket echo of {size} B through a process: p50 {p50:?}, p99 {p99:?}; \
             bare echo in the same run: p50 {bare50:?}, p99 {bare99:?}; p50 {:.1}x",
            p50.as_secs_f64() / bare50.as_secs_f64()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: make bench"]
async fn bench_websocket_messages_through_a_process() {
    let (host, _tunnel) = echoing().await;
    let (address, bare) = (host.http(), bare_echo().await);
    let through = Place {
        address: &address,
        authority: "alice.localhost",
        path: ECHO,
    };
    let bare = Place {
        address: &bare,
        authority: "localhost",
        path: "/",
    };
    for (sockets, in_flight) in [(1, 1), (1, IN_FLIGHT), (CROWD, 1), (CROWD, 4)] {
        for size in [64, 16 << 10] {
            let own = throughput(&through, sockets, size, in_flight).await;
            let other = throughput(&bare, sockets, size, in_flight).await;
            println!(
                "WebSocket messages of {size} B, {sockets} sockets with {in_flight} on the way: \
                 {own:.0}/s ({:.0} MiB/s) against {other:.0}/s of a bare echo, {:.2}x",
                own * size as f64 / f64::from(1 << 20),
                own / other
            );
        }
    }
}
