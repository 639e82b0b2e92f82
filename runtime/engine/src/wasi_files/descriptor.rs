//! What guests do with open files and directories.

use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream};

use super::Failed;
use super::paths::resolve;
use super::streams::{Reader, Writer};
use super::types::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode,
    HostDescriptor, HostDirectoryEntryStream, MetadataHashValue, NewTimestamp, OpenFlags,
    PathFlags,
};
use crate::files::{FileKind, FileStat, OpenHow};
use crate::guest::Guest;

/// Most bytes of one read.
const MAX_READ: u64 = 1 << 20;
/// Most bytes of names in a directory that is listed.
const MAX_NAMES: usize = 1 << 20;
/// What an entry costs beside its name.
const ENTRY: usize = 32;
/// Directories of one process being listed at the same time.
const MAX_LISTINGS: usize = 4;

/// An open file or directory: its path from the drive.
#[derive(Debug, Clone)]
pub struct Opened {
    pub(super) path: String,
    pub(super) kind: FileKind,
    pub(super) flags: DescriptorFlags,
}

/// What is left to tell of a directory.
#[derive(Debug)]
pub struct Entries(std::vec::IntoIter<(String, FileKind)>);

type Fd = Resource<Opened>;
type Done<T = ()> = Result<T, Failed>;

impl Opened {
    fn directory(&self) -> Result<&str, ErrorCode> {
        match self.kind {
            FileKind::Directory => Ok(&self.path),
            FileKind::File | FileKind::Other => Err(ErrorCode::NotDirectory),
        }
    }

    fn file(&self, needs: DescriptorFlags) -> Result<&str, ErrorCode> {
        if self.kind == FileKind::Directory {
            return Err(ErrorCode::IsDirectory);
        }
        if !self.flags.contains(needs) {
            return Err(ErrorCode::BadDescriptor);
        }
        Ok(&self.path)
    }
}

fn type_of(kind: FileKind) -> DescriptorType {
    match kind {
        FileKind::File => DescriptorType::RegularFile,
        FileKind::Directory => DescriptorType::Directory,
        FileKind::Other => DescriptorType::Unknown,
    }
}

fn told(stat: FileStat) -> DescriptorStat {
    DescriptorStat {
        type_: type_of(stat.kind),
        link_count: 1,
        size: stat.len,
        data_access_timestamp: None,
        data_modification_timestamp: None,
        status_change_timestamp: None,
    }
}

/// The identity of what is at `path`: two paths are two things.
fn identity(path: &str) -> MetadataHashValue {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, path).hash(&mut hasher);
        hasher.finish()
    };
    MetadataHashValue {
        lower: half(0),
        upper: half(1),
    }
}

impl Guest {
    fn opened(&self, fd: &Fd) -> Done<&Opened> {
        Ok(self.resources.get(fd)?)
    }

    /// The path that `path` means to the directory `fd`.
    fn path_at(&self, fd: &Fd, path: &str) -> Done<String> {
        Ok(resolve(self.opened(fd)?.directory()?, path)?)
    }

    fn file(&self, fd: &Fd, needs: DescriptorFlags) -> Done<String> {
        Ok(self.opened(fd)?.file(needs)?.to_owned())
    }

    fn writer(&mut self, fd: &Fd, offset: Option<u64>) -> Done<Resource<DynOutputStream>> {
        let path = self.file(fd, DescriptorFlags::WRITE)?;
        let place = self.streams.place()?;
        let writer = Writer::new(self.files()?, &path, offset, place);
        let stream: DynOutputStream = Box::new(writer);
        Ok(self.resources.push(stream)?)
    }
}

impl HostDescriptor for Guest {
    async fn read_via_stream(&mut self, fd: Fd, offset: u64) -> Done<Resource<DynInputStream>> {
        let path = self.file(&fd, DescriptorFlags::READ)?;
        let place = self.streams.place()?;
        let reader = Reader::new(self.files()?, path, offset, place);
        let stream: DynInputStream = Box::new(reader);
        Ok(self.resources.push(stream)?)
    }

