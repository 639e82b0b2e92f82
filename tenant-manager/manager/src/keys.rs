//! Keys of the host and of its tenants, and how they are kept.
//!
//! The host's key-encryption key is a file of the data directory (0600). It
//! seals each tenant's key, which seals everything else of the tenant, all
//! with AES-256-GCM and the tenant's id and the purpose as associated data, so
//! that a sealed value moved to another row or column does not open.

use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use lifecycle::Entropy;
use node_api::{NodeSecrets, Secret};
use tenant_model::{HostId, TenantId, WrappedKeys};
use zeroize::Zeroize;

/// File of the key-encryption key.
const KEK_FILE: &str = "kek";
/// File of the host's id. Written after the key: where there is an id there
/// must be a key.
const HOST_FILE: &str = "host-id";
/// Bytes of a nonce.
const NONCE: usize = 12;
/// What the key check seals.
const KEY_CHECK: &[u8] = b"berth key check";

/// A 256-bit key.
pub(crate) type Key = Secret<[u8; 32]>;

/// Why a host's identity cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file cannot be read or written.
    #[error("failed to use {}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("{} is damaged; restore it from a backup", .0.display())]
    Damaged(PathBuf),
    /// The key is gone although the host had one.
    #[error(
        "{} is missing although this host has run before; restore it from a backup: \
         without it no node's keys can be read", .0.display()
    )]
    KeyMissing(PathBuf),
}

/// Who this host is and the key it seals with.
#[derive(Debug, Clone)]
pub struct HostIdentity {
    pub(crate) host: HostId,
    pub(crate) kek: Key,
}

impl HostIdentity {
    /// Reads both from `data_dir`, or makes them on the very first start.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn load_or_create(data_dir: &Path, entropy: &dyn Entropy) -> Result<Self, IdentityError> {
        let kek_path = data_dir.join(KEK_FILE);
        let host_path = data_dir.join(HOST_FILE);
        let host_text = read(&host_path)?;
        let kek = match read(&kek_path)? {
            Some(mut bytes) => {
                let key = <[u8; 32]>::try_from(bytes.as_slice());
                bytes.zeroize();
                Secret::new(key.map_err(|_| IdentityError::Damaged(kek_path.clone()))?)
            }
            None if host_text.is_some() => return Err(IdentityError::KeyMissing(kek_path)),
            None => {
                let key = random_key(entropy);
                write(&kek_path, key.expose())?;
                key
            }
        };
        let host = match host_text {
            Some(text) => std::str::from_utf8(&text)
                .ok()
                .and_then(|text| text.trim().parse().ok())
                .map(HostId::new)
                .ok_or(IdentityError::Damaged(host_path))?,
            None => {
                let host = HostId::from_random(random(entropy));
                write(&host_path, format!("{host}\n").as_bytes())?;
                host
            }
        };
        Ok(Self { host, kek })
    }

    /// An identity that is not kept, for tests.
    #[must_use]
    pub fn ephemeral(entropy: &dyn Entropy) -> Self {
        Self {
            host: HostId::from_random(random(entropy)),
            kek: random_key(entropy),
        }
    }

    /// The host's id.
    #[must_use]
    pub fn host(&self) -> HostId {
        self.host
    }

    /// A sealed text that only this key opens.
    pub(crate) fn key_check(&self, entropy: &dyn Entropy) -> Option<Vec<u8>> {
        seal(&self.kek, self.host.uuid().as_bytes(), KEY_CHECK, entropy)
    }

    /// Whether `check` was sealed with this key.
    pub(crate) fn passes(&self, check: &[u8]) -> bool {
        open(&self.kek, self.host.uuid().as_bytes(), check).as_deref() == Some(KEY_CHECK)
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, IdentityError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(file_error(path)(error)),
    }
}

