//! Comparing a password with what is kept of it.

use std::time::Duration;

use argon2::{Algorithm, Argon2, Params, Version};
use node_api::LoginVerifiers;
use node_types::NodeName;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// How long a login waits for a hashing permit.
pub(super) const HASHING_WAIT: Duration = Duration::from_secs(10);
/// Memory of the newer hash, KiB; with the next two a fact of the protocol.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Shortest salt of the newer hash.
const MIN_SALT: usize = 8;

/// Whether `hash_text` (`0x` + hex) is what a client of either generation
/// makes of the right password. Takes the same time in every case.
pub(super) fn matches(verifiers: &LoginVerifiers, hash_text: &str) -> bool {
    let digest: [u8; 32] = Sha256::digest(hash_text.as_bytes()).into();
    (digest.ct_eq(&verifiers.sha256) | digest.ct_eq(&verifiers.argon2id)).into()
}

/// What the verifier of the older hash says, if one is kept: wrong passwords
/// then cost the host microseconds, however many are sent.
pub(super) fn quick(verifiers: &LoginVerifiers, password: &str) -> Option<bool> {
    let digest: [u8; 32] = Sha256::digest(older_hash(password).as_bytes()).into();
    (verifiers.sha256 != [0; 32]).then(|| digest.ct_eq(&verifiers.sha256).into())
}

/// Whether `password` is right. Blocks for tens of milliseconds.
pub(super) fn is_right(verifiers: &LoginVerifiers, password: &str, node: &NodeName) -> bool {
    let older = matches(verifiers, &older_hash(password));
    let newer = newer_hash(password, node).is_some_and(|text| matches(verifiers, &text));
    older | newer
}

fn hash_text(hash: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(format!("0x{}", hex::encode(hash)))
}

/// As browsers up to 0.9 hash it.
fn older_hash(password: &str) -> Zeroizing<String> {
    hash_text(&Sha256::digest(password.as_bytes()))
}

/// As browsers from 1.0 hash it: salted with the node's name, which is
/// repeated when it is too short to be a salt.
fn newer_hash(password: &str, node: &NodeName) -> Option<Zeroizing<String>> {
    let name = node.as_str();
    let salt = if name.len() < MIN_SALT {
        name.repeat(1 + MIN_SALT / name.len().max(1))
    } else {
        name.to_owned()
    };
    let mut hash = Zeroizing::new([0; 32]);
    let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(hash.len())).ok()?;
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password.as_bytes(), salt.as_bytes(), hash.as_mut())
        .ok()?;
    Some(hash_text(hash.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_known_by_either_generations_verifier() {
        let node: NodeName = "a.dev".parse().unwrap();
        let digest = |text: &str| -> [u8; 32] { Sha256::digest(text.as_bytes()).into() };
        let older = digest(&older_hash("pass word"));
        let newer = digest(&newer_hash("pass word", &node).unwrap());
        assert_ne!(older, newer);
        let only = |sha256, argon2id| LoginVerifiers {
            sha256,
            argon2id,
            keyfile: node_api::Keyfile::default(),
        };
        assert!(is_right(&only(older, [0; 32]), "pass word", &node));
        assert!(is_right(&only([0; 32], newer), "pass word", &node));
        assert!(!is_right(&only(older, newer), "pass Word", &node));
        let other: NodeName = "b.dev".parse().unwrap();
        assert!(!is_right(&only([0; 32], newer), "pass word", &other));
        assert_eq!(quick(&only(older, newer), "pass word"), Some(true));
        assert_eq!(quick(&only(older, newer), "pass Word"), Some(false));
        assert_eq!(quick(&only([0; 32], newer), "pass word"), None);
    }

    #[test]
    fn the_older_hash_is_hex_of_sha256() {
        assert_eq!(
            *older_hash("abc"),
            "0xba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
