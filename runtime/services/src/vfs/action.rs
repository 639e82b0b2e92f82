//! What can be asked of the file system, and what comes of it, in no dialect.

use std::io;

use bytes::Bytes;

use super::path::PathError;
use crate::quota::QuotaExceeded;

/// Where a cursor goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seek {
    /// From the start of the file.
    Start(u64),
    /// From its end.
    End(i64),
    /// From where it is.
    Current(i64),
}

/// What is done with a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Makes a drive and gives the caller the rights to it.
    CreateDrive,
    /// Makes a directory.
    CreateDir,
    /// Makes a directory and those above it.
    CreateDirAll,
    /// Makes a file, or empties it.
    CreateFile,
    /// Opens a file, cursor at its start.
    OpenFile {
        /// Makes the file if it is absent.
        create: bool,
    },
    /// Closes a file and forgets its cursor.
    CloseFile,
    /// Replaces a file's content.
    Write,
    /// Writes at the cursor.
    WriteAll,
    /// Writes at the end.
    Append,
    /// Makes a file's content survive a power cut.
    SyncAll,
    /// The whole content.
    Read,
    /// The entries of a directory.
    ReadDir,
    /// The content from the cursor on.
    ReadToEnd,
    /// So many bytes from the cursor on.
    ReadExact(u64),
    /// The text from the cursor on.
    ReadToString,
    /// Moves the cursor.
    Seek(Seek),
    /// Removes a file.
    RemoveFile,
    /// Removes an empty directory.
    RemoveDir,
    /// Removes a directory and what is in it.
    RemoveDirAll,
    /// Moves a file or directory.
    Rename {
        /// To where.
        new_path: String,
    },
    /// Copies a file.
    CopyFile {
        /// To where.
        new_path: String,
    },
    /// What is at the path.
    Metadata,
    /// Unpacks an archive into a directory.
    AddZip,
    /// Bytes in a file.
    Len,
    /// Shortens or extends a file.
    SetLen(u64),
    /// SHA-256 of a file; the cursor goes to its end.
    Hash,
    /// Makes sure that something is there. Like the two that follow, for files
    /// that are not reached by messages: no message says so, and no cursor is
    /// concerned.
    Open(OpenHow),
    /// At most so many bytes from an offset on.
    ReadAt {
        /// Where.
        offset: u64,
        /// How many at most.
        len: u64,
    },
    /// Writes at an offset, or at the end.
    WriteAt {
        /// Where.
        offset: Option<u64>,
    },
}

/// How [`Action::Open`] opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpenHow {
    /// A file is made if there is nothing.
    pub create: bool,
    /// It fails if there is something.
    pub exclusive: bool,
    /// A file is emptied.
    pub truncate: bool,
}

/// What kind of thing is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub enum FileType {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link; never followed.
    Symlink,
    /// Something else.
    Other,
}

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct DirEntry {
    /// Its path from the root, without a leading slash.
    pub path: String,
    /// What it is.
    pub file_type: FileType,
}

/// What an action yields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Done,
    /// Bytes of a file.
    Bytes(Bytes),
    /// Entries of a directory, by name.
    Entries(Vec<DirEntry>),
    /// Text of a file.
    Text(String),
    /// Where the cursor is now.
    Offset(u64),
    /// What is there.
    Metadata {
        /// Kind.
        file_type: FileType,
        /// Bytes.
        len: u64,
    },
    /// Bytes in a file.
    Len(u64),
    /// SHA-256.
    Hash([u8; 32]),
}

/// Why an action was not done; its text says what to do where that helps.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VfsError {
    /// The caller may not read the drive.
    #[error("no right to read this drive")]
    NoReadCap,
    /// The caller may not write to the drive.
    #[error("no right to write to this drive")]
    NoWriteCap,
    /// The request is not one of this module.
    #[error("request not understood: {0}")]
    Malformed(String),
    /// The action needs bytes and the message had none.
    #[error("the request lacks a blob")]
    NoBlob,
    /// The path is malformed.
    #[error(transparent)]
    Path(#[from] PathError),
    /// Nothing is there.
    #[error("no such file or directory")]
    NotFound,
    /// The drive belongs to the host's own packages.
    #[error("this drive comes with the host and is read-only")]
    ReadOnly,
    /// The archive is refused.
    #[error("the archive was refused: {0}")]
    Zip(String),
    /// The node's disk is full.
    #[error(transparent)]
    Quota(#[from] QuotaExceeded),
    /// More than a blob may hold.
    #[error("{len} bytes are more than one message may carry ({most}): read in pieces")]
    TooLarge {
        /// Bytes asked for.
        len: u64,
        /// Bytes allowed.
        most: u64,
    },
    /// The volume or the file says no.
    #[error("{0}")]
    Io(io::Error),
}

impl From<io::Error> for VfsError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound {
            return Self::NotFound;
        }
        Self::Io(error)
    }
}

/// The rights an action needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Read,
    Write,
    /// The drive's own package, or root.
    Own,
}

impl Action {
    /// The action's public name.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::CreateDrive => "CreateDrive",
            Self::CreateDir => "CreateDir",
            Self::CreateDirAll => "CreateDirAll",
            Self::CreateFile => "CreateFile",
            Self::OpenFile { .. } => "OpenFile",
            Self::CloseFile => "CloseFile",
            Self::Write => "Write",
            Self::WriteAll => "WriteAll",
            Self::Append => "Append",
            Self::SyncAll => "SyncAll",
            Self::Read => "Read",
            Self::ReadDir => "ReadDir",
            Self::ReadToEnd => "ReadToEnd",
            Self::ReadExact(_) => "ReadExact",
            Self::ReadToString => "ReadToString",
            Self::Seek(_) => "Seek",
            Self::RemoveFile => "RemoveFile",
            Self::RemoveDir => "RemoveDir",
            Self::RemoveDirAll => "RemoveDirAll",
            Self::Rename { .. } => "Rename",
            Self::CopyFile { .. } => "CopyFile",
            Self::Metadata => "Metadata",
            Self::AddZip => "AddZip",
            Self::Len => "Len",
            Self::SetLen(_) => "SetLen",
            Self::Hash => "Hash",
            Self::Open(_) => "Open",
            Self::ReadAt { .. } => "ReadAt",
            Self::WriteAt { .. } => "WriteAt",
        }
    }

    /// What the caller must be allowed to do with the path.
    pub(crate) fn need(&self) -> Need {
        match self {
            Self::CreateDrive => Need::Own,
            Self::Read
            | Self::ReadDir
            | Self::ReadExact(_)
            | Self::ReadToEnd
            | Self::ReadToString
            | Self::Seek(_)
            | Self::Hash
            | Self::ReadAt { .. }
            | Self::Metadata
            | Self::Len => Need::Read,
            _ => Need::Write,
        }
    }

    /// The other path that is written to, if there is one.
    pub(crate) fn new_path(&self) -> Option<&str> {
        match self {
            Self::Rename { new_path } | Self::CopyFile { new_path } => Some(new_path),
            _ => None,
        }
    }

    /// Whether the disk usage may change.
    pub(crate) fn changes_usage(&self) -> bool {
        self.need() != Need::Read && !matches!(self, Self::CloseFile | Self::SyncAll)
    }
}
