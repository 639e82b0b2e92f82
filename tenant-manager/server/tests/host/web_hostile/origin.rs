//! A web server that answers however badly a test has it answer. One request a
//! connection, one thread each; they end when the server is dropped.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Longest request head that it reads.
const MAX_HEAD: usize = 1 << 20;
/// How often a thread that waits looks whether it is to end.
const TICK: Duration = Duration::from_millis(50);

/// What it says.
#[derive(Debug, Clone)]
pub enum Reply {
    /// These bytes, and the end.
    Whole(Vec<u8>),
    /// These bytes, then others again and again, as long as they are taken.
    Endless { first: Vec<u8>, then: Vec<u8> },
    /// The same, with a pause between.
    Drip {
        first: Vec<u8>,
        then: Vec<u8>,
        pause: Duration,
    },
    /// Nothing; it does not close either.
    Silence,
}

impl Reply {
    /// A page.
    pub fn text(body: &str) -> Self {
        let length = body.len();
        Self::Whole(
            format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\
                 Connection: close\r\n\r\n{body}"
            )
            .into_bytes(),
        )
    }

    /// The way to another place.
    pub fn redirect(status: u16, to: &str) -> Self {
        Self::Whole(
            format!(
                "HTTP/1.1 {status} Elsewhere\r\nLocation: {to}\r\nContent-Length: 0\r\n\
                 Connection: close\r\n\r\n"
            )
            .into_bytes(),
        )
    }
}

type Replies = dyn Fn(&str) -> Reply + Send + Sync;

/// See the module's documentation.
pub struct Origin {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    stop: AtomicBool,
    /// Bytes that the system took.
    sent: AtomicU64,
    /// Connections that are being answered.
    serving: AtomicUsize,
    /// Heads of requests.
    asked: Mutex<Vec<String>>,
}

impl Origin {
    /// Listens at a free port of `ip`; what it says is decided by the target of
    /// a request.
    pub fn start(ip: &str, reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((ip, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::<State>::default();
        let reply: Arc<Replies> = Arc::new(reply);
        std::thread::spawn({
            let state = state.clone();
            move || {
                while let Ok((stream, _)) = listener.accept() {
                    if state.is_over() {
                        return;
                    }
                    let (state, reply) = (state.clone(), reply.clone());
                    std::thread::spawn(move || {
                        state.serving.fetch_add(1, Ordering::Relaxed);
                        // A client that goes is no failure.
                        let _ = state.serve(stream, &*reply);
                        state.serving.fetch_sub(1, Ordering::Relaxed);
                    });
                }
            }
        });
        Self { address, state }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Bytes that it got rid of so far.
    pub fn sent(&self) -> u64 {
        self.state.sent.load(Ordering::Relaxed)
    }

    /// How many connections it has.
    pub fn serving(&self) -> usize {
        self.state.serving.load(Ordering::Relaxed)
    }

    /// The heads of the requests so far.
    pub fn asked(&self) -> Vec<String> {
        self.state.asked.lock().unwrap().clone()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::Relaxed);
        // It waits to accept one more.
        let _ = TcpStream::connect(self.address);
    }
}

impl State {
    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn serve(&self, mut stream: TcpStream, reply: &Replies) -> std::io::Result<()> {
        stream.set_read_timeout(Some(TICK))?;
        stream.set_write_timeout(Some(TICK))?;
        let Some(head) = self.head(&mut stream)? else {
            return Ok(());
        };
        let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
        self.asked.lock().unwrap().push(head);
        match reply(&target) {
            Reply::Whole(bytes) => self.send(&mut stream, &bytes),
            Reply::Endless { first, then } => {
                self.send(&mut stream, &first)?;
                loop {
                    self.send(&mut stream, &then)?;
                }
            }
            Reply::Drip { first, then, pause } => {
                self.send(&mut stream, &first)?;
                loop {
                    self.wait(&mut stream, pause)?;
                    self.send(&mut stream, &then)?;
                }
            }
            Reply::Silence => self.wait(&mut stream, Duration::MAX),
        }
    }

    /// The head of a request; `None` if there is none.
    fn head(&self, stream: &mut TcpStream) -> std::io::Result<Option<String>> {
        let mut head = Vec::new();
        let mut buffer = [0; 4096];
        while !head.windows(4).any(|part| part == b"\r\n\r\n") {
            match stream.read(&mut buffer) {
                Ok(0) => return Ok(None),
                Ok(read) => head.extend(&buffer[..read]),
                Err(error) if is_tick(&error) && !self.is_over() => {}
                Err(error) => return Err(error),
            }
            if head.len() > MAX_HEAD {
                return Ok(None);
            }
        }
        Ok(Some(String::from_utf8_lossy(&head).into_owned()))
    }

    fn send(&self, stream: &mut TcpStream, mut bytes: &[u8]) -> std::io::Result<()> {
        while !bytes.is_empty() {
            match stream.write(bytes) {
                Ok(sent) => {
                    self.sent.fetch_add(sent as u64, Ordering::Relaxed);
                    bytes = &bytes[sent..];
                }
                Err(error) if is_tick(&error) && !self.is_over() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Waits for `pause`, or until the client or the test goes.
    fn wait(&self, stream: &mut TcpStream, pause: Duration) -> std::io::Result<()> {
        let begun = Instant::now();
        let mut scratch = [0; 512];
        while begun.elapsed() < pause {
            if self.is_over() {
                return Err(ErrorKind::TimedOut.into());
            }
            match stream.read(&mut scratch) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if is_tick(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn is_tick(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

#[test]
fn it_answers_and_ends() {
    let origin = Origin::start("127.0.0.1", |path| match path {
        "/drip" => Reply::Drip {
            first: b"one".to_vec(),
            then: b"more".to_vec(),
            pause: TICK,
        },
        "/silence" => Reply::Silence,
        _ => Reply::text("good"),
    });
    let ask = |path: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", origin.port())).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        stream
    };
    let mut page = String::new();
    ask("/").read_to_string(&mut page).unwrap();
    assert!(page.ends_with("\r\n\r\ngood"), "{page}");
    let mut drip = ask("/drip");
    let mut seven = [0; 7];
    drip.read_exact(&mut seven).unwrap();
    assert_eq!(&seven, b"onemore");
    let mut silence = ask("/silence");
    assert!(origin.asked().len() >= 2);
    assert!(origin.sent() > 0);
    drop(origin);
    // Both connections end, in order or not.
    let mut rest = Vec::new();
    let _ = silence.read_to_end(&mut rest);
    let _ = drip.read_to_end(&mut rest);
}
