//! What stands for it in interfaces before 1.0.

use serde_json::Value;

use crate::lib::{Address, LazyLoadBlob, ProcessId};
use crate::stores::kv::Told;

/// The process itself, where the interface tells.
pub fn our() -> Option<Address> {
    None
}

/// Whether the message being handled has a blob, where that can be asked.
pub fn has_blob() -> Option<bool> {
    None
}

/// The last blob that arrived, where that can be asked.
pub fn last_blob() -> Option<Option<LazyLoadBlob>> {
    None
}

/// A child grants the right to message it, and nothing else.
pub fn grant((holder, _): (ProcessId, String)) -> ProcessId {
    holder
}

/// What the module `kv` has from 1.0 on.
pub fn kv(_call: &str, _options: &Value) -> Option<Told> {
    None
}
