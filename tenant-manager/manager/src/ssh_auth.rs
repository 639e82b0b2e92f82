//! SSH passwords of nodes, and who may guess at them how often.
//!
//! A password is made here, never chosen: 100 random bits. So its verifier is
//! one SHA-256, compared in constant time, and checking costs a flood nothing.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use lifecycle::Entropy;
use node_api::Secret;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tenant_model::TenantId;
use tokio::time::Instant;

/// Letters of a password: 32 that nobody mistakes for one another.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
const GROUPS: usize = 5;
const GROUP: usize = 4;

/// Wrong passwords allowed to one peer for one label within [`WINDOW`].
const MOST_FAILURES: u32 = 10;
const WINDOW: Duration = Duration::from_secs(600);
/// Peers remembered; when full the one whose window began first is forgotten.
const MOST_PEERS: usize = 10_000;
/// Longest label remembered, bytes: longer ones are no labels.
const LONGEST_LABEL: usize = 64;

/// A fresh password: five groups of four letters.
pub(crate) fn generate(entropy: &dyn Entropy) -> Secret<String> {
    let mut random = [0; GROUPS * GROUP];
    entropy.fill(&mut random);
    let mut text = String::with_capacity(GROUPS * (GROUP + 1));
    for (place, byte) in random.iter().enumerate() {
        if place > 0 && place % GROUP == 0 {
            text.push('-');
        }
        // 256 is a multiple of 32, so every letter is equally likely.
        text.push(char::from(LETTERS[usize::from(byte % 32)]));
    }
    Secret::new(text)
}

/// What a sign-in is compared with.
pub(crate) fn verifier(tenant: TenantId, password: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"berth ssh password\0");
    hash.update(tenant.uuid().as_bytes());
    hash.update(password.as_bytes());
    hash.finalize().into()
}

/// Whether `password` is the one that `expected` was made of. Takes as long
/// whatever the answer.
pub(crate) fn verify(tenant: TenantId, expected: &[u8; 32], password: &str) -> bool {
    verifier(tenant, password).ct_eq(expected).into()
}

/// Counts wrong passwords per label and peer.
#[derive(Debug, Default)]
pub(crate) struct Limiter {
    windows: HashMap<(String, IpAddr), Window>,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    began: Instant,
    failures: u32,
}

impl Limiter {
    /// How long `peer` has to wait before it may try `label` again.
    pub(crate) fn locked_out(&self, label: &str, peer: IpAddr, now: Instant) -> Option<Duration> {
        let window = self.windows.get(&key(label, peer))?;
        let left = WINDOW.checked_sub(now.duration_since(window.began))?;
        (window.failures >= MOST_FAILURES).then_some(left)
    }

    /// Counts a wrong password.
    pub(crate) fn failed(&mut self, label: &str, peer: IpAddr, now: Instant) {
        let key = key(label, peer);
        if !self.windows.contains_key(&key) && self.windows.len() >= MOST_PEERS {
            self.make_room(now);
        }
        let window = self.windows.entry(key).or_insert(Window {
            began: now,
            failures: 0,
        });
        if now.duration_since(window.began) >= WINDOW {
            *window = Window {
                began: now,
                failures: 0,
            };
        }
        window.failures = window.failures.saturating_add(1);
    }

    /// Forgets the wrong passwords, after a right one.
    pub(crate) fn succeeded(&mut self, label: &str, peer: IpAddr) {
        self.windows.remove(&key(label, peer));
    }

    fn make_room(&mut self, now: Instant) {
        self.windows
            .retain(|_, window| now.duration_since(window.began) < WINDOW);
        if self.windows.len() < MOST_PEERS {
            return;
        }
        let oldest = self.windows.iter().min_by_key(|(_, window)| window.began);
        if let Some(key) = oldest.map(|(key, _)| key.clone()) {
            self.windows.remove(&key);
        }
    }
}

/// One person holds a whole /64 of IPv6, and an IPv4 address in IPv6 clothes
/// is still that address.
fn key(label: &str, peer: IpAddr) -> (String, IpAddr) {
    let peer = match peer.to_canonical() {
        IpAddr::V6(v6) => {
            let network = u128::from(v6) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(network))
        }
        v4 @ IpAddr::V4(_) => v4,
    };
    (label.chars().take(LONGEST_LABEL).collect(), peer)
}

#[cfg(test)]
mod tests {
    use lifecycle::SeededEntropy;

    use super::*;

    #[test]
    fn passwords_are_readable_and_verify() {
        let entropy = SeededEntropy::new(1);
        let password = generate(&entropy);
        assert_eq!(password.expose().len(), 24);
        assert_eq!(password.expose().split('-').count(), 5);
        assert_ne!(password.expose(), generate(&entropy).expose());
        let tenant = TenantId::from_random([1; 16]);
        let expected = verifier(tenant, password.expose());
        assert!(verify(tenant, &expected, password.expose()));
        assert!(!verify(tenant, &expected, "wrong"));
        assert!(!verify(
            TenantId::from_random([2; 16]),
            &expected,
            password.expose()
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn ten_failures_lock_one_peer_out_of_one_label_for_a_while() {
        let mut limiter = Limiter::default();
        let peer: IpAddr = "10.0.0.1".parse().unwrap();
        let mapped: IpAddr = "::ffff:10.0.0.1".parse().unwrap();
        let other: IpAddr = "10.0.0.2".parse().unwrap();
        for _ in 0..MOST_FAILURES {
            assert_eq!(limiter.locked_out("alice", peer, Instant::now()), None);
            limiter.failed("alice", peer, Instant::now());
        }
        assert!(limiter.locked_out("alice", peer, Instant::now()).is_some());
        assert!(
            limiter
                .locked_out("alice", mapped, Instant::now())
                .is_some()
        );
        assert_eq!(limiter.locked_out("alice", other, Instant::now()), None);
        assert_eq!(limiter.locked_out("bob", peer, Instant::now()), None);
        tokio::time::advance(WINDOW + Duration::from_secs(1)).await;
        assert_eq!(limiter.locked_out("alice", peer, Instant::now()), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_memory_of_peers_is_bounded() {
        let mut limiter = Limiter::default();
        for number in 0..MOST_PEERS as u32 + 50 {
            limiter.failed("alice", IpAddr::V4(number.into()), Instant::now());
        }
        assert_eq!(limiter.windows.len(), MOST_PEERS);
    }
}