/// Writes beside, then renames: a crash leaves the whole file or none.
fn write(path: &Path, bytes: &[u8]) -> Result<(), IdentityError> {
    let beside = path.with_extension("new");
    let write = || {
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)?;
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)?;
        match path.parent() {
            Some(parent) => std::fs::File::open(parent)?.sync_all(),
            None => Ok(()),
        }
    };
    write().map_err(file_error(path))
}

fn file_error(path: &Path) -> impl FnOnce(std::io::Error) -> IdentityError {
    let path = path.to_owned();
    move |error| IdentityError::File { path, error }
}

/// `N` random bytes.
pub(crate) fn random<const N: usize>(entropy: &dyn Entropy) -> [u8; N] {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes);
    bytes
}

fn random_key(entropy: &dyn Entropy) -> Key {
    Secret::new(random(entropy))
}

/// What a sealed value of a tenant is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    TenantKey,
    NetworkingKey,
    JwtSecret,
    FileKey,
    SshPassword,
}

impl Purpose {
    fn associated_data(self, tenant: TenantId) -> Vec<u8> {
        let name: &[u8] = match self {
            Self::TenantKey => b"tenant-key",
            Self::NetworkingKey => b"networking-key",
            Self::JwtSecret => b"jwt-secret",
            Self::FileKey => b"file-key",
            Self::SshPassword => b"ssh-password",
        };
        [tenant.uuid().as_bytes().as_slice(), name].concat()
    }
}

/// Seals `plain`: nonce, then ciphertext. `None` only if `plain` is longer
/// than the cipher can take, which nothing here is.
fn seal(key: &Key, aad: &[u8], plain: &[u8], entropy: &dyn Entropy) -> Option<Vec<u8>> {
    let nonce: [u8; NONCE] = random(entropy);
    let cipher = Aes256Gcm::new_from_slice(key.expose()).ok()?;
    let sealed = cipher
        .encrypt(&Nonce::from(nonce), Payload { msg: plain, aad })
        .ok()?;
    Some([nonce.as_slice(), &sealed].concat())
}

fn open(key: &Key, aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
    let cipher = Aes256Gcm::new_from_slice(key.expose()).ok()?;
    cipher
        .decrypt(&Nonce::from(*nonce), Payload { msg: sealed, aad })
        .ok()
}

/// A sealed value does not open: the row or the host's key is not what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the node's keys cannot be opened with this host's key")]
pub(crate) struct Unopenable;

/// A tenant's own key, unwrapped.
#[derive(Debug)]
pub(crate) struct TenantSeal {
    tenant: TenantId,
    key: Key,
}

impl TenantSeal {
    /// Makes the keys of a new tenant.
    pub(crate) fn create(
        tenant: TenantId,
        kek: &Key,
        entropy: &dyn Entropy,
    ) -> Result<(Self, WrappedKeys), Unopenable> {
        let seal_of_tenant = Self {
            tenant,
            key: random_key(entropy),
        };
        let fresh = |purpose| {
            let key = random_key(entropy);
            seal_of_tenant.seal(purpose, key.expose(), entropy)
        };
        let aad = Purpose::TenantKey.associated_data(tenant);
        let keys = WrappedKeys {
            tenant_key: seal(kek, &aad, seal_of_tenant.key.expose(), entropy).ok_or(Unopenable)?,
            networking_key: fresh(Purpose::NetworkingKey)?,
            jwt_secret: fresh(Purpose::JwtSecret)?,
            file_key: fresh(Purpose::FileKey)?,
        };
        Ok((seal_of_tenant, keys))
    }

    /// Unwraps the key of `tenant`.
    pub(crate) fn unwrap(
        tenant: TenantId,
        keys: &WrappedKeys,
        kek: &Key,
    ) -> Result<Self, Unopenable> {
        let aad = Purpose::TenantKey.associated_data(tenant);
        let key = open(kek, &aad, &keys.tenant_key).ok_or(Unopenable)?;
        Ok(Self {
            tenant,
            key: exactly_32(key)?,
        })
    }

