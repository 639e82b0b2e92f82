//! Visitors who ask one thing after the other, and none of whom is to be failed.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::eventually;

/// Of each page.
const VISITORS: usize = 12;
/// A host that goes down closes a connection without a request after half a
/// second (decision 0021); a bit less is seen from here.
const IDLE: Duration = Duration::from_millis(400);

/// Why a request was not answered.
#[derive(Debug)]
enum Lost {
    /// Its connection had been without a request for so long that it may be
    /// closed.
    Idle,
    /// There was no connection, or a new one was closed before anything was said.
    Outside(String),
    /// It should have been answered.
    Failed(String),
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Idle => f.write_str("closed while idle"),
            Self::Outside(why) | Self::Failed(why) => f.write_str(why),
        }
    }
}

/// A client that asks for one path again and again on one connection, until it
/// is told that an answer was the last. It tries nothing twice.
struct Visitor {
    address: String,
    request: Vec<u8>,
    /// With the time of its last answer.
    stream: Option<(TcpStream, Instant)>,
}

impl Visitor {
    fn new(address: &str, path: &str) -> Self {
        let port = address.rsplit(':').next().unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: alice.localhost:{port}\r\n\r\n");
        Self {
            address: address.to_owned(),
            request: request.into_bytes(),
            stream: None,
        }
    }

    /// One request.
    async fn ask(&mut self) -> Result<(), Lost> {
        let (mut stream, idle) = match self.stream.take() {
            Some((stream, since)) => (stream, Some(since.elapsed())),
            None => {
                let connected = TcpStream::connect(&self.address).await;
                let outside = |error| Lost::Outside(format!("connect: {error}"));
                (connected.map_err(outside)?, None)
            }
        };
        let unheard = |what: String| match idle {
            Some(idle) if idle > IDLE => Lost::Idle,
            Some(idle) => Lost::Failed(format!("{what}, {idle:?} after an answer")),
            None => Lost::Outside(format!("{what}, at a new connection")),
        };
        let sent = stream.write_all(&self.request).await;
        sent.map_err(|error| unheard(format!("send: {error}")))?;
        let mut answer = Vec::new();
        let (head, length) = loop {
            match stream.read_buf(&mut answer).await {
                Ok(0) if answer.is_empty() => return Err(unheard("closed".to_owned())),
                Ok(0) => return Err(Lost::Failed("ended within a head".to_owned())),
                Err(error) if answer.is_empty() => {
                    return Err(unheard(format!("read: {error}")));
                }
                Err(error) => return Err(Lost::Failed(format!("read: {error}"))),
                Ok(_) => {}
            }
            if let Some(end) = answer.windows(4).position(|part| part == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
                let length = head.split("content-length: ").nth(1);
                let length = length.and_then(|rest| rest.lines().next()?.parse::<usize>().ok());
                let Some(length) = length else {
                    return Err(Lost::Failed(head));
                };
                break (head, end + 4 + length);
            }
        };
        while answer.len() < length {
            match stream.read_buf(&mut answer).await {
                Ok(read) if read > 0 => {}
                ended => return Err(Lost::Failed(format!("{ended:?} within an answer"))),
            }
        }
        if !head.starts_with("http/1.1 200") {
            return Err(Lost::Failed(head));
        }
        if !head.contains("connection: close") {
            self.stream = Some((stream, Instant::now()));
        }
        Ok(())
    }
}

/// What visitors are told, and tell.
#[derive(Default)]
struct Told {
    stop: AtomicBool,
    /// The host ends: who is not in yet may be refused.
    ending: AtomicBool,
    answered: AtomicU64,
}

impl Told {
    /// Asks until it is told to stop; what failed.
    async fn visit(&self, mut visitor: Visitor, pause: Duration) -> Vec<String> {
        let mut failures = Vec::new();
        while !self.stop.load(Ordering::Relaxed) {
            match visitor.ask().await {
                Ok(()) => _ = self.answered.fetch_add(1, Ordering::Relaxed),
                Err(Lost::Idle) => continue,
                Err(Lost::Outside(_)) if self.ending.load(Ordering::Relaxed) => break,
                Err(lost) => failures.push(lost.to_string()),
            }
            tokio::time::sleep(pause).await;
        }
        failures
    }
}

/// Visitors of alice's node who ask until they are told to stop.
pub struct Load {
    told: Arc<Told>,
    visitors: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    /// Some at each of `paths`.
    pub fn start(address: &str, paths: &[&str]) -> Self {
        let told = Arc::<Told>::default();
        let mut visitors = Vec::new();
        for path in paths {
            for number in 0..VISITORS {
                let visitor = Visitor::new(address, path);
                // Some ask without a pause, some as people click.
                let pause = Duration::from_millis([0, 0, 20, 150][number % 4]);
                let told = told.clone();
                let visit = async move { told.visit(visitor, pause).await };
                visitors.push(tokio::spawn(visit));
            }
        }
        Self { told, visitors }
    }

    /// How many requests were answered.
    pub fn answered(&self) -> u64 {
        self.told.answered.load(Ordering::Relaxed)
    }

    /// Waits until so many more were answered, or for `limit`; how many were.
    pub async fn more(&self, count: u64, limit: Duration) -> u64 {
        let (from, end) = (self.answered(), Instant::now() + limit);
        eventually("answers", limit + limit, async || {
            let more = self.answered() - from;
            (more >= count || Instant::now() >= end).then_some(more)
        })
        .await
    }

    /// Says that the host is about to end: who finds it closed then goes.
    pub fn expect_end(&self) {
        self.told.ending.store(true, Ordering::Relaxed);
    }

    /// What failed.
    pub async fn end(self) -> Vec<String> {
        self.told.stop.store(true, Ordering::Relaxed);
        let mut failures = Vec::new();
        for visitor in self.visitors {
            failures.extend(visitor.await.unwrap());
        }
        failures
    }
}
