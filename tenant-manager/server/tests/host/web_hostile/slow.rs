//! Clients that are in no hurry: they connect and say nothing, say little, send
//! a body by the byte, do not read what they asked for, or begin a frame.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;

use super::super::sockets::Socket;
use super::super::support::{Api, Host, Kit, Ssh, Tunnel, eventually, test_package};
use super::PATIENCE;

/// Slow clients of the test.
const CLIENTS: usize = 500;
/// How often one that says something says it.
const PAUSE: Duration = Duration::from_millis(200);
/// How long one that was sent away stays away: slow clients, not a storm.
const AWAY: Duration = Duration::from_secs(8);
/// How long a host bears one that says nothing, with time to spare.
const BORNE: Duration = Duration::from_secs(40);
/// Longest that a neighbour's page may take on a busy machine.
const NEIGHBOUR: Duration = Duration::from_secs(10);
/// What a client that does not read has room for.
const SMALL: u32 = 1024;
pub const ECHO: &str = "/live:live:test.dev/echo";

/// Ways of being slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sloth {
    Silent,
    Head,
    Body,
    Reader,
    Frame,
}

/// All of them.
pub const SLOTHS: [Sloth; 5] = [
    Sloth::Silent,
    Sloth::Head,
    Sloth::Body,
    Sloth::Reader,
    Sloth::Frame,
];

impl Sloth {
    /// What it says at once, and what again and again.
    fn words(self, authority: &str) -> (Vec<u8>, &'static [u8]) {
        match self {
            Self::Silent => (Vec::new(), b""),
            Self::Head => (
                format!("GET /our HTTP/1.1\r\nHost: {authority}\r\n").into_bytes(),
                b"x: y\r\n",
            ),
            Self::Body => (
                format!("POST /x HTTP/1.1\r\nHost: {authority}\r\nContent-Length: 100000\r\n\r\n")
                    .into_bytes(),
                b"x",
            ),
            Self::Reader => (
                format!("GET /login HTTP/1.1\r\nHost: {authority}\r\n\r\n")
                    .repeat(20)
                    .into_bytes(),
                b"",
            ),
            Self::Frame => (
                [
                    format!(
                        "GET {ECHO} HTTP/1.1\r\nHost: {authority}\r\nConnection: Upgrade\r\n\
                         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
                    )
                    .into_bytes(),
                    // The head of a frame of a MiB.
                    b"\x82\xff\0\0\0\0\0\x10\0\0\0\0\0\0".to_vec(),
                ]
                .concat(),
                b"x",
            ),
        }
    }

