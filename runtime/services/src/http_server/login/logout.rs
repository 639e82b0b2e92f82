//! Signing out: the way for people, which published runtimes do not have.
//!
//! The cookies of the browser that asks are taken back and worth nothing from
//! then on, whoever else has them, and WebSockets opened with them end. Only a
//! page of the node itself can ask.

use http::header::{COOKIE, HeaderValue, SET_COOKIE};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use node_api::{HttpResponse, Origin};
use node_types::NodeName;

use crate::http_server::site::is_anothers_page;
use crate::http_server::{HttpServer, respond};

/// Most cookies taken back at once.
const MAX_COOKIES: usize = 16;

impl HttpServer {
    /// Answers `POST /logout`.
    pub(in super::super) async fn logout(&self, head: &Parts, origin: Origin) -> HttpResponse {
        if is_anothers_page(head, origin) {
            let sentence = "This page may not act for the node's owner.\n".to_owned();
            return respond::text(StatusCode::FORBIDDEN, sentence);
        }
        let mut answer = respond::redirect(StatusCode::SEE_OTHER, "/");
        let secure = if self.is_secure(head, origin) {
            "; Secure"
        } else {
            ""
        };
        for name in login_cookies(&head.headers, &self.config.our) {
            let gone = format!("{name}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax{secure}");
            if let Ok(gone) = HeaderValue::from_str(&gone) {
                answer.headers_mut().append(SET_COOKIE, gone);
            }
        }
        let now = self.clock.now();
        let ended = self.login().tokens.sessions(&head.headers, now);
        if ended.is_empty() {
            return answer;
        }
        self.config.signed_out.add(&ended, now);
        for (session, _) in &ended {
            self.sockets.sign_out(Some(session));
        }
        self.config.signed_out.save().await;
        answer
    }
}

/// The names of this node's cookies that the browser sent.
fn login_cookies<'a>(headers: &'a HeaderMap, our: &'a NodeName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .map(|(name, _)| name)
        .filter(move |name| {
            let rest = name.strip_prefix("kinode-auth_");
            let rest = rest.and_then(|rest| rest.strip_prefix(our.as_str()));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('@'))
        })
        .take(MAX_COOKIES)
}
