//! Actions that change directories.

use std::io;

use super::action::{Outcome, VfsError};
use super::disk::{Disk, Place};
use super::jail::open_dir;
use super::path::{MAX_DEPTH, MAX_PATH_BYTES, VfsPath};
use super::synced::dir_of;
use super::tree::{self, ENTRY_COST};

impl Disk {
    pub(crate) fn create_dir(&self, path: &VfsPath) -> Result<Outcome, VfsError> {
        let place = self.own_place(path)?;
        let _tree = self.tree.read();
        let (parent, name) = place.jail.parent(place.relative)?;
        let charge = self.quota.charge(ENTRY_COST)?;
        parent.create_dir(name)?;
        charge.commit();
        self.synced.changed(dir_of(place.relative));
        Ok(Outcome::Done)
    }

    /// The drive that `path` is in; fine if it is there already.
    pub(crate) fn create_drive(&self, path: &VfsPath) -> Result<Outcome, VfsError> {
        let _tree = self.tree.read();
        if !self.place(path).read_only {
            self.make_dirs(path.drive())?;
        }
        Ok(Outcome::Done)
    }

    /// Fine if it is there already, read-only or not.
    pub(crate) fn create_dir_all(&self, path: &VfsPath) -> Result<Outcome, VfsError> {
        let _tree = self.tree.read();
        let place = self.place(path);
        if place.read_only {
            return match place.jail.dir(place.relative) {
                Ok(_) => Ok(Outcome::Done),
                Err(_) => Err(VfsError::ReadOnly),
            };
        }
        self.make_dirs(place.relative)?;
        Ok(Outcome::Done)
    }

    /// Makes `relative` and what is above it in the node's own directory.
    pub(crate) fn make_dirs(&self, relative: &str) -> Result<(), VfsError> {
        let mut dir = self.root.dir("")?;
        let mut at = 0;
        for name in relative.split('/').filter(|name| !name.is_empty()) {
            let parent = relative[..at].trim_end_matches('/');
            at += name.len() + 1;
            dir = match open_dir(&dir, name) {
                Ok(inner) => inner,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let charge = self.quota.charge(ENTRY_COST)?;
                    match dir.create_dir(name) {
                        Ok(()) => {
                            charge.commit();
                            self.synced.changed(parent);
                        }
                        // Made by another meanwhile, who was charged.
                        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                        Err(error) => return Err(error.into()),
                    }
                    open_dir(&dir, name)?
                }
                Err(error) => return Err(error.into()),
            };
        }
        Ok(())
    }

    pub(crate) fn remove_dir(&self, path: &VfsPath) -> Result<Outcome, VfsError> {
        let place = self.own_place(path)?;
        let _tree = self.tree.read();
        let (parent, name) = place.jail.parent(place.relative)?;
        parent.remove_dir(name)?;
        self.quota.refund(ENTRY_COST);
        Ok(Outcome::Done)
    }

    /// The directory is gone in one step; freeing its content follows.
    pub(crate) fn remove_dir_all(&self, path: &VfsPath) -> Result<Outcome, VfsError> {
        let place = self.own_place(path)?;
        let trash = self.staging_name();
        {
            let _tree = self.tree.write();
            // Refuses files and links.
            place.jail.dir(place.relative)?;
            let (parent, name) = place.jail.parent(place.relative)?;
            parent.rename(name, self.staging.root(), &trash)?;
            self.handles.forget(path.as_str());
        }
        self.discard(&trash, true)?;
        Ok(Outcome::Done)
    }

    pub(crate) fn rename(&self, path: &VfsPath, to: &VfsPath) -> Result<Outcome, VfsError> {
        let from_place = self.own_place(path)?;
        let to_place = self.own_place(to)?;
        // A directory is walked below: waits for others who walk before it
        // keeps everybody from the tree.
        let there = from_place.jail.stat(from_place.relative)?;
        let _walk = there.is_dir().then(|| self.walk());
        let _tree = self.tree.write();
        let moved = from_place.jail.stat(from_place.relative)?;
        if path == to {
            return Ok(Outcome::Done);
        }
        if moved.is_dir() {
            fits(&from_place, to)?;
        }
        let replaced = to_place.jail.find(to_place.relative)?;
        let (from_dir, from_name) = from_place.jail.parent(from_place.relative)?;
        let (to_dir, to_name) = to_place.jail.parent(to_place.relative)?;
        from_dir.rename(from_name, &to_dir, to_name)?;
        if let Some(replaced) = replaced {
            self.quota.refund(tree::cost(&replaced));
        }
        if moved.is_dir() {
            self.synced.moved();
        } else {
            self.synced.changed(dir_of(to_place.relative));
        }
        self.handles.forget(path.as_str());
        self.handles.forget(to.as_str());
        Ok(Outcome::Done)
    }
}

/// Whether everything in the directory at `place` can still be reached by a
/// path when it is at `to`.
fn fits(place: &Place<'_>, to: &VfsPath) -> Result<(), VfsError> {
    let weight = tree::weigh(&place.jail.dir(place.relative)?, &|_| true)?;
    let depth = to.depth() + weight.depth;
    let longest = to.as_str().len() + weight.longest;
    if depth > MAX_DEPTH || longest > MAX_PATH_BYTES {
        return Err(VfsError::Io(io::Error::other(
            "files in this directory would get paths that are too deep or too long",
        )));
    }
    Ok(())
}
