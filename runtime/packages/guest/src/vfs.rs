//! Files of this node.

use serde_json::{json, Value};

use crate::lib::{get_blob, Address};
use crate::{call, local, CallError, Carry};

/// Enough for unpacking the largest package within a caller's patience.
const SECONDS: u64 = 12;
const VFS: &str = "vfs:distro:sys";

/// Performs `action` on `path` and returns the VFS' JSON answer.
///
/// # Errors
/// [`CallError::Refused`] with the VFS' own error, and as for [`call`].
pub fn act(our: &Address, path: &str, action: &Value, carry: Carry) -> Result<Value, CallError> {
    let vfs =
        local(our, VFS).ok_or_else(|| CallError::Refused("no address of the VFS".to_owned()))?;
    let body = json!({"path": path, "action": action}).to_string();
    let answer = call(&vfs, body.as_bytes(), carry, SECONDS)?;
    let answer: Value = serde_json::from_slice(answer.body()).map_err(|error| {
        CallError::Refused(format!("the answer of the VFS is not JSON: {error}"))
    })?;
    match answer.get("Err") {
        None => Ok(answer),
        Some(error) => Err(CallError::Refused(format!("{path}: {}", sentence(error)))),
    }
}

/// The text inside a VFS error, whichever of its shapes it has.
fn sentence(error: &Value) -> String {
    match error {
        Value::String(text) => text.clone(),
        Value::Object(fields) => match fields.iter().next() {
            Some((kind, Value::String(text))) => format!("{kind}: {text}"),
            Some((kind, Value::Object(inner))) => match inner.get("error") {
                Some(Value::String(text)) => format!("{kind}: {text}"),
                _ => kind.clone(),
            },
            _ => error.to_string(),
        },
        _ => error.to_string(),
    }
}

/// [`act`] for an action without parameters, whose answer says nothing more.
///
/// # Errors
/// As for [`act`].
pub fn simple(our: &Address, path: &str, action: &str, carry: Carry) -> Result<(), CallError> {
    act(our, path, &json!(action), carry).map(|_| ())
}

/// Makes the file at `path` the last blob, without copying it in here.
///
/// # Errors
/// As for [`act`].
pub fn fetch(our: &Address, path: &str) -> Result<(), CallError> {
    simple(our, path, "Read", Carry::Nothing)
}

/// The whole content of a file.
///
/// # Errors
/// As for [`act`].
pub fn read(our: &Address, path: &str) -> Result<Vec<u8>, CallError> {
    fetch(our, path)?;
    Ok(get_blob().map(|blob| blob.bytes).unwrap_or_default())
}

/// Size of the file at `path`; `None` when there is no file.
#[must_use]
pub fn file_len(our: &Address, path: &str) -> Option<u64> {
    let answer = act(our, path, &json!("Metadata"), Carry::Nothing).ok()?;
    let metadata = answer.get("Metadata")?;
    if metadata.get("file_type")? != "File" {
        return None;
    }
    metadata.get("len")?.as_u64()
}
