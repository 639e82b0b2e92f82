//! What the HTTP server of the libraries for 0.9 has of its own.

use serde_json::Value;

use crate::http_calls::{text, Told};
use crate::lib::http::server::{HttpBindingConfig, HttpServer, HttpServerError, WsBindingConfig};
use crate::said;

/// `serve_file`; `None` if the step names no address.
pub fn file(
    server: &mut HttpServer,
    options: &Value,
    path: &str,
    paths: Vec<&str>,
    config: HttpBindingConfig,
) -> Option<Result<(), HttpServerError>> {
    let our = said::address(text(options, "our"))?;
    Some(server.serve_file(&our, path, paths, config))
}

/// `serve_ui`; `None` if the step names no address.
pub fn ui(
    server: &mut HttpServer,
    options: &Value,
    directory: &str,
    paths: Vec<&str>,
    config: HttpBindingConfig,
) -> Option<Result<(), HttpServerError>> {
    let our = said::address(text(options, "our"))?;
    Some(server.serve_ui(&our, directory, paths, config))
}

/// `WsBindingConfig::new`.
pub fn ws_config(authenticated: bool, secure: bool, extension: bool) -> WsBindingConfig {
    WsBindingConfig::new(authenticated, secure, false, extension)
}

/// The flag that later libraries do not have.
pub fn ws_encrypted(config: WsBindingConfig, options: &Value) -> WsBindingConfig {
    match options.get("encrypted").and_then(Value::as_bool) {
        Some(encrypted) => config.encrypted(encrypted),
        None => config,
    }
}

/// `handle_websocket_open`.
pub fn opened(server: &mut HttpServer, path: &str, channel: u32) {
    server.handle_websocket_open(path, channel);
}

/// What later libraries have more.
pub fn act(
    _server: &mut HttpServer,
    _call: &str,
    _options: &Value,
    _config: fn(&Value) -> HttpBindingConfig,
) -> Option<Told> {
    None
}
