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

    /// As a page, or as a problem or a line of text if that is what `request`
    /// asks for.
    pub(crate) fn respond(&self, request: &HeaderMap) -> HttpResponse {
        let (media_type, text) = match Form::wanted(request) {
            Form::Page => ("text/html; charset=utf-8", self.html()),
            Form::Problem => (MEDIA_TYPE, self.json()),
            Form::Text => ("text/plain; charset=utf-8", self.line()),
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

    fn line(&self) -> String {
        format!("{}. {}\n", self.title, self.text)
    }
}

/// What a message is told in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A page, for people: also for whoever names none of the three.
    Page,
    /// A problem document, for programs.
    Problem,
    /// A line of text, for scripts and their readers.
    Text,
}

impl Form {
    /// What the client likes best. Only what it names counts: browsers and
    /// programs take `*/*` alike. Who would take a line, and a problem as well,
    /// is a program.
    pub(crate) fn wanted(headers: &HeaderMap) -> Self {
        let (mut page, mut problem, mut text) = (0.0, 0.0, 0.0);
        for value in headers.get_all(ACCEPT) {
            let Ok(value) = value.to_str() else { continue };
            for range in value.split(',') {
                let (media_type, parameters) = range.split_once(';').unwrap_or((range, ""));
                let weight = match media_type.trim().to_ascii_lowercase().as_str() {
                    "text/html" | "application/xhtml+xml" => &mut page,
                    "application/json" | MEDIA_TYPE => &mut problem,
                    "text/plain" => &mut text,
                    _ => continue,
                };
                *weight = weight_in(parameters).max(*weight);
            }
        }
        if problem > page {
            Self::Problem
        } else if text > page {
            Self::Text
        } else {
            Self::Page
        }
    }
}

/// How much a client likes a media type with these parameters, up to one: that
/// much if it does not say.
fn weight_in(parameters: &str) -> f32 {
    let mut pairs = parameters
        .split(';')
        .filter_map(|pair| pair.split_once('='));
    let weight = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
    let weight = weight.and_then(|(_, value)| value.trim().parse::<f32>().ok());
    weight
        .filter(|weight| (0.0..=1.0).contains(weight))
        .unwrap_or(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_get_json_browsers_a_page_and_scripts_a_line() {
        let accepts = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, value.parse().unwrap());
            Form::wanted(&headers)
        };
        for (value, form) in [
            ("application/json", Form::Problem),
            ("text/plain, Application/Problem+JSON;q=0.5", Form::Problem),
            ("text/html;q=0.4, application/json; q=0.5", Form::Problem),
            ("text/html;q=0, application/json", Form::Problem),
            ("*/*", Form::Page),
            ("text/*", Form::Page),
            ("text/plain;q=0, */*", Form::Page),
            ("text/html, application/json", Form::Page),
            ("text/html, text/plain", Form::Page),
            ("text/html;q=wrong, text/plain", Form::Page),
            ("text/plain", Form::Text),
            ("Text/Plain; charset=utf-8, */*; q=0.01", Form::Text),
            ("text/html;level=1;Q=0.9, text/plain", Form::Text),
        ] {
            assert_eq!(accepts(value), form, "{value}");
        }
        assert_eq!(Form::wanted(&HeaderMap::new()), Form::Page);
    }

    #[test]
    fn pages_escape_what_they_show() {
        let message = Message::new(StatusCode::NOT_FOUND, "Gone", "<script>alert(1)</script>");
        let html = message.html();
        assert!(!html.contains("<script>"));
        assert!(html.contains("alert(1)"));
    }
}
