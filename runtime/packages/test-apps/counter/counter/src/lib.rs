//! `counter:counter:tester.dev`: a page at `/`, a JSON API at `/api`, a page
//! for the signed-in owner at `/private`, and the same by messages.
//!
//! Invariant: a count is saved before anyone hears of it. It never stops.

use std::collections::HashMap;

use guest::lib::http::server::{send_response, HttpBindingConfig, HttpServer, HttpServerRequest};
use guest::lib::http::{Method, StatusCode};
use guest::lib::{self, Address, LazyLoadBlob, Message};
use guest::{print, respond};
use serde_json::{json, Value};

guest::process!(run);

const PAGE: &str = include_str!("page.html");
/// Seconds to wait for the HTTP server at start.
const BIND_SECONDS: u64 = 5;

fn run(our: Address) {
    let mut count = lib::get_state().and_then(saved).unwrap_or_default();
    let mut server = HttpServer::new(BIND_SECONDS);
    let page = LazyLoadBlob {
        mime: Some("text/html".to_owned()),
        bytes: PAGE.as_bytes().to_vec(),
    };
    let open = HttpBindingConfig::default().authenticated(false);
    let bound = [
        server.bind_http_path("/", open.clone().static_content(Some(page))),
        server.bind_http_path("/api", open),
        server.bind_http_path("/private", HttpBindingConfig::default().authenticated(true)),
    ];
    for failure in bound.into_iter().filter_map(Result::err) {
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
            Ok(HttpServerRequest::Http(request)) => {
                let posted = matches!(request.method(), Ok(Method::POST));
                answer_page(
                    &our,
                    request.bound_path(Some(&our.process.to_string())),
                    posted,
                    &mut count,
                );
            }
            Ok(_) => {}
            Err(_) => answer_message(&body, &mut count),
        }
    }
}

/// The count in saved state.
fn saved(bytes: Vec<u8>) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

fn increment(count: &mut u64) {
    *count += 1;
    lib::set_state(&count.to_le_bytes());
}

fn answer_page(our: &Address, path: &str, posted: bool, count: &mut u64) {
    let (status, body) = match path {
        "/api" => {
            if posted {
                increment(count);
            }
            (StatusCode::OK, json!({ "count": count }))
        }
        "/private" => (
            StatusCode::OK,
            json!({ "count": count, "node": our.node() }),
        ),
        _ => (StatusCode::NOT_FOUND, json!({ "error": "no such page" })),
    };
    let headers = HashMap::from([("Content-Type".to_owned(), "application/json".to_owned())]);
    send_response(status, Some(headers), body.to_string().into_bytes());
}

fn answer_message(body: &[u8], count: &mut u64) {
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    if request == json!("Increment") || request.get("Increment").is_some() {
        increment(count);
    } else if request != json!("Get") && request.get("Get").is_none() {
        return respond(json!({"error": "ask for \"Get\" or \"Increment\""}).to_string());
    }
    respond(json!({ "count": count }).to_string());
}
