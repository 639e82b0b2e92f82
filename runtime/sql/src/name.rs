//! Names of databases and the files they become.
//!
//! Invariants: whatever a name is, its directory is directly below that of
//! its package and that below the root; no two names share one. Names of
//! plain characters stay as they are, so that files can be brought from and
//! to other hosts of the same layout.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

/// Longest encoded name: with what SQLite appends a file name ends at 255.
const LONGEST: usize = 240;
/// What is kept of a name that is longer; its hash follows.
const KEPT: usize = 160;

/// Which database: any text each.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DbId {
    /// The package it belongs to.
    pub package: String,
    /// Its name within the package.
    pub name: String,
}

/// A database's name as its directory and file have it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    package: String,
    name: String,
}

impl Key {
    pub(crate) fn new(id: &DbId) -> Self {
        Self {
            package: encode(&id.package),
            name: encode(&id.name),
        }
    }

    /// From the names of directories found below the root.
    pub(crate) fn found(package: String, name: String) -> Self {
        Self { package, name }
    }
}

/// Where the files of one database are.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) root: PathBuf,
    pub(crate) package: PathBuf,
    pub(crate) dir: PathBuf,
    pub(crate) db: PathBuf,
    pub(crate) log: Arc<Path>,
    index: PathBuf,
    journal: PathBuf,
}

impl Files {
    pub(crate) fn new(root: &Path, key: &Key) -> Self {
        let package = root.join(&key.package);
        let dir = package.join(&key.name);
        let file = |end: &str| dir.join(format!("{}.db{end}", key.name));
        Self {
            root: root.to_owned(),
            db: file(""),
            log: file("-wal").into(),
            index: file("-shm"),
            journal: file("-journal"),
            package,
            dir,
        }
    }

    /// Bytes of the database's own file.
    pub(crate) fn db_bytes(&self) -> u64 {
        len(&self.db)
    }

    /// Bytes of files that are there while it is used, but for the log.
    pub(crate) fn side_bytes(&self) -> u64 {
        len(&self.index) + len(&self.journal)
    }

    /// Bytes of the log.
    pub(crate) fn log_bytes(&self) -> u64 {
        len(&self.log)
    }
}

/// Bytes of a file; nothing if it is not there.
fn len(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}

fn encode(name: &str) -> String {
    // A lone percent sign is no encoding of anything else.
    if name.is_empty() {
        return "%".to_owned();
    }
    let mut encoded = String::with_capacity(name.len());
    let mut kept = 0;
    for (at, byte) in name.bytes().enumerate() {
        let plain =
            byte.is_ascii_alphanumeric() || b"_:-".contains(&byte) || (byte == b'.' && at > 0);
        if plain {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        if encoded.len() <= KEPT {
            kept = encoded.len();
        }
    }
    if encoded.len() > LONGEST {
        encoded.truncate(kept);
        encoded.push_str("%~");
        for byte in Sha256::digest(name.as_bytes()) {
            let _ = write!(encoded, "{byte:02x}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_names_stay_and_others_become_plain() {
        assert_eq!(encode("app:alice.os"), "app:alice.os");
        assert_eq!(encode(".."), "%2E.");
        assert_eq!(encode("."), "%2E");
        assert_eq!(encode("/etc/passwd"), "%2Fetc%2Fpasswd");
        assert_eq!(encode("a\0b"), "a%00b");
        assert_eq!(encode("\u{1f980}"), "%F0%9F%A6%80");
        assert_eq!(encode(""), "%");
        assert_eq!(encode("%"), "%25");
    }

    #[test]
    fn long_names_end_in_their_hash() {
        let crabs = |end: &str| encode(&("\u{1f980}".repeat(32) + end));
        for name in [crabs(""), crabs("a"), encode(&"x".repeat(5000))] {
            assert!(name.len() <= LONGEST, "{name}");
        }
        assert_ne!(crabs("a"), crabs("b"));
        assert_eq!(encode(&"x".repeat(LONGEST)), "x".repeat(LONGEST));
    }

    proptest! {
        #[test]
        fn no_name_leaves_its_directory_and_no_two_meet(one in ".{0,140}", other in ".{0,140}") {
            for name in [&one, &other] {
                let name = encode(name);
                prop_assert!(!name.is_empty() && !name.starts_with('.') && name.len() <= LONGEST);
                prop_assert!(!name.contains(['/', '\\', '\0']));
            }
            prop_assert_eq!(one == other, encode(&one) == encode(&other));
        }
    }
}
