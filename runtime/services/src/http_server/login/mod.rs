//! Signing in to a node with its password.
//!
//! Owns the count of recent failures. Invariants: cookies are signed with
//! HS256 by this node's own secret and nothing else is accepted; redirects
//! stay on the same origin; a password is never kept or logged.

mod attempts;
mod logout;
mod page;
mod password;
mod token;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode};
use node_api::{HttpBody, HttpResponse, LoginVerifiers, Origin, Secret};
use node_types::{NodeName, ProcessId, alias};
use serde::Deserialize;
use zeroize::Zeroizing;

use self::attempts::Attempts;
use self::token::Tokens;
use super::body::{self as bodies, BodyError, Limits};
use super::client::{Client, Standing, client};
use super::{HttpServer, path, respond};

/// Largest login request.
const MAX_LOGIN: u64 = 16 << 10;
/// Login requests in memory at once: apart from other bodies, so that nobody's
/// uploads keep the owner out.
pub(super) const BODIES: Limits = Limits {
    all: 64 * MAX_LOGIN,
    strangers: 64 * MAX_LOGIN,
    each: 4 * MAX_LOGIN,
};
/// Longest time for the body of a login request.
const BODY_TIME: Duration = Duration::from_secs(20);
/// What clients up to 1.0 know as the answer to a wrong password.
const WRONG: &str = "Failed to decode keyfile: failed to decrypt networking keys";
/// Longest target of a redirect.
const MAX_REDIRECT: usize = 2048;

/// What signing in needs.
#[derive(Debug)]
pub(super) struct Login {
    our: NodeName,
    verifiers: LoginVerifiers,
    attempts: Attempts,
    /// Makes and checks cookies.
    pub(super) tokens: Tokens,
}

/// The request of published clients.
#[derive(Deserialize)]
struct JsonLogin {
    password_hash: String,
    #[serde(default)]
    subdomain: Option<String>,
}

/// One login, as open WebSockets remember it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Session([u8; 32]);

/// How a login ended before an answer is chosen.
enum Verdict {
    Right,
    Wrong,
    TooMany(Duration),
    Busy,
}

impl Login {
    pub(super) fn new(
        our: &NodeName,
        verifiers: LoginVerifiers,
        jwt_secret: &Secret<[u8; 32]>,
    ) -> Self {
        Self {
            our: our.clone(),
            verifiers,
            attempts: Attempts::default(),
            tokens: Tokens::new(our, jwt_secret),
        }
    }

