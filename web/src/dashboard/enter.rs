//! Signing up, in and out.
//!
//! Invariant: whoever signs in gets a session that nobody knew before, and the
//! one that the browser had ends.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::header::{RETRY_AFTER, SET_COOKIE};
use http::{HeaderValue, StatusCode};
use lifecycle::Timestamp;
use node_api::Secret;
use serde::Deserialize;
use tenant_manager::{NewSession, RegisterError, SignInError};
use tenant_model::{Email, check_account_password};

use super::failure::{Failure, with_retry};
use super::form::{Asking, AtTheDoor, Leaving};
use super::next::{Next, encode};
use super::page::{self, Field, Kind, Layout, focus_first, sentence};
use super::visitor::{Seen, Visitor, see};
use crate::app::App;
use crate::auth;
use crate::client::Client;
use crate::problem::retry_after_value;

/// What may stand in the query of these pages.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Arriving {
    next: String,
    why: String,
    /// The name wished for on the front page.
    label: String,
}

#[derive(Template)]
#[template(path = "dashboard/sign-up.html")]
struct SignUp {
    layout: Layout,
    next: Next,
    sign_in: String,
    alert: Option<String>,
    fields: [Field; 2],
}

#[derive(Template)]
#[template(path = "dashboard/sign-in.html")]
struct SignIn {
    layout: Layout,
    next: Next,
    sign_up: String,
    note: Option<&'static str>,
    alert: Option<String>,
    fields: [Field; 2],
}

impl SignUp {
    fn new(next: Next, email: &str, wrong: [Option<String>; 2], alert: Option<String>) -> Self {
        let failed = alert.is_some() || wrong.iter().any(Option::is_some);
        let [bad_email, bad_password] = wrong;
        Self {
            layout: Layout::signed_out("Sign up").wrong(failed),
            sign_in: next.after("/sign-in"),
            next,
            alert,
            fields: focus_first([
                email_field(email).error(bad_email),
                Field::new("password", "Password", Kind::Password)
                    .autocomplete("new-password")
                    .hint("At least 10 characters. A few words in a row are easy to remember.")
                    .error(bad_password),
            ]),
        }
    }
}

impl SignIn {
    fn new(next: Next, email: &str, wrong: [Option<String>; 2], alert: Option<String>) -> Self {
        let failed = alert.is_some() || wrong.iter().any(Option::is_some);
        let [bad_email, bad_password] = wrong;
        let fields = [
            email_field(email).error(bad_email),
            Field::new("password", "Password", Kind::Password)
                .autocomplete("current-password")
                .error(bad_password),
        ];
        Self {
            layout: Layout::signed_out("Sign in").wrong(failed),
            sign_up: next.after("/sign-up"),
            next,
            note: None,
            alert,
            fields: focus_first(fields),
        }
    }
}

fn email_field(value: &str) -> Field {
    Field::new("email", "E-mail address", Kind::Email)
        .autocomplete("username")
        .value(value)
}

/// Where somebody who arrives goes afterwards.
fn next_of(arriving: &Arriving) -> Next {
    if arriving.label.is_empty() {
        return Next::parse(&arriving.next);
    }
    let label = arriving.label.trim().to_lowercase();
    Next::parse(&format!("/nodes/new?label={}", encode(&label)))
}

pub(super) async fn sign_up_page(
    seen: Seen,
    Asking(arriving): Asking<Arriving>,
) -> Result<Response, Failure> {
    let next = next_of(&arriving);
    if matches!(seen, Seen::Visitor(_)) {
        return Ok(see(next.as_str()));
    }
    Ok(page::ok(&SignUp::new(next, "", [None, None], None)))
}

pub(super) async fn sign_in_page(
    seen: Seen,
    Asking(arriving): Asking<Arriving>,
) -> Result<Response, Failure> {
    let next = next_of(&arriving);
    let note = match (&seen, arriving.why.as_str()) {
        (Seen::Visitor(_), _) => return Ok(see(next.as_str())),
        (Seen::Two, _) | (_, "cookies") => Some(
            "Another site has set a cookie for this one, so your session is not trusted. \
             Remove the cookies of this site in your browser, then sign in.",
        ),
        (_, "ended") => Some("Your session has ended. Sign in, and you are back where you were."),
        (_, "first") => Some("Sign in to see that page."),
        _ => None,
    };
    let page = SignIn {
        note,
        ..SignIn::new(next, "", [None, None], None)
    };
    Ok(page::ok(&page))
}

