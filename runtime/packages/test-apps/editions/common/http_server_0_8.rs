//! The HTTP server in the library of the book: functions that stand alone.

use std::error::Error;

use serde_json::{json, Value};

use crate::http_calls::{channel, content, done, headers, message_type, text, texts, Told};
use crate::lib::http;
use crate::said;

pub use crate::lib::http::{self as client, HttpServerError, HttpServerRequest, WsMessageType};

/// `None` if the library has no such function.
pub fn act(call: &str, options: &Value, _arrived: &[u8]) -> Option<Told> {
    let path = text(options, "path");
    let [authenticated, local_only, encrypted] =
        ["authenticated", "local_only", "encrypted"].map(|name| said::flag(options, name));
    let mime = said::string(options, "mime");
    let bytes = said::bytes(options).unwrap_or_default();
    Some(match call {
        "bind_http_path" => done(http::bind_http_path(path, authenticated, local_only)),
        "bind_http_static_path" => done(http::bind_http_static_path(
            path,
            authenticated,
            local_only,
            mime,
            bytes,
        )),
        "secure_bind_http_path" => done(http::secure_bind_http_path(path)),
        "secure_bind_http_static_path" => {
            done(http::secure_bind_http_static_path(path, mime, bytes))
        }
        "unbind_http_path" => done(http::unbind_http_path(path)),
        "bind_ws_path" => done(http::bind_ws_path(path, authenticated, encrypted)),
        "secure_bind_ws_path" => done(http::secure_bind_ws_path(path, encrypted)),
        "bind_ext_path" => done(http::bind_ext_path(path)),
        "unbind_ws_path" => done(http::unbind_ws_path(path)),
        "send_response" => {
            let status = options.get("status").and_then(Value::as_u64)?;
            let status = ::http::StatusCode::from_u16(u16::try_from(status).ok()?).ok()?;
            http::send_response(status, headers(options), bytes);
            Ok(Value::Null)
        }
        "send_ws_push" => {
            http::send_ws_push(channel(options), message_type(options), content(options));
            Ok(Value::Null)
        }
        "get_mime_type" => Ok(json!(http::get_mime_type(path))),
        _ => return site(call, options),
    })
}

/// Functions that serve what is in the package's drive.
fn site(call: &str, options: &Value) -> Option<Told> {
    let our = said::address(text(options, "our"))?;
    let (directory, paths) = (text(options, "directory"), texts(options, "paths"));
    let [authenticated, local_only] =
        ["authenticated", "local_only"].map(|name| said::flag(options, name));
    let served = match call {
        "serve_index_html" => {
            http::serve_index_html(&our, directory, authenticated, local_only, paths)
        }
        "serve_ui" => http::serve_ui(&our, directory, authenticated, local_only, paths),
        "secure_serve_index_html" => http::secure_serve_index_html(&our, directory, paths),
        "secure_serve_ui" => http::secure_serve_ui(&our, directory, paths),
        "handle_ui_asset_request" => {
            http::handle_ui_asset_request(&our, directory, text(options, "path"))
        }
        _ => return None,
    };
    Some(served.map(|()| Value::Null).map_err(failed))
}

/// The error as its module told it, or else its text.
fn failed(error: impl AsRef<dyn Error + Send + Sync>) -> Value {
    let error = error.as_ref();
    match error.downcast_ref::<HttpServerError>() {
        Some(told) => json!(told),
        None => json!(error.to_string()),
    }
}
