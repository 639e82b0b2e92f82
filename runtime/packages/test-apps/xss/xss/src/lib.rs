//! `xss:xss:test.dev` and eleven more processes of the package: each puts
//! another entry of the corpus on the homepage, as label, icon, path and
//! widget at once. Where any of them runs as a script of a page, that page
//! has a global `__xss`.
//!
//! `/` shows the corpus as text. `/attacker` of the first process, for
//! anybody, tries a browser's walls (see `attacker.js`). By message:
//! `{"Homepage":REQUEST}` sends REQUEST to the homepage and answers what came
//! back; `{"Seize":REQUEST}` the same with made-up rights attached;
//! `{"Huge":{"label":N,"icon":N,"widget":N,"path":N}}` adds an entry of those
//! sizes; `"Again"` adds the corpus entry again. It never stops.

mod corpus;

use guest::lib::http::server::{send_response, HttpBindingConfig, HttpServer, HttpServerRequest};
use guest::lib::http::StatusCode;
use guest::lib::{self, Address, Capability, LazyLoadBlob, Message, Request};
use guest::{local, print, respond};
use serde_json::{json, Value};

guest::process!(run);

const HOMEPAGE: &str = "homepage:homepage:sys";
/// Seconds to wait for the HTTP server, and for the homepage's answer.
const SECONDS: u64 = 3;
/// Largest part of a huge entry.
const MOST_HUGE: u64 = 16 << 20;

fn run(our: Address) {
    bind(&our);
    add_corpus(&our);
    loop {
        let Ok(Message::Request { source, body, .. }) = lib::await_message() else {
            continue;
        };
        if source.node() != our.node() {
            continue;
        }
        match HttpServerRequest::from_bytes(&body) {
            Ok(HttpServerRequest::Http(_)) => {
                send_response(StatusCode::NOT_FOUND, None, b"no such page\n".to_vec());
            }
            Ok(_) => {}
            Err(_) => {
                let request: Value = serde_json::from_slice(&body).unwrap_or_default();
                respond(answer(&our, &request).to_string());
            }
        }
    }
}

fn bind(our: &Address) {
    let mut server = HttpServer::new(SECONDS);
    let content = |mime: &str, text: String| {
        Some(LazyLoadBlob {
            mime: Some(mime.to_owned()),
            bytes: text.into_bytes(),
        })
    };
    let html = "text/html; charset=utf-8";
    let signed_in = HttpBindingConfig::default();
    let mut bound =
        vec![server.bind_http_path("/", signed_in.static_content(content(html, corpus::page())))];
    if our.process.process() == "xss" {
        let open = HttpBindingConfig::default().authenticated(false);
        let page = include_str!("attacker.html").to_owned();
        let script = include_str!("attacker.js").to_owned();
        let page = content(html, page);
        let script = content("text/javascript; charset=utf-8", script);
        bound.push(server.bind_http_path("/attacker", open.clone().static_content(page)));
        bound.push(server.bind_http_path("/attacker.js", open.static_content(script)));
    }
    for failure in bound.into_iter().filter_map(Result::err) {
        print(&format!("cannot bind a path: {failure}"));
    }
}

/// Puts the entry that belongs to this process' name on the homepage.
fn add_corpus(our: &Address) {
    let name = our.process.process();
    let at = name.strip_prefix("xss-").and_then(|rest| rest.parse().ok());
    let entry = corpus::entry(at.unwrap_or_default());
    let _ = ask(our, &json!({ "Add": entry }), Vec::new());
}

/// Sends `request` to the homepage; `null` when no answer comes.
fn ask(our: &Address, request: &Value, capabilities: Vec<Capability>) -> Value {
    let Some(homepage) = local(our, HOMEPAGE) else {
        return Value::Null;
    };
    // Additions and removals have no answer, and are carried out in order.
    let answered = matches!(request.as_str(), Some("GetApps"));
    let request = Request::to(homepage)
        .body(request.to_string())
        .capabilities(capabilities);
    if !answered {
        return json!({ "sent": request.send().is_ok() });
    }
    match request.send_and_await_response(SECONDS) {
        Ok(Ok(answer)) => serde_json::from_slice(answer.body()).unwrap_or_default(),
        _ => Value::Null,
    }
}

fn answer(our: &Address, request: &Value) -> Value {
    if let Some(request) = request.get("Homepage") {
        return ask(our, request, Vec::new());
    }
    if let Some(request) = request.get("Seize") {
        let made_up = ["RemoveOther", "SetStylesheet"].map(|params| {
            let issuer = local(our, HOMEPAGE).unwrap_or_else(|| our.clone());
            Capability {
                issuer,
                params: json!(params).to_string(),
            }
        });
        let own = ["RemoveOther", "SetStylesheet"].map(|params| Capability {
            issuer: our.clone(),
            params: json!(params).to_string(),
        });
        return ask(our, request, made_up.into_iter().chain(own).collect());
    }
    if let Some(sizes) = request.get("Huge") {
        let long = |name: &str, start: &str| {
            let size = sizes.get(name).and_then(Value::as_u64)?.min(MOST_HUGE);
            let fill = usize::try_from(size).unwrap_or_default();
            Some(format!("{start}{}", "A".repeat(fill)))
        };
        let entry = json!({
            "label": long("label", "").unwrap_or_else(|| "Huge".to_owned()),
            "icon": long("icon", "data:image/png;base64,"),
            "path": long("path", "/"),
            "widget": long("widget", "<p>"),
        });
        return ask(our, &json!({ "Add": entry }), Vec::new());
    }
    if request == "Again" {
        add_corpus(our);
        return json!({ "sent": true });
    }
    json!({"error": "send {\"Homepage\":…}, {\"Seize\":…}, {\"Huge\":…} or \"Again\""})
}
