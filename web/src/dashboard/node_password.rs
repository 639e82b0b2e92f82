//! A new password for a node's own login page.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use tenant_manager::NodePasswordError;

use super::failure::{Failure, with_retry};
use super::form::Submitted;
use super::node;
use super::page::{self, Field, Here, Kind, Layout, sentence};
use super::visitor::{NodePath, Visitor, see};
use crate::app::App;

#[derive(Template)]
#[template(path = "dashboard/node-password.html")]
struct PasswordPage<'a> {
    layout: Layout,
    token: &'a str,
    label: &'a str,
    alert: Option<String>,
    field: Field,
}

fn ask(
    visitor: &Visitor,
    label: &str,
    status: StatusCode,
    error: Option<String>,
    alert: Option<String>,
) -> Response {
    let wrong = error.is_some() || alert.is_some();
    let page = PasswordPage {
        layout: Layout::signed_in(format!("New password for {label}"), visitor, Here::Nodes)
            .wrong(wrong),
        token: visitor.token.as_str(),
        label,
        alert,
        field: Field::new("password", "New node password", Kind::Password)
            .autocomplete("new-password")
            .hint("At least 8 characters.")
            .error(error)
            .focus(true),
    };
    page::respond(status, &page)
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    NodePath(label): NodePath,
) -> Result<Response, Failure> {
    let node = node::find(&app, &visitor, &label).await?;
    Ok(ask(
        &visitor,
        node.label.as_str(),
        StatusCode::OK,
        None,
        None,
    ))
}

pub(super) async fn set(
    State(app): State<Arc<App>>,
    NodePath(label): NodePath,
    form: Submitted,
) -> Result<Response, Failure> {
    let visitor = form.visitor;
    let password = form.fields.secret("password");
    let set = app
        .manager
        .set_node_password(&visitor.principal, &label, password);
    let error = match set.await {
        Ok(()) => return Ok(see(&format!("/nodes/{label}?done=password"))),
        Err(error) => error,
    };
    let text = Some(sentence(&error.to_string()));
    Ok(match error {
        NodePasswordError::NotFound => return Err(Failure::no_such_node()),
        NodePasswordError::WeakPassword(_) => ask(
            &visitor,
            &label,
            StatusCode::UNPROCESSABLE_ENTITY,
            text,
            None,
        ),
        NodePasswordError::Conflict(_) => ask(&visitor, &label, StatusCode::CONFLICT, None, text),
        NodePasswordError::Unavailable(_) => {
            let unavailable = StatusCode::SERVICE_UNAVAILABLE;
            with_retry(ask(&visitor, &label, unavailable, None, text))
        }
    })
}
