//! Which addresses are the public internet.
//!
//! Pure. Decides by address, never by text, and by what is known to be public
//! rather than by what is known not to be: of IPv6 only `2000::/3` has been
//! given out. Invariant: an address that carries another one inside is public
//! only if both are.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Blocks of IPv4 that are not the public internet: address and prefix length.
const NOT_PUBLIC_V4: [(Ipv4Addr, u32); 17] = [
    // "This network"; Linux takes 0.0.0.0 for the machine itself.
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    // Behind a provider's NAT; some clouds keep their metadata here.
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    // Azure's agent: of a public block, yet it answers only the machine it
    // runs on, and it gives away that machine's secrets.
    (Ipv4Addr::new(168, 63, 129, 16), 32),
    // The link, where most clouds keep their metadata.
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    // Of protocols; one cloud has its metadata here.
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    // Relays of 6to4.
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    // Multicast, what is reserved, and broadcast.
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
    (Ipv4Addr::BROADCAST, 32),
];

/// What has been given out of IPv6 for use between networks.
const GLOBAL_UNICAST: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Blocks within it that are not the public internet.
const NOT_PUBLIC_V6: [(Ipv6Addr, u32); 4] = [
    // Of protocols, Teredo among them: it carries an IPv4 address.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    // 6to4, which carries one too.
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// IPv4 as hosts see it that have IPv6 only.
const NAT64: (Ipv6Addr, u32) = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

/// An IPv4 address written as IPv6 is that IPv4 address, also for the kernel.
pub(crate) fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// The IPv4 address that a NAT64 address leads to.
pub(crate) fn behind_nat64(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V6(six) if within_v6(six, NAT64) => {
            let [.., a, b, c, d] = six.octets();
            Some(Ipv4Addr::new(a, b, c, d))
        }
        _ => None,
    }
}

