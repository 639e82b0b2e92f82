//! Who is at the other end, seen through the proxies the operator trusts.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::HeaderMap;

use crate::options::Network;

/// The client of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Client {
    /// Its address, as far back as trusted peers vouch for it.
    pub(crate) address: IpAddr,
    /// Whether it speaks TLS to whatever stands before this host: a trusted
    /// proxy says so, or the public address does for everybody.
    pub(crate) secure: bool,
}

impl Client {
    /// Reads the forwarding headers only if `peer` is trusted. `all_secure`
    /// tells that the public address is one of TLS.
    pub(crate) fn resolve(
        peer: SocketAddr,
        headers: &HeaderMap,
        trusted: &[Network],
        all_secure: bool,
    ) -> Self {
        let peer = peer.ip().to_canonical();
        if !is_trusted(peer, trusted) {
            return Self {
                address: peer,
                secure: all_secure,
            };
        }
        Self {
            address: forwarded_for(peer, headers, trusted),
            secure: all_secure || forwarded_https(headers),
        }
    }
}

/// What counts as one client: one customer of a v6 network usually has a whole
/// /64.
pub(crate) fn customer(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

pub(crate) fn is_trusted(address: IpAddr, trusted: &[Network]) -> bool {
    trusted.iter().any(|network| network.contains(address))
}

/// The nearest address that is not itself a trusted proxy. What stands left of
/// it was written by somebody nobody vouches for.
fn forwarded_for(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let mut nearest = peer;
    for value in headers.get_all("x-forwarded-for").iter().rev() {
        let Ok(value) = value.to_str() else {
            return nearest;
        };
        for entry in value.rsplit(',') {
            let Some(address) = parse_entry(entry.trim()) else {
                return nearest;
            };
            nearest = address;
            if !is_trusted(address, trusted) {
                return nearest;
            }
        }
    }
    nearest
}

/// An address, with or without a port.
fn parse_entry(entry: &str) -> Option<IpAddr> {
    entry
        .parse::<IpAddr>()
        .or_else(|_| entry.parse::<SocketAddr>().map(|socket| socket.ip()))
        .ok()
        .map(|address| address.to_canonical())
}

/// Whether the proxy next to us says that it was asked over TLS.
fn forwarded_https(headers: &HeaderMap) -> bool {
    headers
        .get_all("x-forwarded-proto")
        .iter()
        .next_back()
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.rsplit(',').next())
        .is_some_and(|scheme| scheme.trim().eq_ignore_ascii_case("https"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(peer: &str, headers: &[(&'static str, &str)], trusted: &[&str]) -> Client {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let trusted: Vec<Network> = trusted.iter().map(|text| text.parse().unwrap()).collect();
        Client::resolve(
            SocketAddr::new(peer.parse().unwrap(), 1),
            &map,
            &trusted,
            false,
        )
    }

    #[test]
    fn strangers_are_not_believed() {
        let claims = [
            ("x-forwarded-for", "127.0.0.1"),
            ("x-forwarded-proto", "https"),
        ];
        let client = resolve("192.0.2.7", &claims, &["10.0.0.0/8"]);
        assert_eq!(client.address.to_string(), "192.0.2.7");
        assert!(!client.secure);
    }

    #[test]
    fn the_nearest_untrusted_address_is_the_client() {
        let chain = [
            ("x-forwarded-for", "127.0.0.1, 198.51.100.9"),
            ("x-forwarded-for", "203.0.113.5:4711, 10.0.0.2"),
            ("x-forwarded-proto", "http, https"),
        ];
        let client = resolve("10.0.0.1", &chain, &["10.0.0.0/8"]);
        assert_eq!(client.address.to_string(), "203.0.113.5");
        assert!(client.secure);
    }

    #[test]
    fn rubbish_ends_the_walk() {
        let chain = [("x-forwarded-for", "203.0.113.5, not-an-address, 10.0.0.2")];
        let client = resolve("10.0.0.1", &chain, &["10.0.0.0/8"]);
        assert_eq!(client.address.to_string(), "10.0.0.2");
        let none = resolve("10.0.0.1", &[], &["10.0.0.0/8"]);
        assert_eq!(none.address.to_string(), "10.0.0.1");
    }
}
