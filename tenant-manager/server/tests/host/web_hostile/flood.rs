//! WebSockets on which frames come as fast as they can, or at a set pace.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::super::support::eventually;
use super::PATIENCE;
use super::slow::{ECHO, ask_bob, neighbours};

/// Bytes that each frame carries.
const PAYLOAD: u8 = 16;
/// How long the flood of the test lasts.
const LASTS: Duration = Duration::from_secs(4);
/// How often a socket of a set pace sends.
const BEAT: Duration = Duration::from_millis(10);

/// So many frames of a client. A mask of zeros leaves the bytes as they are.
pub fn frames(count: usize) -> Vec<u8> {
    let mut frame = vec![0x82, 0x80 | PAYLOAD, 0, 0, 0, 0];
    frame.resize(frame.len() + usize::from(PAYLOAD), 7);
    frame.repeat(count)
}

/// A WebSocket whose frames are made elsewhere.
async fn open(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET {ECHO} HTTP/1.1\r\nHost: alice.localhost\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101"), "{head:?}");
    stream
}

/// Sockets that send; they stop when told to.
pub struct Flood {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    begun: Instant,
    sockets: Vec<JoinHandle<()>>,
}

impl Flood {
    /// `sockets` of alice's app, with `per_second` frames on all of them
    /// together, or as many as are taken.
    pub async fn start(address: &str, sockets: usize, per_second: Option<usize>) -> Self {
        let mut streams = Vec::new();
        for _ in 0..sockets {
            streams.push(open(address).await);
        }
        Self::through(streams, per_second)
    }

    /// The same into connections to anything.
    pub fn through(streams: Vec<TcpStream>, per_second: Option<usize>) -> Self {
        let mut flood = Self {
            stop: Arc::default(),
            sent: Arc::default(),
            begun: Instant::now(),
            sockets: Vec::new(),
        };
        let beats = 1000 / usize::try_from(BEAT.as_millis()).unwrap();
        let count = per_second.map_or(1000, |all| all / streams.len() / beats);
        for stream in streams {
            let (stop, sent) = (flood.stop.clone(), flood.sent.clone());
            let paced = per_second.is_some();
            flood.sockets.push(tokio::spawn(async move {
                pour(stream, count, paced, &stop, &sent).await;
            }));
        }
        flood
    }

    /// Ends it; frames a second that were sent.
    pub async fn stop(self) -> f64 {
        let sent = self.sent.load(Ordering::Relaxed) as f64;
        let rate = sent / self.begun.elapsed().as_secs_f64();
        self.stop.store(true, Ordering::Relaxed);
        for socket in self.sockets {
            socket.abort();
            // It ends one way or the other.
            let _ = socket.await;
        }
        rate
    }
}

/// Sends until it is told to stop or the other side is gone, and forgets what
/// comes back.
async fn pour(stream: TcpStream, count: usize, paced: bool, stop: &AtomicBool, sent: &AtomicU64) {
    let (mut from, mut to) = stream.into_split();
    let drain = async {
        let mut scratch = vec![0; 64 << 10];
        while from.read(&mut scratch).await.is_ok_and(|read| read > 0) {}
    };
    let send = async {
        let batch = frames(count);
        let mut beat = tokio::time::interval(BEAT);
        while !stop.load(Ordering::Relaxed) {
            if paced {
                beat.tick().await;
            }
            if to.write_all(&batch).await.is_err() {
                return;
            }
            sent.fetch_add(count as u64, Ordering::Relaxed);
        }
    };
    tokio::select! {
        () = drain => {}
        () = send => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_frames_at_one_node_leaves_its_neighbour_alone() {
    let (host, api, _tunnel) = neighbours(&[]).await;
    let flood = Flood::start(&host.http(), 8, None).await;
    let begun = Instant::now();
    let mut answered = 0;
    while begun.elapsed() < LASTS {
        ask_bob(&api).await;
        answered += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let rate = flood.stop().await;
    println!("{answered} answers of the neighbour beside {rate:.0} frames a second");
    assert!(rate > 1000.0, "the flood was none: {rate}");
    // Nor is the node itself the worse for it.
    eventually("alice's page", PATIENCE, async || {
        let (status, _) = api.node_get("alice.localhost", "/our").await;
        (status == StatusCode::OK).then_some(())
    })
    .await;
    assert_eq!(api.status("alice").await, "active");
}
