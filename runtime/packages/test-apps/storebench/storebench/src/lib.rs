//! `storebench:storebench:tester.dev`: times what the stores of its node do for
//! it, call by call, through the published library.
//!
//! `{"run":KIND,"rounds":N,"bytes":N}` is answered with the times of one call
//! in nanoseconds, by this process' clock; the kinds are in [`measure`]. A run
//! ends early when its time is up. `{"little":{…}}`, also as a POST to
//! `/little`, begins to write a little and slowly (see [`little`]); a GET of
//! `/little` is answered with all times once that is over.
//!
//! Invariant: one thing is done after the other, so a run is never disturbed
//! by another of this node. It never stops.

mod databases;
mod files;
mod job;
mod little;
mod messages;

use std::collections::HashMap;

use guest::lib::http::server::{send_response, HttpBindingConfig, HttpServer, HttpServerRequest};
use guest::lib::http::{Method, StatusCode};
use guest::lib::{self, Address, Message};
use guest::{print, respond};
use serde_json::{json, Value};

use job::{Job, Outcome};

guest::process!(run);

/// Seconds to wait for the HTTP server at start.
const BIND_SECONDS: u64 = 5;

fn run(our: Address) {
    let mut server = HttpServer::new(BIND_SECONDS);
    let open = HttpBindingConfig::default().authenticated(false);
    if let Err(failure) = server.bind_http_path("/little", open) {
        print(&format!("cannot bind a path: {failure}"));
    }
    let mut written = Value::Null;
    loop {
        let Ok(Message::Request { source, body, .. }) = lib::await_message() else {
            continue;
        };
        if source.node() != our.node() {
            continue;
        }
        match server.parse_request(&body) {
            Ok(HttpServerRequest::Http(request)) => {
                let options = lib::get_blob().unwrap_or_default().bytes;
                let begins = matches!(request.method(), Ok(Method::POST));
                let answer = if begins {
                    json!("begun")
                } else {
                    written.clone()
                };
                send(&answer);
                if begins {
                    written = little::write(&our, &parse(&options));
                }
            }
            Ok(_) => {}
            Err(_) => answer_message(&our, &parse(&body), &mut written),
        }
    }
}

fn parse(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_default()
}

fn send(answer: &Value) {
    let headers = HashMap::from([("Content-Type".to_owned(), "application/json".to_owned())]);
    send_response(
        StatusCode::OK,
        Some(headers),
        answer.to_string().into_bytes(),
    );
}

fn answer_message(our: &Address, request: &Value, written: &mut Value) {
    if let Some(options) = request.get("little") {
        respond(json!("begun").to_string());
        *written = little::write(our, options);
        return;
    }
    let answer = measure(our, request).unwrap_or_else(|error| json!({ "error": error }));
    respond(answer.to_string());
}

/// Does the run that is asked for.
fn measure(our: &Address, request: &Value) -> Outcome {
    let job = Job::new(our, request);
    match request.get("run").and_then(Value::as_str) {
        Some("noop") => messages::round_trip(&job),
        Some("timer") => messages::timer(&job),
        Some("state_set") => messages::state_set(&job),
        Some("vfs_append") => files::append(&job),
        Some("vfs_read") => files::read(&job),
        Some("vfs_write") => files::write(&job),
        Some("vfs_create") => files::create(&job),
        Some("kv_set") => databases::kv_set(&job),
        Some("kv_get") => databases::kv_get(&job),
        Some("kv_tx") => databases::kv_tx(&job),
        Some("sqlite_insert") => databases::sqlite_insert(&job),
        Some("sqlite_tx") => databases::sqlite_tx(&job),
        Some("sqlite_select") => databases::sqlite_select(&job),
        _ => Err("send {\"run\":\"kv_set\",\"rounds\":1000,\"bytes\":100}".to_owned()),
    }
}
