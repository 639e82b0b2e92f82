//! Who looks at a page: the person behind the session cookie, if there is one.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Path};
use axum::response::{IntoResponse, Redirect, Response};
use http::request::Parts;
use tenant_manager::{AuthError, Principal};

use super::failure::Failure;
use super::next::Next;
use super::token::FormToken;
use crate::app::App;
use crate::auth;

/// Somebody who is signed in.
#[derive(Debug)]
pub(super) struct Visitor {
    pub(super) principal: Principal,
    /// What this session's forms carry.
    pub(super) token: FormToken,
}

/// Who asks, if that matters little.
#[derive(Debug)]
pub(super) enum Seen {
    /// No session came along.
    Nobody,
    /// One came that has ended.
    Ended,
    /// Two came: one of them was planted by another site.
    Two,
    Visitor(Visitor),
}

/// The label in the path, not checked further.
pub(super) struct NodePath(pub(super) String);

/// Finds out who sent a request.
pub(super) async fn look(parts: &Parts, app: &App) -> Result<Seen, Failure> {
    let token = match auth::session_token(parts) {
        Ok(Some(token)) => token,
        Ok(None) => return Ok(Seen::Nobody),
        Err(auth::CookieError::Two) => return Ok(Seen::Two),
        Err(auth::CookieError::Malformed) => return Ok(Seen::Ended),
    };
    match app.manager.authenticate(token).await {
        Ok(principal) => Ok(Seen::Visitor(Visitor {
            principal,
            token: FormToken::of(token),
        })),
        Err(AuthError::Unknown) => Ok(Seen::Ended),
        Err(AuthError::Unavailable(cause)) => Err(Failure::unavailable(&cause)),
    }
}

/// The visitor, or the way to the sign-in page and back. A cookie that is worth
/// nothing stays: by the time this is answered the browser may have a new one,
/// which an answer about the old one must not take away.
pub(super) async fn require(parts: &Parts, app: &App) -> Result<Visitor, Failure> {
    let seen = look(parts, app).await?;
    let why = match seen {
        Seen::Visitor(visitor) => return Ok(visitor),
        Seen::Nobody => "first",
        Seen::Ended => "ended",
        Seen::Two => "cookies",
    };
    let next = Next::parse(&page_of(parts));
    let mut target = next.after("/sign-in");
    target.push(if target.contains('?') { '&' } else { '?' });
    target.push_str("why=");
    target.push_str(why);
    Err(Failure::from(see(&target)))
}

/// The page that a request came from or asks for: actions have none, the
/// page with their button stands for them.
fn page_of(parts: &Parts) -> String {
    let path = parts.uri.path();
    if parts.method.is_safe() {
        return match parts.uri.query() {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        };
    }
    let mut pieces = path.split('/').skip(1);
    match (pieces.next(), pieces.next()) {
        (Some("nodes"), Some(label)) => format!("/nodes/{label}"),
        (Some("operator"), _) => "/operator".to_owned(),
        _ => path.to_owned(),
    }
}

impl FromRequestParts<Arc<App>> for Visitor {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Failure> {
        require(parts, app).await
    }
}

impl FromRequestParts<Arc<App>> for Seen {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Failure> {
        look(parts, app).await
    }
}

impl<S: Send + Sync> FromRequestParts<S> for NodePath {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(label)) => Ok(Self(label)),
            Err(_) => Err(Failure::no_such_node()),
        }
    }
}

impl Seen {
    /// The visitor, if there is one.
    pub(super) fn visitor(self) -> Option<Visitor> {
        match self {
            Self::Visitor(visitor) => Some(visitor),
            Self::Nobody | Self::Ended | Self::Two => None,
        }
    }
}

/// To another page, after something was done.
pub(super) fn see(path: &str) -> Response {
    Redirect::to(path).into_response()
}
