//! The ports of a host: handed over, by systemd or by the program that this
//! process was before it started anew; or else bound.
//!
//! Invariant: a socket that was handed over stays open from one program to the
//! next, so connections wait in its backlog and none is refused. Handing over is
//! the protocol of systemd (`LISTEN_FDS` and its like), in both directions.
//! There is nothing to stop.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::process::Command;

use anyhow::{Context, bail};
use listenfd::ListenFd;
use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};

use crate::config::Config;

/// What the sockets are called, in the order of those without names.
const NAMES: [&str; 3] = ["http", "ssh", "metrics"];
/// Connections that may wait to be accepted: those of some seconds, while the
/// host starts anew. The kernel has a bound of its own.
const BACKLOG: i32 = 4096;
/// The first descriptor that is not one of the standard streams.
const FIRST: RawFd = 3;
/// How often numbers are looked for that stay free.
const ATTEMPTS: u32 = 8;

/// The open ports.
#[derive(Debug)]
pub struct Listeners {
    /// Front door.
    pub http: TcpListener,
    /// SSH gateway.
    pub ssh: TcpListener,
    /// Operations port.
    pub metrics: TcpListener,
    /// They were handed over, not bound here; some at least.
    pub handed_over: bool,
}

impl Listeners {
    /// Takes what was handed over and binds the rest, while privileged ports
    /// can still be bound. Called once, before any thread is started.
    ///
    /// # Errors
    /// A port is in use, or what was handed over is not what it should be.
    pub fn open(config: &Config) -> anyhow::Result<Self> {
        let mut handed = handed_over()?;
        let handed_over = !handed.is_empty();
        let mut open = |name: &'static str, address: SocketAddr| match handed.remove(name) {
            Some(listener) => take_over(name, listener, address),
            None => listen(name, address),
        };
        Ok(Self {
            http: open("http", config.http)?,
            ssh: open("ssh", config.ssh)?,
            metrics: open("metrics", config.metrics)?,
            handed_over,
        })
    }

    /// The same sockets once more: they stay open until both are dropped.
    ///
    /// # Errors
    /// There are too many open files.
    pub fn duplicate(&self) -> anyhow::Result<Self> {
        let again = |listener: &TcpListener| listener.try_clone().context("duplicate a port");
        Ok(Self {
            http: again(&self.http)?,
            ssh: again(&self.ssh)?,
            metrics: again(&self.metrics)?,
            handed_over: self.handed_over,
        })
    }

    /// Hands them over to the program that `command` makes of this process; the
    /// descriptors must live until then.
    ///
    /// # Errors
    /// There are too many open files.
    pub fn hand_over(self, command: &mut Command) -> anyhow::Result<Vec<OwnedFd>> {
        let sockets = [self.http, self.ssh, self.metrics];
        for _ in 0..ATTEMPTS {
            let first = free_run(sockets.len())?;
            let Some(handed) = duplicate_from(first, &sockets)? else {
                // Somebody else took one of the numbers meanwhile.
                continue;
            };
            for descriptor in &handed {
                fcntl_setfd(descriptor, FdFlags::empty()).context("keep a port open")?;
            }
            command
                .env("LISTEN_PID", std::process::id().to_string())
                .env("LISTEN_FDS", sockets.len().to_string())
                .env("LISTEN_FDNAMES", NAMES.join(":"))
                // Of our own; with it no descriptor has to make room.
                .env("LISTEN_FDS_FIRST_FD", first.to_string());
            return Ok(handed);
        }
        bail!("found no descriptors to hand the ports over with")
    }
}

/// What was handed to this process, by name.
fn handed_over() -> anyhow::Result<BTreeMap<&'static str, TcpListener>> {
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut handed = ListenFd::from_env();
    let mut found = BTreeMap::new();
    for (index, name) in assign(&names, handed.len()).into_iter().enumerate() {
        let listener = handed
            .take_tcp_listener(index)
            .context("take over a socket; only TCP sockets that listen can be handed over")?;
        if let (Some(name), Some(listener)) = (name, listener) {
            found.insert(name, listener);
        }
    }
    Ok(found)
}

