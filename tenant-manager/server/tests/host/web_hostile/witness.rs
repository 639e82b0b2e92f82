//! Listeners that tell who came, and the addresses of this machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::super::support::eventually;

/// How long a test waits for its own connection to be seen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A listener that nobody but the test may reach. What connects is noted and
/// closed; its thread ends when it is dropped.
pub struct Witness {
    reached_at: SocketAddr,
    seen: Arc<Mutex<Vec<SocketAddr>>>,
    stop: Arc<AtomicBool>,
}

impl Witness {
    /// On one port of every address of this machine, of both kinds.
    pub fn everywhere() -> Self {
        // A socket for `::` takes IPv4 too, unless the system says otherwise.
        let both = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).ok();
        let both = both.filter(|listener| {
            let port = listener.local_addr().unwrap().port();
            let tried = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
            tried.is_ok() && listener.accept().is_ok()
        });
        let listener =
            both.unwrap_or_else(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap());
        let port = listener.local_addr().unwrap().port();
        Self::watching(listener, (Ipv4Addr::LOCALHOST, port).into())
    }

    /// At one address; `None` if that cannot be had.
    pub fn at(address: SocketAddr) -> Option<Self> {
        let listener = TcpListener::bind(address).ok()?;
        let reached_at = listener.local_addr().unwrap();
        Some(Self::watching(listener, reached_at))
    }

    fn watching(listener: TcpListener, reached_at: SocketAddr) -> Self {
        let seen = Arc::<Mutex<Vec<SocketAddr>>>::default();
        let stop = Arc::<AtomicBool>::default();
        std::thread::spawn({
            let (seen, stop) = (seen.clone(), stop.clone());
            move || {
                while let Ok((_, peer)) = listener.accept() {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    seen.lock().unwrap().push(canonical(peer));
                }
            }
        });
        Self {
            reached_at,
            seen,
            stop,
        }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.reached_at.port()
    }

    /// Nobody came. Connections are seen in the order in which they are made,
    /// so one of the test's own is waited for.
    pub async fn is_unvisited(&self) {
        let own = TcpStream::connect(self.reached_at).unwrap();
        let own = canonical(own.local_addr().unwrap());
        eventually("the test's own connection", PATIENCE, async || {
            self.seen.lock().unwrap().contains(&own).then_some(())
        })
        .await;
        let mut seen = self.seen.lock().unwrap();
        seen.retain(|peer| *peer != own);
        assert!(seen.is_empty(), "{} was reached: {seen:?}", self.reached_at);
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // It waits to accept one more.
        let _ = TcpStream::connect(self.reached_at);
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Every address of every interface of this machine.
pub fn own_addresses() -> Vec<IpAddr> {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let mut found = Vec::new();
    // `|-- ADDRESS`, and in the next line that it is a host's and local.
    let mut last: Option<IpAddr> = None;
    for line in read("/proc/net/fib_trie").lines() {
        if let Some(address) = line.trim().strip_prefix("|-- ") {
            last = address.parse().ok();
        } else if line.contains("/32 host LOCAL") {
            found.extend(last);
        }
    }
    // Thirty-two digits, and what is told of the address.
    for line in read("/proc/net/if_inet6").lines() {
        let digits = line.split(' ').next().unwrap_or_default();
        if let Ok(bits) = u128::from_str_radix(digits, 16) {
            found.push(Ipv6Addr::from_bits(bits).into());
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}
