//! Where a response sends a request next.
//!
//! Pure. Invariant: what a process meant for one origin (its logins, cookies,
//! and the host it claims to ask) goes to no other. Each step is a request of
//! its own, so wherever it leads is checked like the first.

use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION, CONTENT_TYPE, COOKIE,
    HOST, HeaderName, LOCATION, PROXY_AUTHORIZATION, WWW_AUTHENTICATE,
};
use http::{HeaderMap, Method, StatusCode};

use super::action::Failure;
use super::outgoing::{Outgoing, bare};

/// Most steps.
pub(super) const MAX_STEPS: usize = 10;
/// What is meant for one origin only.
static OF_ORIGIN: [HeaderName; 5] = [
    AUTHORIZATION,
    COOKIE,
    HOST,
    PROXY_AUTHORIZATION,
    WWW_AUTHENTICATE,
];
/// What describes a body.
static OF_BODY: [HeaderName; 4] = [
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_LOCATION,
    CONTENT_TYPE,
];

/// Makes `outgoing` the request that a response sends it to; false if the
/// response is the answer.
pub(super) fn follow(
    outgoing: &mut Outgoing,
    status: StatusCode,
    headers: &HeaderMap,
) -> Result<bool, Failure> {
    let keeps_method = match status {
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER => false,
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => true,
        _ => return Ok(false),
    };
    // Without a place that can be read, the response is all there is.
    let location = headers.get(LOCATION).map(|value| value.as_bytes());
    let location = location.and_then(|location| str::from_utf8(location).ok());
    let next = location.and_then(|location| outgoing.url.join(location).ok());
    let Some(next) = next else {
        return Ok(false);
    };
    let scheme = next.scheme().to_owned();
    let same_origin = next.origin() == outgoing.url.origin();
    // A login in the place is the server's invention.
    let Some((url, uri, _)) = bare(next, &["http", "https"]) else {
        return Err(Failure::Execute(format!(
            "the server redirects to a place that is not followed, a URL of `{scheme}`"
        )));
    };
    (outgoing.url, outgoing.uri) = (url, uri);
    if !same_origin {
        for name in &OF_ORIGIN {
            outgoing.headers.remove(name);
        }
        outgoing.headers.remove("cookie2");
    }
    if !keeps_method {
        if ![Method::GET, Method::HEAD].contains(&outgoing.method) {
            outgoing.method = Method::GET;
        }
        outgoing.body.clear();
        for name in &OF_BODY {
            outgoing.headers.remove(name);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderValue;

    use super::super::action::Asked;
    use super::*;

    fn posted() -> Outgoing {
        let headers = [
            ("Authorization", "secret"),
            ("Cookie", "a=1"),
            ("Host", "other"),
            ("Content-Type", "text/plain"),
            ("X-A", "1"),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let asked = Asked {
            method: "POST".to_owned(),
            version: None,
            url: "http://example.com/a/b?c=1".to_owned(),
            headers: headers.into(),
        };
        Outgoing::new(asked, Bytes::from_static(b"body")).unwrap()
    }

    fn followed(status: u16, location: &'static str) -> Result<Option<Outgoing>, Failure> {
        let mut outgoing = posted();
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, HeaderValue::from_static(location));
        let status = StatusCode::from_u16(status).unwrap();
        let followed = follow(&mut outgoing, status, &headers)?;
        Ok(followed.then_some(outgoing))
    }

    #[test]
    fn places_are_relative_to_the_request() {
        for (location, wanted) in [
            ("d", "http://example.com/a/d"),
            ("/d?e=2#f", "http://example.com/d?e=2"),
            ("//other.com/", "http://other.com/"),
            ("https://example.com", "https://example.com/"),
            ("http://me:pw@example.com/", "http://example.com/"),
        ] {
            let next = followed(307, location).unwrap().unwrap();
            assert_eq!(next.url.as_str(), wanted);
            assert_eq!(next.uri, wanted);
        }
    }

    #[test]
    fn methods_and_bodies_are_kept_by_two_of_them_only() {
        for status in [301, 302, 303] {
            let next = followed(status, "/").unwrap().unwrap();
            assert_eq!((next.method, next.body.len()), (Method::GET, 0));
            assert!(!next.headers.contains_key(CONTENT_TYPE));
            assert_eq!(next.headers[AUTHORIZATION], "secret");
        }
        for status in [307, 308] {
            let next = followed(status, "/").unwrap().unwrap();
            assert_eq!((next.method, next.body.len()), (Method::POST, 4));
            assert_eq!(next.headers[CONTENT_TYPE], "text/plain");
        }
        for status in [200, 300, 304, 305, 306, 400] {
            assert!(followed(status, "/").unwrap().is_none());
        }
    }

    #[test]
    fn secrets_stay_with_their_origin() {
        for elsewhere in [
            "http://other.com/",
            "https://example.com/",
            "http://example.com:81/",
            "http://a.example.com/",
        ] {
            let next = followed(307, elsewhere).unwrap().unwrap();
            for name in &OF_ORIGIN {
                assert!(!next.headers.contains_key(name), "{name} to {elsewhere}");
            }
            assert_eq!(next.headers["x-a"], "1");
        }
        let next = followed(307, "http://example.com:80/").unwrap().unwrap();
        for name in [AUTHORIZATION, COOKIE, HOST] {
            assert!(next.headers.contains_key(name));
        }
    }

    #[test]
    fn other_schemes_are_not_followed() {
        for location in [
            "file:///etc/passwd",
            "ftp://example.com/",
            "ws://example.com/",
            "data:text/plain,hi",
        ] {
            let refused = followed(302, location);
            assert!(matches!(refused, Err(Failure::Execute(_))), "{location}");
        }
        assert!(followed(302, "http://[").unwrap().is_none());
    }
}
