//! Forms as browsers send them.
//!
//! Invariant: nobody but a page of this very origin gets a form accepted, and
//! one that acts for a session must carry the token of that session. Signing
//! out alone needs no token: whatever tab asks for it, it is meant.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Form, FromRequest, FromRequestParts, Query, Request};
use http::StatusCode;
use http::request::Parts;
use node_api::Secret;
use serde::de::DeserializeOwned;

use super::failure::Failure;
use super::visitor::{self, Seen, Visitor};
use crate::api::read_body;
use crate::app::App;
use crate::auth;
use crate::client::Client;
use crate::pages::Message;

/// The field with a session's form token.
const TOKEN: &str = "form_token";
/// No form has as many fields.
const MOST_FIELDS: usize = 32;

/// What the query of a page says; nothing if it cannot be read.
pub(super) struct Asking<T>(pub(super) T);

/// What was filled in.
#[derive(Default)]
pub(super) struct Fields(Vec<(String, String)>);

/// A form that acts for the person who is signed in.
pub(super) struct Submitted {
    pub(super) visitor: Visitor,
    pub(super) fields: Fields,
    pub(super) client: Client,
}

/// A form of somebody who wants to sign in or up.
pub(super) struct AtTheDoor {
    /// Who was signed in before.
    pub(super) before: Option<Visitor>,
    pub(super) fields: Fields,
    pub(super) client: Client,
}

/// The wish to sign out, from any page of this origin.
pub(super) struct Leaving {
    /// Who is signed in, if anybody still is.
    pub(super) visitor: Option<Visitor>,
    pub(super) client: Client,
}

impl Fields {
    /// What was typed into the field; nothing if it came twice.
    pub(super) fn text(&self, name: &str) -> &str {
        let mut values = self.0.iter().filter(|(key, _)| key == name);
        match (values.next(), values.next()) {
            (Some((_, value)), None) => value,
            _ => "",
        }
    }

    /// A password, exactly as typed.
    pub(super) fn secret(&self, name: &str) -> Secret<String> {
        Secret::new(self.text(name).to_owned())
    }

    async fn read(request: Request) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        let body = read_body(body).await?;
        let whole = Request::from_parts(parts, Body::from(body));
        let form = Form::<Vec<(String, String)>>::from_request(whole, &()).await;
        let Form(fields) = form.map_err(|_| not_a_form())?;
        if fields.len() > MOST_FIELDS {
            return Err(not_a_form());
        }
        Ok(Self(fields))
    }
}

fn not_a_form() -> Failure {
    Failure::from(Message::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "Not a form",
        "This address takes the form of its page. Programs use the API instead: \
         /api/openapi.json describes it.",
    ))
}

fn only_from_here(parts: &Parts) -> Result<Client, Failure> {
    if !auth::is_same_origin(parts) {
        return Err(Failure::from(Message::new(
            StatusCode::FORBIDDEN,
            "Refused from another site",
            "This request did not come from a page of this dashboard, so nothing was done. \
             If you filled in a form here yourself, open the dashboard again and retry.",
        )));
    }
    let client = parts.extensions.get::<Client>().copied();
    client.ok_or_else(|| Failure::unavailable("a request without a client"))
}

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequestParts<S> for Asking<T> {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let asked = Query::<T>::try_from_uri(&parts.uri);
        Ok(Self(asked.map(|Query(asked)| asked).unwrap_or_default()))
    }
}

impl FromRequest<Arc<App>> for Submitted {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        let client = only_from_here(&parts)?;
        let visitor = visitor::require(&parts, app).await?;
        let fields = Fields::read(Request::from_parts(parts, body)).await?;
        if !visitor.token.matches(fields.text(TOKEN)) {
            return Err(Failure::from(Message::new(
                StatusCode::FORBIDDEN,
                "This page was out of date",
                "You signed in again after the page was loaded, so nothing was done. Go back, \
                 reload the page and try again.",
            )));
        }
        Ok(Self {
            visitor,
            fields,
            client,
        })
    }
}

impl FromRequest<Arc<App>> for AtTheDoor {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        let client = only_from_here(&parts)?;
        let before = visitor::look(&parts, app).await.map(Seen::visitor);
        let fields = Fields::read(Request::from_parts(parts, body)).await?;
        Ok(Self {
            // While sessions cannot be looked up, signing in says so itself.
            before: before.unwrap_or_default(),
            fields,
            client,
        })
    }
}

impl FromRequest<Arc<App>> for Leaving {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Failure> {
        let (parts, _) = request.into_parts();
        let client = only_from_here(&parts)?;
        let visitor = visitor::look(&parts, app).await?.visitor();
        Ok(Self { visitor, client })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_sent_twice_says_nothing() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let fields = Fields(vec![pair("a", "1"), pair("b", "2"), pair("b", "3")]);
        assert_eq!(fields.text("a"), "1");
        assert_eq!(fields.text("b"), "");
        assert_eq!(fields.text("c"), "");
    }
}
