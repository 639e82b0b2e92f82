//! Sessions: signing in and out.

use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::header::SET_COOKIE;
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use node_api::Secret;
use tenant_manager::SignInError;

use crate::api::input::{Input, NoInput};
use crate::api::view::{Credentials, SessionCreated};
use crate::app::App;
use crate::auth::{self, Caller, auth_problem};
use crate::client::Client;
use crate::problem::{Problem, ProblemBody};

/// Whether a page of this origin asks, which is then given a cookie too.
pub(in crate::api) struct FromPage(bool);

impl<S: Send + Sync> FromRequestParts<S> for FromPage {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(auth::is_same_origin(parts)))
    }
}

/// Sign in.
#[utoipa::path(
    post, path = "/api/v1/sessions", operation_id = "createSession", tag = "sessions",
    security(()),
    request_body = Credentials,
    responses(
        (status = 200, body = SessionCreated),
        (status = 401, body = ProblemBody<'static>, description = "Wrong address or password"),
        (status = 422, body = ProblemBody<'static>, description = "Not the expected fields"),
        (status = 429, body = ProblemBody<'static>, description = "Too many attempts"),
    )
)]
pub(in crate::api) async fn create(
    State(app): State<Arc<App>>,
    Extension(client): Extension<Client>,
    FromPage(from_page): FromPage,
    Input(input): Input<Credentials>,
) -> Result<Response, Problem> {
    app.limits.sign_in.check(client.address).map_err(|wait| {
        Problem::too_many("Too many sign-ins from your address. Wait a while.", wait)
    })?;
    let session = app
        .manager
        .sign_in(&input.email, Secret::new(input.password))
        .await
        .map_err(refused)?;
    let cookie = from_page.then(|| {
        let token = session.token.expose();
        auth::session_cookie(token, session.expires_at, app.clock.now(), client.secure)
    });
    let body = Json(SessionCreated::from(session));
    Ok(with_cookie(body.into_response(), cookie.flatten()))
}

fn refused(error: SignInError) -> Problem {
    match error {
        SignInError::Wrong => Problem::unauthorized("The address or the password is wrong."),
        SignInError::LockedOut { retry_after } => Problem::too_many(
            "Too many wrong passwords for this account. Wait before the next attempt.",
            retry_after,
        ),
        SignInError::Unavailable(cause) => Problem::unavailable(&cause),
    }
}

/// Sign out: ends the session that asks.
#[utoipa::path(
    delete, path = "/api/v1/sessions/current", operation_id = "deleteCurrentSession", tag = "sessions",
    responses((status = 204, description = "The session has ended"))
)]
pub(in crate::api) async fn delete(
    State(app): State<Arc<App>>,
    Extension(client): Extension<Client>,
    FromPage(from_page): FromPage,
    Caller(principal): Caller,
    _: NoInput,
) -> Result<Response, Problem> {
    app.manager
        .sign_out(&principal)
        .await
        .map_err(auth_problem)?;
    let cookie = from_page.then(|| auth::ended_cookie(client.secure));
    Ok(with_cookie(
        StatusCode::NO_CONTENT.into_response(),
        cookie.flatten(),
    ))
}

fn with_cookie(mut response: Response, cookie: Option<HeaderValue>) -> Response {
    if let Some(cookie) = cookie {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}
