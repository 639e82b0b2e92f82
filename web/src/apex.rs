//! The dashboard host: the dashboard's pages and the REST API.
//!
//! Invariant: every answer from this host carries the same security headers,
//! and nothing a tenant wrote is ever sent from it as a page.

use std::sync::Arc;

use axum::Router;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use http::header::{
    CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use http::{HeaderName, HeaderValue, Request, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use node_api::HttpResponse;
use tower::ServiceExt;

use crate::api;
use crate::app::App;
use crate::client::Client;
use crate::dashboard;
use crate::pages::{Form, Message};
use crate::proxy::Upload;

/// Largest request body that the dashboard host reads.
pub(crate) const MAX_BODY: usize = 64 * 1024;

const POLICY: &str = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; \
                      frame-ancestors 'none'";

/// Browsers that came by TLS once come no other way for a year. Names below
/// may belong to somebody else, so it says nothing about them.
const ONLY_TLS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// The policy of a page whose button opens a node: browsers hold the redirect
/// that answers a form to the form's rule too.
pub(crate) fn policy_for_opening(node: &str) -> Option<HeaderValue> {
    let form_action = format!("form-action 'self' {node}");
    HeaderValue::try_from(POLICY.replace("form-action 'self'", &form_action)).ok()
}

/// The host name and port a request was sent to, in lower case.
#[derive(Debug, Clone)]
pub(crate) struct Authority(pub(crate) String);

/// Routes of the dashboard host.
pub(crate) fn router(app: &Arc<App>) -> Router {
    Router::new()
        .merge(dashboard::router())
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .merge(api::router())
        .with_state(app.clone())
}

/// Answers a request to the dashboard host.
pub(crate) async fn respond(
    app: &App,
    router: &Router,
    request: Request<Incoming>,
    client: Client,
    authority: String,
) -> HttpResponse {
    let mut request = request.map(|body| axum::body::Body::new(Upload::new(body, MAX_BODY as u64)));
    request.extensions_mut().insert(client);
    request.extensions_mut().insert(Authority(authority));
    let response = match router.clone().oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    app.held.back(response.status()).await;
    let mut response = response.map(|body| body.map_err(Into::into).boxed_unsync());
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Not `no-referrer`: with it browsers send forms with `Origin: null`.
        (REFERRER_POLICY, "same-origin"),
        (X_FRAME_OPTIONS, "DENY"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ] {
        // Pages with a stricter policy of their own keep it.
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    if app.urls.is_secure() {
        headers.insert(STRICT_TRANSPORT_SECURITY, ONLY_TLS);
    }
    response
}

async fn not_found(uri: Uri, headers: HeaderMap) -> Response {
    if uri.path() == "/api" || uri.path().starts_with("/api/") {
        return api::no_such_operation().into_response();
    }
    let text = "There is no page at this address.";
    page(
        &Message::new(StatusCode::NOT_FOUND, "Not found", text),
        &headers,
    )
}

async fn method_not_allowed(headers: HeaderMap) -> Response {
    let text = "This address does not take such a request. The start page is at /.";
    let message = Message::new(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed", text);
    page(&message, &headers)
}

fn page(message: &Message, headers: &HeaderMap) -> Response {
    match Form::wanted(headers) {
        Form::Page => dashboard::failure_page(message),
        Form::Problem | Form::Text => message.respond(headers).map(axum::body::Body::new),
    }
}
