//! A WebSocket echo through a Wasm process, beside one of the same library
//! without a host (`make bench`).

use std::time::{Duration, Instant};

use futures::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{accept_async, tungstenite::Message};

use super::bench::percentile;
use super::sockets::Socket;
use super::support::{Host, Kit, Ssh, eventually, test_package};

const ROUNDS: usize = 5000;

/// Echoes on every connection until the test ends.
async fn bare_echo() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serve = async |stream: TcpStream| {
        stream.set_nodelay(true).unwrap();
        let mut socket = accept_async(stream).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            if message.is_close() || socket.send(message).await.is_err() {
                return;
            }
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    let listener = listener.into_std().unwrap();
    std::thread::spawn(move || {
        runtime.unwrap().block_on(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                serve(stream).await;
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

#[tokio::test]
#[ignore = "a measurement: make bench"]
async fn bench_websocket_echo_through_a_process() {
    let host = Host::start();
    let api = host.api().sign_up("alice@example.org").await;
    api.create_node("alice").await;
    let tunnel = Ssh::new(host.ssh_port(), "alice", &api.ssh_password("alice").await).tunnel();
    Kit::new(tunnel.port)
        .install(&test_package("live:test.dev"))
        .await;
    let path = "/live:live:test.dev/echo";
    let mut through = eventually("the app", Duration::from_secs(20), async || {
        Socket::open(&host.http(), "alice.localhost", path, &[])
            .await
            .ok()
    })
    .await;
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