    /// The page that asks for the password and then leads to `target`.
    pub(super) fn page(
        &self,
        subdomain: Option<&ProcessId>,
        target: &str,
        problem: Option<&str>,
    ) -> HttpResponse {
        let target = safe_redirect(target).unwrap_or("/");
        let subdomain = subdomain.map_or("", ProcessId::as_str);
        let html = page::render(self.our.as_str(), subdomain, target, problem);
        let mut response = respond::with_type(StatusCode::OK, "text/html; charset=utf-8", html);
        let headers = response.headers_mut();
        for (name, value) in [
            (header::CACHE_CONTROL, "no-store"),
            (header::CONTENT_SECURITY_POLICY, page::POLICY),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "same-origin"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

impl HttpServer {
    /// What signs people in now.
    pub(super) fn login(&self) -> Arc<Login> {
        Arc::clone(&self.login.read())
    }

    /// A `Set-Cookie` value that signs a browser in as the owner.
    #[must_use]
    pub fn login_cookie(&self, secure: bool) -> Option<String> {
        self.login().tokens.cookie(None, self.clock.now(), secure)
    }

    /// Puts a new password and cookie key in place: cookies made before are
    /// worth nothing from then on, and WebSockets opened with one are closed.
    pub fn renew_login(&self, login: LoginVerifiers, jwt_secret: &Secret<[u8; 32]>) {
        *self.login.write() = Arc::new(Login::new(&self.config.our, login, jwt_secret));
        self.sockets.sign_out(None);
    }

    /// Answers `GET` and `POST /login`.
    pub(super) async fn login_request(
        &self,
        head: &Parts,
        body: HttpBody,
        origin: Origin,
    ) -> HttpResponse {
        let query = head.uri.query().unwrap_or_default();
        let redirect = path::query_pairs(query).find(|(name, _)| name == "redirect");
        let redirect = redirect.map(|(_, target)| target);
        if head.method == Method::GET {
            let target = redirect.as_deref().unwrap_or("/");
            return self.login().page(None, target, None);
        }
        let client = client(head);
        let mut charge = self.login_bodies.charge(Standing::Stranger, client);
        let reading = bodies::read(body, None, MAX_LOGIN, &mut charge);
        let body = match tokio::time::timeout(BODY_TIME, reading).await {
            Ok(Ok(body)) => body,
            Ok(Err(error)) => return error.response(),
            Err(_elapsed) => return BodyError::Slow.response(),
        };
        let form = head.headers.get(header::CONTENT_TYPE).is_some_and(|value| {
            value
                .as_bytes()
                .starts_with(b"application/x-www-form-urlencoded")
        });
        let secure = self.is_secure(head, origin);
        if form {
            self.form_login(&body, client, secure).await
        } else {
            self.json_login(&body, redirect.as_deref(), client, secure)
        }
    }

    /// The protocol of published clients: the browser has hashed the password.
    fn json_login(
        &self,
        body: &Bytes,
        redirect: Option<&str>,
        client: Client,
        secure: bool,
    ) -> HttpResponse {
        let Ok(login) = serde_json::from_slice::<JsonLogin>(body) else {
            return respond::json_string(StatusCode::BAD_REQUEST, "Failed to parse login info");
        };
        let Ok(subdomain) = subdomain(login.subdomain.as_deref()) else {
            return respond::json_string(StatusCode::BAD_REQUEST, "Failed to parse login info");
        };
        let current = self.login();
        let attempt = match current.attempts.begin(client) {
            Ok(attempt) => attempt,
            Err(wait) => return too_many(wait),
        };
        let hash = Zeroizing::new(login.password_hash);
        if !password::matches(&current.verifiers, &hash) {
            return respond::json_string(StatusCode::INTERNAL_SERVER_ERROR, WRONG);
        }
        attempt.succeeded();
        // Old clients expect the keyfile here, sealed with the password.
        let keyfile = STANDARD.encode(current.verifiers.keyfile.get());
        let answer = match redirect {
            None => respond::json_string(StatusCode::OK, &keyfile),
            Some(target) => {
                respond::redirect(StatusCode::SEE_OTHER, safe_redirect(target).unwrap_or("/"))
            }
        };
        self.with_cookie(answer, subdomain.as_ref(), secure)
    }

    /// The form of our own page: the password itself.
    async fn form_login(&self, body: &Bytes, client: Client, secure: bool) -> HttpResponse {
        let text = String::from_utf8_lossy(body);
        let (mut password, mut process, mut target) = (Zeroizing::<String>::default(), None, None);
        for (name, value) in path::query_pairs(&text) {
            match name.as_str() {
                "password" => password = value.into(),
                "subdomain" => process = Some(value),
                "redirect" => target = Some(value),
                _ => {}
            }
        }
        let Ok(process) = subdomain(process.as_deref()) else {
            let problem = "This form names no process; open the page again.\n".to_owned();
            return respond::text(StatusCode::BAD_REQUEST, problem);
        };
        let target = target.as_deref().and_then(safe_redirect).unwrap_or("/");
        match self.check_password(password, client).await {
            Verdict::Right => {
                let answer = respond::redirect(StatusCode::SEE_OTHER, target);
                self.with_cookie(answer, process.as_ref(), secure)
            }
            Verdict::Wrong => {
                let problem = Some("This is not the node's password.");
                let mut answer = self.login().page(process.as_ref(), target, problem);
                *answer.status_mut() = StatusCode::FORBIDDEN;
                answer
            }
            Verdict::TooMany(wait) => too_many(wait),
            Verdict::Busy => respond::busy("Too many people are signing in; try again."),
        }
    }

    async fn check_password(&self, password: Zeroizing<String>, client: Client) -> Verdict {
        let current = self.login();
        let attempt = match current.attempts.begin(client) {
            Ok(attempt) => attempt,
            Err(wait) => return Verdict::TooMany(wait),
        };
        if let Some(right) = password::quick(&current.verifiers, &password) {
            if right {
                attempt.succeeded();
                return Verdict::Right;
            }
            return Verdict::Wrong;
        }
        let permit = async {
            // The node's turn first, so that a flood at one node holds one
            // permit of the host at most.
            let turn = self.login_turns.acquire().await.ok()?;
            let hashing = Arc::clone(&self.config.hashing);
            Some((turn, hashing.acquire_owned().await.ok()?))
        };
        let permit = tokio::time::timeout(password::HASHING_WAIT, permit).await;
        let Ok(Some((_turn, permit))) = permit else {
            // Not a wrong guess.
            attempt.succeeded();
            return Verdict::Busy;
        };
        let our = self.config.our.clone();
        let verifiers = current.verifiers.clone();
        let right = self.tasks.blocking(move || {
            let _permit = permit;
            password::is_right(&verifiers, &password, &our)
        });
        if right.await.unwrap_or(false) {
            attempt.succeeded();
            Verdict::Right
        } else {
            Verdict::Wrong
        }
    }

    fn with_cookie(
        &self,
        mut answer: HttpResponse,
        subdomain: Option<&ProcessId>,
        secure: bool,
    ) -> HttpResponse {
        let cookie = self
            .login()
            .tokens
            .cookie(subdomain, self.clock.now(), secure);
        match cookie.and_then(|text| HeaderValue::from_str(&text).ok()) {
            Some(cookie) => {
                answer.headers_mut().insert(header::SET_COOKIE, cookie);
                answer
            }
            None => respond::empty(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

/// The process that a login is for: none, or a process id in any spelling.
fn subdomain(given: Option<&str>) -> Result<Option<ProcessId>, node_types::IdError> {
    match given {
        None | Some("") => Ok(None),
        Some(text) => text.parse().map(|id| Some(alias::canonical(id))),
    }
}

/// `target` if it is a path on this origin.
fn safe_redirect(target: &str) -> Option<&str> {
    let graphic = |b: u8| b.is_ascii_graphic() && b != b'\\';
    let path = target.starts_with('/') && !target.starts_with("//");
    (path && target.len() <= MAX_REDIRECT && target.bytes().all(graphic)).then_some(target)
}

fn too_many(wait: Duration) -> HttpResponse {
    let seconds = wait.as_secs().max(1);
    let sentence = format!("Too many wrong passwords; try again in {seconds} seconds.\n");
    let mut response = respond::text(StatusCode::TOO_MANY_REQUESTS, sentence);
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_stay_here() {
        for good in [
            "/",
            "/a",
            "/a?b=c#d",
            "/a:b:c/x%2f",
            "/a//b",
            "/./a",
            "/a/../b",
            "/%2f%2fevil.com",
            "/%5cevil.com",
            "/@evil.com",
            "/.evil.com",
            "/?next=http://evil.com",
        ] {
            assert_eq!(safe_redirect(good), Some(good));
        }
        for bad in [
            "",
            " ",
            "a",
            "?a",
            "#a",
            "//evil.com",
            "///evil.com",
            "//",
            "/\\evil.com",
            "\\/evil.com",
            "\\\\evil.com",
            "/a\\b",
            "http://evil.com",
            "HTTP://evil.com",
            "https:evil.com",
            "https:/evil.com",
            "https:///evil.com",
            "ftp://evil.com",
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "data:text/html,x",
            "vbscript:x",
            ".evil.com",
            "@evil.com",
            ":80/",
            "/a b",
            "/ /evil.com",
            " /a",
            "/\t/evil.com",
            "\t//evil.com",
            "/a\r\nX: y",
            "/a\nb",
            "/\r/evil.com",
            "/a\tb",
            "/\u{e9}",
            "/\u{ff0f}evil.com",
            "/\u{2028}",
            "/\u{0}",
            "/\u{7f}",
            "%2f%2fevil.com",
        ] {
            assert_eq!(safe_redirect(bad), None, "{bad:?}");
        }
        assert_eq!(safe_redirect(&format!("/{}", "a".repeat(3000))), None);
    }
}
