//! Who may do what with a path.
//!
//! A process owns the drives of its package; others need a capability that
//! this module issued for the drive, or its root capability. The kernel may do
//! everything.

use node_types::{Address, Capability, ProcessId};

use super::action::{Action, Need, VfsError};
use super::path::{Target, VfsPath};
use crate::KernelPort;

/// In whose name something is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// The kernel, or the host itself: no limits.
    Kernel,
    /// A process of this node.
    Process(ProcessId),
}

/// Params of the capability that opens every drive.
const ROOT: &str = r#"{"root":true}"#;

/// The capability of `us` to read or write a drive (`/package:publisher/drive`).
pub(crate) fn drive_capability(us: &Address, kind: &str, drive: &str) -> Capability {
    let params = serde_json::json!({ "kind": kind, "drive": drive });
    Capability::new(us.clone(), params.to_string())
}

/// What `caller` may do, as `port` tells.
pub(crate) struct Rights<'a> {
    pub(crate) us: &'a Address,
    pub(crate) port: &'a dyn KernelPort,
    pub(crate) caller: &'a Caller,
}

impl Rights<'_> {
    /// Whether the caller may do `action` with `path` and, if the action has
    /// one, its other path.
    pub(crate) fn check(
        &self,
        action: &Action,
        path: &Target,
        new_path: Option<&VfsPath>,
    ) -> Result<(), VfsError> {
        let Caller::Process(process) = self.caller else {
            return Ok(());
        };
        match path {
            Target::Root if self.is_root(process) => {}
            Target::Root => return Err(VfsError::NoReadCap),
            Target::Inside(path) => self.check_path(process, action.need(), path)?,
        }
        match new_path {
            Some(new_path) => self.check_path(process, Need::Write, new_path),
            None => Ok(()),
        }
    }

    fn check_path(&self, process: &ProcessId, need: Need, path: &VfsPath) -> Result<(), VfsError> {
        let owner = path.package();
        if process.package() == owner.package() && process.publisher() == owner.publisher() {
            return Ok(());
        }
        let (kind, denied) = match need {
            Need::Read => (Some("read"), VfsError::NoReadCap),
            Need::Write => (Some("write"), VfsError::NoWriteCap),
            Need::Own => (None, VfsError::NoWriteCap),
        };
        let by_drive = kind.is_some_and(|kind| {
            path.drive_spellings().any(|drive| {
                self.port
                    .holds(process, &drive_capability(self.us, kind, &drive))
            })
        });
        if by_drive || self.is_root(process) {
            return Ok(());
        }
        Err(denied)
    }

    fn is_root(&self, process: &ProcessId) -> bool {
        self.port
            .holds(process, &Capability::new(self.us.clone(), ROOT))
    }
}
