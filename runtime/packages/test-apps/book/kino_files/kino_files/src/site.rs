//! The page, for the node's owner alone: `/files` lists and takes files; what
//! is wanted of other nodes is said on the WebSocket, which also tells how far
//! everything is.

use std::collections::{HashMap, HashSet};

use kinode_process_lib::http::{
    self, HttpServerRequest, IncomingHttpRequest, Method, StatusCode, WsMessageType,
};
use kinode_process_lib::vfs::create_file;
use kinode_process_lib::{get_blob, println, Address, LazyLoadBlob};
use serde::Deserialize;
use serde_json::json;

use crate::multipart::{uploads, Upload};
use crate::Files;

/// How much is written at once.
const PIECE: usize = 1 << 20;

/// What a page wants.
#[derive(Deserialize)]
enum Wanted {
    /// `target` is the process that has the file, with its node.
    Download { name: String, target: String },
}

/// Binds its paths.
pub fn open(our: &Address) -> anyhow::Result<()> {
    http::serve_ui(our, "ui", true, false, vec!["/"])?;
    http::bind_http_path("/files", true, false)?;
    http::bind_ws_path("/", true, false)?;
    Ok(())
}

/// Tells all pages how far a file is, of a hundred.
pub fn tell(pages: &HashSet<u32>, name: &str, progress: u64) {
    let told = json!({"kind": "progress", "data": {"name": name, "progress": progress}});
    for page in pages {
        let blob = LazyLoadBlob {
            mime: Some("application/json".to_owned()),
            bytes: told.to_string().into_bytes(),
        };
        http::send_ws_push(*page, WsMessageType::Text, blob);
    }
}

/// Answers what the HTTP server hands over.
pub fn handle(files: &mut Files, request: &HttpServerRequest) -> anyhow::Result<()> {
    match request {
        HttpServerRequest::Http(request) => {
            let json = HashMap::from([("Content-Type".to_owned(), "application/json".to_owned())]);
            match answer(files, request) {
                Ok((status, body)) => http::send_response(status, Some(json), body),
                Err(status) => http::send_response(status, None, Vec::new()),
            }
        }
        HttpServerRequest::WebSocketOpen { channel_id, .. } => {
            files.pages.insert(*channel_id);
        }
        HttpServerRequest::WebSocketClose(channel_id) => {
            files.pages.remove(channel_id);
        }
        HttpServerRequest::WebSocketPush { message_type, .. } => {
            if *message_type == WsMessageType::Text {
                let said = get_blob().unwrap_or_default().bytes;
                let Wanted::Download { name, target } = serde_json::from_slice(&said)?;
                files.fetch(&name, &target.parse()?)?;
            }
        }
    }
    Ok(())
}

type Answer = Result<(StatusCode, Vec<u8>), StatusCode>;

fn answer(files: &Files, request: &IncomingHttpRequest) -> Answer {
    let method = request.method().map_err(|_| StatusCode::BAD_REQUEST)?;
    let (status, list) = match method {
        Method::GET => match request.query_params().get("node") {
            Some(node) if *node != files.our.node => {
                let list = files.list_of(node);
                let list = list.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
                (StatusCode::OK, Ok(list))
            }
            _ => (StatusCode::OK, files.list()),
        },
        Method::POST => {
            take(files, request)?;
            (StatusCode::CREATED, files.list())
        }
        _ => return Err(StatusCode::METHOD_NOT_ALLOWED),
    };
    let body = list.and_then(|list| Ok(serde_json::to_vec(&list)?));
    match body {
        Ok(body) => Ok((status, body)),
        Err(error) => {
            println!("no list: {error}");
            Err(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

/// Takes what is uploaded: all of it, or nothing if a name will not do.
fn take(files: &Files, request: &IncomingHttpRequest) -> Result<(), StatusCode> {
    let headers = request.headers();
    let kind = headers
        .get("content-type")
        .and_then(|kind| kind.to_str().ok());
    let body = get_blob().unwrap_or_default().bytes;
    let uploads = uploads(kind.unwrap_or_default(), &body).ok_or(StatusCode::BAD_REQUEST)?;
    let is_plain =
        |name: &str| !matches!(name, "" | "." | "..") && !name.contains(['/', '\\', '\0']);
    if uploads.is_empty() || !uploads.iter().all(|upload| is_plain(&upload.name)) {
        return Err(StatusCode::BAD_REQUEST);
    }
    for upload in &uploads {
        if let Err(error) = write(files, upload) {
            println!("{} is not kept: {error}", upload.name);
            return Err(StatusCode::INSUFFICIENT_STORAGE);
        }
    }
    Ok(())
}

fn write(files: &Files, upload: &Upload<'_>) -> anyhow::Result<()> {
    let mut file = create_file(&format!("{}/{}", files.drive, upload.name), None)?;
    let size = upload.bytes.len() as u64;
    let mut written = 0;
    for piece in upload.bytes.chunks(PIECE) {
        file.write_all(piece)?;
        written += piece.len() as u64;
        if written < size {
            tell(&files.pages, &upload.name, written * 100 / size);
        }
    }
    tell(&files.pages, &upload.name, 100);
    Ok(())
}
