//! Actions that name their place in a file instead of using its cursor.

use std::io;

use bytes::Bytes;

use super::action::{FileType, OpenHow, Outcome, VfsError};
use super::disk::Disk;
use super::path::VfsPath;
use super::read::{kind, read_range};

impl Disk {
    /// Makes sure that something is at `path`, and tells what.
    pub(crate) fn open_as(&self, path: &VfsPath, how: OpenHow) -> Result<Outcome, VfsError> {
        let place = self.own_place(path)?;
        let _tree = self.tree.read();
        let _stripe = self.stripe(path);
        let there = place.jail.find(place.relative)?;
        let Some(metadata) = there else {
            if !how.create {
                return Err(VfsError::NotFound);
            }
            self.made(&place)?;
            return Ok(Outcome::Metadata {
                file_type: FileType::File,
                len: 0,
            });
        };
        if how.exclusive {
            return Err(VfsError::Io(io::ErrorKind::AlreadyExists.into()));
        }
        let file_type = kind(metadata.file_type());
        let mut len = metadata.len();
        if how.truncate && file_type == FileType::File {
            let (file, _) = self.handle(path)?;
            let old = file.metadata()?.len();
            file.set_len(0)?;
            self.quota.refund(old);
            len = 0;
        }
        Ok(Outcome::Metadata { file_type, len })
    }

    pub(crate) fn read_at(
        &self,
        path: &VfsPath,
        offset: u64,
        len: u64,
    ) -> Result<Outcome, VfsError> {
        let _tree = self.tree.read();
        let _stripe = self.stripe(path);
        let (file, _) = self.handle(path)?;
        let left = file.metadata()?.len().saturating_sub(offset);
        let len = len.min(left);
        let _memory = self.memory(len)?;
        Ok(Outcome::Bytes(read_range(&file, offset, len)?))
    }

    pub(crate) fn write_at(
        &self,
        path: &VfsPath,
        offset: Option<u64>,
        bytes: &Bytes,
    ) -> Result<Outcome, VfsError> {
        self.own_place(path)?;
        let _tree = self.tree.read();
        let _stripe = self.stripe(path);
        let (file, _) = self.handle(path)?;
        self.write_into(&file, bytes, |len| offset.unwrap_or(len))?;
        Ok(Outcome::Done)
    }
}
