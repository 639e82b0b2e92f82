//! Tells the service manager how far the host is, if one asked to be told
//! (`NOTIFY_SOCKET`, the protocol of systemd).
//!
//! Stateless: each word is one datagram. Nobody waits for the manager, and
//! nothing depends on it.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use rustix::time::{ClockId, clock_gettime};

/// How far the host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Everything accepts.
    Ready,
    /// It starts anew in place, and is ready again in a moment.
    Reloading,
    /// It ends.
    Stopping,
}

impl State {
    fn text(self) -> String {
        match self {
            Self::Ready => "READY=1".to_owned(),
            Self::Reloading => {
                let now = clock_gettime(ClockId::Monotonic);
                let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1_000;
                format!("RELOADING=1\nMONOTONIC_USEC={micros}")
            }
            Self::Stopping => "STOPPING=1".to_owned(),
        }
    }
}

/// Tells it.
pub fn tell(state: State) {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    let told = address(&name).and_then(|address| {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        socket.send_to_addr(state.text().as_bytes(), &address)
    });
    if let Err(error) = told {
        tracing::warn!("failed to tell the service manager: {error}");
    }
}

fn address(name: &std::ffi::OsStr) -> std::io::Result<SocketAddr> {
    match name.as_encoded_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_address_are_understood_and_a_reload_says_when() {
        let path = address("/run/systemd/notify".as_ref()).unwrap();
        assert!(path.as_pathname().is_some());
        let hidden = address("@hidden".as_ref()).unwrap();
        assert_eq!(hidden.as_abstract_name(), Some(&b"hidden"[..]));
        assert!(
            State::Reloading
                .text()
                .starts_with("RELOADING=1\nMONOTONIC_USEC=")
        );
    }
}
