//! Small answers of the module itself.

use http::header::{self, HeaderValue};
use http::{Response, StatusCode};
use node_api::{HttpResponse, body, empty_body};

/// An answer without content.
pub(super) fn empty(status: StatusCode) -> HttpResponse {
    let mut response = Response::new(empty_body());
    *response.status_mut() = status;
    response
}

/// An answer with content.
pub(super) fn with_type(
    status: StatusCode,
    mime: &'static str,
    content: impl Into<bytes::Bytes>,
) -> HttpResponse {
    let mut response = Response::new(body(content));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(mime));
    response
}

/// A sentence for people.
pub(super) fn text(status: StatusCode, sentence: String) -> HttpResponse {
    with_type(status, "text/plain; charset=utf-8", sentence)
}

/// A JSON string.
pub(super) fn json_string(status: StatusCode, value: &str) -> HttpResponse {
    let value = serde_json::Value::from(value).to_string();
    with_type(status, "application/json", value)
}

/// `503` that says when to come back.
pub(super) fn busy(sentence: &str) -> HttpResponse {
    let mut response = text(StatusCode::SERVICE_UNAVAILABLE, format!("{sentence}\n"));
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

/// A redirect to `location`, a path unless the caller checked more.
pub(super) fn redirect(status: StatusCode, location: &str) -> HttpResponse {
    let mut response = empty(status);
    match HeaderValue::from_str(location) {
        Ok(value) => {
            response.headers_mut().insert(header::LOCATION, value);
        }
        Err(_) => *response.status_mut() = StatusCode::BAD_REQUEST,
    }
    response
}
