//! The JSON of scripts: what steps say, and how what happened is told.

use serde_json::{json, Value};

use crate::api::{self, Address, Capability, LazyLoadBlob, ProcessId};
use crate::script::{Answer, Exit, Incoming, Outgoing};

/// Blobs beyond this length are told by length and hash.
const MOST_TOLD: usize = 64;

/// `PROCESS:PACKAGE:PUBLISHER`, of whatever characters.
pub fn process(text: &str) -> Option<ProcessId> {
    let mut parts = text.split(':').map(str::to_owned);
    Some(ProcessId {
        process_name: parts.next()?,
        package_name: parts.next()?,
        publisher_node: parts.next()?,
    })
}

/// `NODE@PROCESS`.
pub fn address(text: &str) -> Option<Address> {
    let (node, id) = text.split_once('@')?;
    Some(Address {
        node: node.to_owned(),
        process: process(id)?,
    })
}

/// The reverse of [`process`].
pub fn process_text(id: &ProcessId) -> String {
    format!(
        "{}:{}:{}",
        id.process_name, id.package_name, id.publisher_node
    )
}

/// The reverse of [`address`].
pub fn address_text(address: &Address) -> String {
    format!("{}@{}", address.node, process_text(&address.process))
}

/// What `each` makes of the list called `name`.
pub fn list<T>(options: &Value, name: &str, each: impl Fn(&Value) -> Option<T>) -> Vec<T> {
    let items = options.get(name).and_then(Value::as_array);
    items.into_iter().flatten().filter_map(each).collect()
}

/// `{"issuer", "params"}`.
pub fn capability(value: &Value) -> Option<Capability> {
    Some(Capability {
        issuer: address(value.get("issuer")?.as_str()?)?,
        params: value.get("params")?.as_str()?.to_owned(),
    })
}

/// A list of them.
pub fn capabilities_of(value: &Value) -> Vec<Capability> {
    let items = value.as_array().into_iter().flatten();
    items.filter_map(capability).collect()
}

/// `"pattern"`, so many bytes of one; `"bytes"`, a list of numbers; or else
/// those of `"text"`.
pub fn bytes(value: &Value) -> Option<Vec<u8>> {
    if let Some(length) = value.get("pattern").and_then(Value::as_u64) {
        return Some((0..length).map(|at| (at % 251) as u8).collect());
    }
    if value.get("bytes").is_some() {
        return Some(list(value, "bytes", |byte| Some(byte.as_u64()? as u8)));
    }
    Some(value.get("text")?.as_str()?.as_bytes().to_vec())
}

fn blob_of(value: &Value) -> Option<LazyLoadBlob> {
    Some(LazyLoadBlob {
        mime: string(value, "mime"),
        bytes: bytes(value)?,
    })
}

/// The text called `name`.
pub fn string(options: &Value, name: &str) -> Option<String> {
    Some(options.get(name)?.as_str()?.to_owned())
}

fn body(options: &Value) -> Vec<u8> {
    let body = options.get("body").unwrap_or(&Value::Null);
    body.to_string().into_bytes()
}

/// Whether `name` is said to be so.
pub fn flag(options: &Value, name: &str) -> bool {
    options.get(name) == Some(&Value::Bool(true))
}

/// A request with nothing but a body.
pub fn plain(target: Address, body: Vec<u8>) -> Outgoing {
    Outgoing {
        target,
        body,
        expects: None,
        inherit: false,
        metadata: None,
        context: None,
        blob: None,
        capabilities: Vec::new(),
    }
}

/// A request to send.
pub fn outgoing(options: &Value) -> Option<Outgoing> {
    let target = address(options.get("to")?.as_str()?)?;
    Some(Outgoing {
        expects: options.get("expects").and_then(Value::as_u64),
        inherit: flag(options, "inherit"),
        metadata: string(options, "metadata"),
        context: string(options, "context").map(String::into_bytes),
        blob: options.get("blob").and_then(blob_of),
        capabilities: list(options, "capabilities", capability),
        ..plain(target, body(options))
    })
}

/// A response to send.
pub fn answer(options: &Value) -> Answer {
    Answer {
        body: body(options),
        inherit: flag(options, "inherit"),
        metadata: string(options, "metadata"),
        blob: options.get("blob").and_then(blob_of),
        capabilities: list(options, "capabilities", capability),
    }
}

/// `"None"`, `"Restart"` or `{"Requests": […]}`.
pub fn exit(value: &Value) -> Exit {
    match value.as_str() {
        Some("Restart") => Exit::Restart,
        Some(_) => Exit::None,
        None if value.is_null() => Exit::None,
        None => Exit::Requests(list(value, "Requests", outgoing)),
    }
}

/// The reverse of [`exit`].
pub fn exit_told(exit: Exit) -> Value {
    match exit {
        Exit::None => json!("None"),
        Exit::Restart => json!("Restart"),
        Exit::Requests(list) => {
            let told: Vec<Value> = list.iter().map(outgoing_told).collect();
            json!({ "Requests": told })
        }
    }
}

fn outgoing_told(outgoing: &Outgoing) -> Value {
    json!({
        "to": address_text(&outgoing.target),
        "body": text(&outgoing.body),
        "expects": outgoing.expects,
        "inherit": outgoing.inherit,
        "metadata": outgoing.metadata,
        "blob": blob(outgoing.blob.as_ref()),
        "capabilities": capabilities(&outgoing.capabilities),
    })
}

/// Bytes as the JSON or text that they hold.
pub fn text(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes)
        .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(bytes).into_owned()))
}

/// What is in a blob.
pub fn blob(blob: Option<&LazyLoadBlob>) -> Value {
    let Some(LazyLoadBlob { mime, bytes }) = blob else {
        return Value::Null;
    };
    if bytes.len() <= MOST_TOLD {
        return json!({ "mime": mime, "text": String::from_utf8_lossy(bytes) });
    }
    // 64-bit FNV-1a.
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    json!({ "mime": mime, "bytes": bytes.len(), "hash": format!("{hash:016x}") })
}

/// Capabilities, sorted.
pub fn capabilities(list: &[Capability]) -> Value {
    let mut told: Vec<(String, &str)> = list
        .iter()
        .map(|held| (address_text(&held.issuer), held.params.as_str()))
        .collect();
    told.sort();
    told.into_iter()
        .map(|(issuer, params)| json!({ "issuer": issuer, "params": params }))
        .collect()
}

/// What a wait ended with. The blob of a message is what `get-blob` gives.
pub fn arrived(incoming: Incoming) -> Value {
    match incoming {
        Incoming::Request {
            source,
            body,
            expects,
            metadata,
            capabilities: attached,
        } => json!({
            "is": "request",
            "source": address_text(&source),
            "body": text(&body),
            "expects": expects,
            "metadata": metadata,
            "blob": blob(api::get_blob().as_ref()),
            "capabilities": capabilities(&attached),
        }),
        Incoming::Response {
            source,
            body,
            metadata,
            context,
            capabilities: attached,
        } => json!({
            "is": "response",
            "source": address_text(&source),
            "body": text(&body),
            "metadata": metadata,
            "context": context.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
            "blob": blob(api::get_blob().as_ref()),
            "capabilities": capabilities(&attached),
        }),
        Incoming::Failed {
            offline,
            target,
            body,
            context,
            blob: returned,
        } => json!({
            "is": if offline { "Offline" } else { "Timeout" },
            "target": target.as_ref().map(address_text),
            "body": text(&body),
            "context": context.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
            "returned": blob(returned.as_ref()),
        }),
    }
}
