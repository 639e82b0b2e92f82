//! The host key: created once, readable by its owner only, then kept, so that
//! clients recognise the host after a restart.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use lifecycle::Entropy;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{HashAlg, PrivateKey};

/// Why there is no host key.
#[derive(Debug, thiserror::Error)]
pub enum HostKeyError {
    /// The file is there but cannot be read.
    #[error("cannot read the SSH host key {path}: {source}; make it readable for this user")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file holds no usable key.
    #[error(
        "{path} is not an unencrypted OpenSSH private key ({reason}); restore it from a backup, \
         or delete it to get a new one (clients will then warn that the host key changed)"
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A new key could not be stored.
    #[error("cannot write the SSH host key {path}: {source}; make its directory writable")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The key kept in `path`, created if the file does not exist.
pub(crate) fn load_or_create(
    path: &Path,
    entropy: &dyn Entropy,
) -> Result<PrivateKey, HostKeyError> {
    match fs::read_to_string(path) {
        Ok(text) => parse(path, &text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(path, entropy),
        Err(source) => Err(HostKeyError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

/// The fingerprint as `ssh` shows it, `SHA256:…`.
pub(crate) fn fingerprint(key: &PrivateKey) -> String {
    key.public_key().fingerprint(HashAlg::Sha256).to_string()
}

fn parse(path: &Path, text: &str) -> Result<PrivateKey, HostKeyError> {
    let malformed = |reason: String| HostKeyError::Malformed {
        path: path.to_owned(),
        reason,
    };
    let key = PrivateKey::from_openssh(text).map_err(|error| malformed(error.to_string()))?;
    if key.is_encrypted() {
        return Err(malformed("it is protected by a passphrase".to_owned()));
    }
    keep_private(path);
    Ok(key)
}

/// Takes away what others may do with the file, as far as that is allowed.
fn keep_private(path: &Path) {
    let Ok(metadata) = fs::metadata(path) else {
        return;
    };
    if metadata.permissions().mode() & 0o077 == 0 {
        return;
    }
    let path = path.display();
    match fs::set_permissions(path.to_string(), fs::Permissions::from_mode(0o600)) {
        Ok(()) => tracing::warn!("{path} was readable by others; it is private again"),
        Err(error) => tracing::warn!("{path} is readable by others: {error}"),
    }
}

fn create(path: &Path, entropy: &dyn Entropy) -> Result<PrivateKey, HostKeyError> {
    let write_error = |source: io::Error| HostKeyError::Write {
        path: path.to_owned(),
        source,
    };
    let mut seed = [0; 32];
    entropy.fill(&mut seed);
    let key = PrivateKey::from(Ed25519Keypair::from_seed(&seed));
    let text = key
        .to_openssh(LineEnding::LF)
        .map_err(|error| write_error(io::Error::other(error)))?;
    store(path, text.as_bytes()).map_err(write_error)?;
    Ok(key)
}

/// Writes beside `path` and renames, so that a crash leaves no half of a key.
fn store(path: &Path, text: &[u8]) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(directory)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    fs::File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use lifecycle::OsEntropy;

    use super::*;

    #[test]
    fn the_key_is_created_privately_and_then_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ssh/host_key");
        let first = load_or_create(&path, &OsEntropy).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let second = load_or_create(&path, &OsEntropy).unwrap();
        assert_eq!(fingerprint(&first), fingerprint(&second));
        assert!(fingerprint(&first).starts_with("SHA256:"));
        let other = load_or_create(&directory.path().join("other"), &OsEntropy).unwrap();
        assert_ne!(fingerprint(&first), fingerprint(&other));
    }

    #[test]
    fn a_key_readable_by_others_becomes_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("host_key");
        load_or_create(&path, &OsEntropy).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        load_or_create(&path, &OsEntropy).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }

    #[test]
    fn what_is_wrong_with_the_file_is_said_and_the_file_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("host_key");
        fs::write(&path, "not a key").unwrap();
        let error = load_or_create(&path, &OsEntropy).unwrap_err();
        assert!(matches!(error, HostKeyError::Malformed { .. }), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "not a key");
        // A directory in its place cannot be read, even by root.
        let error = load_or_create(directory.path(), &OsEntropy).unwrap_err();
        assert!(matches!(error, HostKeyError::Read { .. }), "{error}");
        let error = load_or_create(&path.join("below/a/file"), &OsEntropy).unwrap_err();
        assert!(
            matches!(
                error,
                HostKeyError::Write { .. } | HostKeyError::Read { .. }
            ),
            "{error}"
        );
    }
}
