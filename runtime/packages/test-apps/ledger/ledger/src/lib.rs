//! `ledger:tester.dev`: a thin door to the stores of its node, by message and
//! by POST to `/api`. Three processes of it have the same door.
//!
//! It is given a list of steps, takes them in order, and answers with a list
//! of what came of each:
//! - `{"to":MODULE,"body":JSON,"blob":TEXT,"seconds":N}` sends a request; blob
//!   and seconds may be missing. What came is `{"body":JSON,"blob":TEXT}`, the
//!   blob `null` if there was none;
//! - `{"tx":{"to":MODULE,"package_id":P,"db":D,"actions":[{"action":A,"blob":T}]}}`
//!   does the actions in a transaction. What came is `{"tx":[…]}`: of its
//!   begin, of each action and of its commit, up to the first that failed;
//! - `{"state":TEXT}` saves the state of the process, `{"state":null}` reads
//!   it. What came is `{"state":TEXT}`, what stands then.
//!
//! What was not answered is `{"error":TEXT}`.
//!
//! Invariant: a step is over when the store has answered it, and nobody hears
//! of a step before. It keeps nothing itself, and never stops.

use std::collections::HashMap;

use guest::lib::http::server::{send_response, HttpBindingConfig, HttpServer, HttpServerRequest};
use guest::lib::http::StatusCode;
use guest::lib::{self, Address, Message};
use guest::{call, local, print, respond, Carry};
use serde_json::{json, Value};

guest::process!(run);

/// Seconds to wait for the HTTP server at start.
const BIND_SECONDS: u64 = 5;
/// Seconds to wait for a store, unless a step says otherwise: less than a
/// visitor waits for a page.
const SECONDS: u64 = 13;

fn run(our: Address) {
    let mut server = HttpServer::new(BIND_SECONDS);
    let open = HttpBindingConfig::default().authenticated(false);
    if let Err(failure) = server.bind_http_path("/api", open) {
        print(&format!("cannot bind a path: {failure}"));
    }
    loop {
        let Ok(Message::Request { source, body, .. }) = lib::await_message() else {
            continue;
        };
        if source.node() != our.node() {
            continue;
        }
        match server.parse_request(&body) {
            Ok(HttpServerRequest::Http(_)) => {
                let steps = lib::get_blob().unwrap_or_default();
                let told = take_all(&our, &steps.bytes);
                let json = ("Content-Type".to_owned(), "application/json".to_owned());
                let headers = HashMap::from([json]);
                send_response(StatusCode::OK, Some(headers), told.into_bytes());
            }
            Ok(_) => {}
            Err(_) => respond(take_all(&our, &body)),
        }
    }
}

/// Takes the steps in `text`; what came of them.
fn take_all(our: &Address, text: &[u8]) -> String {
    let told = match serde_json::from_slice(text) {
        Ok(Value::Array(steps)) => steps.iter().map(|step| take(our, step)).collect(),
        _ => error("send a list of steps"),
    };
    told.to_string()
}

fn take(our: &Address, step: &Value) -> Value {
    if let Some(state) = step.get("state") {
        if let Value::String(state) = state {
            lib::set_state(state.as_bytes());
        }
        let stands = lib::get_state();
        return json!({ "state": stands.map(|bytes| text(&bytes)) });
    }
    match step.get("tx") {
        Some(tx) => transaction(our, tx),
        None => ask(our, step, &step["body"]),
    }
}

/// Sends `body` to the module that `step` names, with its blob.
fn ask(our: &Address, step: &Value, body: &Value) -> Value {
    let to = step["to"].as_str().unwrap_or_default();
    let target = if to.contains('@') {
        to.parse().ok()
    } else {
        local(our, to)
    };
    let Some(target) = target else {
        return error("a step names an address in `to`");
    };
    let carry = match step["blob"].as_str() {
        Some(blob) => Carry::Bytes(blob.as_bytes().to_vec()),
        None => Carry::Nothing,
    };
    let seconds = step["seconds"].as_u64().unwrap_or(SECONDS);
    match call(&target, body.to_string().as_bytes(), carry, seconds) {
        Ok(answer) => {
            let blob = lib::get_blob().map(|blob| text(&blob.bytes));
            let body = serde_json::from_slice(answer.body());
            json!({ "body": body.unwrap_or_else(|_| json!(text(answer.body()))), "blob": blob })
        }
        Err(failure) => error(&failure.to_string()),
    }
}

/// Does the actions of `tx` between a begin and a commit.
fn transaction(our: &Address, tx: &Value) -> Value {
    let envelope =
        |action: Value| json!({ "package_id": tx["package_id"], "db": tx["db"], "action": action });
    let step = |blob: &Value| json!({ "to": tx["to"], "blob": blob });
    let plain = step(&Value::Null);
    let begun = ask(our, &plain, &envelope(json!("BeginTx")));
    let id = begun.pointer("/body/BeginTx/tx_id").cloned();
    let mut told = vec![begun];
    let Some(id) = id else {
        return json!({ "tx": told });
    };
    for wanted in tx["actions"].as_array().into_iter().flatten() {
        let mut action = wanted["action"].clone();
        // `{"Set":{…}}`: all that can be in a transaction has this form.
        for fields in action
            .as_object_mut()
            .into_iter()
            .flat_map(|it| it.values_mut())
        {
            if let Some(fields) = fields.as_object_mut() {
                fields.insert("tx_id".to_owned(), id.clone());
            }
        }
        let answer = ask(our, &step(&wanted["blob"]), &envelope(action));
        let failed = answer["body"] != "Ok";
        told.push(answer);
        if failed {
            return json!({ "tx": told });
        }
    }
    told.push(ask(
        our,
        &plain,
        &envelope(json!({ "Commit": { "tx_id": id } })),
    ));
    json!({ "tx": told })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn error(text: &str) -> Value {
    json!({ "error": text })
}
