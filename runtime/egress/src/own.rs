//! The addresses of this machine's interfaces.
//!
//! Owns the list, read again when it is older than [`FRESH`]. Invariant: no
//! list, no connection. An address that the machine has only outside, on a
//! NAT in front of it, is not in the list and need not be: what is reached
//! through it is what the internet reaches.

use std::collections::HashSet;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use nix::ifaddrs::getifaddrs;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::address::canonical;

/// How long the list may be used. Interfaces change seldom, and reading them
/// asks the kernel.
const FRESH: Duration = Duration::from_secs(5);

/// A list of addresses that is shared rather than copied.
pub(crate) type Addresses = Arc<HashSet<IpAddr>>;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Own {
    list: Mutex<Option<(Instant, Addresses)>>,
    /// What a test says they are.
    #[cfg(test)]
    instead: Option<Addresses>,
}

impl Own {
    /// A machine with these addresses.
    #[cfg(test)]
    pub(crate) fn fixed(addresses: HashSet<IpAddr>) -> Self {
        Self {
            instead: Some(Arc::new(addresses)),
            ..Self::default()
        }
    }

    /// The addresses now, or a moment ago.
    pub(crate) fn addresses(&self) -> io::Result<Addresses> {
        #[cfg(test)]
        if let Some(instead) = &self.instead {
            return Ok(instead.clone());
        }
        let now = Instant::now();
        let mut list = self.list.lock();
        match &*list {
            Some((read, addresses)) if now.duration_since(*read) < FRESH => Ok(addresses.clone()),
            _ => {
                let addresses = Arc::new(read()?);
                *list = Some((now, addresses.clone()));
                Ok(addresses)
            }
        }
    }
}

fn read() -> io::Result<HashSet<IpAddr>> {
    let mut addresses = HashSet::new();
    for interface in getifaddrs()? {
        let Some(address) = interface.address else {
            continue;
        };
        if let Some(four) = address.as_sockaddr_in() {
            addresses.insert(IpAddr::V4(four.ip()));
        } else if let Some(six) = address.as_sockaddr_in6() {
            addresses.insert(canonical(IpAddr::V6(six.ip())));
        }
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_list_is_read_and_kept_for_a_moment() {
        let own = Own::default();
        let first = own.addresses().unwrap();
        assert!(first.contains(&IpAddr::V4(Ipv4Addr::LOCALHOST)));
        assert!(Arc::ptr_eq(&first, &own.addresses().unwrap()));
        tokio::time::advance(FRESH).await;
        assert!(!Arc::ptr_eq(&first, &own.addresses().unwrap()));
    }
}
