//! What the app serves over HTTP, and what it puts on the homepage.

use std::collections::HashMap;

use guest::lib::http::server::{send_response, HttpBindingConfig, HttpServer, WsBindingConfig};
use guest::lib::http::StatusCode;
use guest::lib::LazyLoadBlob;
use guest::print;
use serde_json::json;

const PAGE: &str = include_str!("page.html");
const SCRIPT: &str = include_str!("live.js");
/// Its icon.
pub const ICON: &str = concat!(
    "data:image/svg+xml;base64,",
    "PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIHZpZXdCb3g9IjAgMCA2NCA2NCI+",
    "PHJlY3Qgd2lkdGg9IjY0IiBoZWlnaHQ9IjY0IiByeD0iMTQiIGZpbGw9IiMwZjc2NmUiLz48cGF0aCBk",
    "PSJNMTIgMzRoMTBsNi0xNiA4IDI4IDYtMTJoMTAiIGZpbGw9Im5vbmUiIHN0cm9rZT0iI2VjZmVmZiIg",
    "c3Ryb2tlLXdpZHRoPSI1IiBzdHJva2UtbGluZWNhcD0icm91bmQiIHN0cm9rZS1saW5lam9pbj0icm91",
    "bmQiLz48L3N2Zz4="
);
/// Its widget.
pub const WIDGET: &str = include_str!("widget.html");
/// Seconds to wait for the HTTP server at start.
const BIND_SECONDS: u64 = 5;

fn blob(mime: &str, text: &str) -> LazyLoadBlob {
    LazyLoadBlob {
        mime: Some(mime.to_owned()),
        bytes: text.as_bytes().to_vec(),
    }
}

/// Binds every path. What fails is printed; the rest works all the same.
pub fn bind() {
    let mut server = HttpServer::new(BIND_SECONDS);
    let signed_in = HttpBindingConfig::default();
    let html = "text/html; charset=utf-8";
    let page = signed_in.clone().static_content(Some(blob(html, PAGE)));
    let script = blob("text/javascript; charset=utf-8", SCRIPT);
    let bound = [
        server.bind_http_path("/", page),
        server.bind_http_path("/live.js", signed_in.clone().static_content(Some(script))),
        server.bind_http_path("/count", signed_in.clone()),
        server.bind_http_path("/vault", signed_in.secure_subdomain(true)),
        server.bind_ws_path("/", WsBindingConfig::default()),
        server.bind_ws_path("/echo", WsBindingConfig::default().authenticated(false)),
        server.bind_ws_path("/vault", WsBindingConfig::default().secure_subdomain(true)),
    ];
    for failure in bound.into_iter().filter_map(Result::err) {
        print(&format!("cannot bind a path: {failure}"));
    }
}

/// Answers a request for a path that has no static content.
pub fn answer(path: &str, count: u64) {
    let (status, kind, body) = match path {
        "/count" => (
            StatusCode::OK,
            "application/json",
            json!({ "count": count }).to_string(),
        ),
        "/vault" => (
            StatusCode::OK,
            "text/html; charset=utf-8",
            format!(
                "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Vault\
                 </title></head><body><h1>Vault</h1><p>Count: <output id=\"count\">{count}\
                 </output></p></body></html>"
            ),
        ),
        _ => (
            StatusCode::NOT_FOUND,
            "text/plain; charset=utf-8",
            "no such page\n".to_owned(),
        ),
    };
    let headers = HashMap::from([("Content-Type".to_owned(), kind.to_owned())]);
    send_response(status, Some(headers), body.into_bytes());
}
