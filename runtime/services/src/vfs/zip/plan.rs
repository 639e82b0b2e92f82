//! What an archive will become, or why it is refused.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::super::action::VfsError;
use super::super::path::{MAX_DEPTH, MAX_PATH_BYTES, VfsPath, check_name};
use super::super::tree::{ENTRY_COST, file_cost};
use super::source::{self, Archive};

/// Most entries of an archive.
pub(super) const MAX_ENTRIES: usize = 10_000;
/// Most bytes that one byte of the archive may become.
pub(super) const MAX_RATIO: u64 = 100;
/// Bytes allowed beyond the ratio, for small archives of repetitive files.
pub(super) const RATIO_SLACK: u64 = 1 << 20;
/// Most bytes of names, extra fields and comments in the archive's directory.
const MAX_DIRECTORY: usize = 3 << 20;
/// Most bytes of paths that it becomes.
const MAX_NAMES: usize = 2 << 20;
/// How an entry of the archive's directory begins.
const DIRECTORY_ENTRY: &[u8; 4] = b"PK\x01\x02";

/// A file to unpack.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Planned {
    /// Its number in the archive.
    pub(super) index: usize,
    /// Where it goes beneath the target.
    pub(super) path: String,
    /// Bytes it says it has.
    pub(super) size: u64,
}

/// Everything to unpack. Paths are normal and no two are the same.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Directories, each after the one it is in, whether the archive has an
    /// entry for it or not.
    pub(super) dirs: BTreeSet<String>,
    /// Files, in the order of the archive.
    pub(super) files: Vec<Planned>,
}

impl Plan {
    /// What it counts for on disk.
    pub(super) fn cost(&self) -> u64 {
        let files = self.files.iter().map(|file| file_cost(file.size));
        let dirs = ENTRY_COST.saturating_mul(self.dirs.len() as u64);
        files.fold(dirs, u64::saturating_add)
    }

    /// Bytes of its files.
    pub(super) fn size(&self) -> u64 {
        let sizes = self.files.iter().map(|file| file.size);
        sizes.fold(0, u64::saturating_add)
    }
}

fn refuse(why: impl Into<String>) -> VfsError {
    VfsError::Zip(why.into())
}

/// Reads the archive's directory.
pub(super) fn open(bytes: &Bytes) -> Result<Archive, VfsError> {
    check_directory(bytes)?;
    let archive =
        source::open(bytes).map_err(|error| refuse(format!("it is no zip archive: {error}")))?;
    if archive.len() > MAX_ENTRIES {
        return Err(too_many());
    }
    // Of entries with one name the reader shows the last. Which of them was
    // looked at by whoever made or checked the archive nobody can say.
    if directory_len(bytes, archive.central_directory_start()) != archive.len() {
        return Err(refuse(
            "a name is there twice, or its directory is longer than it says",
        ));
    }
    Ok(archive)
}

/// The directory is read into memory as a whole: looks at its size first.
/// Archives within this one may have as many entries again.
fn check_directory(bytes: &[u8]) -> Result<(), VfsError> {
    let windows = bytes.windows(DIRECTORY_ENTRY.len()).enumerate();
    let (mut entries, mut size) = (0, 0);
    for (at, _) in windows.filter(|(_, window)| window == DIRECTORY_ENTRY) {
        entries += 1;
        size += variable_len(&bytes[at..]);
        if entries > 2 * MAX_ENTRIES {
            return Err(too_many());
        }
        if size > MAX_DIRECTORY {
            return Err(refuse(format!(
                "the names and comments of its entries take more than {MAX_DIRECTORY} bytes"
            )));
        }
    }
    Ok(())
}

/// Entries one after the other from `start` on.
fn directory_len(bytes: &[u8], start: u64) -> usize {
    /// Bytes of an entry before its name.
    const FIXED: usize = 46;
    let mut rest = usize::try_from(start).ok().and_then(|at| bytes.get(at..));
    let mut count = 0;
    while let Some(entry) = rest.filter(|rest| rest.starts_with(DIRECTORY_ENTRY)) {
        count += 1;
        rest = entry.get(FIXED + variable_len(entry)..);
    }
    count
}

/// Bytes of name, extra field and comment of the directory's `entry`.
fn variable_len(entry: &[u8]) -> usize {
    let length = |at: usize| match entry.get(at..at + 2) {
        Some(&[low, high]) => usize::from(u16::from_le_bytes([low, high])),
        _ => 0,
    };
    [28, 30, 32].map(length).iter().sum()
}

fn too_many() -> VfsError {
    refuse(format!("it has more than {MAX_ENTRIES} entries"))
}