/// Whether packets to this address leave for the public internet.
pub(crate) fn is_public(address: IpAddr) -> bool {
    if let Some(four) = behind_nat64(address) {
        return is_public_v4(four);
    }
    match canonical(address) {
        IpAddr::V4(four) => is_public_v4(four),
        IpAddr::V6(six) => {
            within_v6(six, GLOBAL_UNICAST)
                && !NOT_PUBLIC_V6.iter().any(|block| within_v6(six, *block))
        }
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !NOT_PUBLIC_V4
        .iter()
        .any(|(start, length)| (address.to_bits() ^ start.to_bits()) >> (32 - length) == 0)
}

fn within_v6(address: Ipv6Addr, (start, length): (Ipv6Addr, u32)) -> bool {
    (address.to_bits() ^ start.to_bits()) >> (128 - length) == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn public(text: &str) -> bool {
        is_public(text.parse().unwrap())
    }

    #[test]
    fn the_public_internet_is_public() {
        let all = "1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 93.184.216.34 100.63.255.255 \
            100.128.0.0 126.255.255.255 128.0.0.1 168.63.129.15 168.63.129.17 169.253.255.255 \
            169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.0 192.0.3.0 192.31.196.1 \
            192.88.98.255 192.88.100.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 \
            198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0 223.255.255.255 \
            ::ffff:1.1.1.1 ::ffff:93.184.216.34 64:ff9b::8.8.8.8 64:ff9b::101:101 \
            2000::1 2001:200::1 2001:4860:4860::8888 2001:db7:ffff::1 2001:db9::1 2003::1 \
            2400:cb00::1 2606:4700:4700::1111 2620:4f:8000::1 2a00:1450:4001::200e \
            3ffe:ffff::1 3fff:1000::1";
        for address in all.split_whitespace() {
            assert!(public(address), "{address}");
        }
    }

    #[test]
    fn nothing_else_is() {
        let all = "0.0.0.0 0.0.0.1 0.255.255.255 10.0.0.0 10.1.2.3 10.255.255.255 100.64.0.0 \
            100.100.100.200 100.127.255.255 127.0.0.1 127.0.0.53 127.1.2.3 127.255.255.255 \
            168.63.129.16 169.254.0.1 169.254.169.254 169.254.170.2 169.254.255.255 172.16.0.0 \
            172.17.0.1 172.31.255.255 192.0.0.0 192.0.0.8 192.0.0.170 192.0.0.192 192.0.2.1 \
            192.0.2.255 192.88.99.1 192.168.0.0 192.168.1.1 192.168.255.255 198.18.0.0 \
            198.19.255.255 198.51.100.7 203.0.113.9 224.0.0.1 224.0.0.251 239.255.255.250 \
            240.0.0.1 254.255.255.254 255.255.255.255 \
            :: ::1 ::2 ::127.0.0.1 ::8.8.8.8 ::ffff:0:127.0.0.1 ::ffff:0:8.8.8.8 \
            ::ffff:127.0.0.1 ::ffff:7f00:1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 \
            ::ffff:192.168.0.1 ::ffff:0.0.0.0 ::ffff:255.255.255.255 ::ffff:168.63.129.16 \
            64:ff9b::127.0.0.1 64:ff9b::10.0.0.1 64:ff9b::169.254.169.254 64:ff9b::0.0.0.0 \
            64:ff9b::1:8.8.8.8 64:ff9b:1::8.8.8.8 64:ff9b:1::1 64:ff9a::8.8.8.8 \
            100::1 100:0:0:1::1 1000::1 1fff::1 \
            2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:1::1 2001:2::1 2001:3::1 2001:10::1 \
            2001:20::1 2001:30::1 2001:1ff::1 2001:db8::1 2001:db8:ffff::1 \
            2002::1 2002:7f00:1::1 2002:808:808::1 2002:a9fe:a9fe::1 3fff::1 3fff:fff::1 \
            4000::1 5f00::1 8000::1 fc00::1 fd00:ec2::254 fd20:ce::254 fdff::1 \
            fe00::1 fe80::1 fe80::a9fe:a9fe febf::1 fec0::1 feff::1 ff00::1 ff02::1 ff0e::1 \
            ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
        for address in all.split_whitespace() {
            assert!(!public(address), "{address}");
        }
    }

    #[test]
    fn nat64_is_seen_through() {
        let behind = |text: &str| behind_nat64(text.parse().unwrap());
        assert_eq!(
            behind("64:ff9b::10.1.2.3"),
            Some(Ipv4Addr::new(10, 1, 2, 3))
        );
        assert_eq!(behind("64:ff9b:1::10.1.2.3"), None);
        assert_eq!(behind("10.1.2.3"), None);
    }

    fn is_ordinary_v4(address: Ipv4Addr) -> bool {
        !(address.is_unspecified()
            || address.is_loopback()
            || address.is_private()
            || address.is_link_local()
            || address.is_multicast()
            || address.is_broadcast()
            || address.is_documentation())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn what_is_public_is_nothing_special_to_std(bits: u32) {
            let address = Ipv4Addr::from_bits(bits);
            prop_assert!(!is_public(address.into()) || is_ordinary_v4(address));
            let mapped = address.to_ipv6_mapped();
            prop_assert_eq!(is_public(mapped.into()), is_public(address.into()));
            let [a, b, c, d] = address.octets().map(u16::from);
            let nat64 = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, a << 8 | b, c << 8 | d);
            prop_assert_eq!(is_public(nat64.into()), is_public(address.into()));
        }

        #[test]
        fn what_is_public_is_global_unicast(bits: u128) {
            let address = Ipv6Addr::from_bits(bits);
            let is_special = address.is_loopback()
                || address.is_unspecified()
                || address.is_multicast()
                || address.is_unique_local()
                || address.is_unicast_link_local();
            prop_assert!(!(is_special && is_public(address.into())));
            prop_assert!(!is_public(address.into()) || bits >> 125 == 1);
        }

        // Random 128 bits seldom fall into a short block.
        #[test]
        fn few_bits_make_no_difference(start in 0_u16.., end: u16) {
            let address = Ipv6Addr::new(start, 0, 0, 0, 0, 0, 0, end);
            let expected = (0x2000..0x4000).contains(&start)
                && ![0x2001, 0x2002, 0x3fff].contains(&start);
            prop_assert_eq!(is_public(address.into()), expected);
        }
    }
}
