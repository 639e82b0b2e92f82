//! What Hyperware's library has and the others from 0.10 on do not.

use serde_json::Value;

use crate::http_calls::Told;
use crate::lib::http::server::HttpServer;

/// `handle_websocket_open`.
pub fn opened(server: &mut HttpServer, path: &str, channel: u32) {
    server.handle_websocket_open(path, channel);
}

/// Nothing.
pub fn act(_server: &mut HttpServer, _call: &str, _options: &Value) -> Option<Told> {
    None
}
