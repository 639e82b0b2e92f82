//! Reading what a client sent, with an answer it can act on when that is not
//! what the operation takes.

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::apex::MAX_BODY;
use crate::problem::Problem;
use crate::proxy::{self, UploadError};

/// A JSON body of this shape.
pub(super) struct Input<T>(pub(super) T);

/// An empty body.
pub(super) struct NoInput;

/// The label in the path, not checked further.
pub(super) struct LabelPath(pub(super) String);

/// The query of this shape.
pub(super) struct QueryInput<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Input<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "Unsupported media type",
                "Send the body as JSON, with the header `Content-Type: application/json`.",
            ));
        }
        let body = read(request.into_body()).await?;
        serde_json::from_slice(&body)
            .map(Self)
            .map_err(|error| not_understood(&error))
    }
}

impl<S: Send + Sync> FromRequest<S> for NoInput {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let body = read(request.into_body()).await?;
        match body.trim_ascii() {
            b"" | b"{}" | b"null" => Ok(Self),
            _ => Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "unexpected-body",
                "Unexpected body",
                "This operation takes no input. Send an empty body.",
            )),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for LabelPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(label)) => Ok(Self(label)),
            Err(_) => Err(Problem::new(
                StatusCode::BAD_REQUEST,
                "malformed-path",
                "Malformed path",
                "The label in the path is not readable text. Write it without percent-encoding.",
            )),
        }
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for QueryInput<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(query)) => Ok(Self(query)),
            Err(error) => Err(Problem::new(
                StatusCode::BAD_REQUEST,
                "malformed-query",
                "Malformed query",
                format!("The query of the URL is not understood: {error}."),
            )),
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    value.is_some_and(|value| {
        let media_type = value.split(';').next().unwrap_or_default().trim();
        media_type.eq_ignore_ascii_case("application/json")
    })
}

/// The whole body; bounds and deadlines are the body's own.
pub(crate) async fn read(body: Body) -> Result<Bytes, Problem> {
    let too_large = || {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            "Too large",
            format!(
                "A request to this host may carry at most {} KiB.",
                MAX_BODY / 1024
            ),
        )
    };
    if http_body::Body::size_hint(&body).lower() > MAX_BODY as u64 {
        return Err(too_large());
    }
    match body.collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) => Err(match proxy::ended_early(&error) {
            Some(UploadError::TooLarge) => too_large(),
            Some(UploadError::TooSlow) => Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                "too-slow",
                "Too slow",
                "The body arrived too slowly, and nothing was done. Send the request again over \
                 a faster connection.",
            ),
            None => Problem::new(
                StatusCode::BAD_REQUEST,
                "incomplete-body",
                "Incomplete body",
                "The body did not arrive whole. Send the request again.",
            ),
        }),
    }
}

fn not_understood(error: &serde_json::Error) -> Problem {
    match error.classify() {
        Category::Data => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid-input",
            "Invalid input",
            format!("The JSON is not what this operation takes: {error}."),
        ),
        Category::Syntax | Category::Eof | Category::Io => Problem::new(
            StatusCode::BAD_REQUEST,
            "malformed-json",
            "Malformed JSON",
            format!("The body is not JSON: {error}."),
        ),
    }
}
