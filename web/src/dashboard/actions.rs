//! Buttons of a node: open, start, stop, restart, put to sleep.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use tenant_manager::{NodeOpError, NodeView};

use super::failure::{Failure, with_retry};
use super::form::Submitted;
use super::node::{self, Said};
use super::page::sentence;
use super::visitor::{NodePath, Visitor, see};
use crate::app::App;

/// Signs the owner in to the node, in this very window.
pub(super) async fn open(
    State(app): State<Arc<App>>,
    NodePath(label): NodePath,
    form: Submitted,
) -> Result<Response, Failure> {
    let visitor = form.visitor;
    match app.manager.open_node(&visitor.principal, &label).await {
        Ok(ticket) => Ok(see(&app.urls.link(&label, &ticket.token))),
        Err(error) => refused(&app, &visitor, &label, error).await,
    }
}

pub(super) async fn start(
    State(app): State<Arc<App>>,
    NodePath(label): NodePath,
    form: Submitted,
) -> Result<Response, Failure> {
    let done = app.manager.start_node(&form.visitor.principal, &label);
    answer(&app, &form.visitor, &label, done.await).await
}

pub(super) async fn stop(
    State(app): State<Arc<App>>,
    NodePath(label): NodePath,
    form: Submitted,
) -> Result<Response, Failure> {
    let done = app.manager.stop_node(&form.visitor.principal, &label);
    answer(&app, &form.visitor, &label, done.await).await
}

pub(super) async fn restart(
    State(app): State<Arc<App>>,
    NodePath(label): NodePath,
    form: Submitted,
) -> Result<Response, Failure> {
    let done = app.manager.restart_node(&form.visitor.principal, &label);
    answer(&app, &form.visitor, &label, done.await).await
}

pub(super) async fn hibernate(
    State(app): State<Arc<App>>,
    NodePath(label): NodePath,
    form: Submitted,
) -> Result<Response, Failure> {
    let done = app.manager.hibernate_node(&form.visitor.principal, &label);
    answer(&app, &form.visitor, &label, done.await).await
}

async fn answer(
    app: &App,
    visitor: &Visitor,
    label: &str,
    done: Result<NodeView, NodeOpError>,
) -> Result<Response, Failure> {
    match done {
        Ok(node) => Ok(see(&format!("/nodes/{}", node.label))),
        Err(error) => refused(app, visitor, label, error).await,
    }
}

/// The node's page again, with why it was not done.
pub(super) async fn refused(
    app: &App,
    visitor: &Visitor,
    label: &str,
    error: NodeOpError,
) -> Result<Response, Failure> {
    let (status, text) = match error {
        NodeOpError::NotFound => return Err(Failure::no_such_node()),
        NodeOpError::Conflict(text) => (StatusCode::CONFLICT, text),
        NodeOpError::Unavailable(text) => (StatusCode::SERVICE_UNAVAILABLE, text),
    };
    let node = node::find(app, visitor, label).await?;
    let said = Said {
        status,
        alert: Some(sentence(&text)),
        ..Said::default()
    };
    let page = node::respond(app, visitor, node, said).await;
    Ok(match status {
        StatusCode::SERVICE_UNAVAILABLE => with_retry(page),
        _ => page,
    })
}
