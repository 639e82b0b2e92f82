//! What slow and hasty clients of one node cost its neighbour (`make bench`).

use std::net::TcpListener;
use std::time::Duration;

use tokio::io::AsyncReadExt;

use super::super::bench_flood::neighbour;
use super::flood::Flood;
use super::slow::{Herd, SLOTHS, neighbours};

/// Slow clients at once.
const SLOW: usize = 5000;
/// Frames a second.
const FRAMES: usize = 100_000;
/// Sockets that they come on.
const SOCKETS: usize = 20;

/// Median and 99th percentile of the neighbour's answers.
type Times = (Duration, Duration);

fn tell(what: &str, idle: Times, beside: Times) {
    let ratio = |with: Duration, without: Duration| with.as_secs_f64() / without.as_secs_f64();
    println!(
        "a neighbour's page beside {what}: p50 {:?} against {:?} ({:.1}x), p99 {:?} against {:?} \
         ({:.1}x; goal: at most 2)",
        beside.0,
        idle.0,
        ratio(beside.0, idle.0),
        beside.1,
        idle.1,
        ratio(beside.1, idle.1),
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: make bench"]
async fn bench_a_neighbour_beside_5000_slow_clients() {
    let (host, api, _tunnel) = neighbours(&[]).await;
    neighbour(&api).await;
    let idle = neighbour(&api).await;
    // What so many clients cost on this machine by themselves.
    let herd = Herd::start(&sink(), SLOW, &SLOTHS, true);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let elsewhere = neighbour(&api).await;
    drop(herd);
    tell(
        &format!("{SLOW} slow clients that are nobody's"),
        idle,
        elsewhere,
    );
    let herd = Herd::start(&host.http(), SLOW, &SLOTHS, true);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let beside = neighbour(&api).await;
    let ended = herd.ended();
    drop(herd);
    tell(
        &format!("{SLOW} slow clients ({ended} times sent away)"),
        idle,
        beside,
    );
    tell(
        &format!("{SLOW} slow clients, less what having them costs"),
        elsewhere,
        beside,
    );
}

/// Takes whatever comes, and does nothing with it, on one thread.
fn sink() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut scratch = vec![0; 4 << 10];
                    while stream.read(&mut scratch).await.is_ok_and(|read| read > 0) {}
                });
            }
        });
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: make bench"]
async fn bench_a_neighbour_beside_100_000_frames_a_second() {
    let (host, api, _tunnel) = neighbours(&[]).await;
    neighbour(&api).await;
    let idle = neighbour(&api).await;
    // What making so many frames costs on this machine by itself.
    let sink = sink();
    let mut streams = Vec::new();
    for _ in 0..SOCKETS {
        streams.push(tokio::net::TcpStream::connect(&sink).await.unwrap());
    }
    let flood = Flood::through(streams, Some(FRAMES));
    let elsewhere = neighbour(&api).await;
    let rate = flood.stop().await;
    tell(
        &format!("{rate:.0} frames/s that are nobody's"),
        idle,
        elsewhere,
    );
    let flood = Flood::start(&host.http(), SOCKETS, Some(FRAMES)).await;
    let beside = neighbour(&api).await;
    let rate = flood.stop().await;
    tell(&format!("{rate:.0} frames/s at one node"), idle, beside);
    tell(
        &format!("{rate:.0} frames/s, less what making them costs"),
        elsewhere,
        beside,
    );
}
