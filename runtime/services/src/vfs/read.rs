//! Actions that read: they change nothing but a cursor.

use std::io;

use bytes::Bytes;
use cap_std::fs::{File, FileExt, FileType as StdType};
use sha2::{Digest, Sha256};

use super::action::{DirEntry, FileType, Outcome, Seek, VfsError};
use super::disk::{Disk, STAGING};
use super::jail::Open;
use super::path::VfsPath;

/// Most entries a directory listing may have.
const MAX_ENTRIES: usize = 65_536;
/// Most bytes of paths in a directory listing.
const MAX_LISTING: usize = 4 << 20;
/// Bytes hashed at a time.
const CHUNK: usize = 64 * 1024;

impl Disk {
    pub(crate) fn read(&self, path: &VfsPath) -> Result<Outcome, VfsError> {
        let _tree = self.tree.read();
        let place = self.place(path);
        let file = place.jail.file(place.relative, Open::Read)?;
        let len = file.metadata()?.len();
        let _memory = self.memory(len)?;
        Ok(Outcome::Bytes(read_range(&file, 0, len)?))
    }

    pub(crate) fn read_to_end(&self, path: &VfsPath) -> Result<Bytes, VfsError> {
        let _tree = self.tree.read();
        let _stripe = self.stripe(path);
        let (file, cursor) = self.handle(path)?;
        let left = file.metadata()?.len().saturating_sub(cursor);
        let _memory = self.memory(left)?;
        let bytes = read_range(&file, cursor, left)?;
        self.handles
            .seek(path.as_str(), cursor + bytes.len() as u64);
        Ok(bytes)
    }

    pub(crate) fn read_to_string(&self, path: &VfsPath) -> Result<Outcome, VfsError> {
        let bytes = self.read_to_end(path)?;
        match String::from_utf8(bytes.into()) {
            Ok(text) => Ok(Outcome::Text(text)),
            Err(_) => Err(VfsError::Io(io::Error::other(
                "the file is not UTF-8 text: read it as bytes",
            ))),
        }
    }

    pub(crate) fn read_exact(&self, path: &VfsPath, length: u64) -> Result<Outcome, VfsError> {
        let _tree = self.tree.read();
        let _stripe = self.stripe(path);
        let (file, cursor) = self.handle(path)?;
        let left = file.metadata()?.len().saturating_sub(cursor);
        if length > left {
            let text = format!("{length} bytes wanted, {left} left in the file");
            return Err(VfsError::Io(io::Error::other(text)));
        }
        let _memory = self.memory(length)?;
        let bytes = read_range(&file, cursor, length)?;
        self.handles
            .seek(path.as_str(), cursor + bytes.len() as u64);
        Ok(Outcome::Bytes(bytes))
    }

    pub(crate) fn seek(&self, path: &VfsPath, seek: Seek) -> Result<Outcome, VfsError> {
        let _tree = self.tree.read();
        let _stripe = self.stripe(path);
        let (file, cursor) = self.handle(path)?;
        let (base, offset) = match seek {
            Seek::Start(offset) => (offset, 0),
            Seek::End(offset) => (file.metadata()?.len(), offset),
            Seek::Current(offset) => (cursor, offset),
        };
        let Some(new) = base
            .checked_add_signed(offset)
            .filter(|new| i64::try_from(*new).is_ok())
        else {
            return Err(VfsError::Io(io::Error::other(
                "the cursor cannot go before the start or past 2^63",
            )));
        };
        self.handles.seek(path.as_str(), new);
        Ok(Outcome::Offset(new))
    }

    pub(crate) fn hash(&self, path: &VfsPath) -> Result<Outcome, VfsError> {
        let _tree = self.tree.read();
        let _stripe = self.stripe(path);
        let (file, _) = self.handle(path)?;
        let mut hasher = Sha256::new();
        let mut chunk = vec![0; CHUNK];
        let mut offset = 0;
        loop {
            let count = file.read_at(&mut chunk, offset)?;
            if count == 0 {
                break;
            }
            hasher.update(&chunk[..count]);
            offset += count as u64;
        }
        self.handles.seek(path.as_str(), offset);
        Ok(Outcome::Hash(hasher.finalize().into()))
    }

    pub(crate) fn metadata(&self, path: &VfsPath) -> Result<Outcome, VfsError> {
        let _tree = self.tree.read();
        let place = self.place(path);
        let metadata = place.jail.stat(place.relative)?;
        Ok(Outcome::Metadata {
            file_type: kind(metadata.file_type()),
            len: metadata.len(),
        })
    }

    pub(crate) fn len(&self, path: &VfsPath) -> Result<Outcome, VfsError> {
        let _tree = self.tree.read();
        let place = self.place(path);
        let file = place.jail.file(place.relative, Open::Read)?;
        Ok(Outcome::Len(file.metadata()?.len()))
    }

    pub(crate) fn read_dir(&self, path: &VfsPath) -> Result<Outcome, VfsError> {
        let _tree = self.tree.read();
        let place = self.place(path);
        let mut entries = Vec::new();
        let mut listed = 0;
        for entry in place.jail.dir(place.relative)?.entries()? {
            let entry = entry?;
            let name = entry.file_name();
            listed += path.as_str().len() + name.len();
            if entries.len() == MAX_ENTRIES || listed > MAX_LISTING {
                return Err(VfsError::Io(io::Error::other(format!(
                    "the directory has more than {MAX_ENTRIES} entries, or their paths more \
                     than {MAX_LISTING} bytes"
                ))));
            }
            entries.push(DirEntry {
                path: format!("{}/{}", path.as_str(), name.to_string_lossy()),
                file_type: kind(entry.file_type()?),
            });
        }
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Outcome::Entries(entries))
    }

    /// The packages that have drives.
    pub(crate) fn read_root(&self) -> Result<Outcome, VfsError> {
        let mut names: Vec<String> = self.overlays.packages().map(str::to_owned).collect();
        for entry in self.root.root().entries()? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name != STAGING {
                names.push(name);
            }
        }
        names.sort_unstable();
        names.dedup();
        let entry = |path| DirEntry {
            path,
            file_type: FileType::Directory,
        };
        Ok(Outcome::Entries(names.into_iter().map(entry).collect()))
    }
}

pub(super) fn kind(kind: StdType) -> FileType {
    if kind.is_symlink() {
        FileType::Symlink
    } else if kind.is_dir() {
        FileType::Directory
    } else if kind.is_file() {
        FileType::File
    } else {
        FileType::Other
    }
}

/// Up to `length` bytes of `file` from `offset`; less if it got shorter.
pub(super) fn read_range(file: &File, offset: u64, length: u64) -> io::Result<Bytes> {
    let length = usize::try_from(length).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while filled < length {
        match file.read_at(&mut bytes[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes.into())
}
