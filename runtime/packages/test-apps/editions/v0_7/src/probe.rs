//! Tells what it sees, with messages written by hand.

use crate::bindings::kinode::process::standard as host;
use host::{Address, LazyLoadBlob, Message, ProcessId, Request, Response, SendErrorKind};
use serde_json::{json, Value};

fn address(node: &str, process: &str, package: &str, publisher: &str) -> Address {
    Address {
        node: node.to_owned(),
        process: ProcessId {
            process_name: process.to_owned(),
            package_name: package.to_owned(),
            publisher_node: publisher.to_owned(),
        },
    }
}

fn text(address: &Address) -> String {
    let ProcessId {
        process_name,
        package_name,
        publisher_node,
    } = &address.process;
    format!(
        "{}@{process_name}:{package_name}:{publisher_node}",
        address.node
    )
}

fn request(body: &Value, seconds: Option<u64>) -> Request {
    Request {
        inherit: false,
        expects_response: seconds,
        body: body.to_string().into_bytes(),
        metadata: None,
        capabilities: Vec::new(),
    }
}

/// Answers the request being handled.
fn respond(body: &Value, blob: Option<LazyLoadBlob>) {
    let response = Response {
        inherit: false,
        body: body.to_string().into_bytes(),
        metadata: None,
        capabilities: Vec::new(),
    };
    host::send_response(&response, blob.as_ref());
}

/// Runs until its node stops.
pub fn run(our: &str) {
    let node = our.split('@').next().unwrap_or_default();
    let lives = host::get_state().map_or(0, |state| state.len());
    host::set_state(&vec![1; lives + 1]);
    let server = address(node, "http_server", "distro", "sys");
    let bind = json!({"Bind": {
        "path": "/", "authenticated": false, "local_only": false, "cache": false,
    }});
    let bound = host::send_and_await_response(&server, &request(&bind, Some(5)), None);
    let bound = match bound {
        Ok((_, Message::Response((response, _)))) => {
            String::from_utf8_lossy(&response.body).into_owned()
        }
        Ok((_, Message::Request(_))) => "a request".to_owned(),
        Err(error) => format!("{:?}", error.kind),
    };
    loop {
        let Ok((source, Message::Request(message))) = host::receive() else {
            continue;
        };
        let asked: Value = serde_json::from_slice(&message.body).unwrap_or_default();
        if let Some(asked) = asked.get("Http") {
            let facts = json!({"source": text(&source), "asked": asked});
            let head = json!({"status": 200, "headers": {"content-type": "application/json"}});
            let bytes = facts.to_string().into_bytes();
            respond(&head, Some(LazyLoadBlob { mime: None, bytes }));
        } else {
            let mut issuers: Vec<String> = host::our_capabilities()
                .iter()
                .map(|held| text(&held.issuer))
                .collect();
            issuers.sort();
            issuers.dedup();
            let facts = json!({
                "edition": "v0_7",
                "our": our,
                "source": text(&source),
                "lives": lives + 1,
                "bound": bound,
                "issuers": issuers,
                "unknown": unknown(node),
            });
            respond(&facts, None);
        }
    }
}

/// How a message to nobody fails.
fn unknown(node: &str) -> &'static str {
    let nobody = address(node, "nobody", "here", "sys");
    let body = request(&json!("hello"), Some(5));
    match host::send_and_await_response(&nobody, &body, None) {
        Err(error) if error.kind == SendErrorKind::Timeout => "Timeout",
        Err(_) => "Offline",
        Ok(_) => "answered",
    }
}
