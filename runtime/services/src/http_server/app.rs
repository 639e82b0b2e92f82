//! A request as an app sees it, and its answer as HTTP.
//!
//! Stateless. To an app a header has one value: of one that is repeated all are
//! joined by commas, which means the same. Its answer is a JSON object, where a
//! name stands once; only cookies, which cannot be joined, may be several: by
//! spelling `Set-Cookie` in other cases, or by repeating the name.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Response, StatusCode};
use node_api::{HttpResponse, Visit, body};
use node_types::{KernelMessage, Message};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::cookies;
use super::path::query_pairs;
use super::respond;
use super::routes::Found;

/// Type of an answer that names none.
const DEFAULT_TYPE: &str = "application/octet-stream";
/// Most headers of an answer.
const MAX_HEADERS: usize = 256;
/// Most bytes of them: what clients and proxies take.
const MAX_HEADER_BYTES: usize = 64 << 10;
/// Headers that belong to the connection; an app cannot set them.
const CONNECTION_HEADERS: [&str; 8] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

#[derive(Debug, Serialize)]
enum ToApp<'a> {
    Http(IncomingHttp<'a>),
}

#[derive(Debug, Serialize)]
struct IncomingHttp<'a> {
    source_socket_addr: Option<String>,
    method: &'a str,
    url: String,
    bound_path: &'a str,
    headers: BTreeMap<&'a str, Cow<'a, str>>,
    url_params: &'a BTreeMap<String, String>,
    query_params: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct FromApp {
    status: u16,
    #[serde(default)]
    headers: Headers,
}

/// Names and values in the order in which they were written.
#[derive(Debug, Default)]
struct Headers(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeadersVisitor)
    }
}

struct HeadersVisitor;

impl<'de> Visitor<'de> for HeadersVisitor {
    type Value = Headers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("headers")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Headers, A::Error> {
        let mut headers = Vec::new();
        while let Some(header) = map.next_entry()? {
            headers.push(header);
        }
        Ok(Headers(headers))
    }
}

impl Headers {
    fn are_too_many(&self) -> bool {
        let lengths = self.0.iter().map(|(name, value)| name.len() + value.len());
        self.0.len() > MAX_HEADERS || lengths.sum::<usize>() > MAX_HEADER_BYTES
    }
}

/// The body of the message for the app: `head` in the app's words. `path` is
/// in lookup form.
pub(super) fn describe(head: &Parts, path: &str, found: &Found) -> Bytes {
    let cookies = cookies::for_apps(&head.headers);
    let mut headers = BTreeMap::new();
    for (name, value) in &head.headers {
        if name == header::COOKIE {
            continue;
        }
        let value = value.to_str().unwrap_or_default();
        match headers.entry(name.as_str()) {
            Entry::Vacant(entry) => {
                entry.insert(Cow::Borrowed(value));
            }
            Entry::Occupied(mut entry) => {
                let values = entry.get_mut().to_mut();
                values.push_str(", ");
                values.push_str(value);
            }
        }
    }
    if let Some(cookies) = cookies {
        headers.insert(header::COOKIE.as_str(), Cow::Owned(cookies));
    }
    let incoming = IncomingHttp {
        source_socket_addr: client(head),
        method: head.method.as_str(),
        url: format!("http://{}{path}", host_name(head)),
        bound_path: &found.route.path,
        headers,
        url_params: &found.params,
        query_params: query_pairs(head.uri.query().unwrap_or_default()).collect(),
    };
    // Serialising strings and maps of strings cannot fail.
    serde_json::to_vec(&ToApp::Http(incoming))
        .unwrap_or_default()
        .into()
}

/// The client's address, where a door knows it.
pub(super) fn client(head: &Parts) -> Option<String> {
    let visit = head.extensions.get::<Visit>()?;
    Some(visit.client.to_string())
}

/// The host the client named, with its port, if it is well formed.
pub(super) fn host(head: &Parts) -> Option<&str> {
    let named = head.headers.get(header::HOST);
    let host = match named {
        Some(value) => value.to_str().ok()?,
        None => head.uri.authority()?.as_str(),
    };
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
    (!host.is_empty() && host.len() <= 260 && host.bytes().all(allowed)).then_some(host)
}

/// The host without its port.
fn host_name(head: &Parts) -> &str {
    let host = host(head).unwrap_or("localhost");
    match host.rsplit_once(':') {
        // Inside brackets a colon is part of an IPv6 address.
        Some((name, port)) if !port.contains(']') && !name.is_empty() => name,
        _ => host,
    }
}

/// Turns an app's answer into HTTP. Anything that is not one is a 500.
pub(super) fn translate(answer: KernelMessage) -> HttpResponse {
    let Message::Response(response, _) = &answer.message else {
        return respond::empty(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let parsed: Result<FromApp, _> = serde_json::from_slice(&response.body);
    let Ok(parsed) = parsed else {
        return respond::empty(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let Some(status) = StatusCode::from_u16(parsed.status)
        .ok()
        .filter(|status| !status.is_informational())
    else {
        return respond::empty(StatusCode::INTERNAL_SERVER_ERROR);
    };
    if parsed.headers.are_too_many() {
        tracing::debug!(source = %answer.source, "an answer has too many headers");
        return respond::empty(StatusCode::INTERNAL_SERVER_ERROR);
    }
    let content = answer.lazy_load_blob.map(|blob| blob.bytes);
    let mut http = Response::new(body(content.unwrap_or_default()));
    *http.status_mut() = status;
    let headers = http.headers_mut();
    for (name, value) in parsed.headers.0 {
        let name = HeaderName::try_from(name);
        let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(value)) else {
            continue;
        };
        if name == header::SET_COOKIE {
            if value.to_str().is_ok_and(cookies::may_set) {
                headers.append(name, value);
            }
        } else if !CONNECTION_HEADERS.contains(&name.as_str()) {
            headers.insert(name, value);
        }
    }
    headers
        .entry(header::CONTENT_TYPE)
        .or_insert(HeaderValue::from_static(DEFAULT_TYPE));
    http
}
