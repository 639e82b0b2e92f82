//! The files of one node, as blocking calls.
//!
//! Owns the node's directory, the read-only drives it shares with others, the
//! open files and the locks. **Lock order**: `walking`, then `tree`, then
//! `stripes` (at most one at a time), then the table of handles. Moving or
//! removing a directory takes `tree` alone; everything else shares it and takes
//! the stripe of its path, so what is counted for a file is what it weighs.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use cap_std::fs::File;
use parking_lot::{Mutex, MutexGuard, RwLock};

use super::action::{Action, Outcome, VfsError};
use super::handles::Handles;
use super::jail::{Jail, Open, open_dir};
use super::path::VfsPath;
use super::synced::{self, Synced};
use super::tree;
use crate::quota::DiskQuota;

/// Where things are made before they take their place. No package is called
/// so: a package's name has a colon.
pub(crate) const STAGING: &str = ".staging";
/// Locks that paths share.
const STRIPES: usize = 64;
/// Larger contents are read one at a time, so that one node's reads under way
/// hold little memory.
const LARGE: u64 = 4 << 20;
/// Stands for the host's directories above the node's among those that are
/// known to be synced; no path is called so.
const HOST: &str = "/";

/// Drives that come with the host: one read-only directory each for all nodes.
/// Clones are the same drives.
#[derive(Debug, Clone, Default)]
pub struct Overlays(Arc<HashMap<String, Jail>>);

impl Overlays {
    /// Opens the directories of drives, named like `terminal:sys/pkg`.
    ///
    /// # Errors
    /// When one of them is no drive or cannot be opened.
    pub fn open(drives: &HashMap<String, PathBuf>) -> io::Result<Self> {
        let mut opened = HashMap::new();
        for (drive, directory) in drives {
            let is_drive = matches!(
                super::path::Target::parse(drive),
                Ok(super::path::Target::Inside(path)) if path.drive() == drive
            );
            if !is_drive {
                return Err(io::Error::other(format!(
                    "`{drive}` is not a drive: write package:publisher/drive"
                )));
            }
            opened.insert(drive.clone(), Jail::open(directory)?);
        }
        Ok(Self(Arc::new(opened)))
    }

    /// The packages that have a drive here.
    pub(crate) fn packages(&self) -> impl Iterator<Item = &str> {
        self.0
            .keys()
            .filter_map(|drive| drive.split_once('/'))
            .map(|(package, _)| package)
    }
}

/// Where a path is on disk.
pub(crate) struct Place<'a> {
    pub(crate) jail: &'a Jail,
    pub(crate) relative: &'a str,
    pub(crate) read_only: bool,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) root: Jail,
    pub(crate) staging: Jail,
    pub(crate) overlays: Overlays,
    pub(crate) handles: Handles,
    pub(crate) quota: Arc<DiskQuota>,
    pub(crate) max_blob: u64,
    pub(crate) tree: RwLock<()>,
    pub(crate) synced: Synced,
    /// The host's directories that the node's is found by.
    host_dirs: Vec<PathBuf>,
    /// Held by whoever walks a directory tree: a walk keeps two descriptors
    /// open for every level.
    walking: Mutex<()>,
    stripes: Vec<Mutex<()>>,
    hasher: RandomState,
    large: Mutex<()>,
    staged: AtomicU64,
    /// Begins the names there: what an earlier life left at work never takes a
    /// name of this one.
    life: u64,
}

impl Disk {
    pub(crate) fn open(
        root: &Path,
        overlays: Overlays,
        quota: Arc<DiskQuota>,
        max_blob: u64,
        life: u64,
    ) -> io::Result<Self> {
        std::fs::create_dir_all(root)?;
        let above = root.ancestors().skip(1).take(2);
        let host_dirs = above.filter(|dir| !dir.as_os_str().is_empty());
        let host_dirs = host_dirs.map(Path::to_owned).collect();
        let root = Jail::open(root)?;
        match root.root().create_dir(STAGING) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let staging = Jail::new(root.dir(STAGING)?);
        Ok(Self {
            root,
            staging,
            overlays,
            handles: Handles::default(),
            quota,
            max_blob,
            tree: RwLock::new(()),
            synced: Synced::default(),
            host_dirs,
            walking: Mutex::new(()),
            stripes: (0..STRIPES).map(|_| Mutex::new(())).collect(),
            hasher: RandomState::new(),
            large: Mutex::new(()),
            staged: AtomicU64::new(0),
            life,
        })
    }

    /// Clears what a killed host left half-made and counts what is there.
    /// Before the first change.
    pub(crate) fn measure(&self) -> io::Result<u64> {
        let _walk = self.walk();
        tree::empty(self.staging.root(), &mut |_| {})?;
        let weight = tree::weigh(self.root.root(), &|name| name != STAGING)?;
        Ok(weight.bytes)
    }

