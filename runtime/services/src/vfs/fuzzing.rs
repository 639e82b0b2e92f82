//! The file system as fuzzers meet it: no kernel, no tasks, and a directory
//! that is made anew for each of their ideas. Nothing to stop.

use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;

use super::action::{Action, DirEntry, FileType, Outcome, Seek, VfsError};
use super::codec;
use super::disk::{Disk, Overlays, STAGING};
use super::path::{MAX_PATH_BYTES, PathError, Target, VfsPath, check_name};
use super::tree;
use crate::dialect::Dialect;
use crate::fuzzing::{check_json, wrong};
use crate::quota::{DiskQuota, QuotaExceeded};

/// The content of every file outside.
const CANARY: &str = "canary c2f0f6";
/// The node's directory.
const ROOT: &str = "vfs";
/// Most bytes of a file in one answer.
const MAX_BLOB: u64 = 1 << 20;

/// A file outside: where it is, its length, and when it was changed.
type Kept = (PathBuf, u64, SystemTime);

/// A node's files, and others beside them.
#[derive(Debug)]
pub struct Files {
    top: PathBuf,
    limit: u64,
    outside: Vec<Kept>,
}

impl Files {
    /// Files of a node that may have `limit` bytes, in the directory `top`,
    /// which is this one's alone.
    ///
    /// # Errors
    /// When they cannot be made.
    pub fn new(top: &Path, limit: u64) -> io::Result<Self> {
        let dir = top.join("outside");
        std::fs::create_dir_all(&dir)?;
        std::fs::write(dir.join("secret"), CANARY)?;
        std::fs::write(top.join("witness"), CANARY)?;
        Ok(Self {
            top: top.to_owned(),
            limit,
            outside: outside(top)?,
        })
    }

    /// Reads `text` and `new_path` as paths, and does with them what `choice`
    /// says.
    ///
    /// # Errors
    /// What should not have happened.
    pub fn path(&self, choice: u8, text: &str, new_path: &str) -> Result<(), String> {
        let path = read(text)?;
        let other = read(new_path)?;
        let Some(path) = path else {
            return Ok(());
        };
        let disk = self.disk().map_err(wrong)?;
        let blob = Bytes::from_static(b"evil");
        for action in actions(choice, new_path) {
            let done = disk.perform(&path, &action, other.as_ref(), Some(&blob));
            if done.is_ok_and(|outcome| leaks(&outcome)) {
                return Err(format!("{action:?} of {text:?} reached a canary"));
            }
        }
        self.check(&disk)
    }

    /// Unpacks `archive`.
    ///
    /// # Errors
    /// What should not have happened.
    pub fn zip(&self, archive: &[u8]) -> Result<(), String> {
        let Some(path) = read("/pkg:me.dev/d/zip")? else {
            return Err("a plain path is not understood".to_owned());
        };
        let disk = self.disk().map_err(wrong)?;
        let before = disk.quota.used();
        let archive = Bytes::copy_from_slice(archive);
        let done = disk.perform(&path, &Action::AddZip, None, Some(&archive));
        let there = disk.root.find(path.as_str()).map_err(wrong)?.is_some();
        if done.is_ok() != there {
            return Err(format!("{done:?}, but there is something: {there}"));
        }
        if done.is_err() && disk.quota.used() != before {
            return Err(format!("{done:?} left {} bytes", disk.quota.used()));
        }
        // A second time it meets what it has made.
        let again = disk.perform(&path, &Action::AddZip, None, Some(&archive));
        let full = matches!(again, Err(VfsError::Quota(_)));
        if done.is_ok() != again.is_ok() && !full {
            return Err(format!("{done:?}, then {again:?}"));
        }
        self.check(&disk)
    }

    /// An empty drive with one file in it.
    fn disk(&self) -> io::Result<Disk> {
        let root = self.top.join(ROOT);
        match std::fs::remove_dir_all(&root) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let drive = root.join("pkg:me.dev/d");
        std::fs::create_dir_all(&drive)?;
        std::fs::write(drive.join("f"), "f")?;
        let quota = DiskQuota::new(self.limit);
        let disk = Disk::open(&root, Overlays::default(), quota, MAX_BLOB, 0)?;
        disk.quota.add_existing(disk.measure()?);
        Ok(disk)
    }

    /// Whether the books are right and nothing outside was touched.
    fn check(&self, disk: &Disk) -> Result<(), String> {
        let weighed = tree::weigh(disk.root.root(), &|name| name != STAGING);
        let weighed = weighed.map_err(wrong)?.bytes;
        let used = disk.quota.used();
        if weighed != used || used > self.limit {
            return Err(format!("{used} bytes are counted, {weighed} are there"));
        }
        let staging = self.top.join(ROOT).join(STAGING);
        if std::fs::read_dir(staging).map_err(wrong)?.next().is_some() {
            return Err("something is left in the staging directory".to_owned());
        }
        if outside(&self.top).map_err(wrong)? != self.outside {
            return Err("something outside was changed".to_owned());
        }
        Ok(())
    }
}

