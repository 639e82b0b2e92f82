//! What the HTTP server of the libraries from 0.10 on has of its own.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{json, Value};

use crate::http_calls::{content, done, message_type, text, texts, Told};
use crate::lib::http::server::{
    self, HttpBindingConfig, HttpServer, HttpServerError, WsBindingConfig,
};

/// `serve_file`.
pub fn file(
    server: &mut HttpServer,
    _options: &Value,
    path: &str,
    paths: Vec<&str>,
    config: HttpBindingConfig,
) -> Option<Result<(), HttpServerError>> {
    Some(server.serve_file(path, paths, config))
}

/// `serve_ui`.
pub fn ui(
    server: &mut HttpServer,
    _options: &Value,
    directory: &str,
    paths: Vec<&str>,
    config: HttpBindingConfig,
) -> Option<Result<(), HttpServerError>> {
    Some(server.serve_ui(directory, paths, config))
}

/// `WsBindingConfig::new`.
pub fn ws_config(authenticated: bool, secure: bool, extension: bool) -> WsBindingConfig {
    WsBindingConfig::new(authenticated, secure, extension)
}

/// The flag is gone.
pub fn ws_encrypted(config: WsBindingConfig, _options: &Value) -> WsBindingConfig {
    config
}

/// `handle_websocket_open`.
pub fn opened(server: &mut HttpServer, path: &str, channel: u32) {
    crate::serving_own::opened(server, path, channel);
}

/// What earlier libraries do not have.
pub fn act(
    server: &mut HttpServer,
    call: &str,
    options: &Value,
    config: fn(&Value) -> HttpBindingConfig,
) -> Option<Told> {
    Some(match call {
        "get_ws_channels" => {
            let channels: BTreeMap<String, BTreeSet<u32>> = server
                .get_ws_channels()
                .into_iter()
                .map(|(path, channels)| (path, channels.into_iter().collect()))
                .collect();
            Ok(json!(channels))
        }
        // The function that is no method, with the channels of the server.
        "server::ws_push_all_channels" => {
            let channels = server.get_ws_channels();
            let path = text(options, "path");
            server::ws_push_all_channels(&channels, path, message_type(options), content(options));
            Ok(Value::Null)
        }
        "bind_multiple_http_paths" => {
            let paths = texts(options, "paths");
            done(server.bind_multiple_http_paths(paths, config(options)))
        }
        _ => return crate::serving_own::act(server, call, options),
    })
}
