//! What a host in a URL stands for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_resolver::proto::rr::Name;

use crate::address::canonical;

/// Longest name of a host, with a final dot.
const MAX_NAME: usize = 254;

/// The names of the machine itself.
const LOCALHOST: &str = "localhost";

/// See the module's documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// An address, canonical.
    Address(IpAddr),
    /// The machine itself by name. No name server is asked what that means.
    Localhost,
    /// A name, complete: what the host's own domain would make of it is none
    /// of an app's business.
    Name(Name),
}

/// The addresses of [`Target::Localhost`].
pub(crate) const LOOPBACK: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
];

impl Target {
    /// Reads a host as URL parsers write it: a name, four numbers, or IPv6 in
    /// brackets. `None` if it is nothing of these.
    pub(crate) fn parse(host: &str) -> Option<Self> {
        if let Some(inside) = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
        {
            let address: Ipv6Addr = inside.parse().ok()?;
            return Some(Self::Address(canonical(address.into())));
        }
        if let Ok(address) = host.parse::<IpAddr>() {
            return Some(Self::Address(canonical(address)));
        }
        // `Name` would take a backslash for an escape.
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        if host.len() > MAX_NAME || !host.bytes().all(plain) {
            return None;
        }
        let bare = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        if bare.split('.').any(str::is_empty) {
            return None;
        }
        if bare.rsplit('.').next() == Some(LOCALHOST) {
            return Some(Self::Localhost);
        }
        let mut name = Name::from_ascii(&bare).ok()?;
        name.set_fqdn(true);
        Some(Self::Name(name))
    }
}

/// A host as it may stand in records and errors: bounded, and harmless for
/// whoever prints it.
pub(crate) fn shown(host: &str) -> String {
    host.chars()
        .take(MAX_NAME)
        .map(|c| if c.is_ascii_graphic() { c } else { '?' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Target {
        Target::Address(text.parse().unwrap())
    }

    #[test]
    fn addresses_are_not_names() {
        let parse = |host| Target::parse(host).unwrap();
        assert_eq!(parse("10.0.0.1"), address("10.0.0.1"));
        assert_eq!(parse("[2606:4700::1]"), address("2606:4700::1"));
        assert_eq!(parse("2606:4700::1"), address("2606:4700::1"));
        assert_eq!(parse("[::ffff:127.0.0.1]"), address("127.0.0.1"));
        assert_eq!(parse("[::ffff:7f00:1]"), address("127.0.0.1"));
        for bad in [
            "[10.0.0.1]",
            "[fe80::1%25eth0]",
            "[fe80::1%eth0]",
            "[]",
            "[::1",
        ] {
            assert_eq!(Target::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn names_are_complete_and_of_one_case() {
        let Some(Target::Name(name)) = Target::parse("Www.Example.ORG") else {
            panic!("not a name");
        };
        assert!(name.is_fqdn());
        assert_eq!(name.to_string(), "www.example.org.");
        assert_eq!(
            Target::parse("www.example.org."),
            Target::parse("www.example.org")
        );
        assert!(matches!(Target::parse("_a-b.test"), Some(Target::Name(_))));
        assert!(matches!(Target::parse("intranet"), Some(Target::Name(_))));
        for local in ["localhost", "LOCALHOST.", "a.localhost", "a.b.LocalHost."] {
            assert_eq!(Target::parse(local), Some(Target::Localhost), "{local}");
        }
        assert!(matches!(
            Target::parse("localhost.test"),
            Some(Target::Name(_))
        ));
        let label = "a".repeat(64);
        let long = "abc.".repeat(64);
        for bad in [
            "", ".", "..", "a..b", "a b", "a\\046b", "a/b", "ä.de", "a\n", &label, &long,
        ] {
            assert_eq!(Target::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn what_is_shown_is_harmless_and_short() {
        assert_eq!(shown("a.b"), "a.b");
        assert_eq!(shown("a\u{1b}[2Jb\nc"), "a?[2Jb?c");
        assert_eq!(shown(&"x".repeat(10_000)).len(), MAX_NAME);
    }
}
