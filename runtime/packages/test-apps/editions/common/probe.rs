//! What an app of any generation does, in the words that all process libraries
//! share: keeps a state, serves a page and a WebSocket, uses files and timers,
//! and tells what it sees of the world. The crate that includes it brings the
//! library as `lib` and the functions whose names differ as `http`.

use lib::{Address, Message, Request, Response};
use serde_json::{json, Value};

use crate::{http, lib};

/// Runs until its node stops.
pub fn run(our: Address, edition: &str) {
    let lives = lib::get_state().map_or(0, |state| state.len());
    lib::set_state(&vec![1; lives + 1]);
    http::bind();
    lib::homepage::add_to_homepage(edition, None, Some("/"), None);
    loop {
        match lib::await_message() {
            Ok(Message::Request { source, body, .. }) => {
                let request: Value = serde_json::from_slice(&body).unwrap_or_default();
                if !served(&source, &request) {
                    let facts = json!({
                        "edition": edition,
                        "our": our.to_string(),
                        "source": source.to_string(),
                        "lives": lives + 1,
                        "file": file(&our),
                        "timer": timer(),
                        "issuers": issuers(),
                        "unknown": unknown(&our),
                    });
                    let _ = Response::new().body(facts.to_string()).send();
                }
            }
            Ok(Message::Response { .. }) | Err(_) => {}
        }
    }
}

/// Answers what the HTTP server hands over; whether it was that.
fn served(source: &Address, request: &Value) -> bool {
    if let Some(asked) = request.get("Http") {
        let facts = json!({ "source": source.to_string(), "asked": asked });
        http::respond(facts.to_string().into_bytes());
    } else if let Some(opened) = request.get("WebSocketOpen") {
        let channel = opened["channel_id"].as_u64().unwrap_or_default();
        http::push(channel as u32, opened.to_string().into_bytes());
    } else if let Some(pushed) = request.get("WebSocketPush") {
        let channel = pushed["channel_id"].as_u64().unwrap_or_default();
        let bytes = lib::get_blob().map(|blob| blob.bytes).unwrap_or_default();
        http::push(channel as u32, bytes);
    } else {
        return request.get("WebSocketClose").is_some();
    }
    true
}

/// What a file holds after it was written and read again.
fn file(our: &Address) -> Value {
    let done = || -> Result<String, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let drive = lib::vfs::create_drive(our.package_id(), our.process(), None)
            .map_err(|error| text(&error))?;
        let path = format!("{drive}/note");
        let file = lib::vfs::open_file(&path, true, None).map_err(|error| text(&error))?;
        file.write(b"written").map_err(|error| text(&error))?;
        let bytes = file.read().map_err(|error| text(&error))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    match done() {
        Ok(read) => json!(read),
        Err(error) => json!({ "error": error }),
    }
}

/// Whether a timer of a millisecond goes off.
fn timer() -> bool {
    lib::timer::set_and_await_timer(1).is_ok()
}

/// Who issued what this process holds, as it sees them.
fn issuers() -> Vec<String> {
    let mut issuers: Vec<String> = lib::our_capabilities()
        .iter()
        .map(|held| held.issuer.to_string())
        .collect();
    issuers.sort();
    issuers.dedup();
    issuers
}

/// How a message to nobody fails.
fn unknown(our: &Address) -> String {
    let nobody = Address::new(our.node(), ("nobody", "here", "sys"));
    let sent = Request::to(nobody).body("hello").send_and_await_response(5);
    match sent {
        Ok(Err(error)) => format!("{:?}", error.kind),
        Ok(Ok(_)) => "answered".to_owned(),
        Err(error) => error.to_string(),
    }
}
