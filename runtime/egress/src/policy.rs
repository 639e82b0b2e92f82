//! What a node may reach: the public internet, and what the operator adds.

use std::collections::HashSet;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::address::{behind_nat64, is_public};
use crate::error::RefusedWhy;

/// Mail between servers. An app that can reach it sends mail in the name of
/// the host's address, and the host ends on every list of spammers; an app
/// that has mail to send hands it in elsewhere, on another port.
const SMTP: u16 = 25;

/// What one node may reach.
///
/// The public internet, except for the machine's own addresses: what listens
/// there may be firewalled from the internet and not from the machine. Ranges
/// in `allow` come on top, for services of the operator's own network. A range
/// is taken at its word: one that contains an address of the machine itself,
/// such as `127.0.0.0/8`, opens that address, and with it whatever listens
/// there for the operator only.
#[derive(Debug, Clone, Default)]
pub struct EgressPolicy {
    /// Ranges beyond the public internet.
    pub allow: Vec<IpNet>,
}

impl EgressPolicy {
    /// Whether this address, in its canonical form, may be dialled from the
    /// machine that has the addresses `own`.
    pub(crate) fn admits(&self, address: IpAddr, own: &HashSet<IpAddr>) -> bool {
        if self.allow.iter().any(|range| range.contains(&address)) {
            return true;
        }
        let is_own = own.contains(&address)
            || behind_nat64(address).is_some_and(|four| own.contains(&IpAddr::V4(four)));
        !is_own && is_public(address)
    }
}

/// Whether anything may be dialled at this port.
pub(crate) fn check_port(port: u16) -> Result<(), RefusedWhy> {
    match port {
        0 | SMTP => Err(RefusedWhy::Port(port)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(allow: &[&str], own: &[&str], address: &str) -> bool {
        let policy = EgressPolicy {
            allow: allow.iter().map(|range| range.parse().unwrap()).collect(),
        };
        let own = own.iter().map(|own| own.parse().unwrap()).collect();
        policy.admits(address.parse().unwrap(), &own)
    }

    #[test]
    fn the_internet_without_the_machine() {
        assert!(admits(&[], &[], "8.8.8.8"));
        assert!(!admits(&[], &["8.8.8.8"], "8.8.8.8"));
        assert!(!admits(&[], &["8.8.8.8"], "64:ff9b::8.8.8.8"));
        assert!(!admits(
            &[],
            &["2606:4700:4700::1111"],
            "2606:4700:4700::1111"
        ));
        assert!(!admits(&[], &[], "10.0.0.1"));
    }

    #[test]
    fn ranges_open_what_they_contain_and_nothing_else() {
        assert!(admits(&["10.0.0.0/8"], &[], "10.9.8.7"));
        assert!(!admits(&["10.0.0.0/8"], &[], "64:ff9b::10.9.8.7"));
        assert!(!admits(&["10.0.0.0/8"], &[], "192.168.0.1"));
        assert!(!admits(&["10.0.0.0/8"], &[], "::1"));
        assert!(admits(&["fd00::/8"], &[], "fd00::7"));
        // Also of the machine itself.
        assert!(admits(&["127.0.0.0/8"], &["127.0.0.1"], "127.0.0.1"));
        assert!(admits(&["8.8.8.8/32"], &["8.8.8.8"], "8.8.8.8"));
        assert!(!admits(&["9.0.0.0/8"], &["8.8.8.8"], "8.8.8.8"));
    }

    #[test]
    fn two_ports_are_shut() {
        assert_eq!(check_port(0), Err(RefusedWhy::Port(0)));
        assert_eq!(check_port(25), Err(RefusedWhy::Port(25)));
        for port in [1, 24, 26, 80, 443, 587, 65535] {
            assert_eq!(check_port(port), Ok(()));
        }
    }
}
