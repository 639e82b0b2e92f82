//! A request of a process, made into one that can be sent, once or again.
//!
//! Stateless. Invariant: nothing a process writes into its headers decides how
//! the message is framed or whether the connection goes on; that is the
//! host's. Where it goes is the URL's alone: a `Host` header of the process'
//! own is sent, and leads nowhere.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderName,
    HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, RANGE, TE, TRAILER, TRANSFER_ENCODING,
    UPGRADE,
};
use http::uri::Authority;
use http::{HeaderMap, Method, Request, Uri, Version};
use http_body_util::Full;
use node_types::ProcessId;
use url::{Position, Url};

use super::action::{Asked, Failure, Headers};
use super::connection::{Route, Speaks};
use crate::http_server::percent_decode;

/// What is decoded for processes that do not ask for any encoding themselves.
const ENCODINGS: &str = "gzip, br, deflate";
/// Most headers of a process; far more would be more than the library's map
/// can hold.
const MAX_HEADERS: usize = 512;
/// Headers about a connection or the framing of a message.
static HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    CONTENT_LENGTH,
    EXPECT,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];
/// More of them, which have no name of their own in the library.
const HOP_BY_HOP_TOO: [&str; 2] = ["keep-alive", "proxy-connection"];

/// See the module's documentation.
#[derive(Debug, Clone)]
pub(super) struct Outgoing {
    pub(super) method: Method,
    /// Without login and fragment.
    pub(super) url: Url,
    /// The same.
    pub(super) uri: Uri,
    version: Version,
    speaks: Speaks,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Whether we asked for an encoding, and so have to undo it.
    pub(super) decodes: bool,
}

impl Outgoing {
    /// What a process asks for, with this body.
    pub(super) fn new(asked: Asked, body: Bytes) -> Result<Self, Failure> {
        let Some(method) = method(&asked.method) else {
            return Err(Failure::Method(asked.method));
        };
        let (version, speaks) = version(asked.version.as_deref())?;
        let Some((url, uri, login)) = address(&asked.url, &["http", "https"]) else {
            return Err(Failure::Url(asked.url));
        };
        let mut headers = headers(&asked.headers)?;
        if let Some(login) = login {
            headers.entry(AUTHORIZATION).or_insert(login);
        }
        headers
            .entry(ACCEPT)
            .or_insert(HeaderValue::from_static("*/*"));
        // A part of something encoded cannot be decoded.
        let decodes = !headers.contains_key(ACCEPT_ENCODING) && !headers.contains_key(RANGE);
        if decodes {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(ENCODINGS));
        }
        Ok(Self {
            method,
            url,
            uri,
            version,
            speaks,
            headers,
            body,
            decodes,
        })
    }

    /// Where it goes, and for whom.
    pub(super) fn route(&self, process: &ProcessId) -> Route {
        Route {
            process: process.clone(),
            tls: self.url.scheme() == "https",
            host: self.url.host_str().unwrap_or_default().to_owned(),
            port: self.url.port_or_known_default().unwrap_or_default(),
            speaks: self.speaks,
        }
    }

    /// Whether it may be sent again without knowing what became of the first.
    pub(super) fn is_idempotent(&self) -> bool {
        self.method.is_idempotent()
    }

    /// As HTTP/1 has it: what is asked for without where, and the host.
    pub(super) fn one(&self) -> Request<Full<Bytes>> {
        let mut headers = HeaderMap::with_capacity(self.headers.len() + 2);
        if let Ok(host) = HeaderValue::try_from(host(&self.url)) {
            headers.insert(HOST, host);
        }
        if self.body.is_empty() && has_body(&self.method) {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        headers.extend(self.headers.clone());
        let path = self.uri.path_and_query().cloned();
        let mut request = self.request(path.map(Uri::from).unwrap_or_default(), headers);
        *request.version_mut() = self.version;
        request
    }

    /// As HTTP/2 has it, where the host is part of the address.
    pub(super) fn two(&self) -> Request<Full<Bytes>> {
        let mut headers = self.headers.clone();
        let given = headers.remove(HOST);
        let host = given.and_then(|host| Authority::try_from(host.as_bytes()).ok());
        let mut parts = self.uri.clone().into_parts();
        parts.authority = host.or(parts.authority);
        let uri = Uri::from_parts(parts).unwrap_or_else(|_| self.uri.clone());
        let mut request = self.request(uri, headers);
        *request.version_mut() = Version::HTTP_2;
        request
    }

    fn request(&self, uri: Uri, headers: HeaderMap) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        request
    }
}

