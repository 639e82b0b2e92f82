//! What must not be reached: files outside a node's directory whose content
//! shows wherever it turns up.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::super::*;

/// The content of every file outside.
pub(crate) const CANARY: &str = "canary c2f0f6";
/// A name that only a directory outside has, and no test asks for.
pub(crate) const ONLY_OUTSIDE: &str = "only-outside 91b4";

/// Inode, mode, size, times of change, and content.
type Kept = (u64, u32, u64, i64, i64, i64, Vec<u8>);

/// A directory beside the node's with another node's files and some of the
/// host.
pub(crate) struct Outside {
    top: PathBuf,
    before: BTreeMap<PathBuf, Kept>,
}

impl Outside {
    /// Puts canaries beside what is in `top`: `outside/secret`, `witness`, and
    /// in `other` the directory of another node.
    pub(crate) fn new(top: &Path) -> Self {
        for file in [
            "witness",
            "outside/secret",
            "outside/f",
            "outside/sub/f",
            "other/pkg:me.dev/d/secret",
            "other/pkg:me.dev/d/f",
        ] {
            let file = top.join(file);
            let dir = file.parent().unwrap();
            std::fs::create_dir_all(dir).unwrap();
            std::fs::write(&file, CANARY).unwrap();
            if dir != top {
                std::fs::write(dir.join(ONLY_OUTSIDE), CANARY).unwrap();
            }
        }
        let top = top.to_owned();
        let before = snapshot(&top);
        Self { top, before }
    }

    /// Panics if anything outside was touched.
    pub(crate) fn check(&self) {
        let now = snapshot(&self.top);
        let names: Vec<_> = now.keys().collect();
        assert_eq!(names, self.before.keys().collect::<Vec<_>>());
        for (path, kept) in &self.before {
            assert_eq!(now.get(path), Some(kept), "{}", path.display());
        }
    }
}

/// Everything beneath `top` but the node's own directory.
fn snapshot(top: &Path) -> BTreeMap<PathBuf, Kept> {
    let mut found = BTreeMap::new();
    let mut dirs = vec![top.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path == top.join("vfs") {
                continue;
            }
            let metadata = std::fs::symlink_metadata(&path).unwrap();
            let mut content = Vec::new();
            if metadata.is_dir() {
                dirs.push(path.clone());
            } else if metadata.is_file() {
                content = std::fs::read(&path).unwrap();
            }
            let kept = (
                metadata.ino(),
                metadata.mode(),
                metadata.size(),
                metadata.mtime(),
                metadata.ctime(),
                metadata.ctime_nsec(),
                content,
            );
            found.insert(path, kept);
        }
    }
    found
}

/// Whether `bytes` have a canary in them.
pub(crate) fn has_canary(bytes: &[u8]) -> bool {
    bytes
        .windows(CANARY.len())
        .any(|window| window == CANARY.as_bytes())
}

/// Whether `outcome` tells anything about what is outside.
pub(crate) fn leaks(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Bytes(bytes) => has_canary(bytes),
        Outcome::Text(text) => has_canary(text.as_bytes()),
        Outcome::Hash(hash) => {
            let canary: [u8; 32] = Sha256::digest(CANARY).into();
            *hash == canary
        }
        Outcome::Entries(entries) => entries.iter().any(|entry| {
            let name = entry.path.rsplit('/').next().unwrap_or_default();
            name == ONLY_OUTSIDE
        }),
        Outcome::Metadata { .. } | Outcome::Len(_) | Outcome::Offset(_) | Outcome::Done => false,
    }
}