pub(super) async fn sign_up(
    State(app): State<Arc<App>>,
    form: AtTheDoor,
) -> Result<Response, Failure> {
    let next = Next::parse(form.fields.text("next"));
    let email = form.fields.text("email");
    let refuse = |status, wrong, alert| {
        page::respond(status, &SignUp::new(next.clone(), email, wrong, alert))
    };
    if let Err(wait) = app.limits.sign_up.check(form.client.address) {
        let alert = "Too many accounts were created from your address. Wait before the next one.";
        let page = refuse(
            StatusCode::TOO_MANY_REQUESTS,
            [None, None],
            Some(alert.to_owned()),
        );
        return Ok(waiting(page, wait));
    }
    let bad_email = Email::parse(email).err().map(|e| sentence(&e.to_string()));
    let password = form.fields.secret("password");
    let weak = check_account_password(password.expose()).err();
    let weak = weak.map(|e| sentence(&e.to_string()));
    if bad_email.is_some() || weak.is_some() {
        let invalid = StatusCode::UNPROCESSABLE_ENTITY;
        return Ok(refuse(invalid, [bad_email, weak], None));
    }
    let error = match app.manager.register(email, password).await {
        Ok(account) => {
            let cookie = cookie(&app, form.client, &account.token, account.expires_at);
            return enter(&app, form.before, cookie, &next).await;
        }
        Err(error) => error,
    };
    let text = sentence(&error.to_string());
    Ok(match error {
        RegisterError::Taken => {
            // Whoever pressed the button twice has the account already.
            let password = form.fields.secret("password");
            if let Ok(session) = app.manager.sign_in(email, password).await {
                let cookie = session_cookie(&app, form.client, &session);
                return enter(&app, form.before, cookie, &next).await;
            }
            refuse(StatusCode::CONFLICT, [Some(text), None], None)
        }
        RegisterError::BadEmail(_) => {
            refuse(StatusCode::UNPROCESSABLE_ENTITY, [Some(text), None], None)
        }
        RegisterError::WeakPassword(_) => {
            refuse(StatusCode::UNPROCESSABLE_ENTITY, [None, Some(text)], None)
        }
        RegisterError::Unavailable(_) => {
            let unavailable = StatusCode::SERVICE_UNAVAILABLE;
            with_retry(refuse(unavailable, [None, None], Some(text)))
        }
    })
}

pub(super) async fn sign_in(
    State(app): State<Arc<App>>,
    form: AtTheDoor,
) -> Result<Response, Failure> {
    let next = Next::parse(form.fields.text("next"));
    let email = form.fields.text("email");
    let refuse = |status, wrong, alert| {
        page::respond(status, &SignIn::new(next.clone(), email, wrong, alert))
    };
    if let Err(wait) = app.limits.sign_in.check(form.client.address) {
        let alert = "Too many sign-ins from your address. Wait a while.".to_owned();
        let page = refuse(StatusCode::TOO_MANY_REQUESTS, [None, None], Some(alert));
        return Ok(waiting(page, wait));
    }
    let missing = |name: &str, text: &str| {
        let empty = form.fields.text(name).trim().is_empty();
        empty.then(|| text.to_owned())
    };
    let wrong = [
        missing("email", "Write your e-mail address."),
        missing("password", "Write your password."),
    ];
    if wrong.iter().any(Option::is_some) {
        return Ok(refuse(StatusCode::UNPROCESSABLE_ENTITY, wrong, None));
    }
    let password = form.fields.secret("password");
    match app.manager.sign_in(email, password).await {
        Ok(session) => {
            let cookie = session_cookie(&app, form.client, &session);
            enter(&app, form.before, cookie, &next).await
        }
        Err(error) => {
            let (status, text, wait) = refused(&error);
            let page = refuse(status, [None, None], Some(text));
            Ok(match wait {
                Some(wait) => waiting(page, wait),
                None => page,
            })
        }
    }
}

/// A failed sign-in, as its page says it.
pub(super) fn refused(error: &SignInError) -> (StatusCode, String, Option<std::time::Duration>) {
    let text = sentence(&error.to_string());
    match error {
        SignInError::Wrong => (StatusCode::UNPROCESSABLE_ENTITY, text, None),
        SignInError::LockedOut { retry_after } => {
            (StatusCode::TOO_MANY_REQUESTS, text, Some(*retry_after))
        }
        SignInError::Unavailable(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            text,
            Some(crate::problem::DEFAULT_RETRY),
        ),
    }
}

/// `page` with when to try again.
pub(super) fn waiting(mut page: Response, wait: std::time::Duration) -> Response {
    let wait = retry_after_value(wait);
    page.headers_mut().insert(RETRY_AFTER, wait);
    page
}

/// The cookie of a new session.
pub(super) fn session_cookie(
    app: &App,
    client: Client,
    session: &NewSession,
) -> Option<HeaderValue> {
    cookie(app, client, &session.token, session.expires_at)
}

fn cookie(
    app: &App,
    client: Client,
    token: &Secret<String>,
    expires_at: Timestamp,
) -> Option<HeaderValue> {
    auth::session_cookie(token.expose(), expires_at, app.clock.now(), client.secure)
}

/// Ends the session from before, if there was one, and goes on with the new.
pub(super) async fn enter(
    app: &App,
    before: Option<Visitor>,
    cookie: Option<HeaderValue>,
    next: &Next,
) -> Result<Response, Failure> {
    if let Some(before) = before
        && let Err(error) = app.manager.sign_out(&before.principal).await
    {
        tracing::warn!("failed to end the session before: {error}");
    }
    let cookie = cookie.ok_or_else(|| Failure::unavailable("a token that fits no cookie"))?;
    let mut response = see(next.as_str());
    response.headers_mut().insert(SET_COOKIE, cookie);
    Ok(response)
}

pub(super) async fn sign_out(
    State(app): State<Arc<App>>,
    leaving: Leaving,
) -> Result<Response, Failure> {
    if let Some(visitor) = leaving.visitor {
        let ended = app.manager.sign_out(&visitor.principal).await;
        ended.map_err(|error| Failure::unavailable(&error.to_string()))?;
    }
    let mut response = see("/");
    if let Some(cookie) = auth::ended_cookie(leaving.client.secure) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    Ok(response)
}
