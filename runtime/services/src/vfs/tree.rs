//! What directory trees weigh, and their removal.
//!
//! Works on open directories and never follows links; depth is bounded, so a
//! walk holds few descriptors.

use std::io;

use cap_std::fs::{Dir, FileType, Metadata};

use super::jail::open_dir;
use super::path::MAX_DEPTH;

/// Bytes a file or directory counts for beside its content. Volumes are made
/// with one inode for so many bytes, so that nodes within their bytes cannot
/// use up the inodes either.
pub(crate) const ENTRY_COST: u64 = 16 << 10;

/// What an entry counts for.
pub(crate) fn cost(metadata: &Metadata) -> u64 {
    if metadata.is_file() {
        file_cost(metadata.len())
    } else {
        ENTRY_COST
    }
}

/// What a file of `len` bytes counts for.
pub(crate) fn file_cost(len: u64) -> u64 {
    len.saturating_add(ENTRY_COST)
}

/// A tree in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Weight {
    /// Sum of what its entries count for, without the top itself.
    pub(crate) bytes: u64,
    /// Levels beneath the top.
    pub(crate) depth: usize,
    /// Bytes of the longest path beneath the top.
    pub(crate) longest: usize,
}

/// Weighs everything in `dir` that `wanted` does not leave out by its name.
pub(crate) fn weigh(dir: &Dir, wanted: &dyn Fn(&str) -> bool) -> io::Result<Weight> {
    let mut weight = Weight::default();
    each(dir, 0, &mut |name, metadata, inner| {
        if !wanted(name) {
            return Ok(());
        }
        let below = match inner {
            Some(inner) => weigh_level(inner, 1)?,
            None => Weight::default(),
        };
        weight.add(name, metadata, below);
        Ok(())
    })?;
    Ok(weight)
}

fn weigh_level(dir: &Dir, depth: usize) -> io::Result<Weight> {
    let mut weight = Weight::default();
    each(dir, depth, &mut |name, metadata, inner| {
        let below = match inner {
            Some(inner) => weigh_level(inner, depth + 1)?,
            None => Weight::default(),
        };
        weight.add(name, metadata, below);
        Ok(())
    })?;
    Ok(weight)
}

impl Weight {
    fn add(&mut self, name: &str, metadata: &Metadata, below: Weight) {
        self.bytes = self
            .bytes
            .saturating_add(cost(metadata))
            .saturating_add(below.bytes);
        self.depth = self.depth.max(below.depth + 1);
        self.longest = self.longest.max(name.len() + 1 + below.longest);
    }
}

/// Removes everything in `dir`, telling `freed` what each entry counted for.
pub(crate) fn empty(dir: &Dir, freed: &mut dyn FnMut(u64)) -> io::Result<()> {
    empty_level(dir, 0, freed)
}

fn empty_level(dir: &Dir, depth: usize, freed: &mut dyn FnMut(u64)) -> io::Result<()> {
    each(dir, depth, &mut |name, metadata, inner| {
        match inner {
            Some(inner) => {
                empty_level(inner, depth + 1, freed)?;
                dir.remove_dir(name)?;
            }
            None => dir.remove_file(name)?,
        }
        freed(cost(metadata));
        Ok(())
    })
}

/// One entry: its name, what it is, and itself if it is a directory.
type Visit<'a> = &'a mut dyn FnMut(&str, &Metadata, Option<&Dir>) -> io::Result<()>;

fn each(dir: &Dir, depth: usize, visit: Visit<'_>) -> io::Result<()> {
    // Twice the bound: what is being removed may hang beneath a staging name.
    if depth > MAX_DEPTH * 2 {
        return Err(io::Error::other("the directory tree is too deep"));
    }
    for entry in dir.entries()? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            return Err(io::Error::other("a file has a name that is not UTF-8"));
        };
        let metadata = match dir.symlink_metadata(name) {
            Ok(metadata) => metadata,
            // Gone since it was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        if is_plain_dir(metadata.file_type()) {
            let inner = open_dir(dir, name)?;
            visit(name, &metadata, Some(&inner))?;
        } else {
            visit(name, &metadata, None)?;
        }
    }
    Ok(())
}

fn is_plain_dir(kind: FileType) -> bool {
    kind.is_dir() && !kind.is_symlink()
}