/// Plans `archive`, of `packed` bytes, for the directory `target`.
pub(super) fn plan(archive: &mut Archive, packed: u64, target: &VfsPath) -> Result<Plan, VfsError> {
    let mut plan = Plan::default();
    let mut paths = BTreeSet::new();
    let mut extents = BTreeMap::new();
    let mut names = 0;
    for index in 0..archive.len() {
        let entry = archive
            .by_index_raw(index)
            .map_err(|error| refuse(format!("entry {index}: {error}")))?;
        let shown: String = entry.name().chars().take(80).collect();
        let bad = |why: &str| refuse(format!("`{}` {why}", shown.escape_default()));

        // Known since the entry's own header was read.
        let data = entry.data_start().unwrap_or(entry.header_start());
        let end = data.saturating_add(entry.compressed_size());
        if extents.insert(entry.header_start(), end).is_some() {
            return Err(bad("overlaps another entry"));
        }
        check_kind(entry.unix_mode(), entry.is_dir()).map_err(&bad)?;
        if entry.encrypted() {
            return Err(bad("is encrypted"));
        }
        let path = match normal(entry.name()) {
            Some(path) if !path.is_empty() => path,
            Some(_) if entry.is_dir() => continue,
            _ => return Err(bad("has a name that leads out or is no name")),
        };
        check_reach(target, &path).map_err(&bad)?;
        names += path.len() + add_parents(&mut plan.dirs, &path);
        if entry.is_dir() {
            plan.dirs.insert(path);
        } else if paths.insert(path.clone()) {
            let size = entry.size();
            plan.files.push(Planned { index, path, size });
        } else {
            return Err(bad("is there twice"));
        }
        if names > MAX_NAMES || plan.dirs.len() + plan.files.len() > 2 * MAX_ENTRIES {
            return Err(refuse("it would make too many directories"));
        }
    }
    check_extents(&extents)?;
    let total = plan.size();
    if total > packed.saturating_mul(MAX_RATIO).saturating_add(RATIO_SLACK) {
        return Err(refuse(format!(
            "it unpacks to {total} bytes, more than {MAX_RATIO} times its size"
        )));
    }
    if let Some(both) = plan.dirs.iter().find(|dir| paths.contains(*dir)) {
        return Err(refuse(format!("`{both}` is a file and a directory")));
    }
    Ok(plan)
}

/// Whether `path` beneath `target` can be reached by a path.
fn check_reach(target: &VfsPath, path: &str) -> Result<(), &'static str> {
    let depth = target.depth() + path.split('/').count();
    let length = target.as_str().len() + 1 + path.len();
    if depth > MAX_DEPTH || length > MAX_PATH_BYTES {
        return Err("is too deep or too long a path");
    }
    Ok(())
}

/// Whether the entry is a plain file or directory; links and devices are not.
fn check_kind(mode: Option<u32>, is_dir: bool) -> Result<(), &'static str> {
    const KIND: u32 = 0o170_000;
    const FILE: u32 = 0o100_000;
    const DIR: u32 = 0o040_000;
    match mode.map_or(0, |mode| mode & KIND) {
        0 => Ok(()),
        FILE if !is_dir => Ok(()),
        DIR if is_dir => Ok(()),
        FILE | DIR => Err("is a file by its name and a directory by its mode, or the reverse"),
        _ => Err("is a symbolic link or a device"),
    }
}

/// The path that the entry `name` stands for, if it stays inside. Some tools
/// write backslashes.
fn normal(name: &str) -> Option<String> {
    let name = name.replace('\\', "/");
    if name.starts_with('/') {
        return None;
    }
    let mut path = String::new();
    for part in name.split('/').filter(|part| !matches!(*part, "" | ".")) {
        check_name(part).ok()?;
        if !path.is_empty() {
            path.push('/');
        }
        path.push_str(part);
    }
    Some(path)
}

/// Adds the directories above `path`; the bytes of the names that are new.
fn add_parents(dirs: &mut BTreeSet<String>, path: &str) -> usize {
    let mut added = 0;
    let mut rest = path;
    while let Some((parent, _)) = rest.rsplit_once('/') {
        if !dirs.insert(parent.to_owned()) {
            break;
        }
        added += parent.len();
        rest = parent;
    }
    added
}

/// Whether no entry's data reaches into the next.
fn check_extents(extents: &BTreeMap<u64, u64>) -> Result<(), VfsError> {
    let ends = extents.values();
    for (start, end) in extents.keys().skip(1).zip(ends) {
        if start < end {
            return Err(refuse("its entries overlap"));
        }
    }
    Ok(())
}
