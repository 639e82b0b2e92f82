//! Directories of databases: `root/package/name/name.db`, and those removed
//! until they are deleted.
//!
//! Invariant: a directory without its `.db` file is no database. Steps of the
//! disk only; who may take them says the shelf of `databases`.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::name::Files;

/// Holds removed databases until they are deleted; no name is encoded so.
const REMOVED: &str = ".removed";

/// Deletes what was left of removed databases.
pub(crate) fn delete_removed(root: &Path) -> io::Result<()> {
    delete(&root.join(REMOVED))
}

/// Deletes a directory, if it is there.
pub(crate) fn delete(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Takes the directory of a database out of the way in one step; tells where
/// it is to be deleted. `count` makes the place its own.
pub(crate) fn remove(root: &Path, files: &Files, count: &mut u64) -> io::Result<PathBuf> {
    let removed = root.join(REMOVED);
    make_directory(&removed)?;
    loop {
        *count += 1;
        let place = removed.join(count.to_string());
        if !place.try_exists()? {
            fs::rename(&files.dir, &place)?;
            return Ok(place);
        }
    }
}

/// The names in a directory, but for what was removed; none if it is not
/// there or is none.
pub(crate) fn entries(directory: &Path) -> io::Result<Vec<OsString>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    let names = entries.map(|entry| entry.map(|entry| entry.file_name()));
    names
        .filter(|name| name.as_ref().map_or(true, |name| name != REMOVED))
        .collect()
}

/// Makes an empty database: an empty file is one.
pub(crate) fn make(files: &Files) -> io::Result<()> {
    make_directory(&files.dir)?;
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&files.db)
        .map(drop)
}

/// Makes a directory and those above it, for the host alone.
fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}
