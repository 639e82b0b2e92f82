//! Suspending a node: asked about on a page of its own, where the reason is
//! written that its owner reads.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use tenant_manager::NodeOpError;

use super::failure::{Failure, with_retry};
use super::form::{Asking, Submitted};
use super::operator::{Asked, Place, no_such_node, right};
use super::page::{self, Field, Here, Kind, Layout, sentence};
use super::visitor::{NodePath, Visitor, see};
use crate::app::App;
use crate::operator::reason;

#[derive(Template)]
#[template(path = "dashboard/suspension.html")]
struct SuspensionPage<'a> {
    layout: Layout,
    token: &'a str,
    label: &'a str,
    /// The query of the part of the list that it was asked for on.
    here: String,
    /// The address of that part.
    back: String,
    field: Field,
}

fn form_page(
    visitor: &Visitor,
    label: &str,
    place: &Place,
    status: StatusCode,
    field: Field,
) -> Response {
    let page = SuspensionPage {
        layout: Layout::signed_in(format!("Suspend {label}"), visitor, Here::Operator)
            .wrong(field.error.is_some()),
        token: visitor.token.as_str(),
        label,
        here: place.query(),
        back: place.path(),
        field,
    };
    page::respond(status, &page)
}

fn reason_field(reason: &str, error: Option<String>) -> Field {
    Field::new("reason", "Reason", Kind::Text)
        .hint("The owner of the node reads it. At most 500 characters.")
        .value(reason)
        .error(error)
        .focus(true)
}

pub(super) async fn ask(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    NodePath(label): NodePath,
    Asking(asked): Asking<Asked>,
) -> Result<Response, Failure> {
    let operator = right(&app, &visitor)?;
    let found = operator.node(&label).await.map_err(|error| match error {
        NodeOpError::NotFound => no_such_node(),
        NodeOpError::Conflict(text) | NodeOpError::Unavailable(text) => Failure::unavailable(&text),
    })?;
    let label = found.node.label.as_str();
    let (place, field) = (Place::from(asked), reason_field("", None));
    Ok(form_page(&visitor, label, &place, StatusCode::OK, field))
}

pub(super) async fn suspend(
    State(app): State<Arc<App>>,
    NodePath(label): NodePath,
    Asking(asked): Asking<Asked>,
    form: Submitted,
) -> Result<Response, Failure> {
    let visitor = form.visitor;
    let operator = right(&app, &visitor)?;
    let place = Place::from(asked);
    let typed = form.fields.text("reason").trim();
    let (status, text) = match reason(typed) {
        Err(text) => (StatusCode::UNPROCESSABLE_ENTITY, text),
        Ok(reason) => match operator.suspend_node(&label, reason).await {
            Ok(_) => return Ok(see(&place.path())),
            Err(NodeOpError::NotFound) => return Err(no_such_node()),
            Err(NodeOpError::Conflict(text)) => (StatusCode::CONFLICT, text),
            Err(NodeOpError::Unavailable(text)) => (StatusCode::SERVICE_UNAVAILABLE, text),
        },
    };
    let field = reason_field(typed, Some(sentence(&text)));
    let page = form_page(&visitor, &label, &place, status, field);
    Ok(match status {
        StatusCode::SERVICE_UNAVAILABLE => with_retry(page),
        _ => page,
    })
}
