//! Checks a request of HTTP/2 and makes it one like those of HTTP/1.
//!
//! Pure. What passes means the same to whoever would read it as HTTP/1: it has
//! no header that speaks of a connection, one length at most, a path like any
//! other and one `Cookie`. The library refuses most of this before; here it is
//! held to, whatever the library does. Which host is meant, and that
//! `:authority` and `Host` agree, is [`crate::host_router`]'s.

use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, HeaderName, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};

use crate::listener::head::{self, Refusal, bad};

/// Headers that HTTP/2 does not have.
const OF_CONNECTIONS: [HeaderName; 5] = [
    CONNECTION,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Whether the request may be handed on.
pub(super) fn check<B>(request: &Request<B>) -> Result<(), Refusal> {
    let headers = request.headers();
    if headers.len() > head::MAX_HEADERS {
        return Err(head::TOO_LARGE);
    }
    if OF_CONNECTIONS.iter().any(|name| headers.contains_key(name)) {
        return Err(bad(
            "HTTP/2 has no Connection, Transfer-Encoding or Upgrade headers",
        ));
    }
    if headers.get_all(TE).iter().any(|value| value != "trailers") {
        return Err(bad("HTTP/2 has no TE header but `trailers`"));
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    if let Some(length) = lengths.next() {
        head::parse_length(length.as_bytes())?;
    }
    if lengths.next().is_some() {
        return Err(bad("a request must not have two Content-Length headers"));
    }
    if request.method() == Method::CONNECT {
        // Has no path, and is refused for what it is.
        return Ok(());
    }
    check_target(request.method(), request.uri())
}

fn check_target(method: &Method, uri: &Uri) -> Result<(), Refusal> {
    if !uri.scheme_str().is_none_or(head::is_http) {
        return Err(head::NO_FORM);
    }
    let target = uri.path_and_query().map_or("", |target| target.as_str());
    if target.len() > head::MAX_TARGET {
        return Err(head::LONG_TARGET);
    }
    let is_star = target == "*" && *method == Method::OPTIONS;
    if !target.starts_with('/') && !is_star {
        return Err(head::NO_FORM);
    }
    if !target.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(head::BAD_TARGET);
    }
    Ok(())
}

/// Clients may send each cookie in a header of its own, which nobody behind us
/// expects.
pub(super) fn join_cookies(headers: &mut HeaderMap) {
    let mut cookies = headers.get_all(COOKIE).iter();
    let (Some(first), Some(second)) = (cookies.next(), cookies.next()) else {
        return;
    };
    let mut joined = first.as_bytes().to_vec();
    for cookie in std::iter::once(second).chain(cookies) {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(cookie.as_bytes());
    }
    // Made of valid values and of what is valid in one.
    if let Ok(joined) = HeaderValue::from_bytes(&joined) {
        headers.insert(COOKIE, joined);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uri: &str, headers: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    #[test]
    fn ordinary_requests_pass() {
        for (uri, headers) in [
            ("http://a/b?c=d", &[][..]),
            ("https://a/", &[("te", "trailers"), ("content-length", "5")]),
            ("/x", &[("host", "a")]),
        ] {
            assert_eq!(check(&request(uri, headers)), Ok(()), "{uri}");
        }
        let mut star = request("*", &[("host", "a")]);
        *star.method_mut() = Method::OPTIONS;
        assert_eq!(check(&star), Ok(()));
    }

    #[test]
    fn what_others_may_read_differently_is_refused() {
        for (uri, headers, status) in [
            ("http://a/", &[("connection", "close")][..], 400),
            ("http://a/", &[("transfer-encoding", "chunked")], 400),
            ("http://a/", &[("transfer-encoding", "identity")], 400),
            ("http://a/", &[("upgrade", "websocket")], 400),
            ("http://a/", &[("keep-alive", "5")], 400),
            ("http://a/", &[("proxy-connection", "close")], 400),
            ("http://a/", &[("te", "gzip")], 400),
            ("http://a/", &[("te", "trailers"), ("te", "gzip")], 400),
            ("http://a/", &[("content-length", "+5")], 400),
            ("http://a/", &[("content-length", "5, 5")], 400),
            (
                "http://a/",
                &[("content-length", "5"), ("content-length", "5")],
                400,
            ),
            ("ftp://a/", &[], 400),
            ("http://a?x", &[], 400),
            ("http://a/\u{e9}", &[], 400),
        ] {
            let checked = check(&request(uri, headers));
            let refused = checked.map_err(|refusal| refusal.status.as_u16());
            assert_eq!(refused, Err(status), "{uri} {headers:?}");
        }
        let long = format!("/{}", "x".repeat(head::MAX_TARGET));
        assert_eq!(check(&request(&long, &[])), Err(head::LONG_TARGET));
        let many: Vec<(&str, &str)> = vec![("x", "y"); head::MAX_HEADERS + 1];
        assert_eq!(check(&request("/", &many)), Err(head::TOO_LARGE));
    }

    #[test]
    fn crumbs_become_one_cookie() {
        let mut headers = HeaderMap::new();
        join_cookies(&mut headers);
        assert!(headers.is_empty());
        for cookie in ["a=1", "b=2; c=3", "d=4"] {
            headers.append(COOKIE, HeaderValue::from_static(cookie));
        }
        join_cookies(&mut headers);
        assert_eq!(headers.get_all(COOKIE).iter().count(), 1);
        assert_eq!(headers[COOKIE], "a=1; b=2; c=3; d=4");
    }
}
