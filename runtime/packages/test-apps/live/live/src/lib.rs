//! `live:live:test.dev`: a counter that every open page sees move.
//!
//! `/` is the page (signed in), its WebSocket takes the text `more` and tells
//! every page the new count; binary frames come back. `/echo` is a WebSocket
//! for anybody that returns each frame. `/vault` is a page and a WebSocket on
//! the package's own subdomain. By message: `"Get"`, `"More"`, `"Channels"`,
//! `{"Push":TEXT}`, `"Close"`, and `{"Style":CSS}`, which changes the node's
//! shared stylesheet by a right that its manifest asks for.
//!
//! Invariant: a count is saved before anyone hears of it. It never stops.

mod site;

use std::collections::HashMap;

use guest::lib::http::server::{send_ws_push, HttpServerAction, HttpServerRequest, WsMessageType};
use guest::lib::{self, Address, Capability, LazyLoadBlob, Message, Request};
use guest::{local, respond};
use serde_json::{json, Value};

guest::process!(run);

/// More than the host keeps open for a node.
const MOST_CHANNELS: usize = 1024;

/// The counter and who watches it.
struct Live {
    our: Address,
    count: u64,
    /// Path of each open channel.
    channels: HashMap<u32, String>,
}

fn run(our: Address) {
    let count = lib::get_state().and_then(saved).unwrap_or_default();
    site::bind();
    lib::homepage::add_to_homepage(
        "Live counter",
        Some(site::ICON),
        Some("/"),
        Some(site::WIDGET),
    );
    let mut live = Live {
        our,
        count,
        channels: HashMap::new(),
    };
    loop {
        let Ok(Message::Request { source, body, .. }) = lib::await_message() else {
            continue;
        };
        if source.node() == live.our.node() {
            live.handle(&source, &body);
        }
    }
}

/// The count in saved state.
fn saved(bytes: Vec<u8>) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

fn text(text: String) -> LazyLoadBlob {
    LazyLoadBlob {
        mime: None,
        bytes: text.into_bytes(),
    }
}

impl Live {
    fn handle(&mut self, source: &Address, body: &[u8]) {
        let from_server = source.process.to_string() == "http-server:distro:sys";
        match HttpServerRequest::from_bytes(body) {
            Ok(request) if from_server => self.serve(request),
            _ => self.answer(body),
        }
    }

    fn serve(&mut self, request: HttpServerRequest) {
        match request {
            HttpServerRequest::Http(request) => {
                let path = request.bound_path(Some(&self.our.process.to_string()));
                site::answer(path, self.count);
            }
            HttpServerRequest::WebSocketOpen { path, channel_id } => {
                if path != "/echo" {
                    self.tell(channel_id);
                }
                if self.channels.len() < MOST_CHANNELS {
                    self.channels.insert(channel_id, path);
                }
            }
            HttpServerRequest::WebSocketPush {
                channel_id,
                message_type,
            } => self.take(channel_id, message_type),
            HttpServerRequest::WebSocketClose(channel_id) => {
                self.channels.remove(&channel_id);
            }
        }
    }

    fn take(&mut self, channel: u32, kind: WsMessageType) {
        let blob = lib::get_blob().unwrap_or_default();
        let echoes = self
            .channels
            .get(&channel)
            .is_some_and(|path| path == "/echo");
        match kind {
            WsMessageType::Binary => send_ws_push(channel, kind, blob),
            WsMessageType::Text if echoes => send_ws_push(channel, kind, blob),
            WsMessageType::Text if blob.bytes == b"more" => self.more(),
            // Pings are answered by the host.
            _ => {}
        }
    }

    fn more(&mut self) {
        self.count += 1;
        lib::set_state(&self.count.to_le_bytes());
        for (channel, path) in &self.channels {
            if path != "/echo" {
                self.tell(*channel);
            }
        }
    }

    fn tell(&self, channel: u32) {
        let count = json!({ "count": self.count }).to_string();
        send_ws_push(channel, WsMessageType::Text, text(count));
    }

    fn answer(&mut self, body: &[u8]) {
        let request: Value = serde_json::from_slice(body).unwrap_or_default();
        if let Some(pushed) = request.get("Push").and_then(Value::as_str) {
            for channel in self.channels.keys() {
                send_ws_push(*channel, WsMessageType::Text, text(pushed.to_owned()));
            }
            return respond(json!({ "channels": self.channels.len() }).to_string());
        }
        if let Some(sheet) = request.get("Style").and_then(Value::as_str) {
            self.style(sheet);
            return respond(r#"{"sent":true}"#);
        }
        match request.as_str() {
            Some("Get") => {}
            Some("More") => self.more(),
            Some("Channels") => {
                return respond(json!({ "channels": self.channels.len() }).to_string());
            }
            Some("Close") => {
                let closed = self.channels.len();
                for channel in self.channels.keys() {
                    self.close(*channel);
                }
                return respond(json!({ "closed": closed }).to_string());
            }
            _ => {
                return respond(
                    r#"{"error":"send \"Get\", \"More\", \"Channels\", \"Close\" or {\"Push\":\"text\"}"}"#,
                )
            }
        }
        respond(json!({ "count": self.count }).to_string());
    }

    fn style(&self, sheet: &str) {
        if let Some(homepage) = local(&self.our, "homepage:homepage:sys") {
            let right = Capability {
                issuer: homepage.clone(),
                params: json!("SetStylesheet").to_string(),
            };
            // `send` fails only without a body.
            let _ = Request::to(homepage)
                .body(json!({ "SetStylesheet": sheet }).to_string())
                .capabilities(vec![right])
                .send();
        }
    }

    fn close(&self, channel: u32) {
        let action = serde_json::to_vec(&HttpServerAction::WebSocketClose(channel));
        if let (Some(server), Ok(body)) = (local(&self.our, "http-server:distro:sys"), action) {
            // `send` fails only without a body.
            let _ = Request::to(server).body(body).send();
        }
    }
}
