//! What the HTTP server of Hyperware's library has of its own.

use serde_json::{json, Value};

use crate::http_calls::{channel, done, text, texts, Told};
use crate::lib::http::server::HttpServer;

/// `handle_websocket_open`, of a client whose address nobody knows.
pub fn opened(server: &mut HttpServer, path: &str, channel: u32) {
    server.handle_websocket_open(path, channel, None, None);
}

/// What other libraries do not have.
pub fn act(server: &mut HttpServer, call: &str, options: &Value) -> Option<Told> {
    Some(match call {
        "unserve_ui" => {
            done(server.unserve_ui(text(options, "directory"), texts(options, "paths")))
        }
        "get_ws_channel_addr" => Ok(json!(server.get_ws_channel_addr(channel(options)))),
        _ => return None,
    })
}
