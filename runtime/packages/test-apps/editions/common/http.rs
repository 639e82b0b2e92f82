//! The HTTP server in the words of the libraries from 0.9 on.

use crate::lib::http::server::{
    self, HttpBindingConfig, HttpServer, WsBindingConfig, WsMessageType,
};
use crate::lib::LazyLoadBlob;

/// Binds what the app serves.
pub fn bind() {
    let mut server = HttpServer::new(5);
    let open = HttpBindingConfig::default().authenticated(false);
    let _ = server.bind_http_path("/", open);
    let _ = server.bind_http_path("/guarded", HttpBindingConfig::default());
    let _ = server.bind_ws_path("/", WsBindingConfig::default().authenticated(false));
}

/// Answers the request being handled.
pub fn respond(bytes: Vec<u8>) {
    server::send_response(::http::StatusCode::OK, None, bytes);
}

/// Pushes text to an open WebSocket.
pub fn push(channel: u32, bytes: Vec<u8>) {
    server::send_ws_push(
        channel,
        WsMessageType::Text,
        LazyLoadBlob { mime: None, bytes },
    );
}
