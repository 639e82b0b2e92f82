//! From an upgrade request to an open socket.

use std::sync::Arc;

use http::header::{
    CONNECTION, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, Version};
use lifecycle::TaskKind;
use node_api::{HttpResponse, Origin, Upgrade};
use node_types::{Edition, ProcessId};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::Opener;
use super::run::Opened;
use crate::http_server::client::Standing;
use crate::http_server::local::not_local;
use crate::http_server::login::Session;
use crate::http_server::routes::Flags;
use crate::http_server::site::is_anothers_page;
use crate::http_server::{HttpServer, app, respond};

/// The one version of the protocol (RFC 6455).
const VERSION: &str = "13";

/// The client may not open the path; what it gets is up to the paths bound for
/// requests.
struct NotAllowed;

/// Whether a request asks to become a WebSocket.
pub(in super::super) fn is_upgrade(head: &Parts) -> bool {
    head.method == Method::GET
        && head.version == Version::HTTP_11
        && has_token(&head.headers, &UPGRADE, "websocket")
        && has_token(&head.headers, &CONNECTION, "upgrade")
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|given| given.trim().eq_ignore_ascii_case(token))
}

/// The client's key: sixteen bytes in base64, once.
fn key(headers: &HeaderMap) -> Option<&HeaderValue> {
    let mut keys = headers.get_all(SEC_WEBSOCKET_KEY).iter();
    let key = keys.next()?;
    let plausible = |bytes: &[u8]| {
        bytes.len() == 24
            && bytes.ends_with(b"==")
            && bytes
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='))
    };
    (keys.next().is_none() && plausible(key.as_bytes())).then_some(key)
}

/// What a process is told was opened, in the words of its generation. Up to
/// the book the path has the process in it.
fn opened(edition: Option<Edition>, owner: &ProcessId, path: &str, head: &Parts) -> Value {
    let below = path
        .strip_prefix('/')
        .and_then(|rest| rest.strip_prefix(owner.as_str()));
    match edition {
        Some(Edition::V0_7 | Edition::V0_8Book) => {
            json!({"path": path.strip_prefix('/').unwrap_or(path)})
        }
        other => {
            let path = match below {
                Some("") => "/",
                Some(below) => below,
                None => path,
            };
            if other != Some(Edition::Hyperware) {
                return json!({"path": path});
            }
            let client = app::client(head);
            json!({"path": path, "source_socket_addr": client, "forwarded_for": null})
        }
    }
}

/// The answer that turns the connection into a WebSocket.
fn switch(key: &HeaderValue) -> HttpResponse {
    let mut response = respond::empty(StatusCode::SWITCHING_PROTOCOLS);
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Ok(accept) = HeaderValue::try_from(derive_accept_key(key.as_bytes())) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}

fn refuse(status: StatusCode, sentence: &str) -> Option<HttpResponse> {
    Some(respond::text(status, format!("{sentence}\n")))
}

