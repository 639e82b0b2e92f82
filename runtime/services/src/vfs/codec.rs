//! The JSON of requests and answers, in both dialects.
//!
//! Decoding accepts the shapes of every generation from anyone; the answer is
//! in the dialect of whom it goes to.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::action::{Action, Outcome, Seek, VfsError};
use crate::dialect::Dialect;

/// A decoded request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) action: Action,
    /// Whether the request can only be of an old generation.
    pub(crate) old_shape: bool,
}

#[derive(Deserialize)]
struct Wire {
    path: String,
    action: WireAction,
}

#[derive(Deserialize)]
enum WireAction {
    CreateDrive,
    CreateDir,
    CreateDirAll,
    CreateFile,
    OpenFile { create: bool },
    CloseFile,
    Write,
    WriteAll,
    Append,
    SyncAll,
    Read,
    ReadDir,
    ReadToEnd,
    ReadExact(WireLength),
    ReadToString,
    Seek(WireSeek),
    RemoveFile,
    RemoveDir,
    RemoveDirAll,
    Rename { new_path: String },
    CopyFile { new_path: String },
    Metadata,
    AddZip,
    Len,
    SetLen(u64),
    Hash,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WireLength {
    Old(u64),
    New { length: u64 },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WireSeek {
    Old { seek_from: WireFrom },
    New(WireFrom),
}

#[derive(Deserialize)]
enum WireFrom {
    Start(u64),
    End(i64),
    Current(i64),
}

/// Reads a request of any generation.
pub(crate) fn decode(body: &[u8]) -> Result<Asked, VfsError> {
    let wire: Wire =
        serde_json::from_slice(body).map_err(|error| VfsError::Malformed(error.to_string()))?;
    let old_shape = matches!(
        wire.action,
        WireAction::ReadExact(WireLength::Old(_)) | WireAction::Seek(WireSeek::Old { .. })
    );
    Ok(Asked {
        path: wire.path,
        action: neutral(wire.action),
        old_shape,
    })
}

fn neutral(action: WireAction) -> Action {
    match action {
        WireAction::CreateDrive => Action::CreateDrive,
        WireAction::CreateDir => Action::CreateDir,
        WireAction::CreateDirAll => Action::CreateDirAll,
        WireAction::CreateFile => Action::CreateFile,
        WireAction::OpenFile { create } => Action::OpenFile { create },
        WireAction::CloseFile => Action::CloseFile,
        WireAction::Write => Action::Write,
        WireAction::WriteAll => Action::WriteAll,
        WireAction::Append => Action::Append,
        WireAction::SyncAll => Action::SyncAll,
        WireAction::Read => Action::Read,
        WireAction::ReadDir => Action::ReadDir,
        WireAction::ReadToEnd => Action::ReadToEnd,
        WireAction::ReadExact(WireLength::Old(length) | WireLength::New { length }) => {
            Action::ReadExact(length)
        }
        WireAction::ReadToString => Action::ReadToString,
        WireAction::Seek(WireSeek::Old { seek_from } | WireSeek::New(seek_from)) => {
            Action::Seek(seek_from.into())
        }
        WireAction::RemoveFile => Action::RemoveFile,
        WireAction::RemoveDir => Action::RemoveDir,
        WireAction::RemoveDirAll => Action::RemoveDirAll,
        WireAction::Rename { new_path } => Action::Rename { new_path },
        WireAction::CopyFile { new_path } => Action::CopyFile { new_path },
        WireAction::Metadata => Action::Metadata,
        WireAction::AddZip => Action::AddZip,
        WireAction::Len => Action::Len,
        WireAction::SetLen(len) => Action::SetLen(len),
        WireAction::Hash => Action::Hash,
    }
}

impl From<WireFrom> for Seek {
    fn from(from: WireFrom) -> Self {
        match from {
            WireFrom::Start(offset) => Self::Start(offset),
            WireFrom::End(offset) => Self::End(offset),
            WireFrom::Current(offset) => Self::Current(offset),
        }
    }
}

/// The answer in `dialect`: body, and blob if there is one.
pub(crate) fn encode(
    dialect: Dialect,
    asked: Option<&Asked>,
    outcome: Result<Outcome, VfsError>,
) -> (Vec<u8>, Option<Bytes>) {
    let value = match outcome {
        Ok(Outcome::Bytes(bytes)) => return (text(&json!("Read")), Some(bytes)),
        Ok(Outcome::Done) => json!("Ok"),
        Ok(Outcome::Entries(entries)) => json!({ "ReadDir": entries }),
        Ok(Outcome::Text(text)) => json!({ "ReadToString": text }),
        Ok(Outcome::Offset(offset)) => match dialect {
            Dialect::Old => json!({ "SeekFrom": offset }),
            Dialect::New => json!({ "SeekFrom": { "new_offset": offset } }),
        },
        Ok(Outcome::Metadata { file_type, len }) => {
            json!({ "Metadata": { "file_type": file_type, "len": len } })
        }
        Ok(Outcome::Len(len)) => json!({ "Len": len }),
        Ok(Outcome::Hash(hash)) => json!({ "Hash": hash }),
        Err(error) => json!({ "Err": match dialect {
            Dialect::New => new_error(asked, &error),
            Dialect::Old => old_error(asked, &error),
        } }),
    };
    (text(&value), None)
}

fn text(value: &impl Serialize) -> Vec<u8> {
    // Maps with string keys and plain values: it cannot fail.
    serde_json::to_vec(value).unwrap_or_default()
}

fn new_error(asked: Option<&Asked>, error: &VfsError) -> Value {
    match error {
        VfsError::NoReadCap => json!("NoReadCap"),
        VfsError::NoWriteCap => json!("NoWriteCap"),
        VfsError::Malformed(_) => json!("MalformedRequest"),
        VfsError::NoBlob => json!("NoBlob"),
        VfsError::Path(error) => {
            let path = asked.map_or("", |asked| &asked.path);
            json!({ "ParseError": { "error": error.to_string(), "path": path } })
        }
        VfsError::Zip(_) => json!("UnzipError"),
        VfsError::NotFound
        | VfsError::ReadOnly
        | VfsError::Quota(_)
        | VfsError::TooLarge { .. }
        | VfsError::Io(_) => json!({ "IOError": error.to_string() }),
    }
}

fn old_error(asked: Option<&Asked>, error: &VfsError) -> Value {
    let path = asked.map_or("", |asked| &asked.path);
    let action = asked.map_or("", |asked| asked.action.name());
    let error_text = error.to_string();
    match error {
        VfsError::NoReadCap | VfsError::NoWriteCap => {
            json!({ "NoCap": { "action": action, "path": path } })
        }
        VfsError::Malformed(error) => json!({ "BadJson": { "error": error } }),
        VfsError::NoBlob => json!({ "BadBytes": { "action": action, "path": path } }),
        VfsError::Path(_) => json!({ "ParseError": { "error": error_text, "path": path } }),
        VfsError::NotFound => json!({ "NotFound": { "path": path } }),
        VfsError::ReadOnly
        | VfsError::Zip(_)
        | VfsError::Quota(_)
        | VfsError::TooLarge { .. }
        | VfsError::Io(_) => match asked.map(|asked| &asked.action) {
            Some(Action::CreateDir | Action::CreateDirAll | Action::CreateDrive) => {
                json!({ "CreateDirError": { "path": path, "error": error_text } })
            }
            _ => json!({ "IOError": { "error": error_text, "path": path } }),
        },
    }
}

#[cfg(test)]
mod tests;
