//! Putting a node away, and removing it for good. Both are asked about on a
//! page of their own, where the node's name has to be typed.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use tenant_model::NodeStatus;

use super::actions::refused;
use super::failure::Failure;
use super::form::Submitted;
use super::node;
use super::page::{self, Field, Here, Kind, Layout};
use super::visitor::{NodePath, Visitor, see};
use crate::app::App;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Removal {
    Delete,
    Purge,
}

#[derive(Template)]
#[template(path = "dashboard/removal.html")]
struct RemovalPage<'a> {
    layout: Layout,
    token: &'a str,
    label: String,
    purge: bool,
    field: Field,
}

fn ask(visitor: &Visitor, label: String, removal: Removal, error: Option<String>) -> Response {
    let (verb, status) = match (removal, &error) {
        (Removal::Delete, None) => ("Delete", StatusCode::OK),
        (Removal::Purge, None) => ("Remove", StatusCode::OK),
        (Removal::Delete, Some(_)) => ("Delete", StatusCode::UNPROCESSABLE_ENTITY),
        (Removal::Purge, Some(_)) => ("Remove", StatusCode::UNPROCESSABLE_ENTITY),
    };
    let page = RemovalPage {
        layout: Layout::signed_in(format!("{verb} {label}"), visitor, Here::Nodes)
            .wrong(error.is_some()),
        token: visitor.token.as_str(),
        label,
        purge: removal == Removal::Purge,
        field: Field::new(
            "confirm_label",
            "Type the node's name to confirm",
            Kind::Text,
        )
        .error(error)
        .focus(true),
    };
    page::respond(status, &page)
}

pub(super) async fn ask_delete(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    NodePath(label): NodePath,
) -> Result<Response, Failure> {
    let node = node::find(&app, &visitor, &label).await?;
    if node.status == NodeStatus::Archived {
        return Ok(see(&format!("/nodes/{}", node.label)));
    }
    let label = node.label.to_string();
    Ok(ask(&visitor, label, Removal::Delete, None))
}

pub(super) async fn ask_purge(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    NodePath(label): NodePath,
) -> Result<Response, Failure> {
    let node = node::find(&app, &visitor, &label).await?;
    if node.status != NodeStatus::Archived || node.purge_at.is_some() {
        return Ok(see(&format!("/nodes/{}", node.label)));
    }
    let label = node.label.to_string();
    Ok(ask(&visitor, label, Removal::Purge, None))
}

pub(super) async fn delete(
    State(app): State<Arc<App>>,
    NodePath(label): NodePath,
    form: Submitted,
) -> Result<Response, Failure> {
    remove(&app, &label, form, Removal::Delete).await
}

pub(super) async fn purge(
    State(app): State<Arc<App>>,
    NodePath(label): NodePath,
    form: Submitted,
) -> Result<Response, Failure> {
    remove(&app, &label, form, Removal::Purge).await
}

async fn remove(
    app: &App,
    label: &str,
    form: Submitted,
    removal: Removal,
) -> Result<Response, Failure> {
    let visitor = form.visitor;
    let node = node::find(app, &visitor, label).await?;
    let own = format!("/nodes/{}", node.label);
    // Two steps: nothing that still runs is removed for good.
    if removal == Removal::Purge && node.status != NodeStatus::Archived {
        return Ok(see(&own));
    }
    if form.fields.text("confirm_label").trim().to_lowercase() != node.label.as_str() {
        let error = "This is not the node's name, so nothing was done.".to_owned();
        return Ok(ask(&visitor, node.label.to_string(), removal, Some(error)));
    }
    let purge = removal == Removal::Purge;
    let removed = app.manager.delete_node(&visitor.principal, label, purge);
    match removed.await {
        Ok(_) if purge => Ok(see(&format!("{own}?done=purge"))),
        Ok(_) => Ok(see(&format!("{own}?done=delete"))),
        Err(error) => refused(app, &visitor, label, error).await,
    }
}
