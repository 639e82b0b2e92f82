//! Pages that say why there is no other page.

use askama::Template;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::RETRY_AFTER;

use super::page::{self, Layout};
use crate::pages::Message;
use crate::problem::{DEFAULT_RETRY, Problem, retry_after_value};

/// An answer that ends a request early: a page that says why, or a way to
/// another page.
#[derive(Debug)]
pub(crate) struct Failure(Box<Response>);

#[derive(Template)]
#[template(path = "dashboard/failure.html")]
struct FailurePage<'a> {
    layout: Layout,
    status: u16,
    text: &'a str,
}

impl Failure {
    /// The control plane cannot answer now. `cause` goes to the log only.
    pub(super) fn unavailable(cause: &str) -> Self {
        Self::from(Problem::unavailable(cause))
    }

    /// The account has no such node, whoever else may have it.
    pub(super) fn no_such_node() -> Self {
        let text = "You have no node with this name. Your nodes are all on one page.";
        Self::from(Message::new(StatusCode::NOT_FOUND, "No such node", text))
    }
}

impl From<Response> for Failure {
    fn from(response: Response) -> Self {
        Self(Box::new(response))
    }
}

impl From<Message> for Failure {
    fn from(message: Message) -> Self {
        Self::from(page(&message))
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::from(problem.into_message())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        *self.0
    }
}

/// `message` as a page of the dashboard.
pub(crate) fn page(message: &Message) -> Response {
    let shown = FailurePage {
        layout: Layout::bare(message.title),
        status: message.status.as_u16(),
        text: &message.text,
    };
    let mut response = page::respond(message.status, &shown);
    if let Some(wait) = message.retry_after {
        let wait = retry_after_value(wait);
        response.headers_mut().insert(RETRY_AFTER, wait);
    }
    response
}

/// When to try again, on a page that was refused for now only.
pub(super) fn with_retry(mut response: Response) -> Response {
    let wait = retry_after_value(DEFAULT_RETRY);
    response.headers_mut().insert(RETRY_AFTER, wait);
    response
}
