//! The REST API: routes, their description, and the answers outside of them.
//!
//! Owns nothing. Invariant: every operation stands once in [`v1::operations`],
//! from which the router is built, and every answer that is not a success is a
//! [`Problem`].

mod input;
mod openapi;
mod v1;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};

use crate::app::App;
use crate::problem::Problem;

pub(crate) use input::read as read_body;
pub use openapi::openapi_json;

/// Where the description is.
const OPENAPI_PATH: &str = "/api/openapi.json";

/// Routes of the API.
pub(crate) fn router() -> Router<Arc<App>> {
    let mut router = Router::new();
    for operation in v1::operations() {
        router = router.route(operation.path, operation.handler);
    }
    router
        .layer(axum::middleware::map_response(never_stored))
        .route(OPENAPI_PATH, get(description))
        .method_not_allowed_fallback(method_not_allowed)
}

/// The answer for paths below `/api` that are no operation.
pub(crate) fn no_such_operation() -> Problem {
    Problem::not_found("There is no such operation. /api/openapi.json lists them all.")
}

async fn method_not_allowed(method: Method) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        "Method not allowed",
        format!("{method} is not possible here; the Allow header says what is."),
    )
}

async fn description() -> Response {
    let mut response = openapi_json().into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

async fn never_stored(mut response: Response) -> Response {
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(CACHE_CONTROL, no_store);
    response
}