/// A method of any case, as far as it is one that everybody knows. `CONNECT`
/// asks for a tunnel, which is no request.
fn method(text: &str) -> Option<Method> {
    let upper = text.to_ascii_uppercase();
    let known = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::OPTIONS,
        Method::TRACE,
        Method::PATCH,
    ];
    if let Some(method) = known.into_iter().find(|method| method.as_str() == upper) {
        return Some(method);
    }
    let other = Method::from_bytes(text.as_bytes()).ok()?;
    (upper != "CONNECT").then_some(other)
}

/// Whether a request with this method says how long its body is even when
/// there is none.
fn has_body(method: &Method) -> bool {
    [Method::POST, Method::PUT, Method::PATCH].contains(method)
}

/// What a version asks for. Those that have a name and are not spoken fail as
/// an attempt to speak them would.
fn version(version: Option<&str>) -> Result<(Version, Speaks), Failure> {
    match version {
        None => Ok((Version::HTTP_11, Speaks::Any)),
        Some("HTTP/1.0") => Ok((Version::HTTP_10, Speaks::One)),
        Some("HTTP/1.1") => Ok((Version::HTTP_11, Speaks::One)),
        Some("HTTP/2.0") => Ok((Version::HTTP_11, Speaks::Two)),
        Some(version @ ("HTTP/0.9" | "HTTP/3.0")) => Err(Failure::Execute(format!(
            "{version} is not spoken here: use HTTP/1.0, HTTP/1.1 or HTTP/2.0"
        ))),
        Some(other) => Err(Failure::Version(other.to_owned())),
    }
}

/// A URL of one of these schemes, in both forms, and the login that it had.
pub(super) fn address(text: &str, schemes: &[&str]) -> Option<(Url, Uri, Option<HeaderValue>)> {
    let url = Url::parse(text).ok()?;
    bare(url, schemes)
}

/// A URL of one of these schemes without the login that it had, and without
/// its fragment, which is nobody's business.
pub(super) fn bare(mut url: Url, schemes: &[&str]) -> Option<(Url, Uri, Option<HeaderValue>)> {
    if !schemes.contains(&url.scheme()) || url.host_str().is_none_or(str::is_empty) {
        return None;
    }
    let login = login(&url);
    // Only URLs without a host have nowhere to put these.
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    url.set_fragment(None);
    let uri = Uri::try_from(url.as_str()).ok()?;
    Some((url, uri, login))
}

/// The header that says what the login of a URL says.
fn login(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let user = percent_decode(url.username(), false);
    let password = percent_decode(url.password().unwrap_or_default(), false);
    let basic = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
    let mut value = HeaderValue::try_from(basic).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The host of a URL, with the port unless that is the usual one.
pub(super) fn host(url: &Url) -> &str {
    &url[Position::BeforeHost..Position::AfterPort]
}

/// The headers of a process, without those that are not its own to set.
pub(super) fn headers(given: &Headers) -> Result<HeaderMap, Failure> {
    if given.len() > MAX_HEADERS {
        let text = format!("a request has at most {MAX_HEADERS} headers");
        return Err(Failure::Build(text));
    }
    let mut headers = HeaderMap::with_capacity(given.len());
    for (name, value) in given {
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
            return Err(Failure::Build(format!(
                "`{name}` is not the name of a header"
            )));
        };
        let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) else {
            return Err(Failure::Build(format!("the value of `{name}` is not one")));
        };
        headers.insert(name, value);
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
    for name in HOP_BY_HOP_TOO {
        headers.remove(name);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests;
