//! Who sends a request, as far as it decides how much they may take.
//!
//! Stateless. Everything of a node that strangers can use up has a part that
//! is the owner's, and no stranger gets all of what is theirs.

use std::net::{IpAddr, Ipv6Addr};

use http::request::Parts;
use node_api::{Origin, Visit};

use super::routes::Flags;

/// A client's network, or `None` for whoever is at the other end of a tunnel.
pub(super) type Client = Option<IpAddr>;

/// Whether the node's owner sends something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Anybody.
    Stranger,
    /// Signed in, or at the other end of the owner's tunnel.
    Owner,
}

impl Standing {
    /// Of whoever was let in to a route.
    pub(super) fn of(flags: Option<&Flags>, origin: Origin) -> Self {
        let signed_in = flags.is_some_and(|flags| flags.authenticated);
        if signed_in || origin == Origin::Tunnel {
            Self::Owner
        } else {
            Self::Stranger
        }
    }
}

/// Who sent a request, as the door vouches for it.
pub(super) fn client(head: &Parts) -> Client {
    let visit = head.extensions.get::<Visit>()?;
    Some(network(visit.client.ip()))
}

/// One customer of a v6 network usually has a whole /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_customer_is_one_client() {
        let network = |text: &str| network(text.parse().unwrap()).to_string();
        for (address, wanted) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8::1", "2001:db8::"),
            ("2001:db8::ffff:1", "2001:db8::"),
            ("2001:db8:0:1::1", "2001:db8:0:1::"),
        ] {
            assert_eq!(network(address), wanted);
        }
    }
}