    async fn write_via_stream(&mut self, fd: Fd, offset: u64) -> Done<Resource<DynOutputStream>> {
        self.writer(&fd, Some(offset))
    }

    async fn append_via_stream(&mut self, fd: Fd) -> Done<Resource<DynOutputStream>> {
        self.writer(&fd, None)
    }

    async fn advise(&mut self, fd: Fd, _: u64, _: u64, _: Advice) -> Done {
        // Nothing to prepare.
        self.file(&fd, DescriptorFlags::empty())?;
        Ok(())
    }

    async fn sync_data(&mut self, fd: Fd) -> Done {
        self.sync(fd).await
    }

    async fn get_flags(&mut self, fd: Fd) -> Done<DescriptorFlags> {
        Ok(self.opened(&fd)?.flags)
    }

    async fn get_type(&mut self, fd: Fd) -> Done<DescriptorType> {
        Ok(type_of(self.opened(&fd)?.kind))
    }

    async fn set_size(&mut self, fd: Fd, size: u64) -> Done {
        let path = self.file(&fd, DescriptorFlags::WRITE)?;
        Ok(self.files()?.set_len(&path, size).await?)
    }

    async fn set_times(&mut self, fd: Fd, _: NewTimestamp, _: NewTimestamp) -> Done {
        self.opened(&fd)?;
        Err(ErrorCode::Unsupported.into())
    }

    async fn read(&mut self, fd: Fd, length: u64, offset: u64) -> Done<(Vec<u8>, bool)> {
        let path = self.file(&fd, DescriptorFlags::READ)?;
        let wanted = length.min(MAX_READ);
        let bytes = self.files()?.read(&path, offset, wanted).await?;
        let ended = (bytes.len() as u64) < wanted;
        Ok((bytes.into(), ended))
    }

    async fn write(&mut self, fd: Fd, buffer: Vec<u8>, offset: u64) -> Done<u64> {
        let path = self.file(&fd, DescriptorFlags::WRITE)?;
        let bytes = Bytes::from(buffer);
        let length = bytes.len() as u64;
        self.files()?.write(&path, Some(offset), bytes).await?;
        Ok(length)
    }

    async fn read_directory(&mut self, fd: Fd) -> Done<Resource<Entries>> {
        let path = self.opened(&fd)?.directory()?.to_owned();
        if self.listings >= MAX_LISTINGS {
            return Err(ErrorCode::InsufficientMemory.into());
        }
        let entries = self.files()?.list(&path).await?;
        let bytes: usize = entries.iter().map(|(name, _)| ENTRY + name.len()).sum();
        if bytes > MAX_NAMES {
            return Err(ErrorCode::InsufficientMemory.into());
        }
        let entries = self.resources.push(Entries(entries.into_iter()))?;
        self.listings += 1;
        Ok(entries)
    }

    async fn sync(&mut self, fd: Fd) -> Done {
        let opened = self.opened(&fd)?.clone();
        if opened.kind == FileKind::Directory {
            return Ok(());
        }
        Ok(self.files()?.sync(&opened.path).await?)
    }

    async fn create_directory_at(&mut self, fd: Fd, path: String) -> Done {
        let path = self.path_at(&fd, &path)?;
        Ok(self.files()?.make_dir(&path).await?)
    }

    async fn stat(&mut self, fd: Fd) -> Done<DescriptorStat> {
        let path = self.opened(&fd)?.path.clone();
        Ok(told(self.files()?.stat(&path).await?))
    }

    async fn stat_at(&mut self, fd: Fd, _: PathFlags, path: String) -> Done<DescriptorStat> {
        let path = self.path_at(&fd, &path)?;
        Ok(told(self.files()?.stat(&path).await?))
    }

    async fn set_times_at(
        &mut self,
        fd: Fd,
        _: PathFlags,
        path: String,
        _: NewTimestamp,
        _: NewTimestamp,
    ) -> Done {
        self.path_at(&fd, &path)?;
        Err(ErrorCode::Unsupported.into())
    }

