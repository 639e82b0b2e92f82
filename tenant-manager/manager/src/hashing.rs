//! Slow hashes of passwords, off the async threads.
//!
//! Each hash takes tens of milliseconds of a core and 19 MiB. Two run at once,
//! at most [`QUEUE`] wait, the rest is told to come back: a flood of sign-ins
//! costs a bounded share of the machine. Stops with the tasks it was given.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use lifecycle::{Entropy, Tasks};
use node_api::Secret;
use sha2::{Digest, Sha256};
use tenant_model::StoredVerifiers;
use tokio::sync::Semaphore;
use zeroize::Zeroize;

/// Hashes computed at once.
const AT_ONCE: usize = 2;
/// Callers that may wait; more are refused.
const QUEUE: usize = 64;
/// Argon2id costs, of accounts and of the node's login page alike.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
/// Shortest salt that Argon2 takes, bytes.
const SHORTEST_SALT: usize = 8;
/// Compared with when an address has no account, so that it takes as long.
const NOBODYS_HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$\
                            AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Nothing was hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the host is busy with sign-ins; try again in a moment")]
pub(crate) struct Busy;

/// See the module's documentation.
#[derive(Debug, Clone)]
pub(crate) struct Hasher {
    tasks: Tasks,
    permits: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

impl Hasher {
    pub(crate) fn new(tasks: Tasks) -> Self {
        Self {
            tasks,
            permits: Arc::new(Semaphore::new(AT_ONCE)),
            waiting: Arc::new(AtomicUsize::new(0)),
        }
    }

    /// The hash of an account's password, in PHC form.
    pub(crate) async fn hash(
        &self,
        password: Secret<String>,
        entropy: &dyn Entropy,
    ) -> Result<String, Busy> {
        let mut salt = [0; 16];
        entropy.fill(&mut salt);
        self.run(move || {
            let argon2 = argon2().ok()?;
            let hash: PasswordHash = argon2
                .hash_password_with_salt(password.expose().as_bytes(), &salt)
                .ok()?;
            Some(hash.to_string())
        })
        .await?
        .ok_or(Busy)
    }

    /// Whether `password` has this hash. Without a hash it takes as long, and
    /// is not.
    pub(crate) async fn verify(
        &self,
        password: Secret<String>,
        hash: Option<String>,
    ) -> Result<bool, Busy> {
        self.run(move || {
            let known = hash.is_some();
            let text = hash.unwrap_or_else(|| NOBODYS_HASH.to_owned());
            let matches = PasswordHash::new(&text).is_ok_and(|parsed| {
                argon2().is_ok_and(|argon2| {
                    argon2
                        .verify_password(password.expose().as_bytes(), &parsed)
                        .is_ok()
                })
            });
            matches && known
        })
        .await
    }

    /// What a node's login page compares with, and what clients send it.
    pub(crate) async fn node_proof(
        &self,
        password: Secret<String>,
        node_name: String,
    ) -> Result<NodeProof, Busy> {
        self.run(move || proof(password.expose(), &node_name))
            .await?
            .ok_or(Busy)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let waiting = Waiting::new(&self.waiting).ok_or(Busy)?;
        let permit = self.permits.clone().acquire_owned().await;
        drop(waiting);
        let permit = permit.map_err(|_| Busy)?;
        // The permit goes with the work: a caller who gives up does not let
        // another hash begin beside this one.
        let work = move || {
            let _permit = permit;
            work()
        };
        self.tasks.blocking(work).await.ok_or(Busy)
    }
}

struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    fn new(count: &Arc<AtomicUsize>) -> Option<Self> {
        let waiting = Self(count.clone());
        (count.fetch_add(1, Ordering::Relaxed) < QUEUE).then_some(waiting)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn argon2() -> Result<Argon2<'static>, argon2::Error> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// Proofs of a node's password.
pub(crate) struct NodeProof {
    pub(crate) verifiers: StoredVerifiers,
    /// The text that a client of the newest generation sends.
    pub(crate) hash: Secret<String>,
}

/// SHA-256 of the text that a client of each generation sends, and the newest
/// of these texts.
///
/// The salt of the Argon2id form is the node's name; one shorter than 8 bytes
/// is repeated `1 + 8 / length` times, as the login pages do.
fn proof(password: &str, node_name: &str) -> Option<NodeProof> {
    let salt = if node_name.len() < SHORTEST_SALT {
        node_name.repeat(1 + SHORTEST_SALT / node_name.len().max(1))
    } else {
        node_name.to_owned()
    };
    let mut slow = [0; 32];
    argon2()
        .ok()?
        .hash_password_into(password.as_bytes(), salt.as_bytes(), &mut slow)
        .ok()?;
    let text = |hash: &[u8]| format!("0x{}", hex::encode(hash));
    let older = Secret::new(text(&Sha256::digest(password.as_bytes())));
    let newer = Secret::new(text(&slow));
    slow.zeroize();
    let verifier = |sent: &str| -> [u8; 32] { Sha256::digest(sent.as_bytes()).into() };
    Some(NodeProof {
        verifiers: StoredVerifiers {
            sha256: verifier(older.expose()),
            argon2id: verifier(newer.expose()),
        },
        hash: newer,
    })
}

#[cfg(test)]
mod tests {
    use lifecycle::OsEntropy;
    use tokio_util::sync::CancellationToken;

    use super::*;

    fn hasher() -> Hasher {
        let runtime = tokio::runtime::Handle::current();
        Hasher::new(Tasks::new(runtime, &CancellationToken::new()))
    }

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    #[tokio::test]
    async fn hashes_verify_and_nobody_never_does() {
        let hasher = hasher();
        let hash = hasher
            .hash(secret("correct horse"), &OsEntropy)
            .await
            .unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        let verify = |password, hash| hasher.verify(secret(password), hash);
        assert!(verify("correct horse", Some(hash.clone())).await.unwrap());
        assert!(!verify("wrong horse", Some(hash)).await.unwrap());
        assert!(!verify("correct horse", None).await.unwrap());
        assert!(
            PasswordHash::new(NOBODYS_HASH).is_ok(),
            "else nobody is quick to refuse"
        );
    }

    #[test]
    fn verifiers_match_what_clients_send() {
        let proof = proof("secret password", "al.dev").unwrap();
        let verifiers = proof.verifiers;
        // SHA-256 of "secret password", as a client up to 0.9 sends it.
        let text = format!("0x{}", hex::encode(Sha256::digest(b"secret password")));
        assert_eq!(
            verifiers.sha256.as_slice(),
            Sha256::digest(text.as_bytes()).as_slice()
        );
        let mut hash = [0; 32];
        let argon2 = argon2().unwrap();
        argon2
            .hash_password_into(b"secret password", b"al.deval.dev", &mut hash)
            .unwrap();
        let text = format!("0x{}", hex::encode(hash));
        assert_eq!(*proof.hash.expose(), text);
        assert_eq!(
            verifiers.argon2id.as_slice(),
            Sha256::digest(text.as_bytes()).as_slice()
        );
    }
}
