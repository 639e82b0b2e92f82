//! Unpacking archives that nobody vouches for.
//!
//! An archive is planned first (names, kinds, sizes, overlaps, quota), unpacked
//! as a stream into the staging directory, and only then put in place, so that
//! one that turns out bad leaves nothing behind. Neither memory nor the work of
//! reading its directory depends on what the archive claims.

mod merge;
mod plan;
mod source;

use std::io::{Read, Write};

use bytes::Bytes;

use super::action::{Outcome, VfsError};
use super::disk::Disk;
use super::jail::{Jail, Open, open_dir};
use super::path::VfsPath;
use plan::{Plan, Planned};
use source::Archive;

/// Bytes unpacked at a time.
const CHUNK: usize = 64 * 1024;

impl Disk {
    pub(crate) fn add_zip(&self, path: &VfsPath, bytes: &Bytes) -> Result<Outcome, VfsError> {
        self.own_place(path)?;
        let mut archive = plan::open(bytes)?;
        let plan = plan::plan(&mut archive, bytes.len() as u64, path)?;
        let charge = self.quota.charge(plan.cost())?;

        let staged = Staged::new(self)?;
        let into = Jail::new(open_dir(self.staging.root(), &staged.name)?);
        unpack(&mut archive, &plan, &into)?;
        self.merge(path, &staged.name, &plan, charge)?;
        Ok(Outcome::Done)
    }

    /// Bytes that the archive `bytes` becomes at `path`, before anything is
    /// unpacked.
    pub(crate) fn unpacked_size(
        &self,
        path: &VfsPath,
        bytes: Option<&Bytes>,
    ) -> Result<u64, VfsError> {
        self.own_place(path)?;
        let bytes = bytes.ok_or(VfsError::NoBlob)?;
        let plan = plan::plan(&mut plan::open(bytes)?, bytes.len() as u64, path)?;
        Ok(plan.size())
    }
}

/// A directory in the staging directory, gone with this at the latest.
struct Staged<'a> {
    disk: &'a Disk,
    name: String,
}

impl<'a> Staged<'a> {
    fn new(disk: &'a Disk) -> Result<Self, VfsError> {
        let name = disk.staging_name();
        disk.staging.root().create_dir(&name)?;
        Ok(Self { disk, name })
    }
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        // Gone already if the whole directory took its place. What cannot be
        // removed now is cleared at the node's next start.
        let _ = self.disk.discard(&self.name, false);
    }
}

/// Unpacks everything planned into `into`.
fn unpack(archive: &mut Archive, plan: &Plan, into: &Jail) -> Result<(), VfsError> {
    for dir in &plan.dirs {
        let (parent, name) = into.parent(dir)?;
        parent.create_dir(name)?;
    }
    let mut chunk = vec![0; CHUNK];
    for planned in &plan.files {
        unpack_file(archive, planned, into, &mut chunk)?;
    }
    Ok(())
}

fn unpack_file(
    archive: &mut Archive,
    planned: &Planned,
    into: &Jail,
    chunk: &mut [u8],
) -> Result<(), VfsError> {
    let bad = |error: &dyn std::fmt::Display| VfsError::Zip(format!("{}: {error}", planned.path));
    let mut entry = archive
        .by_index(planned.index)
        .map_err(|error| bad(&error))?;
    let mut file = into.file(&planned.path, Open::CreateNew)?.into_std();
    let mut left = planned.size;
    loop {
        // Reading reaches the end of the entry, which is where its checksum is
        // compared.
        let count = match entry.read(chunk) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) => return Err(bad(&error)),
        };
        left = left
            .checked_sub(count as u64)
            .ok_or_else(|| bad(&"it is larger than it says"))?;
        file.write_all(&chunk[..count])?;
    }
    if left > 0 {
        return Err(bad(&"it is smaller than it says"));
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests;
