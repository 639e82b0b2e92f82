//! Actions that change one file. Bytes are charged before they are written.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use cap_std::fs::{File, FileExt};

use super::action::{Outcome, VfsError};
use super::disk::{Disk, Place};
use super::jail::Open;
use super::path::VfsPath;
use super::synced::dir_of;
use super::tree::{self, ENTRY_COST, file_cost};
use crate::quota::Charge;

/// Bytes copied at a time.
const CHUNK: usize = 64 * 1024;

impl Disk {
    pub(crate) fn create_file(&self, path: &VfsPath) -> Result<Outcome, VfsError> {
        let place = self.own_place(path)?;
        let _tree = self.tree.read();
        let _stripe = self.stripe(path);
        let (file, len) = self.made(&place)?;
        if len > 0 {
            file.set_len(0)?;
            self.quota.refund(len);
        }
        self.handles.keep(path.as_str(), Arc::new(file), 0);
        Ok(Outcome::Done)
    }

    pub(crate) fn open_file(&self, path: &VfsPath, create: bool) -> Result<Outcome, VfsError> {
        let _tree = self.tree.read();
        let _stripe = self.stripe(path);
        let place = self.place(path);
        let file = if place.read_only {
            place.jail.file(place.relative, Open::Read)?
        } else if create {
            self.made(&place)?.0
        } else {
            place.jail.file(place.relative, Open::Write)?
        };
        self.handles.keep(path.as_str(), Arc::new(file), 0);
        Ok(Outcome::Done)
    }

