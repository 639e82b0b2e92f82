//! A directory that nothing opened through it can leave.
//!
//! The kernel resolves each path with `RESOLVE_BENEATH` and
//! `RESOLVE_NO_SYMLINKS`, so neither `..` nor a link planted by whatever means,
//! nor a rename during the resolution, leads outside.

use std::io;
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, File, Metadata};
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;

/// Attempts when something is renamed during a resolution.
const ATTEMPTS: usize = 16;
/// Files are the host's alone.
const FILE_MODE: Mode = Mode::from_raw_mode(0o600);

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Open {
    /// For reading; it must exist.
    Read,
    /// For reading and writing; it must exist.
    Write,
    /// For reading and writing; it must be absent.
    CreateNew,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Jail(Dir);

impl Jail {
    /// The directory at `path` of the host.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(Dir::open_ambient_dir(path, ambient_authority())?))
    }

    /// The directory `dir`.
    pub(crate) fn new(dir: Dir) -> Self {
        Self(dir)
    }

    /// The directory itself.
    pub(crate) fn root(&self) -> &Dir {
        &self.0
    }

    /// The directory at `relative`; empty for the jail's own.
    pub(crate) fn dir(&self, relative: &str) -> io::Result<Dir> {
        open_dir(&self.0, relative)
    }

    /// The regular file at `relative`.
    pub(crate) fn file(&self, relative: &str, how: Open) -> io::Result<File> {
        let flags = match how {
            Open::Read => OFlags::RDONLY,
            Open::Write => OFlags::RDWR,
            Open::CreateNew => OFlags::RDWR | OFlags::CREATE | OFlags::EXCL,
        };
        let mode = match how {
            Open::Read | Open::Write => Mode::empty(),
            Open::CreateNew => FILE_MODE,
        };
        // Opening a planted pipe must not wait for its other end.
        let flags = flags | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = File::from(resolve(&self.0, relative, flags, mode)?);
        let kind = file.metadata()?.file_type();
        if kind.is_dir() {
            return Err(Errno::ISDIR.into());
        }
        if !kind.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        Ok(file)
    }

    /// The directory that `relative` is in, and its name there.
    pub(crate) fn parent<'a>(&self, relative: &'a str) -> io::Result<(Dir, &'a str)> {
        let (parent, name) = relative.rsplit_once('/').unwrap_or(("", relative));
        if name.is_empty() {
            return Err(Errno::INVAL.into());
        }
        Ok((self.dir(parent)?, name))
    }

    /// What is at `relative`, without following a link.
    pub(crate) fn stat(&self, relative: &str) -> io::Result<Metadata> {
        if relative.is_empty() {
            return self.0.dir_metadata();
        }
        let (parent, name) = self.parent(relative)?;
        parent.symlink_metadata(name)
    }

    /// What is at `relative`, or `None` if nothing is.
    pub(crate) fn find(&self, relative: &str) -> io::Result<Option<Metadata>> {
        match self.stat(relative) {
            Ok(metadata) => Ok(Some(metadata)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The directory at `relative` beneath `dir`; empty for `dir` itself.
pub(crate) fn open_dir(dir: &Dir, relative: &str) -> io::Result<Dir> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    resolve(dir, relative, flags, Mode::empty()).map(Dir::from)
}

fn resolve(dir: &Dir, relative: &str, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
    let path = if relative.is_empty() { "." } else { relative };
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let mut attempts = 0;
    loop {
        match openat2(dir, path, flags | OFlags::CLOEXEC, mode, how) {
            Ok(fd) => return Ok(fd),
            Err(Errno::AGAIN | Errno::INTR) if attempts < ATTEMPTS => attempts += 1,
            Err(Errno::LOOP) => {
                return Err(io::Error::other("symbolic links are not followed"));
            }
            Err(error) => return Err(error.into()),
        }
    }
}
