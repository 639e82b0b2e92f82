//! The `tmp` drive of a package, as its processes find it through WASI.
//!
//! All of it goes through the file system module: its rights, its quota, its
//! locks. Holds the module weakly: a stopping node has no files.

use std::io::ErrorKind;
use std::sync::Weak;

use async_trait::async_trait;
use bytes::Bytes;
use node_engine::{FileError, FileKind, FileStat, OpenHow, TempFiles};
use node_services::vfs::{self, Action, Caller, FileType, Outcome, Vfs, VfsError};
use node_types::ProcessId;

/// See the module's documentation.
pub(crate) struct Temp {
    vfs: Weak<Vfs>,
    caller: Caller,
    /// `/package:publisher/tmp`.
    drive: String,
}

impl Temp {
    pub(crate) fn new(vfs: Weak<Vfs>, process: &ProcessId) -> Self {
        Self {
            vfs,
            caller: Caller::Process(process.clone()),
            drive: drive_of(process),
        }
    }

    async fn act(
        &self,
        path: &str,
        action: Action,
        bytes: Option<Bytes>,
    ) -> Result<Outcome, FileError> {
        let Some(vfs) = self.vfs.upgrade() else {
            return Err(FileError::Io("the node is stopping".to_owned()));
        };
        let path = self.full(path);
        let done = vfs.perform(&self.caller, &path, action, bytes).await;
        done.map_err(|error| told(&error))
    }

    /// The same, with a path that is not the drive's own.
    async fn change(&self, path: &str, action: Action) -> Result<(), FileError> {
        if path.is_empty() {
            return Err(FileError::NotPermitted);
        }
        self.act(path, action, None).await.map(drop)
    }

    fn full(&self, path: &str) -> String {
        if path.is_empty() {
            self.drive.clone()
        } else {
            format!("{}/{path}", self.drive)
        }
    }
}

/// The drive of a process' package.
pub(crate) fn drive_of(process: &ProcessId) -> String {
    format!("/{}/tmp", process.package_id())
}

fn told(error: &VfsError) -> FileError {
    match error {
        VfsError::NotFound => FileError::NotFound,
        VfsError::Quota(_) => FileError::Quota,
        VfsError::NoReadCap | VfsError::NoWriteCap | VfsError::ReadOnly => FileError::NotPermitted,
        VfsError::Path(error) => FileError::Invalid(error.to_string()),
        VfsError::Io(error) => match error.kind() {
            ErrorKind::AlreadyExists => FileError::Exists,
            ErrorKind::NotADirectory => FileError::NotDirectory,
            ErrorKind::IsADirectory => FileError::IsDirectory,
            ErrorKind::DirectoryNotEmpty => FileError::NotEmpty,
            _ => FileError::Io(error.to_string()),
        },
        other => FileError::Io(other.to_string()),
    }
}

fn kind(kind: FileType) -> FileKind {
    match kind {
        FileType::File => FileKind::File,
        FileType::Directory => FileKind::Directory,
        FileType::Symlink | FileType::Other => FileKind::Other,
    }
}

fn stat(outcome: &Outcome) -> Result<FileStat, FileError> {
    match outcome {
        Outcome::Metadata { file_type, len } => Ok(FileStat {
            kind: kind(*file_type),
            len: *len,
        }),
        other => Err(unexpected(other)),
    }
}

fn unexpected(outcome: &Outcome) -> FileError {
    tracing::error!("the file system answered a call for files with {outcome:?}");
    FileError::Io("the file system failed; try again".to_owned())
}

#[async_trait]
impl TempFiles for Temp {
    async fn prepare(&self) -> Result<(), FileError> {
        self.act("", Action::CreateDirAll, None).await.map(drop)
    }

    async fn stat(&self, path: &str) -> Result<FileStat, FileError> {
        stat(&self.act(path, Action::Metadata, None).await?)
    }

    async fn list(&self, path: &str) -> Result<Vec<(String, FileKind)>, FileError> {
        let entries = match self.act(path, Action::ReadDir, None).await? {
            Outcome::Entries(entries) => entries,
            other => return Err(unexpected(&other)),
        };
        let named = entries.into_iter().filter_map(|entry| {
            let (_, name) = entry.path.rsplit_once('/')?;
            Some((name.to_owned(), kind(entry.file_type)))
        });
        Ok(named.collect())
    }

    async fn open(&self, path: &str, how: OpenHow) -> Result<FileKind, FileError> {
        let how = vfs::OpenHow {
            create: how.create,
            exclusive: how.exclusive,
            truncate: how.truncate,
        };
        let outcome = self.act(path, Action::Open(how), None).await?;
        Ok(stat(&outcome)?.kind)
    }

    async fn read(&self, path: &str, offset: u64, len: u64) -> Result<Bytes, FileError> {
        match self.act(path, Action::ReadAt { offset, len }, None).await? {
            Outcome::Bytes(bytes) => Ok(bytes),
            other => Err(unexpected(&other)),
        }
    }

    async fn write(&self, path: &str, offset: Option<u64>, bytes: Bytes) -> Result<(), FileError> {
        let action = Action::WriteAt { offset };
        self.act(path, action, Some(bytes)).await.map(drop)
    }

    async fn set_len(&self, path: &str, len: u64) -> Result<(), FileError> {
        self.change(path, Action::SetLen(len)).await
    }

    async fn sync(&self, path: &str) -> Result<(), FileError> {
        self.change(path, Action::SyncAll).await
    }

    async fn make_dir(&self, path: &str) -> Result<(), FileError> {
        self.change(path, Action::CreateDir).await
    }

    async fn remove_dir(&self, path: &str) -> Result<(), FileError> {
        self.change(path, Action::RemoveDir).await
    }

    async fn remove_file(&self, path: &str) -> Result<(), FileError> {
        self.change(path, Action::RemoveFile).await
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), FileError> {
        if to.is_empty() {
            return Err(FileError::NotPermitted);
        }
        let new_path = self.full(to);
        self.change(from, Action::Rename { new_path }).await
    }
}
