//! Files that a process reaches through WASI, in the host's own types.
//!
//! A process of the editions that have it finds one folder: its package's
//! `tmp` drive. What is behind the trait keeps to the node's quota and never
//! follows a link; this crate only translates.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

/// The folder of a process.
#[derive(Clone)]
pub struct TempDrive {
    /// Where the guest finds it, and what `TEMP_DIR` says.
    pub path: String,
    /// What is in it.
    pub files: Arc<dyn TempFiles>,
}

/// What a path stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// Neither.
    Other,
}

/// What is known of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStat {
    /// What it is.
    pub kind: FileKind,
    /// Bytes, of a file.
    pub len: u64,
}

/// How a path is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpenHow {
    /// A file is made if there is nothing.
    pub create: bool,
    /// It fails if there is something.
    pub exclusive: bool,
    /// A file is emptied.
    pub truncate: bool,
}

/// Why something was not done with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// Nothing is there.
    #[error("no such file or directory")]
    NotFound,
    /// Something is there.
    #[error("the path is taken")]
    Exists,
    /// It is no directory.
    #[error("not a directory")]
    NotDirectory,
    /// It is a directory.
    #[error("it is a directory")]
    IsDirectory,
    /// The directory has entries.
    #[error("the directory is not empty")]
    NotEmpty,
    /// The node's disk quota is used up.
    #[error("the disk quota of the node is used up")]
    Quota,
    /// The process may not.
    #[error("not permitted")]
    NotPermitted,
    /// The path or an argument is malformed.
    #[error("{0}")]
    Invalid(String),
    /// The volume failed, or the node is stopping.
    #[error("{0}")]
    Io(String),
}

/// The files of one drive. Paths are relative to it, in normal form, and
/// empty for the drive itself.
#[async_trait]
pub trait TempFiles: Send + Sync {
    /// Makes the drive if it is absent.
    async fn prepare(&self) -> Result<(), FileError>;
    /// What is at `path`.
    async fn stat(&self, path: &str) -> Result<FileStat, FileError>;
    /// Names in a directory.
    async fn list(&self, path: &str) -> Result<Vec<(String, FileKind)>, FileError>;
    /// Makes sure that `path` is there as `how` says; what it is.
    async fn open(&self, path: &str, how: OpenHow) -> Result<FileKind, FileError>;
    /// At most `len` bytes from `offset`; none at the end.
    async fn read(&self, path: &str, offset: u64, len: u64) -> Result<Bytes, FileError>;
    /// Writes all of `bytes` at `offset`, or at the end.
    async fn write(&self, path: &str, offset: Option<u64>, bytes: Bytes) -> Result<(), FileError>;
    /// Shortens or extends a file.
    async fn set_len(&self, path: &str, len: u64) -> Result<(), FileError>;
    /// Makes a file's content survive a power cut.
    async fn sync(&self, path: &str) -> Result<(), FileError>;
    /// Makes a directory.
    async fn make_dir(&self, path: &str) -> Result<(), FileError>;
    /// Removes an empty directory.
    async fn remove_dir(&self, path: &str) -> Result<(), FileError>;
    /// Removes a file.
    async fn remove_file(&self, path: &str) -> Result<(), FileError>;
    /// Moves a file or directory.
    async fn rename(&self, from: &str, to: &str) -> Result<(), FileError>;
}