/// Which of `count` sockets is which: by their names if any is known to us,
/// else by their order.
fn assign(names: &str, count: usize) -> Vec<Option<&'static str>> {
    let known = |name: &str| NAMES.into_iter().find(|known| *known == name);
    let mut named: Vec<_> = names.split(':').map(known).collect();
    if named.iter().all(Option::is_none) {
        named = NAMES.into_iter().map(Some).collect();
    }
    named.resize(count, None);
    named
}

fn take_over(
    name: &str,
    listener: TcpListener,
    configured: SocketAddr,
) -> anyhow::Result<TcpListener> {
    let address = listener.local_addr().context("look at a port")?;
    if configured.port() != 0 && configured != address {
        tracing::info!("--{name} is {configured}, but the socket handed over is {address}");
    }
    prepare(listener)
}

fn listen(flag: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).with_context(|| {
        format!(
            "listen on {address}; is another host running? choose another address with --{flag}"
        )
    })?;
    prepare(listener)
}

fn prepare(listener: TcpListener) -> anyhow::Result<TcpListener> {
    listener.set_nonblocking(true).context("prepare a port")?;
    rustix::net::listen(&listener, BACKLOG).context("prepare a port")?;
    Ok(listener)
}

/// The first of so many numbers in a row that are no descriptors now.
fn free_run(length: usize) -> anyhow::Result<RawFd> {
    let mut used = BTreeSet::new();
    for entry in std::fs::read_dir("/proc/self/fd").context("list the open files")? {
        let name = entry.context("list the open files")?.file_name();
        used.extend(name.to_str().and_then(|name| name.parse::<RawFd>().ok()));
    }
    let mut first = FIRST;
    for descriptor in used.range(FIRST..) {
        if usize::try_from(descriptor - first).is_ok_and(|free| free >= length) {
            break;
        }
        first = descriptor + 1;
    }
    Ok(first)
}

/// Duplicates with the numbers from `first` on; `None` if one was taken.
fn duplicate_from(first: RawFd, sockets: &[TcpListener]) -> anyhow::Result<Option<Vec<OwnedFd>>> {
    let mut duplicates = Vec::with_capacity(sockets.len());
    for (wanted, socket) in (first..).zip(sockets) {
        let duplicate = fcntl_dupfd_cloexec(socket, wanted).context("duplicate a port")?;
        if duplicate.as_raw_fd() != wanted {
            return Ok(None);
        }
        duplicates.push(duplicate);
    }
    Ok(Some(duplicates))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_known_by_name_or_by_order() {
        let (http, ssh, metrics) = (Some("http"), Some("ssh"), Some("metrics"));
        assert_eq!(assign("metrics:http", 2), [metrics, http]);
        assert_eq!(assign("web:ssh", 2), [None, ssh]);
        assert_eq!(assign("", 2), [http, ssh]);
        let unit = "berth.socket:berth.socket:berth.socket:berth.socket";
        assert_eq!(assign(unit, 4), [http, ssh, metrics, None]);
        assert!(assign("", 0).is_empty());
    }

    #[test]
    fn a_duplicate_keeps_the_socket_open() {
        let listener = || listen("http", SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let listeners = Listeners {
            http: listener(),
            ssh: listener(),
            metrics: listener(),
            handed_over: false,
        };
        let address = listeners.http.local_addr().unwrap();
        let kept = listeners.duplicate().unwrap();
        drop(listeners);
        assert!(std::net::TcpStream::connect(address).is_ok());
        let mut command = Command::new("berth");
        let handed = kept.hand_over(&mut command).unwrap();
        assert!(std::net::TcpStream::connect(address).is_ok());
        let first = handed[0].as_raw_fd().to_string();
        let told: BTreeMap<_, _> = command.get_envs().collect();
        let told = |name: &str| told[std::ffi::OsStr::new(name)].unwrap().to_str().unwrap();
        assert_eq!(told("LISTEN_FDS_FIRST_FD"), first);
        assert_eq!(told("LISTEN_FDNAMES"), "http:ssh:metrics");
        drop(handed);
        assert!(std::net::TcpStream::connect(address).is_err());
    }
}
