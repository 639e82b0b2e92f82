//! Answers to browsers.

use std::collections::HashMap;

use distro_logic::homepage::headers::{from_own_page, page_policy, ICON_POLICY, WIDGET_POLICY};
use distro_logic::homepage::page::{self, Page};
use distro_logic::homepage::request::{read_favorite, read_order};
use distro_logic::homepage::{entry::Entry, icon};
use guest::lib::get_blob;
use guest::lib::http::server::{send_response, IncomingHttpRequest};
use guest::lib::http::{HeaderMap, StatusCode};
use node_types::ProcessId;

use crate::Homepage;

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// An answer in the making.
struct Answer {
    status: StatusCode,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

impl Answer {
    fn new(status: StatusCode, mime: &str, body: impl Into<Vec<u8>>) -> Self {
        let answer = Self {
            status,
            headers: HashMap::new(),
            body: body.into(),
        };
        answer
            .with("Content-Type", mime)
            .with("X-Content-Type-Options", "nosniff")
            .with("Cache-Control", "no-store")
    }

    fn ok(mime: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::new(StatusCode::OK, mime, body)
    }

    fn refusal(status: StatusCode, sentence: &str) -> Self {
        Self::new(status, TEXT, format!("{sentence}\n"))
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), value.to_owned());
        self
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

impl Homepage {
    /// Answers one request.
    pub fn answer(&mut self, request: &IncomingHttpRequest) {
        let method = request.method().map(|method| method.to_string());
        let answer = match (method.as_deref(), request.bound_path(None)) {
            (Ok("GET" | "HEAD"), path) => self.read(request, path),
            (Ok("POST"), path @ ("/order" | "/favorite")) => self.change(request, path),
            (_, "/order" | "/favorite") => not_allowed("POST"),
            _ => not_allowed("GET, HEAD"),
        };
        send_response(answer.status, Some(answer.headers), answer.body);
    }

    fn read(&self, request: &IncomingHttpRequest, path: &str) -> Answer {
        match path {
            "/" => self.page(&request.headers()),
            "/apps" => {
                let alive = self.alive();
                let apps = self.board.shown(alive.as_ref());
                let listing = match request.query_params().get("brief") {
                    Some(_) => page::brief(&apps),
                    None => page::listing(&apps),
                };
                Answer::ok(JSON, listing.to_string())
            }
            "/version" => Answer::ok(TEXT, env!("CARGO_PKG_VERSION")),
            "/icons/:id" => self.icon(request),
            "/widgets/:id" => self.widget(request),
            "/order" | "/favorite" => not_allowed("POST"),
            _ => Answer::refusal(StatusCode::NOT_FOUND, "There is no such page."),
        }
    }

    fn page(&self, headers: &HeaderMap) -> Answer {
        let alive = self.alive();
        let host = header(headers, "host");
        let html = Page {
            node: self.our.node(),
            apps: &self.board.shown(alive.as_ref()),
        }
        .render();
        Answer::ok(HTML, html)
            .with("Content-Security-Policy", &page_policy(host))
            .with("Cross-Origin-Opener-Policy", "same-origin")
            .with("Cross-Origin-Resource-Policy", "same-origin")
            .with("Referrer-Policy", "same-origin")
            .with("X-Frame-Options", "DENY")
    }

    /// The entry that the path names.
    fn named(&self, request: &IncomingHttpRequest) -> Option<&Entry> {
        let id: ProcessId = request.url_params().get("id")?.parse().ok()?;
        self.board.entry(&id)
    }

    fn icon(&self, request: &IncomingHttpRequest) -> Answer {
        let url = self.named(request).and_then(|entry| entry.icon.as_deref());
        let Some(image) = url.and_then(icon::parse) else {
            return Answer::refusal(StatusCode::NOT_FOUND, "There is no such icon.");
        };
        // The page names the version of an icon; other users do not.
        let caching = match request.query_params().get("v") {
            Some(_) => "private, max-age=31536000, immutable",
            None => "private, no-cache",
        };
        Answer::ok(image.mime, image.bytes)
            .with("Cache-Control", caching)
            .with("Content-Security-Policy", ICON_POLICY)
            .with("Cross-Origin-Resource-Policy", "same-origin")
    }

    fn widget(&self, request: &IncomingHttpRequest) -> Answer {
        let html = self
            .named(request)
            .and_then(|entry| entry.widget.as_deref());
        match html {
            Some(html) => Answer::ok(HTML, html)
                .with("Content-Security-Policy", WIDGET_POLICY)
                .with("Referrer-Policy", "no-referrer"),
            None => Answer::refusal(StatusCode::NOT_FOUND, "There is no such widget."),
        }
    }

    fn change(&mut self, request: &IncomingHttpRequest, path: &str) -> Answer {
        let headers = request.headers();
        let site = header(&headers, "sec-fetch-site");
        if !from_own_page(header(&headers, "host"), header(&headers, "origin"), site) {
            return Answer::refusal(
                StatusCode::FORBIDDEN,
                "Only pages of this node may do that.",
            );
        }
        let body = get_blob().map(|blob| blob.bytes).unwrap_or_default();
        let changed = if path == "/order" {
            read_order(&body).map(|order| self.board.put_in_order(&order))
        } else {
            read_favorite(&body).map(|(id, favorite)| self.board.set_favorite(&id, favorite))
        };
        let Some(changed) = changed else {
            return Answer::refusal(StatusCode::BAD_REQUEST, "That is not a list of ids.");
        };
        if changed {
            self.save();
            self.tell();
        }
        Answer::ok(JSON, "{}")
    }
}

fn not_allowed(allowed: &str) -> Answer {
    Answer::refusal(StatusCode::METHOD_NOT_ALLOWED, "Not in that way.").with("Allow", allowed)
}