impl HttpServer {
    /// Opens a socket for an upgrade request, if its path is bound for
    /// WebSockets and the client may use it. `None` leaves the request to the
    /// paths bound for requests.
    pub(in super::super) async fn upgrade(
        self: &Arc<Self>,
        head: &mut Parts,
        bodiless: bool,
        path: &str,
        origin: Origin,
    ) -> Option<HttpResponse> {
        let found = self.find(&self.sockets.routes, path).await?;
        let flags = found.route.flags.as_ref()?;
        let owner = &found.route.owner;
        let opener = Opener {
            origin,
            standing: Standing::of(Some(flags), origin),
            session: self.may_open(head, owner, flags, origin).ok()?,
            extension: flags.local_only,
        };
        if !bodiless {
            return refuse(StatusCode::BAD_REQUEST, "An upgrade request has no body.");
        }
        let version = head.headers.get(SEC_WEBSOCKET_VERSION);
        if version.is_none_or(|version| version != VERSION) {
            let sentence = "Use version 13 of the WebSocket protocol.";
            let mut response = refuse(StatusCode::UPGRADE_REQUIRED, sentence)?;
            let version = HeaderValue::from_static(VERSION);
            response
                .headers_mut()
                .insert(SEC_WEBSOCKET_VERSION, version);
            return Some(response);
        }
        let Some(key) = key(&head.headers) else {
            let sentence = "The Sec-WebSocket-Key header is missing or malformed.";
            return refuse(StatusCode::BAD_REQUEST, sentence);
        };
        let response = switch(key);
        let Some(upgrading) = Upgrade::take(&mut head.extensions) else {
            let sentence = "This connection cannot become a WebSocket.";
            return refuse(StatusCode::NOT_IMPLEMENTED, sentence);
        };
        let random = || self.port.new_message_id().0;
        let Some(registered) = self.sockets.register(owner, opener, random) else {
            return Some(respond::busy("This node has too many open WebSockets."));
        };
        let opened = Opened {
            message: opened(self.port.edition(owner), owner, path, head),
            owner: owner.clone(),
            opener,
        };
        let serving = Arc::clone(self).serve_socket(upgrading, registered, opened);
        self.tasks.spawn(TaskKind::graceful("websocket"), serving);
        Some(response)
    }

    /// Whether this client may open a path, and the login it does so with.
    fn may_open(
        &self,
        head: &Parts,
        owner: &ProcessId,
        flags: &Flags,
        origin: Origin,
    ) -> Result<Option<Session>, NotAllowed> {
        let place = self.place(head, origin);
        if !self.belongs_here(place.as_ref(), owner, flags) {
            return Err(NotAllowed);
        }
        if flags.local_only && not_local(head, origin).is_some() {
            return Err(NotAllowed);
        }
        if !flags.authenticated {
            return Ok(None);
        }
        if is_anothers_page(head, origin) {
            return Err(NotAllowed);
        }
        let subdomain = flags.secure.then_some(owner);
        let now = self.clock.now();
        let session = self.login().tokens.session(&head.headers, subdomain, now);
        session.map(Some).ok_or(NotAllowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_generation_is_told_the_path_in_its_form() {
        let chess: ProcessId = "chess:chess:sys".parse().unwrap();
        let home: ProcessId = "homepage:homepage:sys".parse().unwrap();
        let (head, ()) = http::Request::new(()).into_parts();
        let told = |edition, owner, path| opened(edition, owner, path, &head);
        for (owner, path, older, newer) in [
            (&chess, "/chess:chess:sys", "chess:chess:sys", "/"),
            (
                &chess,
                "/chess:chess:sys/a/b",
                "chess:chess:sys/a/b",
                "/a/b",
            ),
            (&home, "/", "", "/"),
            (&home, "/live", "live", "/live"),
        ] {
            for edition in [Edition::V0_7, Edition::V0_8Book] {
                assert_eq!(told(Some(edition), owner, path), json!({"path": older}));
            }
            for edition in [Some(Edition::V0_8), Some(Edition::V1_0), None] {
                assert_eq!(told(edition, owner, path), json!({"path": newer}));
            }
            let hyperware = told(Some(Edition::Hyperware), owner, path);
            let wanted = json!({"path": newer, "source_socket_addr": null, "forwarded_for": null});
            assert_eq!(hyperware, wanted);
        }
    }

    #[test]
    fn keys_are_sixteen_bytes() {
        let table = [
            (&["dGhlIHNhbXBsZSBub25jZQ=="][..], true),
            (&["dGhlIHNhbXBsZSBub25jZQ"], false),
            (&["short=="], false),
            (&[""], false),
            (
                &["dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ=="],
                false,
            ),
            (&["dGhlIHNhbXBsZSBub25j Q=="], false),
        ];
        for (values, expected) in table {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(SEC_WEBSOCKET_KEY, value.parse().unwrap());
            }
            assert_eq!(key(&headers).is_some(), expected, "{values:?}");
        }
    }
}
