//! What an archive will become, or why it is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;

use bytes::Bytes;
use zip::ZipArchive;

use super::super::action::VfsError;
use super::super::path::{MAX_DEPTH, MAX_PATH_BYTES, VfsPath, check_name};
use super::super::tree::{ENTRY_COST, file_cost};

/// Most entries of an archive.
pub(super) const MAX_ENTRIES: usize = 10_000;
/// Most bytes that one byte of the archive may become.
pub(super) const MAX_RATIO: u64 = 100;
/// Bytes allowed beyond the ratio, for small archives of repetitive files.
pub(super) const RATIO_SLACK: u64 = 1 << 20;
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
}

fn refuse(why: impl Into<String>) -> VfsError {
    VfsError::Zip(why.into())
}

/// Reads the archive's directory.
pub(super) fn open(bytes: &Bytes) -> Result<ZipArchive<Cursor<Bytes>>, VfsError> {
    // The directory is read into memory as a whole: look at its size first.
    // Archives within this one may have as many entries again.
    let entries = bytes
        .windows(DIRECTORY_ENTRY.len())
        .filter(|window| window == DIRECTORY_ENTRY)
        .count();
    if entries > 2 * MAX_ENTRIES {
        return Err(too_many());
    }
    let archive = ZipArchive::new(Cursor::new(bytes.clone()))
        .map_err(|error| refuse(format!("it is no zip archive: {error}")))?;
    if archive.len() > MAX_ENTRIES {
        return Err(too_many());
    }
    Ok(archive)
}

fn too_many() -> VfsError {
    refuse(format!("it has more than {MAX_ENTRIES} entries"))
}

/// Plans `archive`, of `packed` bytes, for the directory `target`.
pub(super) fn plan(
    archive: &mut ZipArchive<Cursor<Bytes>>,
    packed: u64,
    target: &VfsPath,
) -> Result<Plan, VfsError> {
    let mut plan = Plan::default();
    let mut paths = BTreeSet::new();
    let mut extents = BTreeMap::new();
    let mut total = 0_u64;
    for index in 0..archive.len() {
        let entry = archive
            .by_index_raw(index)
            .map_err(|error| refuse(format!("entry {index}: {error}")))?;
        let name = entry.name().to_owned();
        let shown: String = name
            .chars()
            .take(80)
            .flat_map(char::escape_default)
            .collect();
        let bad = |why: &str| refuse(format!("`{shown}` {why}"));

        let start = entry.header_start();
        let extent = HEADER + name.len() as u64 + entry.compressed_size();
        if extents
            .insert(start, start.saturating_add(extent))
            .is_some()
        {
            return Err(bad("overlaps another entry"));
        }
        check_kind(entry.unix_mode(), entry.is_dir()).map_err(&bad)?;
        if entry.encrypted() {
            return Err(bad("is encrypted"));
        }
        let Some(path) = normal(&name) else {
            return Err(bad(
                "has a name that leads out of the archive or is no name",
            ));
        };
        if path.is_empty() && entry.is_dir() {
            continue;
        }
        let depth = path.split('/').count();
        if target.depth() + depth > MAX_DEPTH
            || target.as_str().len() + 1 + path.len() > MAX_PATH_BYTES
        {
            return Err(bad("is too deep or too long a path"));
        }
        add_parents(&mut plan.dirs, &path);
        if entry.is_dir() {
            plan.dirs.insert(path);
            continue;
        }
        if !paths.insert(path.clone()) {
            return Err(bad("is there twice"));
        }
        let size = entry.size();
        total = total.saturating_add(size);
        plan.files.push(Planned { index, path, size });
    }
    check_extents(&extents)?;
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

/// Fixed part of what precedes an entry's data.
const HEADER: u64 = 30;

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

fn add_parents(dirs: &mut BTreeSet<String>, path: &str) {
    let mut rest = path;
    while let Some((parent, _)) = rest.rsplit_once('/') {
        if !dirs.insert(parent.to_owned()) {
            return;
        }
        rest = parent;
    }
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
