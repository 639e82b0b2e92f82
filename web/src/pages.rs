//! One thing to say to a person or a program: answers when a node cannot.
//!
//! Every inserted string is escaped by askama. Pages on a tenant's host carry
//! their style inline, since every path there belongs to the tenant.

use std::time::Duration;

use askama::Template;
use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use node_api::{HttpResponse, body};

use crate::problem::{MEDIA_TYPE, retry_after_value};

/// A page that says one thing.
#[derive(Debug, Template)]
#[template(path = "message.html")]
struct MessagePage<'a> {
    title: &'a str,
    text: &'a str,
    retry_seconds: Option<u64>,
}

/// One thing to say, to a person or to a program.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) status: StatusCode,
    pub(crate) title: &'static str,
    pub(crate) text: String,
    pub(crate) retry_after: Option<Duration>,
    /// The page asks again by itself once that time is over.
    by_itself: bool,
}

impl Message {
    pub(crate) fn new(status: StatusCode, title: &'static str, text: impl Into<String>) -> Self {
        Self {
            status,
            title,
            text: text.into(),
            retry_after: None,
            by_itself: true,
        }
    }

    pub(crate) fn retry_after(self, wait: Duration) -> Self {
        Self {
            retry_after: Some(wait),
            ..self
        }
    }

    /// As the answer to a request with `method`. A browser that loads a page
    /// again only reads: after a form that would be another request.
    pub(crate) fn asked_by(self, method: &Method) -> Self {
        Self {
            by_itself: matches!(*method, Method::GET | Method::HEAD),
            ..self
        }
    }

    /// As a page, or as a problem if that is what `request` asks for.
    pub(crate) fn respond(&self, request: &HeaderMap) -> HttpResponse {
        let (media_type, text) = if wants_json(request) {
            (MEDIA_TYPE, self.json())
        } else {
            ("text/html; charset=utf-8", self.html())
        };
        let mut response = Response::new(body(Bytes::from(text)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(
            CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(
                "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
            ),
        );
        headers.insert(
            HeaderName::from_static("x-content-type-options"),
            HeaderValue::from_static("nosniff"),
        );
        if let Some(wait) = self.retry_after {
            headers.insert(RETRY_AFTER, retry_after_value(wait));
        }
        response
    }

    fn html(&self) -> String {
        let wait = self.retry_after.filter(|_| self.by_itself);
        let page = MessagePage {
            title: self.title,
            text: &self.text,
            retry_seconds: wait.map(|wait| wait.as_secs().max(1)),
        };
        page.render().unwrap_or_else(|error| {
            tracing::error!("failed to render a message page: {error}");
            String::new()
        })
    }

    fn json(&self) -> String {
        serde_json::json!({
            "type": "about:blank",
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": self.text,
        })
        .to_string()
    }
}

/// Whether the client asks for JSON and not for a page.
pub(crate) fn wants_json(headers: &HeaderMap) -> bool {
    let mut json = false;
    for value in headers.get_all(ACCEPT) {
        let Ok(value) = value.to_str() else { continue };
        for range in value.split(',') {
            let media_type = range.split(';').next().unwrap_or_default().trim();
            match media_type.to_ascii_lowercase().as_str() {
                "text/html" | "application/xhtml+xml" => return false,
                "application/json" | MEDIA_TYPE => json = true,
                _ => {}
            }
        }
    }
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_get_json_and_browsers_a_page() {
        let accepts = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, value.parse().unwrap());
            wants_json(&headers)
        };
        assert!(accepts("application/json"));
        assert!(accepts("text/plain, Application/Problem+JSON;q=0.5"));
        assert!(!accepts("*/*"));
        assert!(!accepts("text/html, application/json"));
        assert!(!wants_json(&HeaderMap::new()));
    }

    #[test]
    fn pages_escape_what_they_show() {
        let message = Message::new(StatusCode::NOT_FOUND, "Gone", "<script>alert(1)</script>");
        let html = message.html();
        assert!(!html.contains("<script>"));
        assert!(html.contains("alert(1)"));
    }
}