    /// The file at `place`, made if absent, and its length.
    pub(super) fn made(&self, place: &Place<'_>) -> Result<(File, u64), VfsError> {
        match place.jail.file(place.relative, Open::Write) {
            Ok(file) => {
                let len = file.metadata()?.len();
                Ok((file, len))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let charge = self.quota.charge(ENTRY_COST)?;
                let file = place.jail.file(place.relative, Open::CreateNew)?;
                charge.commit();
                self.synced.changed(dir_of(place.relative));
                Ok((file, 0))
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn write(&self, path: &VfsPath, bytes: &Bytes) -> Result<Outcome, VfsError> {
        let place = self.own_place(path)?;
        let _tree = self.tree.read();
        let _stripe = self.stripe(path);
        let replacement = self.replacement(&place, bytes.len() as u64)?;
        self.stage_and_place(path, &place, replacement, |file| {
            file.write_all_at(bytes, 0)
        })
    }

    pub(crate) fn copy_file(&self, path: &VfsPath, to: &VfsPath) -> Result<Outcome, VfsError> {
        let place = self.own_place(to)?;
        let _tree = self.tree.read();
        let from = self.place(path);
        let source = from.jail.file(from.relative, Open::Read)?;
        let len = source.metadata()?.len();
        let _stripe = self.stripe(to);
        let replacement = self.replacement(&place, len)?;
        self.stage_and_place(to, &place, replacement, |file| copy(&source, file, len))
    }

    /// Bytes in the file at `path`; nothing if there is none.
    pub(crate) fn size_of(&self, path: &VfsPath) -> Result<u64, VfsError> {
        let _tree = self.tree.read();
        let place = self.place(path);
        let metadata = place.jail.find(place.relative)?;
        Ok(metadata.map_or(0, |metadata| metadata.len()))
    }

    /// What putting a file of `len` bytes at `place` means for the quota.
    fn replacement(&self, place: &Place<'_>, len: u64) -> Result<Replacement, VfsError> {
        let old = match place.jail.find(place.relative)? {
            Some(metadata) if metadata.is_file() => tree::cost(&metadata),
            Some(_) => {
                return Err(VfsError::Io(io::Error::other("it is not a regular file")));
            }
            None => 0,
        };
        let new = file_cost(len);
        Ok(Replacement {
            charge: self.quota.charge(new.saturating_sub(old))?,
            freed: old.saturating_sub(new),
        })
    }

    /// Makes a file aside, fills it, and puts it at `place` in one step: a
    /// reader, or a host that is killed, sees the old content or the new.
    fn stage_and_place(
        &self,
        path: &VfsPath,
        place: &Place<'_>,
        replacement: Replacement,
        fill: impl FnOnce(&File) -> io::Result<()>,
    ) -> Result<Outcome, VfsError> {
        let (parent, name) = place.jail.parent(place.relative)?;
        let staged = self.staging_name();
        let file = self.staging.file(&staged, Open::CreateNew)?;
        let done = fill(&file).and_then(|()| self.staging.root().rename(&staged, &parent, name));
        if let Err(error) = done {
            // The next start of the node clears what this cannot.
            let _ = self.staging.root().remove_file(&staged);
            return Err(error.into());
        }
        replacement.charge.commit();
        self.synced.changed(dir_of(place.relative));
        self.quota.refund(replacement.freed);
        self.handles.replaced(path.as_str());
        Ok(Outcome::Done)
    }

    pub(crate) fn write_at_cursor(
        &self,
        path: &VfsPath,
        bytes: &Bytes,
    ) -> Result<Outcome, VfsError> {
        self.write_from(path, bytes, |cursor, _| cursor)
    }

    pub(crate) fn append(&self, path: &VfsPath, bytes: &Bytes) -> Result<Outcome, VfsError> {
        self.write_from(path, bytes, |_, len| len)
    }

    /// Writes `bytes` where `start` says, given the cursor and the length; the
    /// cursor goes to the end of what was written.
    fn write_from(
        &self,
        path: &VfsPath,
        bytes: &Bytes,
        start: impl FnOnce(u64, u64) -> u64,
    ) -> Result<Outcome, VfsError> {
        self.own_place(path)?;
        let _tree = self.tree.read();
        let _stripe = self.stripe(path);
        let (file, cursor) = self.handle(path)?;
        let end = self.write_into(&file, bytes, |len| start(cursor, len))?;
        self.handles.seek(path.as_str(), end);
        Ok(Outcome::Done)
    }

    /// Writes `bytes` where `start` says, given the length; where they end.
    /// Under the path's stripe.
    pub(super) fn write_into(
        &self,
        file: &File,
        bytes: &Bytes,
        start: impl FnOnce(u64) -> u64,
    ) -> Result<u64, VfsError> {
        let len = file.metadata()?.len();
        let start = start(len);
        let end = start.saturating_add(bytes.len() as u64);
        let charge = self.quota.charge(end.saturating_sub(len))?;
        let written = file.write_all_at(bytes, start);
        self.settle(charge, file, len)?;
        written?;
        Ok(end)
    }

    pub(crate) fn set_len(&self, path: &VfsPath, len: u64) -> Result<Outcome, VfsError> {
        self.own_place(path)?;
        let _tree = self.tree.read();
        let _stripe = self.stripe(path);
        let (file, _) = self.handle(path)?;
        let old = file.metadata()?.len();
        let charge = self.quota.charge(len.saturating_sub(old))?;
        let done = file.set_len(len);
        self.settle(charge, &file, old)?;
        done?;
        Ok(Outcome::Done)
    }

    /// Counts what a file of `old` bytes weighs after a write that may have
    /// stopped half-way.
    fn settle(&self, charge: Charge, file: &File, old: u64) -> io::Result<()> {
        let new = file.metadata()?.len();
        charge.commit_part(new.saturating_sub(old));
        self.quota.refund(old.saturating_sub(new));
        Ok(())
    }

    pub(crate) fn sync_all(&self, path: &VfsPath) -> Result<Outcome, VfsError> {
        let _tree = self.tree.read();
        let place = self.place(path);
        if place.read_only {
            return Ok(Outcome::Done);
        }
        place.jail.file(place.relative, Open::Read)?.sync_all()?;
        self.sync_above(place.relative)?;
        Ok(Outcome::Done)
    }

    pub(crate) fn remove_file(&self, path: &VfsPath) -> Result<Outcome, VfsError> {
        let place = self.own_place(path)?;
        let _tree = self.tree.read();
        let _stripe = self.stripe(path);
        let (parent, name) = place.jail.parent(place.relative)?;
        let metadata = parent.symlink_metadata(name)?;
        parent.remove_file(name)?;
        self.handles.close(path.as_str());
        self.quota.refund(tree::cost(&metadata));
        Ok(Outcome::Done)
    }
}

struct Replacement {
    /// Growth.
    charge: Charge,
    /// Shrinkage.
    freed: u64,
}

/// Copies `len` bytes, or less if `from` got shorter.
fn copy(from: &File, to: &File, len: u64) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    let mut offset = 0;
    while offset < len {
        let want = usize::try_from(len - offset).map_or(CHUNK, |left| left.min(CHUNK));
        let count = from.read_at(&mut chunk[..want], offset)?;
        if count == 0 {
            break;
        }
        to.write_all_at(&chunk[..count], offset)?;
        offset += count as u64;
    }
    Ok(())
}
