//! The HTTP server in the libraries from 0.9 on: functions of their
//! `HttpServer`, of which a process has one. What differs between them the
//! crate that includes it brings as `serving`.

use std::cell::RefCell;

use serde_json::{json, Value};

use crate::http_calls::{channel, content, done, headers, message_type, text, texts, Told};
use crate::lib::http::server::WsBindingConfig;
use crate::lib::http::server::{self, HttpBindingConfig, HttpResponse, HttpServer};
use crate::{said, serving};

pub use crate::lib::http::client;
pub use crate::lib::http::server::{HttpServerError, HttpServerRequest, WsMessageType};

thread_local! {
    static SERVER: RefCell<HttpServer> = RefCell::new(HttpServer::new(5));
}

/// `None` if the library has no such function.
pub fn act(call: &str, options: &Value, arrived: &[u8]) -> Option<Told> {
    Some(match call {
        "send_response" => {
            let status = options.get("status").and_then(Value::as_u64)?;
            let status = ::http::StatusCode::from_u16(u16::try_from(status).ok()?).ok()?;
            server::send_response(status, headers(options), content(options).bytes);
            Ok(Value::Null)
        }
        "send_ws_push" => {
            server::send_ws_push(channel(options), message_type(options), content(options));
            Ok(Value::Null)
        }
        "get_mime_type" => Ok(json!(server::get_mime_type(text(options, "path")))),
        _ => {
            return SERVER.with(|server| {
                let server = &mut *server.borrow_mut();
                binding(server, call, options).or_else(|| handling(server, call, options, arrived))
            })
        }
    })
}

/// Functions that bind paths.
fn binding(server: &mut HttpServer, call: &str, options: &Value) -> Option<Told> {
    let path = text(options, "path");
    let [authenticated, local_only] =
        ["authenticated", "local_only"].map(|name| said::flag(options, name));
    Some(match call {
        "bind_http_path" => done(server.bind_http_path(path, config(options))),
        "bind_http_static_path" => {
            let (mime, bytes) = (content(options).mime, content(options).bytes);
            done(server.bind_http_static_path(path, authenticated, local_only, mime, bytes))
        }
        "secure_bind_http_path" => done(server.secure_bind_http_path(path)),
        "modify_http_path" => done(server.modify_http_path::<String>(path, config(options))),
        "unbind_http_path" => done(server.unbind_http_path(path)),
        "bind_ws_path" => done(server.bind_ws_path(path, ws_config(options))),
        "secure_bind_ws_path" => done(server.secure_bind_ws_path(path)),
        "modify_ws_path" => done(server.modify_ws_path(path, ws_config(options))),
        "unbind_ws_path" => done(server.unbind_ws_path(path)),
        "serve_file" => {
            let paths = texts(options, "paths");
            done(serving::file(
                server,
                options,
                path,
                paths,
                config(options),
            )?)
        }
        "serve_file_raw_path" => {
            let paths = texts(options, "paths");
            done(server.serve_file_raw_path(path, paths, config(options)))
        }
        "serve_ui" => {
            let (directory, paths) = (text(options, "directory"), texts(options, "paths"));
            done(serving::ui(
                server,
                options,
                directory,
                paths,
                config(options),
            )?)
        }
        _ => return serving::act(server, call, options, config),
    })
}

/// Functions for what arrives, and for open WebSockets.
fn handling(server: &mut HttpServer, call: &str, options: &Value, arrived: &[u8]) -> Option<Told> {
    Some(match call {
        "parse_request" => server
            .parse_request(said::bytes(options).as_deref().unwrap_or(arrived))
            .map(|request| json!(request))
            .map_err(|error| json!(error)),
        "handle_request" => match server.parse_request(arrived) {
            Ok(request) => Ok(handle(server, request, options)),
            Err(error) => Err(json!(error)),
        },
        "handle_websocket_open" => {
            serving::opened(server, text(options, "path"), channel(options));
            Ok(Value::Null)
        }
        "handle_websocket_close" => {
            server.handle_websocket_close(channel(options));
            Ok(Value::Null)
        }
        "ws_push_all_channels" => {
            let path = text(options, "path");
            server.ws_push_all_channels(path, message_type(options), content(options));
            Ok(Value::Null)
        }
        _ => return None,
    })
}

/// Answers a request as the step says; gives what was handed over.
fn handle(server: &mut HttpServer, request: HttpServerRequest, options: &Value) -> Value {
    let mut handed = Vec::new();
    let mut pushed = Vec::new();
    server.handle_request(
        request,
        |incoming| {
            handed.push(incoming.path().ok());
            let status = options.get("status").and_then(Value::as_u64).unwrap_or(200);
            let mut response = HttpResponse::new(200_u16).set_status(status as u16);
            for (name, value) in headers(options).unwrap_or_default() {
                response = response.header(name, value);
            }
            let has_content = said::bytes(options).is_some();
            (response, has_content.then(|| content(options)))
        },
        |channel, kind, blob| pushed.push(json!([channel, kind, said::blob(Some(&blob))])),
    );
    json!({ "http": handed, "pushed": pushed })
}

/// How a path is bound: by words of the builder for what the step names, or all
/// at once if it says `"new"`.
fn config(options: &Value) -> HttpBindingConfig {
    let named = |name: &str| options.get(name).and_then(Value::as_bool);
    let static_content = said::bytes(options).map(|_| content(options));
    if said::flag(options, "new") {
        let [authenticated, local_only, secure] =
            ["authenticated", "local_only", "secure"].map(|name| said::flag(options, name));
        return HttpBindingConfig::new(authenticated, local_only, secure, static_content);
    }
    let mut config = HttpBindingConfig::default();
    if let Some(authenticated) = named("authenticated") {
        config = config.authenticated(authenticated);
    }
    if let Some(local_only) = named("local_only") {
        config = config.local_only(local_only);
    }
    if let Some(secure) = named("secure") {
        config = config.secure_subdomain(secure);
    }
    if static_content.is_some() {
        config = config.static_content(static_content);
    }
    config
}

/// The same for WebSockets.
fn ws_config(options: &Value) -> WsBindingConfig {
    let [authenticated, secure, extension] =
        ["authenticated", "secure", "extension"].map(|name| options.get(name));
    let is = |named: Option<&Value>| named.and_then(Value::as_bool);
    if said::flag(options, "new") {
        let [authenticated, secure, extension] =
            [authenticated, secure, extension].map(|named| is(named).unwrap_or(false));
        return serving::ws_config(authenticated, secure, extension);
    }
    let mut config = WsBindingConfig::default();
    if let Some(authenticated) = is(authenticated) {
        config = config.authenticated(authenticated);
    }
    if let Some(secure) = is(secure) {
        config = config.secure_subdomain(secure);
    }
    if let Some(extension) = is(extension) {
        config = config.extension(extension);
    }
    serving::ws_encrypted(config, options)
}
