//! The dashboard host: welcome page, its assets, and the REST API.
//!
//! Invariant: every answer from this host carries the same security headers,
//! and nothing a tenant wrote is ever sent from it as a page.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
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
use crate::pages::{Message, Welcome};
use crate::proxy::Upload;

/// Largest request body that the dashboard host reads.
pub(crate) const MAX_BODY: usize = 64 * 1024;

const POLICY: &str = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; \
                      frame-ancestors 'none'";

/// The host name and port a request was sent to, in lower case.
#[derive(Debug, Clone)]
pub(crate) struct Authority(pub(crate) String);

/// Routes of the dashboard host.
pub(crate) fn router(app: &Arc<App>) -> Router {
    Router::new()
        .route("/", get(welcome))
        .route("/assets/berth.css", get(stylesheet))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .merge(api::router())
        .with_state(app.clone())
}

/// Answers a request to the dashboard host.
pub(crate) async fn respond(
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
    let mut response = response.map(|body| body.map_err(Into::into).boxed_unsync());
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
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
    response
}

async fn welcome(State(app): State<Arc<App>>) -> Response {
    let page = Welcome {
        dashboard: &app.urls.dashboard(),
        example_node: &app.urls.node("alice"),
        node_suffix: &app.node_suffix,
        ssh_host: &app.ssh_host,
        ssh_port: app.ssh_port,
        local_http_port: app.local_http_port,
    };
    match page.render() {
        Ok(html) => (
            [
                (CONTENT_TYPE, "text/html; charset=utf-8"),
                (CACHE_CONTROL, "no-cache"),
            ],
            html,
        )
            .into_response(),
        Err(error) => {
            tracing::error!("failed to render the welcome page: {error}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn stylesheet() -> Response {
    (
        [
            (CONTENT_TYPE, "text/css; charset=utf-8"),
            (CACHE_CONTROL, "max-age=3600"),
        ],
        include_str!("../assets/berth.css"),
    )
        .into_response()
}

async fn not_found(uri: Uri, headers: HeaderMap) -> Response {
    if uri.path() == "/api" || uri.path().starts_with("/api/") {
        return api::no_such_operation().into_response();
    }
    let text = "There is no page at this address. The start page is at /.";
    page(
        &Message::new(StatusCode::NOT_FOUND, "Not found", text),
        &headers,
    )
}

async fn method_not_allowed(headers: HeaderMap) -> Response {
    let text = "This page can only be read (GET).";
    let message = Message::new(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed", text);
    page(&message, &headers)
}

fn page(message: &Message, headers: &HeaderMap) -> Response {
    message.respond(headers).map(axum::body::Body::new)
}
