//! Who is asking: a bearer token, or the session cookie with the CSRF rule.
//!
//! Invariant: a [`Caller`] is somebody the manager has just authenticated, and
//! a request that changes something and was authenticated by a cookie came
//! from a page of this very origin.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::header::{AUTHORIZATION, COOKIE, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use lifecycle::Timestamp;
use tenant_manager::{AuthError, Principal};

use crate::apex::Authority;
use crate::app::App;
use crate::client::Client;
use crate::problem::Problem;

/// No token is longer; longer ones are not looked up.
const MAX_TOKEN: usize = 512;
const COOKIE_NAME: &str = "berth-session";
/// Browsers accept this name only over TLS, from this host, for this host.
const SECURE_COOKIE_NAME: &str = "__Host-berth-session";

/// The account that asks.
#[derive(Debug)]
pub(crate) struct Caller(pub(crate) Principal);

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let token = match bearer(&parts.headers)? {
            Some(token) => token,
            None => {
                let token = session_token(parts)?.ok_or_else(|| {
                    Problem::unauthorized(
                        "Send your token as `Authorization: Bearer TOKEN`. \
                         POST /api/v1/sessions gives you one.",
                    )
                })?;
                if !parts.method.is_safe() && !is_same_origin(parts) {
                    return Err(Problem::new(
                        StatusCode::FORBIDDEN,
                        "cross-site",
                        "Refused from another site",
                        "A session cookie may change things only from this host's own pages. \
                         Programs send a bearer token instead.",
                    ));
                }
                token
            }
        };
        app.manager
            .authenticate(token)
            .await
            .map(Self)
            .map_err(auth_problem)
    }
}

/// A failed check of a session, as the client sees it.
pub(crate) fn auth_problem(error: AuthError) -> Problem {
    match error {
        AuthError::Unknown => unknown_token(),
        AuthError::Unavailable(cause) => Problem::unavailable(&cause),
    }
}

fn unknown_token() -> Problem {
    Problem::unauthorized("This token is unknown or its session has ended. Sign in again.")
}

fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let malformed =
        || Problem::unauthorized("The Authorization header must be `Bearer TOKEN`, once.");
    let text = value.to_str().map_err(|_| malformed())?;
    let (scheme, token) = text.split_once(' ').ok_or_else(malformed)?;
    let token = token.trim();
    if values.next().is_some() || !scheme.eq_ignore_ascii_case("bearer") {
        return Err(malformed());
    }
    if is_plausible(token) {
        Ok(Some(token))
    } else {
        Err(unknown_token())
    }
}

/// Why a session cookie is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CookieError {
    /// Two of them came, so another host of a shared domain planted one.
    Two,
    /// It was never one of ours.
    Malformed,
}

impl From<CookieError> for Problem {
    fn from(error: CookieError) -> Self {
        match error {
            CookieError::Two => Problem::unauthorized(
                "Two session cookies were sent. Remove the cookies of this site and sign in again.",
            ),
            CookieError::Malformed => unknown_token(),
        }
    }
}

/// The token of a browser's session, if it sent one.
pub(crate) fn session_token(parts: &Parts) -> Result<Option<&str>, CookieError> {
    cookie(&parts.headers, is_secure(parts))
}

fn cookie(headers: &HeaderMap, secure: bool) -> Result<Option<&str>, CookieError> {
    let name = cookie_name(secure);
    let mut found = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(key, _)| *key == name)
        .map(|(_, token)| token);
    let Some(token) = found.next() else {
        return Ok(None);
    };
    if found.next().is_some() {
        return Err(CookieError::Two);
    }
    if is_plausible(token) {
        Ok(Some(token))
    } else {
        Err(CookieError::Malformed)
    }
}

fn is_plausible(token: &str) -> bool {
    (1..=MAX_TOKEN).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic())
}

fn cookie_name(secure: bool) -> &'static str {
    if secure {
        SECURE_COOKIE_NAME
    } else {
        COOKIE_NAME
    }
}

fn is_secure(parts: &Parts) -> bool {
    parts
        .extensions
        .get::<Client>()
        .is_some_and(|client| client.secure)
}

/// Whether a page of this origin made the request, going by what browsers let
/// no page forge. Without such evidence the answer is no.
pub(crate) fn is_same_origin(parts: &Parts) -> bool {
    if let Some(site) = parts.headers.get("sec-fetch-site") {
        return site == "same-origin";
    }
    let Some(Authority(authority)) = parts.extensions.get() else {
        return false;
    };
    let scheme = if is_secure(parts) { "https" } else { "http" };
    let expected = format!("{scheme}://{authority}");
    let mut origins = parts.headers.get_all(ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (Some(origin), None) => origin.as_bytes().eq_ignore_ascii_case(expected.as_bytes()),
        _ => false,
    }
}

