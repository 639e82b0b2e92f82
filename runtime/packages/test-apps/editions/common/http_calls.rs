//! Steps that call what a process library has for HTTP: each function of its
//! modules for the server and the client, by its name. The crate that includes
//! it brings the server's as `http_server`, which names the client's `client`.
//!
//! A step gives `{"Ok": …}`, or `{"Err": …}` with the error as its module told
//! it, or else its text; `"absent"` if the library has no such function.

#[path = "http_client.rs"]
mod client;

use std::collections::{BTreeMap, HashMap};

use serde_json::{json, Value};

use crate::http_server::{HttpServerError, HttpServerRequest, WsMessageType};
use crate::lib::LazyLoadBlob;
use crate::{http_server, said};

/// What came of a call.
pub type Told = Result<Value, Value>;

/// Bodies beyond this length are told by length and hash.
const MOST_TOLD: usize = 8 << 10;

/// Calls `options["call"]`; `arrived` is the body of the message being handled.
pub fn act(options: &Value, arrived: &[u8]) -> Value {
    let call = text(options, "call");
    let told = match call {
        "incoming" => Some(incoming(options, arrived)),
        _ => client::act(call, options).or_else(|| http_server::act(call, options, arrived)),
    };
    match told {
        Some(Ok(value)) => json!({ "Ok": value }),
        Some(Err(error)) => json!({ "Err": error }),
        None => json!("absent"),
    }
}

/// What the library makes of a request: each function of its type.
fn incoming(options: &Value, arrived: &[u8]) -> Told {
    let parsed = HttpServerRequest::from_bytes(arrived);
    let parsed = parsed.map_err(|error| json!(error.to_string()))?;
    let Some(request) = parsed.request() else {
        return Err(json!("it is not for HTTP"));
    };
    let from = request.source_socket_addr();
    Ok(json!({
        "method": request.method().ok().map(|method| method.to_string()),
        "url": request.url().ok().map(|url| url.to_string()),
        "source_socket_addr": from.ok().map(|address| address.to_string()),
        "bound_path": request.bound_path(None),
        "stripped": request.bound_path(options.get("strip").and_then(Value::as_str)),
        "path": request.path().ok(),
        "headers": headers_told(&request.headers()),
        "url_params": request.url_params(),
        "query_params": request.query_params(),
    }))
}

/// Headers by their names, as text.
pub fn headers_told(headers: &::http::HeaderMap) -> Value {
    let told: BTreeMap<&str, String> = headers
        .iter()
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str(), value)
        })
        .collect();
    json!(told)
}

/// Bytes as the JSON or text that they hold, if they are not too many.
pub fn bytes_told(bytes: Vec<u8>) -> Value {
    if bytes.len() <= MOST_TOLD {
        return said::text(&bytes);
    }
    said::blob(Some(&LazyLoadBlob { mime: None, bytes }))
}

/// The text called `name`.
pub fn text<'a>(options: &'a Value, name: &str) -> &'a str {
    options.get(name).and_then(Value::as_str).unwrap_or("")
}

/// The texts of the list called `name`.
pub fn texts<'a>(options: &'a Value, name: &str) -> Vec<&'a str> {
    let items = options.get(name).and_then(Value::as_array);
    items
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// The headers that a step names, if any.
pub fn headers(options: &Value) -> Option<HashMap<String, String>> {
    serde_json::from_value(options.get("headers")?.clone()).ok()
}

/// The channel that a step names.
pub fn channel(options: &Value) -> u32 {
    let channel = options.get("channel").and_then(Value::as_u64);
    channel.and_then(|it| u32::try_from(it).ok()).unwrap_or(0)
}

/// The type of message that a step names, or else text.
pub fn message_type(options: &Value) -> WsMessageType {
    let named = options.get("type").cloned().unwrap_or_default();
    serde_json::from_value(named).unwrap_or(WsMessageType::Text)
}

/// What a step has as its content.
pub fn content(options: &Value) -> LazyLoadBlob {
    LazyLoadBlob {
        mime: said::string(options, "mime"),
        bytes: said::bytes(options).unwrap_or_default(),
    }
}

/// For calls of the server that give nothing.
pub fn done(done: Result<(), HttpServerError>) -> Told {
    done.map(|()| Value::Null).map_err(|error| json!(error))
}