    /// Does `action` with `path`; `new_path` is the other path of actions that
    /// have one.
    pub(crate) fn perform(
        &self,
        path: &VfsPath,
        action: &Action,
        new_path: Option<&VfsPath>,
        blob: Option<&Bytes>,
    ) -> Result<Outcome, VfsError> {
        let bytes = || blob.ok_or(VfsError::NoBlob);
        let other = || new_path.ok_or_else(|| VfsError::Malformed("no new_path".to_owned()));
        match action {
            Action::CreateDrive => self.create_drive(path),
            Action::CreateDirAll => self.create_dir_all(path),
            Action::CreateDir => self.create_dir(path),
            Action::CreateFile => self.create_file(path),
            Action::OpenFile { create } => self.open_file(path, *create),
            Action::CloseFile => {
                self.handles.close(path.as_str());
                Ok(Outcome::Done)
            }
            Action::Write => self.write(path, bytes()?),
            Action::WriteAll => self.write_at_cursor(path, bytes()?),
            Action::Append => self.append(path, bytes()?),
            Action::SyncAll => self.sync_all(path),
            Action::Read => self.read(path),
            Action::ReadDir => self.read_dir(path),
            Action::ReadToEnd => self.read_to_end(path).map(Outcome::Bytes),
            Action::ReadExact(length) => self.read_exact(path, *length),
            Action::ReadToString => self.read_to_string(path),
            Action::Seek(seek) => self.seek(path, *seek),
            Action::RemoveFile => self.remove_file(path),
            Action::RemoveDir => self.remove_dir(path),
            Action::RemoveDirAll => self.remove_dir_all(path),
            Action::Rename { .. } => self.rename(path, other()?),
            Action::CopyFile { .. } => self.copy_file(path, other()?),
            Action::Metadata => self.metadata(path),
            Action::AddZip => self.add_zip(path, bytes()?),
            Action::Len => self.len(path),
            Action::SetLen(len) => self.set_len(path, *len),
            Action::Hash => self.hash(path),
            Action::Open(how) => self.open_as(path, *how),
            Action::ReadAt { offset, len } => self.read_at(path, *offset, *len),
            Action::WriteAt { offset } => self.write_at(path, *offset, bytes()?),
        }
    }

    /// Where `path` is.
    pub(crate) fn place<'a>(&'a self, path: &'a VfsPath) -> Place<'a> {
        match self.overlays.0.get(path.drive()) {
            Some(jail) => Place {
                jail,
                relative: path.in_drive(),
                read_only: true,
            },
            None => Place {
                jail: &self.root,
                relative: path.as_str(),
                read_only: false,
            },
        }
    }

    /// Where `path` is, to change it.
    pub(crate) fn own_place<'a>(&'a self, path: &'a VfsPath) -> Result<Place<'a>, VfsError> {
        let place = self.place(path);
        if place.read_only {
            return Err(VfsError::ReadOnly);
        }
        Ok(place)
    }

    /// The lock of `path` among those that share the tree.
    pub(crate) fn stripe(&self, path: &VfsPath) -> MutexGuard<'_, ()> {
        let hash = self.hasher.hash_one(path.as_str());
        self.stripes[(hash % STRIPES as u64) as usize].lock()
    }

    /// Held while `len` bytes of content are read into memory.
    pub(crate) fn memory(&self, len: u64) -> Result<Option<MutexGuard<'_, ()>>, VfsError> {
        if len > self.max_blob {
            return Err(VfsError::TooLarge {
                len,
                most: self.max_blob,
            });
        }
        Ok((len > LARGE).then(|| self.large.lock()))
    }

    /// The file of `path`, opened if it is not, and its cursor. Under the
    /// path's stripe.
    pub(crate) fn handle(&self, path: &VfsPath) -> Result<(Arc<File>, u64), VfsError> {
        let (file, cursor) = self.handles.get(path.as_str());
        if let Some(file) = file {
            return Ok((file, cursor));
        }
        let place = self.place(path);
        let how = if place.read_only {
            Open::Read
        } else {
            Open::Write
        };
        let file = Arc::new(place.jail.file(place.relative, how)?);
        self.handles.keep(path.as_str(), file.clone(), cursor);
        Ok((file, cursor))
    }

    /// Makes the names that lead to `relative` survive a power cut.
    pub(crate) fn sync_above(&self, relative: &str) -> io::Result<()> {
        let dirs = synced::above(relative).chain(std::iter::once(HOST));
        self.synced.ensure(dirs, |dir| {
            if dir == HOST {
                for dir in &self.host_dirs {
                    std::fs::File::open(dir)?.sync_all()?;
                }
                return Ok(());
            }
            rustix::fs::fsync(self.root.dir(dir)?)?;
            Ok(())
        })
    }

    /// The lock of whoever walks a directory tree.
    pub(crate) fn walk(&self) -> MutexGuard<'_, ()> {
        self.walking.lock()
    }

    /// A name in the staging directory that is not in use.
    pub(crate) fn staging_name(&self) -> String {
        let number = self.staged.fetch_add(1, Ordering::Relaxed);
        format!("{:x}-{number}", self.life)
    }

    /// Removes what is called `name` in the staging directory, giving back
    /// what it weighs if it was part of the tree.
    pub(crate) fn discard(&self, name: &str, counted: bool) -> io::Result<()> {
        let mut freed = |bytes| {
            if counted {
                self.quota.refund(bytes);
            }
        };
        let metadata = self.staging.stat(name)?;
        if metadata.is_dir() {
            let _walk = self.walk();
            tree::empty(&open_dir(self.staging.root(), name)?, &mut freed)?;
            self.staging.root().remove_dir(name)?;
        } else {
            self.staging.root().remove_file(name)?;
        }
        freed(tree::cost(&metadata));
        Ok(())
    }
}