    /// Seals a value of this tenant.
    pub(crate) fn seal(
        &self,
        purpose: Purpose,
        plain: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, Unopenable> {
        let aad = purpose.associated_data(self.tenant);
        seal(&self.key, &aad, plain, entropy).ok_or(Unopenable)
    }

    /// Opens a value of this tenant.
    pub(crate) fn open(&self, purpose: Purpose, sealed: &[u8]) -> Result<Vec<u8>, Unopenable> {
        open(&self.key, &purpose.associated_data(self.tenant), sealed).ok_or(Unopenable)
    }

    /// Opens a sealed key of this tenant.
    pub(crate) fn open_key(&self, purpose: Purpose, sealed: &[u8]) -> Result<Key, Unopenable> {
        exactly_32(self.open(purpose, sealed)?)
    }

    /// Opens the node's secrets.
    pub(crate) fn secrets(&self, keys: &WrappedKeys) -> Result<NodeSecrets, Unopenable> {
        let key = |purpose, sealed: &[u8]| self.open_key(purpose, sealed);
        Ok(NodeSecrets {
            networking_key: key(Purpose::NetworkingKey, &keys.networking_key)?,
            jwt_secret: key(Purpose::JwtSecret, &keys.jwt_secret)?,
            file_key: key(Purpose::FileKey, &keys.file_key)?,
        })
    }
}

fn exactly_32(mut bytes: Vec<u8>) -> Result<Key, Unopenable> {
    let key = <[u8; 32]>::try_from(bytes.as_slice());
    bytes.zeroize();
    key.map(Secret::new).map_err(|_| Unopenable)
}

#[cfg(test)]
mod tests {
    use lifecycle::OsEntropy;

    use super::*;

    fn tenant() -> TenantId {
        TenantId::from_random(random(&OsEntropy))
    }

    #[test]
    fn keys_open_only_for_their_tenant_purpose_and_host() {
        let kek = random_key(&OsEntropy);
        let id = tenant();
        let (seal, keys) = TenantSeal::create(id, &kek, &OsEntropy).unwrap();
        let again = TenantSeal::unwrap(id, &keys, &kek).unwrap();
        let secrets = again.secrets(&keys).unwrap();
        assert_eq!(
            seal.open(Purpose::JwtSecret, &keys.jwt_secret).unwrap(),
            secrets.jwt_secret.expose()
        );
        assert!(seal.open(Purpose::FileKey, &keys.jwt_secret).is_err());
        assert!(TenantSeal::unwrap(tenant(), &keys, &kek).is_err());
        assert!(TenantSeal::unwrap(id, &keys, &random_key(&OsEntropy)).is_err());
        let mut damaged = keys.clone();
        damaged.networking_key[20] ^= 1;
        assert!(again.secrets(&damaged).is_err());
    }

    #[test]
    fn an_identity_is_made_once_and_a_lost_key_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let first = HostIdentity::load_or_create(dir.path(), &OsEntropy).unwrap();
        let again = HostIdentity::load_or_create(dir.path(), &OsEntropy).unwrap();
        assert_eq!(first.host, again.host);
        assert!(again.passes(&first.key_check(&OsEntropy).unwrap()));
        let mode = std::fs::metadata(dir.path().join(KEK_FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);

        std::fs::write(dir.path().join(KEK_FILE), [7; 32]).unwrap();
        let wrong = HostIdentity::load_or_create(dir.path(), &OsEntropy).unwrap();
        assert!(!wrong.passes(&first.key_check(&OsEntropy).unwrap()));
        std::fs::write(dir.path().join(KEK_FILE), "short").unwrap();
        let damaged = HostIdentity::load_or_create(dir.path(), &OsEntropy);
        assert!(matches!(damaged, Err(IdentityError::Damaged(_))));
        std::fs::remove_file(dir.path().join(KEK_FILE)).unwrap();
        let missing = HostIdentity::load_or_create(dir.path(), &OsEntropy);
        assert!(matches!(missing, Err(IdentityError::KeyMissing(_))));
    }
}
