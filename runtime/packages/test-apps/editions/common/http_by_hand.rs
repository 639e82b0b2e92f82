//! The steps of `http_calls.rs` where there is no library: the requests of the
//! book, written by hand. What a library makes of several requests, or of
//! none, is absent.

use serde_json::{json, Value};

use crate::api;
use crate::said;
use crate::script::{Answer, Incoming, Outgoing};

type Told = Result<Value, Value>;

/// Bodies beyond this length are told by length and hash.
const MOST_TOLD: usize = 8 << 10;

/// Does what `options["call"]` of a library does.
pub fn act(options: &Value, _arrived: &[u8]) -> Value {
    let call = text(options, "call");
    match bind(call, options)
        .or_else(|| serve(call, options))
        .or_else(|| client(call, options))
    {
        Some(Ok(value)) => json!({ "Ok": value }),
        Some(Err(error)) => json!({ "Err": error }),
        None => json!("absent"),
    }
}

fn text<'a>(options: &'a Value, name: &str) -> &'a str {
    options.get(name).and_then(Value::as_str).unwrap_or("")
}

fn blob(options: &Value) -> Option<api::LazyLoadBlob> {
    Some(api::LazyLoadBlob {
        mime: said::string(options, "mime"),
        bytes: said::bytes(options)?,
    })
}

/// A request that names no node.
fn outgoing(module: &str, body: &Value, blob: Option<api::LazyLoadBlob>) -> Option<Outgoing> {
    let target = said::address(&format!("our@{module}:distro:sys"))?;
    Some(Outgoing {
        blob,
        ..said::plain(target, body.to_string().into_bytes())
    })
}

/// What the module says.
fn ask(module: &str, body: &Value, blob: Option<api::LazyLoadBlob>, seconds: u64) -> Told {
    let mut asked = outgoing(module, body, blob);
    if let Some(asked) = &mut asked {
        asked.expects = Some(seconds);
    }
    let answer = match asked.and_then(api::send_and_await) {
        Some(Incoming::Response { body, .. }) => said::text(&body),
        Some(Incoming::Request { .. }) => return Err(json!("a request came")),
        Some(Incoming::Failed { offline, .. }) => {
            return Err(json!(if offline { "Offline" } else { "Timeout" }))
        }
        None => return Err(json!("it could not be sent")),
    };
    match (answer.get("Ok"), answer.get("Err")) {
        (Some(value), None) => Ok(value.clone()),
        (None, Some(error)) => Err(error.clone()),
        _ => Err(json!(format!("neither Ok nor Err: {answer}"))),
    }
}

fn bind(call: &str, options: &Value) -> Option<Told> {
    let path = text(options, "path");
    let [authenticated, local_only, encrypted] =
        ["authenticated", "local_only", "encrypted"].map(|name| said::flag(options, name));
    let bind = |cache: bool| {
        json!({"Bind": {
            "path": path,
            "authenticated": authenticated,
            "local_only": local_only,
            "cache": cache,
        }})
    };
    let secure = |cache: bool| json!({"SecureBind": {"path": path, "cache": cache}});
    let socket = |extension: bool| {
        json!({"WebSocketBind": {
            "path": path,
            "authenticated": authenticated && !extension,
            "encrypted": encrypted,
            "extension": extension,
        }})
    };
    let (action, content) = match call {
        "bind_http_path" => (bind(false), None),
        "bind_http_static_path" => (bind(true), blob(options)),
        "secure_bind_http_path" => (secure(false), None),
        "secure_bind_http_static_path" => (secure(true), blob(options)),
        "unbind_http_path" => (json!({"Unbind": {"path": path}}), None),
        "bind_ws_path" => (socket(false), None),
        "bind_ext_path" => (socket(true), None),
        "secure_bind_ws_path" => (
            json!({"WebSocketSecureBind": {
                "path": path, "encrypted": encrypted, "extension": false,
            }}),
            None,
        ),
        "unbind_ws_path" => (json!({"WebSocketUnbind": {"path": path}}), None),
        _ => return None,
    };
    Some(ask("http_server", &action, content, 5))
}

fn serve(call: &str, options: &Value) -> Option<Told> {
    match call {
        "send_response" => {
            let head = json!({
                "status": options.get("status"),
                "headers": options.get("headers").cloned().unwrap_or_else(|| json!({})),
            });
            api::respond(Answer {
                body: head.to_string().into_bytes(),
                inherit: false,
                metadata: None,
                blob: blob(options).or(Some(api::LazyLoadBlob {
                    mime: None,
                    bytes: Vec::new(),
                })),
                capabilities: Vec::new(),
            });
        }
        "send_ws_push" => push("http_server", options)?,
        _ => return None,
    }
    Some(Ok(Value::Null))
}

/// Pushes to an open WebSocket, of either module.
fn push(module: &str, options: &Value) -> Option<()> {
    let body = json!({"WebSocketPush": {
        "channel_id": options.get("channel"),
        "message_type": options.get("type").cloned().unwrap_or_else(|| json!("Text")),
    }});
    let blob = blob(options).unwrap_or(api::LazyLoadBlob {
        mime: None,
        bytes: Vec::new(),
    });
    api::send(outgoing(module, &body, Some(blob))?);
    Some(())
}

fn client(call: &str, options: &Value) -> Option<Told> {
    let headers = options.get("headers").cloned().unwrap_or_else(|| json!({}));
    let (url, channel) = (options.get("url"), options.get("channel"));
    let seconds = options.get("seconds").and_then(Value::as_u64);
    let request = json!({"Http": {
        "method": options.get("method"), "version": null, "url": url, "headers": headers,
    }});
    let body = api::LazyLoadBlob {
        mime: None,
        bytes: said::bytes(options).unwrap_or_default(),
    };
    Some(match call {
        "send_request" => {
            let mut asked = outgoing("http_client", &request, Some(body))?;
            asked.expects = seconds;
            api::send(asked);
            Ok(Value::Null)
        }
        "send_request_await_response" => {
            let told = ask("http_client", &request, Some(body), seconds.unwrap_or(5));
            told.map(|told| response(&told["Http"]))
        }
        "open_ws_connection" => {
            let open = json!({"WebSocketOpen": {
                "url": url, "headers": headers, "channel_id": channel,
            }});
            acknowledged(ask("http_client", &open, None, 5))
        }
        "send_ws_client_push" => {
            push("http_client", options)?;
            Ok(Value::Null)
        }
        "close_ws_connection" => {
            let close = json!({"WebSocketClose": {"channel_id": channel}});
            acknowledged(ask("http_client", &close, None, 5))
        }
        _ => return None,
    })
}

/// What came, with the names of headers as the libraries tell them.
fn response(told: &Value) -> Value {
    let headers: serde_json::Map<String, Value> = told["headers"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.to_lowercase(), value.clone()))
        .collect();
    let bytes = api::get_blob().map(|blob| blob.bytes).unwrap_or_default();
    let body = if bytes.len() <= MOST_TOLD {
        said::text(&bytes)
    } else {
        said::blob(Some(&api::LazyLoadBlob { mime: None, bytes }))
    };
    json!({ "status": told["status"], "headers": headers, "body": body })
}

fn acknowledged(told: Told) -> Told {
    match told? {
        Value::String(word) if word == "WebSocketAck" => Ok(Value::Null),
        other => Err(json!(format!("it is no acknowledgement: {other}"))),
    }
}
