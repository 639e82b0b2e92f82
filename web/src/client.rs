//! Who is at the other end, seen through the proxies the operator trusts.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::HeaderMap;

use crate::options::Network;

/// No request comes through more trusted proxies than this; what is further
/// away is not looked at.
const MAX_HOPS: usize = 32;

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
    let mut hops = 0;
    for value in headers.get_all("x-forwarded-for").iter().rev() {
        let Ok(value) = value.to_str() else {
            return nearest;
        };
        for entry in value.rsplit(',') {
            hops += 1;
            let address = parse_entry(entry.trim()).filter(|_| hops <= MAX_HOPS);
            let Some(address) = address else {
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

/// An address, with or without a port; one of v6 may stand in brackets.
fn parse_entry(entry: &str) -> Option<IpAddr> {
    let inside = entry.strip_prefix('[').and_then(|v6| v6.strip_suffix(']'));
    let v6 = inside.and_then(|v6| v6.parse::<Ipv6Addr>().ok());
    v6.map(IpAddr::from)
        .or_else(|| entry.parse().ok())
        .or_else(|| entry.parse().ok().map(|socket: SocketAddr| socket.ip()))
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

    #[test]
    fn entries_are_addresses_and_nothing_else() {
        for (entry, address) in [
            ("203.0.113.5", "203.0.113.5"),
            (" 203.0.113.5 ", "203.0.113.5"),
            ("203.0.113.5:80", "203.0.113.5"),
            ("2001:db8::7", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("[2001:db8::7]:443", "2001:db8::7"),
            ("::ffff:203.0.113.5", "203.0.113.5"),
            ("[::ffff:203.0.113.5]:1", "203.0.113.5"),
            // What is no address leaves the proxy itself.
            ("", "10.0.0.1"),
            ("unknown", "10.0.0.1"),
            ("_hidden", "10.0.0.1"),
            ("localhost", "10.0.0.1"),
            ("203.0.113.5:", "10.0.0.1"),
            ("203.0.113.5:x", "10.0.0.1"),
            ("203.0.113.5/32", "10.0.0.1"),
            ("203.0.113.05", "10.0.0.1"),
            ("203.0.113", "10.0.0.1"),
            ("3405803781", "10.0.0.1"),
            ("0x7f000001", "10.0.0.1"),
            ("[203.0.113.5]", "10.0.0.1"),
            ("[2001:db8::7", "10.0.0.1"),
            ("2001:db8::7]", "10.0.0.1"),
            ("[2001:db8::7]x", "10.0.0.1"),
            ("fe80::1%eth0", "10.0.0.1"),
            ("for=203.0.113.5", "10.0.0.1"),
            ("\"203.0.113.5\"", "10.0.0.1"),
            ("203.0.113.5 203.0.113.6", "10.0.0.1"),
            ("203.0.113.5;203.0.113.6", "10.0.0.1"),
        ] {
            let chain = [("x-forwarded-for", entry)];
            let client = resolve("10.0.0.1", &chain, &["10.0.0.0/8"]);
            assert_eq!(client.address.to_string(), address, "{entry:?}");
        }
    }

    #[test]
    fn no_other_header_names_the_client() {
        for name in [
            "forwarded",
            "x-real-ip",
            "x-client-ip",
            "true-client-ip",
            "cf-connecting-ip",
            "x-forwarded",
            "via",
        ] {
            let chain = [(name, "203.0.113.5")];
            let client = resolve("10.0.0.1", &chain, &["10.0.0.0/8"]);
            assert_eq!(client.address.to_string(), "10.0.0.1", "{name}");
        }
        for claim in [
            ("forwarded", "for=203.0.113.5;proto=https;host=evil"),
            ("x-forwarded-ssl", "on"),
            ("front-end-https", "on"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-proto", "https, http"),
            ("x-forwarded-proto", "httpss"),
        ] {
            assert!(!resolve("10.0.0.1", &[claim], &["10.0.0.0/8"]).secure);
        }
    }

    #[test]
    fn a_long_way_is_followed_so_far() {
        let way = |hops: usize| {
            let hops = format!("203.0.113.5{}", ", 10.0.0.2".repeat(hops));
            let chain = [("x-forwarded-for", hops.as_str())];
            resolve("10.0.0.1", &chain, &["10.0.0.0/8"]).address
        };
        assert_eq!(way(MAX_HOPS - 1).to_string(), "203.0.113.5");
        assert_eq!(way(MAX_HOPS).to_string(), "10.0.0.2");
        assert_eq!(way(5000).to_string(), "10.0.0.2");
    }
}