    async fn link_at(&mut self, _: Fd, _: PathFlags, _: String, _: Fd, _: String) -> Done {
        Err(ErrorCode::NotPermitted.into())
    }

    async fn open_at(
        &mut self,
        fd: Fd,
        _: PathFlags,
        path: String,
        open: OpenFlags,
        flags: DescriptorFlags,
    ) -> Done<Fd> {
        let directory = open.contains(OpenFlags::DIRECTORY);
        let how = OpenHow {
            create: open.contains(OpenFlags::CREATE) && !directory,
            exclusive: open.contains(OpenFlags::EXCLUSIVE),
            truncate: open.contains(OpenFlags::TRUNCATE),
        };
        let asked = path;
        let path = self.path_at(&fd, &asked)?;
        let kind = self.files()?.open(&path, how).await?;
        if kind != FileKind::Directory && (directory || asked.ends_with('/')) {
            return Err(ErrorCode::NotDirectory.into());
        }
        if kind == FileKind::Directory && (how.truncate || flags.contains(DescriptorFlags::WRITE)) {
            return Err(ErrorCode::IsDirectory.into());
        }
        let flags = match kind {
            FileKind::Directory => flags | DescriptorFlags::MUTATE_DIRECTORY,
            FileKind::File | FileKind::Other => flags,
        };
        Ok(self.resources.push(Opened { path, kind, flags })?)
    }

    async fn readlink_at(&mut self, fd: Fd, path: String) -> Done<String> {
        let path = self.path_at(&fd, &path)?;
        self.files()?.stat(&path).await?;
        // There are no links.
        Err(ErrorCode::Invalid.into())
    }

    async fn remove_directory_at(&mut self, fd: Fd, path: String) -> Done {
        let path = self.path_at(&fd, &path)?;
        Ok(self.files()?.remove_dir(&path).await?)
    }

    async fn rename_at(&mut self, fd: Fd, from: String, new_fd: Fd, to: String) -> Done {
        let (from, to) = (self.path_at(&fd, &from)?, self.path_at(&new_fd, &to)?);
        Ok(self.files()?.rename(&from, &to).await?)
    }

    async fn symlink_at(&mut self, _: Fd, _: String, _: String) -> Done {
        Err(ErrorCode::NotPermitted.into())
    }

    async fn unlink_file_at(&mut self, fd: Fd, path: String) -> Done {
        let path = self.path_at(&fd, &path)?;
        Ok(self.files()?.remove_file(&path).await?)
    }

    async fn is_same_object(&mut self, fd: Fd, other: Fd) -> wasmtime::Result<bool> {
        Ok(self.resources.get(&fd)?.path == self.resources.get(&other)?.path)
    }

    async fn metadata_hash(&mut self, fd: Fd) -> Done<MetadataHashValue> {
        Ok(identity(&self.opened(&fd)?.path))
    }

    async fn metadata_hash_at(
        &mut self,
        fd: Fd,
        _: PathFlags,
        path: String,
    ) -> Done<MetadataHashValue> {
        let path = self.path_at(&fd, &path)?;
        self.files()?.stat(&path).await?;
        Ok(identity(&path))
    }

    async fn drop(&mut self, fd: Fd) -> wasmtime::Result<()> {
        self.resources.delete(fd)?;
        Ok(())
    }
}

impl HostDirectoryEntryStream for Guest {
    async fn read_directory_entry(
        &mut self,
        entries: Resource<Entries>,
    ) -> Done<Option<DirectoryEntry>> {
        let next = self.resources.get_mut(&entries)?.0.next();
        Ok(next.map(|(name, kind)| DirectoryEntry {
            type_: type_of(kind),
            name,
        }))
    }

    async fn drop(&mut self, entries: Resource<Entries>) -> wasmtime::Result<()> {
        self.resources.delete(entries)?;
        self.listings -= 1;
        Ok(())
    }
}
