//! Files in the libraries from 0.9 on.

use serde_json::{json, Value};

use crate::lib::vfs::{parse_response, vfs_request, File, VfsAction, VfsError, VfsResponse};

/// The error as its module told it.
pub fn failed(error: VfsError) -> Value {
    json!(error)
}

/// `File::new`, where there is one.
pub fn new_file(path: &str) -> Option<File> {
    Some(File::new(path, 5))
}

/// What the module answers, in the words of the library.
pub fn request(path: &str, action: VfsAction, blob: Option<Vec<u8>>) -> Result<VfsResponse, Value> {
    let mut request = vfs_request(path, action);
    if let Some(bytes) = blob {
        request = request.blob_bytes(bytes);
    }
    match request.send_and_await_response(5) {
        Ok(Ok(message)) => parse_response(message.body()).map_err(failed),
        Ok(Err(error)) => Err(json!(format!("{:?}", error.kind))),
        Err(error) => Err(json!(error.to_string())),
    }
}
