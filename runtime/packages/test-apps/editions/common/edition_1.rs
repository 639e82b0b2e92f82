//! What interfaces have from 1.0 on.

use crate::lib::{self, Address, LazyLoadBlob, ProcessId};

/// The process itself, where the interface tells.
pub fn our() -> Option<Address> {
    Some(lib::our())
}

/// Whether the message being handled has a blob, where that can be asked.
pub fn has_blob() -> Option<bool> {
    Some(lib::has_blob())
}

/// The last blob that arrived, where that can be asked.
pub fn last_blob() -> Option<Option<LazyLoadBlob>> {
    Some(lib::last_blob())
}

/// What a child grants, as `spawn` takes it.
pub fn grant(grant: (ProcessId, String)) -> (ProcessId, String) {
    grant
}