/// The cookie that carries a session of a browser.
pub(crate) fn session_cookie(
    token: &str,
    expires_at: Timestamp,
    now: Timestamp,
    secure: bool,
) -> Option<HeaderValue> {
    // A token with other characters could end the value early.
    let fine = token
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'='));
    if !fine {
        return None;
    }
    let age = (expires_at - now).whole_seconds().max(0);
    cookie_header(token, age, secure)
}

/// The cookie that removes it.
pub(crate) fn ended_cookie(secure: bool) -> Option<HeaderValue> {
    cookie_header("", 0, secure)
}

fn cookie_header(token: &str, age: i64, secure: bool) -> Option<HeaderValue> {
    let name = cookie_name(secure);
    let flag = if secure { "; Secure" } else { "" };
    let text = format!("{name}={token}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{flag}");
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(secure: bool, headers: &[(&'static str, &str)]) -> Parts {
        let (mut parts, ()) = http::Request::new(()).into_parts();
        for (name, value) in headers {
            parts.headers.append(*name, value.parse().unwrap());
        }
        parts.extensions.insert(Client {
            address: "192.0.2.1".parse().unwrap(),
            secure,
        });
        parts
            .extensions
            .insert(Authority("localhost:8000".to_owned()));
        parts
    }

    #[test]
    fn only_this_origin_passes_the_csrf_rule() {
        for (secure, headers, expected) in [
            (false, &[("sec-fetch-site", "same-origin")][..], true),
            (false, &[("origin", "http://localhost:8000")], true),
            (false, &[("origin", "HTTP://LOCALHOST:8000")], true),
            (true, &[("origin", "https://localhost:8000")], true),
            (true, &[("origin", "http://localhost:8000")], false),
            (false, &[("origin", "http://localhost")], false),
            (false, &[("origin", "http://alice.localhost:8000")], false),
            (false, &[("origin", "null")], false),
            (false, &[("sec-fetch-site", "same-site")], false),
            (false, &[("sec-fetch-site", "none")], false),
            (
                false,
                &[
                    ("sec-fetch-site", "cross-site"),
                    ("origin", "http://localhost:8000"),
                ],
                false,
            ),
            (false, &[], false),
        ] {
            assert_eq!(
                is_same_origin(&parts(secure, headers)),
                expected,
                "{headers:?}"
            );
        }
    }

    #[test]
    fn tokens_are_read_strictly() {
        let read = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value.parse().unwrap());
            bearer(&headers).map(|token| token.unwrap().to_owned()).ok()
        };
        assert_eq!(read("Bearer abc"), Some("abc".to_owned()));
        assert_eq!(read("bearer  abc"), Some("abc".to_owned()));
        for bad in ["Basic abc", "Bearer", "Bearer ", "abc", "Bearer a b"] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!(read(&format!("Bearer {}", "x".repeat(MAX_TOKEN + 1))), None);
        assert!(bearer(&HeaderMap::new()).unwrap().is_none());
    }

    #[test]
    fn a_planted_second_cookie_is_noticed() {
        let read = |secure, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(COOKIE, value.parse().unwrap());
            cookie(&headers, secure).map(|token| token.map(str::to_owned))
        };
        let token = Ok(Some("t".to_owned()));
        assert_eq!(read(false, "a=1; berth-session=t; b=2"), token);
        assert_eq!(read(true, "berth-session=x; __Host-berth-session=t"), token);
        assert_eq!(read(true, "berth-session=t"), Ok(None));
        let two = read(false, "berth-session=t; berth-session=u");
        assert_eq!(two, Err(CookieError::Two));
        assert_eq!(read(false, "berth-session="), Err(CookieError::Malformed));
    }

    #[test]
    fn cookies_are_confined() {
        let now = Timestamp::UNIX_EPOCH;
        let hour = now + time::Duration::hours(1);
        let secure = session_cookie("t0k-en", hour, now, true).unwrap();
        assert_eq!(
            secure,
            "__Host-berth-session=t0k-en; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure"
        );
        let plain = ended_cookie(false).unwrap();
        assert_eq!(
            plain,
            "berth-session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"
        );
        assert!(session_cookie("a;b", hour, now, true).is_none());
    }
}