    /// One connection of it, until the host ends it.
    async fn dawdle(self, from: Ipv4Addr, to: SocketAddr, authority: &str) -> std::io::Result<()> {
        let socket = TcpSocket::new_v4()?;
        if self == Self::Reader {
            socket.set_recv_buffer_size(SMALL)?;
        }
        socket.bind(SocketAddr::new(from.into(), 0))?;
        let mut stream = socket.connect(to).await?;
        let (first, then) = self.words(authority);
        stream.write_all(&first).await?;
        let mut scratch = [0; 256];
        loop {
            tokio::time::sleep(PAUSE).await;
            if self == Self::Reader {
                // It only looks whether it is still served.
                let mut byte = [0; 1];
                if stream.peek(&mut byte).await? == 0 || is_reset(&stream)? {
                    return Ok(());
                }
                continue;
            }
            stream.write_all(then).await?;
            match stream.try_read(&mut scratch) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Whether the other side has given up a connection that nobody reads.
fn is_reset(stream: &TcpStream) -> std::io::Result<bool> {
    Ok(stream.take_error()?.is_some())
}

/// Slow clients, each from an address of its own; they go when it is dropped.
pub struct Herd {
    clients: Vec<JoinHandle<()>>,
    ended: Arc<AtomicUsize>,
}

impl Herd {
    /// `count` clients of these kinds at alice's node. Each comes once or, if
    /// it comes `again`, as often as it is sent away.
    pub fn start(address: &str, count: usize, kinds: &[Sloth], again: bool) -> Self {
        let to: SocketAddr = address.parse().unwrap();
        let ended = Arc::<AtomicUsize>::default();
        let mut clients = Vec::new();
        for number in 0..count {
            let kind = kinds[number % kinds.len()];
            let low = u8::try_from(number % 250 + 1).unwrap();
            let high = u8::try_from(number / 250 + 1).unwrap();
            let from = Ipv4Addr::new(127, 1, high, low);
            let ended = ended.clone();
            clients.push(tokio::spawn(async move {
                let authority = format!("alice.localhost:{}", to.port());
                loop {
                    // However it ends, it has ended.
                    let _ = kind.dawdle(from, to, &authority).await;
                    ended.fetch_add(1, Ordering::Relaxed);
                    if !again {
                        return;
                    }
                    tokio::time::sleep(AWAY).await;
                }
            }));
        }
        Self { clients, ended }
    }

    /// How many connections were ended.
    pub fn ended(&self) -> usize {
        self.ended.load(Ordering::Relaxed)
    }
}

impl Drop for Herd {
    fn drop(&mut self) {
        for client in &self.clients {
            client.abort();
        }
    }
}

/// A host with alice's node, which has an app with WebSockets, and bob's.
pub async fn neighbours(flags: &[&str]) -> (Host, Api, Tunnel) {
    let host = Host::start_with(flags);
    let api = host.api().sign_up("alice@example.org").await;
    api.create_node("alice").await;
    api.create_node("bob").await;
    let ssh = Ssh::new(host.ssh_port(), "alice", &api.ssh_password("alice").await);
    let tunnel = ssh.tunnel();
    let kit = Kit::new(tunnel.port);
    kit.install(&test_package("live:test.dev")).await;
    eventually("the app", PATIENCE, async || {
        let opened = Socket::open(&host.http(), "alice.localhost", ECHO, &[]).await;
        opened.is_ok().then_some(())
    })
    .await;
    (host, api, tunnel)
}

/// Asks for bob's page; it must be there and soon.
pub async fn ask_bob(api: &Api) {
    let begun = Instant::now();
    let (status, _) = api.node_get("bob.localhost", "/our").await;
    assert_eq!(status, StatusCode::OK);
    let took = begun.elapsed();
    assert!(took <= NEIGHBOUR, "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_are_sent_away_and_hold_up_nobody() {
    let (host, api, _tunnel) = neighbours(&[]).await;
    let mute = Herd::start(&host.http(), CLIENTS, &[Sloth::Silent, Sloth::Head], false);
    let begun = Instant::now();
    while mute.ended() < CLIENTS {
        ask_bob(&api).await;
        let left = CLIENTS - mute.ended();
        assert!(begun.elapsed() < BORNE, "{left} are still there");
        tokio::time::sleep(PAUSE).await;
    }
    println!("{CLIENTS} were sent away within {:?}", begun.elapsed());
    drop(mute);

    let all = Herd::start(&host.http(), CLIENTS, &SLOTHS, true);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(5) {
        ask_bob(&api).await;
        let dashboard = api.get("/nodes/bob").await;
        assert_eq!(dashboard.status(), StatusCode::OK);
        tokio::time::sleep(PAUSE).await;
    }
    drop(all);
    // Whose node it was about answers as before.
    eventually("alice's page", PATIENCE, async || {
        let (status, _) = api.node_get("alice.localhost", "/our").await;
        (status == StatusCode::OK).then_some(())
    })
    .await;
}

/// A connection from `from`, with an answer on it; `None` if it was not served.
async fn served(from: [u8; 4], to: &str) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(from.into(), 0)).unwrap();
    let mut stream = socket.connect(to.parse().unwrap()).await.ok()?;
    let port = to.rsplit(':').next().unwrap();
    let request = format!("GET /our HTTP/1.1\r\nHost: bob.localhost:{port}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = [0; 12];
    let read = stream.read_exact(&mut answer);
    tokio::time::timeout(PATIENCE, read).await.unwrap().ok()?;
    assert_eq!(&answer, b"HTTP/1.1 200");
    Some(stream)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_does_not_get_every_connection() {
    const ASKED_FOR: usize = 400;
    let (host, api, _tunnel) = neighbours(&["--limit-loopback=true"]).await;
    let http = host.http();
    let mut held = Vec::new();
    for _ in 0..ASKED_FOR {
        held.extend(served([127, 2, 0, 1], &http).await);
    }
    println!("{} of {ASKED_FOR} connections", held.len());
    assert!((64..ASKED_FOR).contains(&held.len()), "{}", held.len());
    assert!(served([127, 2, 0, 2], &http).await.is_some());
    ask_bob(&api).await;
    // They are free again with those that go.
    held.clear();
    eventually("a place", PATIENCE, async || {
        served([127, 2, 0, 1], &http).await.map(drop)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_node_does_not_get_every_websocket() {
    const ASKED_FOR: usize = 160;
    let (host, api, _tunnel) = neighbours(&[]).await;
    let http = host.http();
    let mut held = Vec::new();
    let mut refusals = Vec::new();
    for _ in 0..ASKED_FOR {
        match Socket::open(&http, "alice.localhost", ECHO, &[]).await {
            Ok(socket) => held.push(socket),
            Err(status) => refusals.push(status),
        }
    }
    println!("{} of {ASKED_FOR} sockets", held.len());
    assert!((32..=128).contains(&held.len()), "{}", held.len());
    refusals.dedup();
    assert!(
        refusals.iter().all(|status| matches!(status, 429 | 503)),
        "{refusals:?}"
    );
    // Not even on that node is anything else in the way.
    ask_bob(&api).await;
    let (status, _) = api.node_get("alice.localhost", "/our").await;
    assert_eq!(status, StatusCode::OK);
    held.clear();
    eventually("a place", PATIENCE, async || {
        let opened = Socket::open(&http, "alice.localhost", ECHO, &[]).await;
        opened.is_ok().then_some(())
    })
    .await;
}
