//! Putting an unpacked archive in its place.

use std::io;

use super::super::action::VfsError;
use super::super::disk::Disk;
use super::super::jail::{Jail, open_dir};
use super::super::path::VfsPath;
use super::super::synced::dir_of;
use super::super::tree::{self, ENTRY_COST};
use super::plan::Plan;
use crate::quota::Charge;

impl Disk {
    /// Moves what was unpacked into the staging directory `staged` to `path`.
    /// If nothing is at `path` the whole moves in one step; else files replace
    /// files of the same name, and others stay.
    pub(super) fn merge(
        &self,
        path: &VfsPath,
        staged: &str,
        plan: &Plan,
        charge: Charge,
    ) -> Result<(), VfsError> {
        let _tree = self.tree.write();
        let place = self.own_place(path)?;
        if place.jail.find(place.relative)?.is_none() {
            let top = self.quota.charge(ENTRY_COST)?;
            self.make_dirs(dir_of(place.relative))?;
            let (parent, name) = place.jail.parent(place.relative)?;
            self.staging.root().rename(staged, &parent, name)?;
            top.commit();
            charge.commit();
            self.synced.moved();
            return Ok(());
        }
        let target = Jail::new(place.jail.dir(place.relative)?);
        let freed = conflicts(&target, plan)?;
        let from = Jail::new(open_dir(self.staging.root(), staged)?);
        // From here on only the volume can fail. Then some files are new and
        // some old; all stay charged until the node starts again and counts.
        charge.commit();
        self.synced.moved();
        for dir in &plan.dirs {
            let (parent, name) = target.parent(dir)?;
            match parent.create_dir(name) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(error.into());
                }
                _ => {}
            }
        }
        for file in &plan.files {
            let (from_dir, name) = from.parent(&file.path)?;
            let (to_dir, _) = target.parent(&file.path)?;
            from_dir.rename(name, &to_dir, name)?;
        }
        self.quota.refund(freed);
        self.handles.forget(path.as_str());
        Ok(())
    }
}

/// What is replaced counts for so much; an error if a file would replace a
/// directory or the reverse.
fn conflicts(target: &Jail, plan: &Plan) -> Result<u64, VfsError> {
    let mut freed = 0;
    let clash = |path: &str| {
        VfsError::Zip(format!(
            "`{path}` is a file in one and a directory in the other"
        ))
    };
    for dir in &plan.dirs {
        if let Some(metadata) = target.find(dir)? {
            if !metadata.is_dir() {
                return Err(clash(dir));
            }
            freed += ENTRY_COST;
        }
    }
    for file in &plan.files {
        if let Some(metadata) = target.find(&file.path)? {
            if !metadata.is_file() {
                return Err(clash(&file.path));
            }
            freed += tree::cost(&metadata);
        }
    }
    Ok(freed)
}
