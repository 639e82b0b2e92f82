//! Making a node.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use tenant_manager::CreateError;
use tenant_model::{Label, LabelError, check_node_password};

use super::failure::{Failure, with_retry};
use super::form::{Asking, Submitted};
use super::nodes::{cards, quota};
use super::page::{self, Field, Here, Kind, Layout, focus_first, sentence};
use super::visitor::{Visitor, see};
use crate::app::App;

/// A name asked for twice within this time was meant once.
const TWICE: time::Duration = time::Duration::minutes(2);

/// The wish that somebody came with.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wish {
    label: String,
}

#[derive(Template)]
#[template(path = "dashboard/new-node.html")]
struct NewNode<'a> {
    layout: Layout,
    token: &'a str,
    alert: Option<String>,
    /// How many nodes the plan allows, if there are as many.
    full: Option<usize>,
    /// What stands before and after the label in the node's address.
    address_start: String,
    address_end: String,
    node_suffix: &'a str,
    fields: [Field; 2],
}

/// What is wrong with a form.
#[derive(Default)]
struct Wrong {
    label: Option<String>,
    password: Option<String>,
    alert: Option<String>,
}

async fn form_page(app: &App, visitor: &Visitor, label: &str, wrong: Wrong) -> NewNodeParts {
    let nodes = cards(app, visitor).await.unwrap_or_default();
    let quota = quota(app, visitor, &nodes).await;
    let failed = wrong.label.is_some() || wrong.password.is_some() || wrong.alert.is_some();
    let fields = focus_first([
        Field::new("label", "Name", Kind::Text)
            .hint("Small letters, digits and single dashes; starts with a letter.")
            .value(label)
            .error(wrong.label),
        Field::new("password", "Node password", Kind::Password)
            .autocomplete("new-password")
            .hint("At least 8 characters. Your node asks for it when you sign in at its address.")
            .error(wrong.password),
    ]);
    NewNodeParts {
        layout: Layout::signed_in("New node", visitor, Here::Nodes).wrong(failed),
        alert: wrong.alert,
        full: quota
            .filter(|quota| quota.is_full())
            .map(|quota| quota.limit),
        fields,
    }
}

/// What of the page depends on the account.
struct NewNodeParts {
    layout: Layout,
    alert: Option<String>,
    full: Option<usize>,
    fields: [Field; 2],
}

async fn respond(
    app: &App,
    visitor: &Visitor,
    status: StatusCode,
    label: &str,
    wrong: Wrong,
) -> Response {
    let parts = form_page(app, visitor, label, wrong).await;
    let (address_start, address_end) = app.urls.around_label();
    let page = NewNode {
        layout: parts.layout,
        token: visitor.token.as_str(),
        alert: parts.alert,
        full: parts.full,
        address_start,
        address_end,
        node_suffix: &app.node_suffix,
        fields: parts.fields,
    };
    page::respond(status, &page)
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Asking(wish): Asking<Wish>,
) -> Result<Response, Failure> {
    // A name that somebody came with and cannot have is explained at once.
    let label = wish.label.trim().to_lowercase();
    let refused = Label::parse(&label).err().filter(|_| !label.is_empty());
    let wrong = at_label(refused.map(bad_name));
    Ok(respond(&app, &visitor, StatusCode::OK, &wish.label, wrong).await)
}

pub(super) async fn create(
    State(app): State<Arc<App>>,
    form: Submitted,
) -> Result<Response, Failure> {
    let Submitted {
        visitor, fields, ..
    } = form;
    // Nobody means another name by a capital letter.
    let label = fields.text("label").trim().to_lowercase();
    let password = fields.secret("password");
    let wrong = Wrong {
        label: Label::parse(&label).err().map(bad_name),
        password: check_node_password(password.expose())
            .err()
            .map(|e| sentence(&e.to_string())),
        alert: None,
    };
    if wrong.label.is_some() || wrong.password.is_some() {
        let invalid = StatusCode::UNPROCESSABLE_ENTITY;
        return Ok(respond(&app, &visitor, invalid, &label, wrong).await);
    }
    let created = app
        .manager
        .create_node(&visitor.principal, &label, password);
    let error = match created.await {
        Ok(node) => return Ok(see(&format!("/nodes/{}", node.label))),
        Err(error) => error,
    };
    if error == CreateError::Taken && is_just_made(&app, &visitor, &label).await {
        return Ok(see(&format!("/nodes/{label}?done=made")));
    }
    let text = Some(sentence(&error.to_string()));
    let (status, wrong) = match error {
        CreateError::BadLabel(_) => (StatusCode::UNPROCESSABLE_ENTITY, at_label(text)),
        CreateError::Taken => {
            let text = "This name is taken. Choose another one.".to_owned();
            (StatusCode::CONFLICT, at_label(Some(text)))
        }
        CreateError::WeakPassword(_) => {
            let wrong = Wrong {
                password: text,
                ..Wrong::default()
            };
            (StatusCode::UNPROCESSABLE_ENTITY, wrong)
        }
        CreateError::Quota { .. } | CreateError::ArchiveFull { .. } => {
            (StatusCode::FORBIDDEN, overall(text))
        }
        CreateError::Unavailable(_) => {
            let unavailable = StatusCode::SERVICE_UNAVAILABLE;
            let page = respond(&app, &visitor, unavailable, &label, overall(text)).await;
            return Ok(with_retry(page));
        }
    };
    Ok(respond(&app, &visitor, status, &label, wrong).await)
}

/// What is wrong with a name, in the words of the page.
fn bad_name(error: LabelError) -> String {
    match error {
        LabelError::Invalid => {
            "Use small letters, digits and single dashes, 63 at most. Begin with a letter, and do \
             not end with a dash."
        }
        LabelError::Reserved => "This name is reserved. Choose another one.",
    }
    .to_owned()
}

fn at_label(text: Option<String>) -> Wrong {
    Wrong {
        label: text,
        ..Wrong::default()
    }
}

fn overall(alert: Option<String>) -> Wrong {
    Wrong {
        alert,
        ..Wrong::default()
    }
}

/// Whether the node that has the label is one that this account made a moment
/// ago, by the same form most likely. Its password may have been another one.
async fn is_just_made(app: &App, visitor: &Visitor, label: &str) -> bool {
    let node = app.manager.node(&visitor.principal, label).await;
    node.is_ok_and(|node| app.clock.now() - node.created_at <= TWICE)
}