/// What is in `top` but the node's directory.
fn outside(top: &Path) -> io::Result<Vec<Kept>> {
    let mut found = Vec::new();
    let mut dirs = vec![top.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir)? {
            let path = entry?.path();
            if path == top.join(ROOT) {
                continue;
            }
            let metadata = std::fs::symlink_metadata(&path)?;
            if metadata.is_dir() {
                dirs.push(path.clone());
            }
            found.push((path, metadata.len(), metadata.modified()?));
        }
    }
    found.sort();
    Ok(found)
}

/// The path in `text`, if it is one; checked against another way of reading.
fn read(text: &str) -> Result<Option<VfsPath>, String> {
    let mut parts = Vec::new();
    let mut inside = true;
    for part in Path::new(text).components() {
        match part {
            Component::Normal(name) => parts.push(name),
            Component::ParentDir => inside &= parts.pop().is_some(),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    let path = match Target::parse(text) {
        Err(_) => return Ok(None),
        Ok(Target::Root) if inside && parts.is_empty() => return Ok(None),
        Ok(Target::Root) => return Err(format!("{text:?} is not the root")),
        Ok(Target::Inside(path)) => path,
    };
    let names: Vec<_> = path.as_str().split('/').collect();
    // The package may have another name now.
    let same =
        names.len() == parts.len() && names.iter().zip(&parts).skip(1).all(|(a, b)| **b == **a);
    let normal = names.iter().all(|name| check_name(name).is_ok());
    let bounded = names.len() >= 2 && path.as_str().len() <= MAX_PATH_BYTES;
    if !(inside && same && normal && bounded) {
        return Err(format!("{text:?} became {:?}", path.as_str()));
    }
    match Target::parse(path.as_str()) {
        Ok(Target::Inside(again)) if again.as_str() == path.as_str() => Ok(Some(path)),
        again => Err(format!("{text:?} is not normal: {again:?}")),
    }
}

/// What is done with a path.
fn actions(choice: u8, new_path: &str) -> Vec<Action> {
    let new_path = || new_path.to_owned();
    let change = match choice % 14 {
        0 => Action::Write,
        1 => Action::CreateDirAll,
        2 => Action::Rename {
            new_path: new_path(),
        },
        3 => Action::CopyFile {
            new_path: new_path(),
        },
        4 => Action::CreateDrive,
        5 => Action::CreateDir,
        6 => Action::CreateFile,
        7 => Action::OpenFile { create: true },
        8 => Action::RemoveFile,
        9 => Action::RemoveDir,
        10 => Action::RemoveDirAll,
        11 => Action::SetLen(100),
        12 => Action::Append,
        _ => Action::WriteAll,
    };
    vec![
        Action::Metadata,
        Action::Read,
        Action::ReadDir,
        change,
        Action::Seek(Seek::End(0)),
        Action::ReadToEnd,
        Action::ReadDir,
    ]
}

/// Whether `outcome` has something of a file outside.
fn leaks(outcome: &Outcome) -> bool {
    let has_canary = |bytes: &[u8]| {
        bytes
            .windows(CANARY.len())
            .any(|window| window == CANARY.as_bytes())
    };
    match outcome {
        Outcome::Bytes(bytes) => has_canary(bytes),
        Outcome::Text(text) => has_canary(text.as_bytes()),
        _ => false,
    }
}

/// Decodes `body` and encodes every answer to it.
///
/// # Errors
/// What should not have happened.
pub(crate) fn dialect(body: &[u8]) -> Result<(), String> {
    let decoded = codec::decode(body);
    let asked = decoded.as_ref().ok();
    if let Some(asked) = asked {
        read(&asked.path)?;
    }
    for dialect in [Dialect::Old, Dialect::New] {
        for outcome in outcomes() {
            let (body, _) = codec::encode(dialect, asked, outcome);
            check_json(&body)?;
        }
    }
    Ok(())
}

fn outcomes() -> Vec<Result<Outcome, VfsError>> {
    let text = || "\"\\\u{0}\u{7f}\u{2028}".to_owned();
    let bad_path: Result<Target, PathError> = Target::parse("/..");
    let mut all = vec![
        Ok(Outcome::Done),
        Ok(Outcome::Bytes(Bytes::new())),
        Ok(Outcome::Entries(vec![DirEntry {
            path: text(),
            file_type: FileType::Other,
        }])),
        Ok(Outcome::Text(text())),
        Ok(Outcome::Offset(u64::MAX)),
        Ok(Outcome::Metadata {
            file_type: FileType::Symlink,
            len: u64::MAX,
        }),
        Ok(Outcome::Len(u64::MAX)),
        Ok(Outcome::Hash([0xff; 32])),
        Err(VfsError::NoReadCap),
        Err(VfsError::NoWriteCap),
        Err(VfsError::Malformed(text())),
        Err(VfsError::NoBlob),
        Err(VfsError::NotFound),
        Err(VfsError::ReadOnly),
        Err(VfsError::Zip(text())),
        Err(VfsError::Quota(QuotaExceeded { wanted: 2, left: 1 })),
        Err(VfsError::TooLarge { len: 2, most: 1 }),
        Err(VfsError::Io(io::Error::other(text()))),
    ];
    all.extend(bad_path.err().map(|error| Err(VfsError::Path(error))));
    all
}
