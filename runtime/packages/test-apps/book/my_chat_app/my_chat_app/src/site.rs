//! The page of the chat, for the node's owner alone.

use std::collections::{HashMap, HashSet};

use kinode_process_lib::http::{self, HttpServerRequest, IncomingHttpRequest, WsMessageType};
use kinode_process_lib::{get_blob, Address, LazyLoadBlob};
use serde_json::json;

use crate::bindings::kinode::process::my_chat_app::{ChatMessage, Request as ChatRequest};
use crate::Chat;

/// The open pages.
pub struct Site {
    channels: HashSet<u32>,
}

impl Site {
    /// Binds its paths.
    pub fn open(our: &Address) -> anyhow::Result<Self> {
        http::serve_index_html(our, "ui", true, false, vec!["/"])?;
        http::bind_http_path("/messages", true, false)?;
        http::bind_ws_path("/", true, false)?;
        Ok(Self {
            channels: HashSet::new(),
        })
    }

    /// Tells all pages what was said with a node.
    pub fn tell(&self, with: &str, message: &ChatMessage) {
        let news = json!({"NewMessage": {
            "chat": with,
            "author": message.author,
            "content": message.content,
        }});
        for channel in &self.channels {
            let blob = LazyLoadBlob {
                mime: Some("application/json".to_owned()),
                bytes: news.to_string().into_bytes(),
            };
            http::send_ws_push(*channel, WsMessageType::Text, blob);
        }
    }
}

/// Answers what the HTTP server hands over.
pub fn handle(chat: &mut Chat, request: &HttpServerRequest) -> anyhow::Result<()> {
    match request {
        HttpServerRequest::Http(request) => {
            let (status, body) = answer(chat, request);
            let headers =
                HashMap::from([("Content-Type".to_owned(), "application/json".to_owned())]);
            http::send_response(status, Some(headers), body);
        }
        HttpServerRequest::WebSocketOpen { channel_id, .. } => {
            chat.site.channels.insert(*channel_id);
        }
        HttpServerRequest::WebSocketClose(channel_id) => {
            chat.site.channels.remove(channel_id);
        }
        HttpServerRequest::WebSocketPush { .. } => {
            let blob = get_blob().unwrap_or_default();
            let (status, _) = post(chat, &blob.bytes);
            anyhow::ensure!(status.is_success(), "a page said nothing that can be sent");
        }
    }
    Ok(())
}

fn answer(chat: &mut Chat, request: &IncomingHttpRequest) -> (http::StatusCode, Vec<u8>) {
    match request.method() {
        Ok(http::Method::GET) => match serde_json::to_vec(&chat.archive) {
            Ok(archive) => (http::StatusCode::OK, archive),
            Err(_) => (http::StatusCode::INTERNAL_SERVER_ERROR, Vec::new()),
        },
        Ok(http::Method::POST) => match get_blob() {
            Some(blob) => post(chat, &blob.bytes),
            None => (http::StatusCode::BAD_REQUEST, Vec::new()),
        },
        _ => (http::StatusCode::METHOD_NOT_ALLOWED, Vec::new()),
    }
}

/// Says what a page wants said.
fn post(chat: &mut Chat, body: &[u8]) -> (http::StatusCode, Vec<u8>) {
    let Ok(ChatRequest::Send(send)) = serde_json::from_slice(body) else {
        return (http::StatusCode::BAD_REQUEST, Vec::new());
    };
    let our = chat.our.clone();
    match chat.send(&our, &send) {
        Ok(()) => (http::StatusCode::CREATED, Vec::new()),
        Err(error) => {
            let told = json!({ "error": error.to_string() });
            let status = http::StatusCode::SERVICE_UNAVAILABLE;
            (status, told.to_string().into_bytes())
        }
    }
}
