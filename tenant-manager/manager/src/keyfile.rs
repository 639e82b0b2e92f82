//! The keyfile: a node's keys sealed with its password, as the clients of the
//! older runtimes keep them (see the field's facts on `.keys`).
//!
//! A JSON array: name, routers, salt, then networking key (PKCS#8), cookie key
//! and file key, each a nonce and AES-256-GCM ciphertext under a key that
//! PBKDF2 makes of the password's hash in its text form. Invariant: a keyfile
//! is stored only beside the password it was sealed with. One is made at a
//! time, in the background, and given up when the host goes down: the next new
//! password makes another.

use std::sync::Arc;

use aes_gcm::aead::{Aead, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce};
use bytes::Bytes;
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::EncodePrivateKey;
use lifecycle::{Entropy, TaskKind};
use node_api::{NodeSecrets, Secret};
use sha2::Sha256;

use crate::keys::{TenantSeal, random};
use crate::manager::Inner;
use crate::tenant::Tenant;

/// Rounds of PBKDF2 that the format fixes.
const ROUNDS: u32 = 1_000_000;
/// Bytes of a nonce.
const NONCE: usize = 12;

/// A password whose keyfile is to be made.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// Version of the login it is about.
    pub(crate) login: u64,
    /// The text that a client of the newest generation sends for the password.
    pub(crate) hash: Secret<String>,
}

/// Begins making the keyfile of the tenant's password, whose version is
/// `login`. A tenant waits for its turn once, whatever is asked meanwhile.
pub(crate) fn begin(inner: &Arc<Inner>, tenant: &Arc<Tenant>, login: u64, hash: Secret<String>) {
    let wanted = Wanted { login, hash };
    if tenant.state.lock().keyfile_wanted.replace(wanted).is_some() {
        return;
    }
    let (maker, tenant) = (inner.clone(), tenant.clone());
    let work = async move {
        if make(&maker, &tenant).await.is_none() {
            tracing::warn!(tenant_id = %tenant.id, "no keyfile was made");
        }
    };
    inner.tasks.spawn(TaskKind::abortable("keyfile"), work);
}

async fn make(inner: &Arc<Inner>, tenant: &Arc<Tenant>) -> Option<()> {
    let _turn = inner.keyfiles.acquire().await.ok()?;
    let (
        login,
        Wanted {
            login: version,
            hash,
        },
    ) = {
        let mut state = tenant.state.lock();
        (state.login.clone(), state.keyfile_wanted.take()?)
    };
    if login.version != version {
        // Whoever set the newer password asks for its keyfile next.
        return Some(());
    }
    let keys = tenant.keys_with(&login);
    let secrets = TenantSeal::unwrap(tenant.id, &keys, &inner.identity.kek)
        .and_then(|seal| seal.secrets(&keys))
        .ok()?;
    let (name, entropy) = (tenant.name.to_string(), inner.entropy.clone());
    let work = move || seal(&name, hash.expose(), &secrets, &*entropy, ROUNDS);
    let keyfile = inner.tasks.blocking(work).await??;
    let change = tenant.change(None, inner.clock.now());
    let tenants = &inner.repositories.tenants;
    let written = tenants.set_keyfile(change, &login.verifiers, &keyfile);
    if let Err(error) = written.await {
        tracing::warn!(tenant_id = %tenant.id, "failed to keep a keyfile: {error}");
    }
    login.keyfile.set(Bytes::from(keyfile));
    Some(())
}

fn seal(
    name: &str,
    hash: &str,
    secrets: &NodeSecrets,
    entropy: &dyn Entropy,
    rounds: u32,
) -> Option<Vec<u8>> {
    let salt: [u8; 32] = random(entropy);
    let mut key = [0; 32];
    pbkdf2::pbkdf2_hmac::<Sha256>(hash.as_bytes(), &salt, rounds, &mut key);
    let key = Secret::new(key);
    let cipher = Aes256Gcm::new_from_slice(key.expose()).ok()?;
    let sealed = |plain: &[u8]| -> Option<Vec<u8>> {
        let nonce: [u8; NONCE] = random(entropy);
        let ciphertext = cipher.encrypt(&Nonce::from(nonce), plain).ok()?;
        Some([nonce.as_slice(), &ciphertext].concat())
    };
    let networking = SigningKey::from_bytes(secrets.networking_key.expose());
    let networking = networking.to_pkcs8_der().ok()?;
    let routers: [&str; 0] = [];
    serde_json::to_vec(&(
        name,
        routers,
        salt.as_slice(),
        sealed(networking.as_bytes())?,
        sealed(secrets.jwt_secret.expose())?,
        sealed(secrets.file_key.expose())?,
    ))
    .ok()
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::pkcs8::DecodePrivateKey;
    use lifecycle::OsEntropy;

    use super::*;

    #[test]
    fn a_keyfile_opens_with_its_password_only() {
        let key = |byte| Secret::new([byte; 32]);
        let secrets = NodeSecrets {
            networking_key: key(1),
            jwt_secret: key(2),
            file_key: key(3),
        };
        let sealed = seal("alice.dev", "0xabc", &secrets, &OsEntropy, 1000).unwrap();
        type Parts = (String, Vec<String>, Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>);
        let (name, routers, salt, networking, jwt, file): Parts =
            serde_json::from_slice(&sealed).unwrap();
        assert_eq!(
            (name.as_str(), routers.len(), salt.len()),
            ("alice.dev", 0, 32)
        );

        let open = |hash: &str, sealed: &[u8]| {
            let key = pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(hash.as_bytes(), &salt, 1000);
            let cipher = Aes256Gcm::new_from_slice(&key).unwrap();
            let (nonce, sealed) = sealed.split_first_chunk::<NONCE>().unwrap();
            cipher.decrypt(&Nonce::from(*nonce), sealed).ok()
        };
        let networking = open("0xabc", &networking).unwrap();
        let networking = SigningKey::from_pkcs8_der(&networking).unwrap();
        assert_eq!(networking.to_bytes(), [1; 32]);
        assert_eq!(open("0xabc", &jwt).unwrap(), [2; 32]);
        assert_eq!(open("0xabc", &file).unwrap(), [3; 32]);
        assert_eq!(open("0xabd", &file), None);
    }
}
