//! `spy:spy:tester.dev`: tries what others forbid, and tells how it went.
//!
//! `{"Vfs":{"path":P,"action":A}}` performs a VFS action; `{"Send":{"target":T,
//! "body":B}}` sends a message; `{"Host":PATH}` opens a file by WASI;
//! `"Environment"` lists what the host lets it see. Each is answered with
//! `{"ok":…}` or `{"err":…}`.

use guest::lib::{self, Address, Message};
use guest::{call, respond, vfs, Carry};
use serde_json::{json, Value};

guest::process!(run);

/// Shorter than the RPC's own wait, so that a refusal can be told.
const SECONDS: u64 = 4;

fn run(our: Address) {
    loop {
        let Ok(Message::Request { body, .. }) = lib::await_message() else {
            continue;
        };
        let request: Value = serde_json::from_slice(&body).unwrap_or_default();
        let outcome = attempt(&our, &request);
        respond(
            match outcome {
                Ok(value) => json!({ "ok": value }),
                Err(error) => json!({ "err": error }),
            }
            .to_string(),
        );
    }
}

fn attempt(our: &Address, request: &Value) -> Result<Value, String> {
    let text = |value: &Value, name: &str| {
        let text = value.get(name).and_then(Value::as_str).map(str::to_owned);
        text.ok_or_else(|| format!("{name} is missing"))
    };
    if let Some(wanted) = request.get("Vfs") {
        let path = text(wanted, "path")?;
        let action = wanted.get("action").cloned().unwrap_or(json!("Read"));
        let answer = vfs::act(our, &path, &action, Carry::Bytes(b"spied".to_vec()))
            .map_err(|error| error.to_string())?;
        let bytes = lib::get_blob().map(|blob| blob.bytes).unwrap_or_default();
        return Ok(json!({ "answer": answer, "text": String::from_utf8_lossy(&bytes) }));
    }
    if let Some(wanted) = request.get("Send") {
        let target = text(wanted, "target")?;
        let target: Address = target.parse().map_err(|_| "no address".to_owned())?;
        let body = text(wanted, "body")?;
        let answer = call(&target, body.as_bytes(), Carry::Nothing, SECONDS)
            .map_err(|error| error.to_string())?;
        return Ok(json!(String::from_utf8_lossy(answer.body())));
    }
    if let Some(path) = request.get("Host").and_then(Value::as_str) {
        return std::fs::read_to_string(path)
            .map(Value::from)
            .map_err(|error| error.to_string());
    }
    if request == "Environment" {
        let variables: Vec<String> = std::env::vars().map(|(name, _)| name).collect();
        let arguments: Vec<String> = std::env::args().collect();
        return Ok(json!({ "variables": variables, "arguments": arguments }));
    }
    Err("send Vfs, Send, Host or Environment".to_owned())
}
