//! A request as it came.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Longest head of a request.
const MAX_HEAD: usize = 64 << 10;
/// Longest body of a request.
const MAX_BODY: usize = 64 << 20;

/// A request.
pub(super) struct Request {
    pub(super) method: String,
    pub(super) target: String,
    version: String,
    /// By lower-case names; the last of several wins.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
}

/// Reads a request; `None` if there is none that it understands.
pub(super) async fn read(stream: &mut TcpStream) -> std::io::Result<Option<Request>> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = find(&bytes, b"\r\n\r\n") {
            break at;
        }
        if bytes.len() > MAX_HEAD || stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut body = bytes.split_off(end + 4);
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or("").split(' ').map(str::to_owned);
    let (Some(method), Some(target), Some(version)) = (words.next(), words.next(), words.next())
    else {
        return Ok(None);
    };
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    if headers.contains_key("transfer-encoding") {
        while !body.ends_with(b"0\r\n\r\n") {
            if body.len() > MAX_BODY || stream.read_buf(&mut body).await? == 0 {
                return Ok(None);
            }
        }
        body = joined(&body);
    }
    let length = headers
        .get("content-length")
        .map(|text| text.parse::<usize>());
    if let Some(length) = length {
        let length = length.unwrap_or(usize::MAX);
        if length > MAX_BODY {
            return Ok(None);
        }
        while body.len() < length {
            if stream.read_buf(&mut body).await? == 0 {
                return Ok(None);
            }
        }
        body.truncate(length);
    }
    Ok(Some(Request {
        method,
        target,
        version,
        headers,
        body,
    }))
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// What is in the chunks of a body.
fn joined(mut chunks: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(at) = find(chunks, b"\r\n") {
        let size = String::from_utf8_lossy(&chunks[..at]).into_owned();
        let size = usize::from_str_radix(size.split(';').next().unwrap_or("").trim(), 16);
        let rest = &chunks[at + 2..];
        match size {
            Ok(size) if size > 0 && rest.len() >= size + 2 => {
                body.extend_from_slice(&rest[..size]);
                chunks = &rest[size + 2..];
            }
            _ => break,
        }
    }
    body
}

impl Request {
    /// What there is to tell of it.
    pub(super) fn told(&self) -> Value {
        json!({
            "method": self.method,
            "target": self.target,
            "version": self.version,
            "headers": self.headers,
            "body": String::from_utf8_lossy(&self.body),
            "length": self.body.len(),
        })
    }
}
