//! Errors as the REST API tells them: `application/problem+json`.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use crate::pages::Message;

/// How long to wait when the host cannot say better.
pub(crate) const DEFAULT_RETRY: Duration = Duration::from_secs(5);
/// Media type of an error.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// Body of every error answer of the API (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody<'a> {
    /// Names the kind of error; stable.
    #[serde(rename = "type")]
    #[schema(example = "urn:berth:problem:label-taken")]
    kind: String,
    /// The kind of error in a few words.
    title: &'a str,
    /// The HTTP status.
    status: u16,
    /// What went wrong this time and what to do about it.
    detail: &'a str,
}

/// An error on its way to the client. The text is for the client: nothing
/// internal belongs here.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    status: StatusCode,
    slug: &'static str,
    title: &'static str,
    detail: String,
    retry_after: Option<Duration>,
}

impl Problem {
    pub(crate) fn new(
        status: StatusCode,
        slug: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            status,
            slug,
            title,
            detail: detail.into(),
            retry_after: None,
        }
    }

    pub(crate) fn retry_after(self, wait: Duration) -> Self {
        Self {
            retry_after: Some(wait),
            ..self
        }
    }

    /// The control plane cannot answer now. `cause` goes to the log only.
    pub(crate) fn unavailable(cause: &str) -> Self {
        tracing::warn!("failed to answer an API request: {cause}");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "Temporarily unavailable",
            "The host cannot reach its records just now. Try again in a few seconds.",
        )
        .retry_after(DEFAULT_RETRY)
    }

    /// Too many attempts.
    pub(crate) fn too_many(detail: &'static str, wait: Duration) -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too-many-requests",
            "Too many requests",
            detail,
        )
        .retry_after(wait)
    }

    /// Not signed in, or not any more.
    pub(crate) fn unauthorized(detail: &'static str) -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "Not signed in",
            detail,
        )
    }

    /// Nothing is there, or nothing that this account may see.
    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
    }

    /// The same, to be said to a person.
    pub(crate) fn into_message(self) -> Message {
        let message = Message::new(self.status, self.title, self.detail);
        match self.retry_after {
            Some(wait) => message.retry_after(wait),
            None => message,
        }
    }
}

/// Whole seconds, never zero: a client that waits so long will be let in.
pub(crate) fn retry_after_value(wait: Duration) -> HeaderValue {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    HeaderValue::from(seconds.max(1))
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemBody {
            kind: format!("urn:berth:problem:{}", self.slug),
            title: self.title,
            status: self.status.as_u16(),
            detail: &self.detail,
        };
        // Strings and a number always serialize.
        let json = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = (self.status, json).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(wait) = self.retry_after {
            headers.insert(RETRY_AFTER, retry_after_value(wait));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"berth\"");
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_rounds_up_and_is_never_zero() {
        let seconds = |millis| {
            let value = retry_after_value(Duration::from_millis(millis));
            value.to_str().unwrap().to_owned()
        };
        assert_eq!(seconds(0), "1");
        assert_eq!(seconds(1000), "1");
        assert_eq!(seconds(1001), "2");
    }
}
