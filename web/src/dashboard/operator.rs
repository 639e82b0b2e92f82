//! All nodes of this host, for its operators.
//!
//! Invariant: whoever has no right of an operator finds no page here.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use tenant_manager::{NodeOpError, NodeQuery, NodesPage, Operator, OperatorNodeView};
use tenant_model::{Label, NodeStatus};

use super::failure::{Failure, with_retry};
use super::form::{Asking, Submitted};
use super::page::{self, Here, Layout, sentence};
use super::view::{NodeCard, name_of};
use super::visitor::{NodePath, Visitor, see};
use crate::app::App;
use crate::operator::after;
use crate::pages::Message;

/// Nodes of a page.
const NODES: usize = 50;

/// The kinds of nodes that can be asked for alone.
const KINDS: [NodeStatus; 9] = [
    NodeStatus::Active,
    NodeStatus::Hibernated,
    NodeStatus::Provisioning,
    NodeStatus::Booting,
    NodeStatus::Stopping,
    NodeStatus::Stopped,
    NodeStatus::Suspended,
    NodeStatus::Broken,
    NodeStatus::Archived,
];

/// What may stand in the query of these pages.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    status: String,
    cursor: String,
}

/// Which part of the list somebody looks at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Place {
    status: Option<NodeStatus>,
    after: Option<Label>,
}

#[derive(Template)]
#[template(path = "dashboard/operator.html")]
struct OperatorPage<'a> {
    layout: Layout,
    token: &'a str,
    alert: Option<String>,
    kinds: Vec<Kind>,
    rows: Vec<Row>,
    /// The query of this very part of the list.
    here: String,
    /// The list's beginning, if this is not it.
    first: Option<String>,
    /// What comes next.
    next: Option<String>,
}

/// A kind of nodes.
struct Kind {
    name: &'static str,
    path: String,
    current: bool,
}

/// A node of the list.
struct Row {
    node: NodeCard,
    owner: String,
    buttons: Vec<Button>,
    suspend: bool,
}

/// Something that can be done with a node at once.
struct Button {
    action: &'static str,
    name: &'static str,
}

impl From<Asked> for Place {
    /// What cannot be read says nothing.
    fn from(asked: Asked) -> Self {
        Self {
            status: asked.status.parse().ok(),
            after: after(&asked.cursor),
        }
    }
}

impl Place {
    /// The query that leads there.
    pub(super) fn query(&self) -> String {
        let mut parts = Vec::new();
        if let Some(status) = self.status {
            parts.push(format!("status={status}"));
        }
        if let Some(label) = &self.after {
            parts.push(format!("cursor={label}"));
        }
        if parts.is_empty() {
            return String::new();
        }
        format!("?{}", parts.join("&"))
    }

    /// The address of that part of the list.
    pub(super) fn path(&self) -> String {
        format!("/operator{}", self.query())
    }
}

impl Row {
    fn new(view: OperatorNodeView, app: &App) -> Self {
        let held = view.node.status == NodeStatus::Suspended;
        let node = NodeCard::new(view.node, app);
        let button = |action, name| Button { action, name };
        let buttons = [
            node.can.start.map(|name| button("start", name)),
            node.can
                .hibernate
                .then(|| button("hibernate", "Put to sleep")),
            node.can.stop.then(|| button("stop", "Stop")),
            held.then(|| button("resume", "Resume")),
        ];
        Self {
            buttons: buttons.into_iter().flatten().collect(),
            suspend: node.counts && !held,
            owner: view.owner.to_string(),
            node,
        }
    }
}

/// The right to these pages; for everybody else they do not exist.
pub(super) fn right<'a>(app: &'a App, visitor: &'a Visitor) -> Result<Operator<'a>, Failure> {
    app.manager.operator(&visitor.principal).ok_or_else(|| {
        let text = "There is no page at this address.";
        Failure::from(Message::new(StatusCode::NOT_FOUND, "Not found", text))
    })
}

/// The host has no such node.
pub(super) fn no_such_node() -> Failure {
    let text = "This host has no node with this name.";
    Failure::from(Message::new(StatusCode::NOT_FOUND, "No such node", text))
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Asking(asked): Asking<Asked>,
) -> Result<Response, Failure> {
    let operator = right(&app, &visitor)?;
    let place = Place::from(asked);
    respond(&app, &operator, &visitor, &place, StatusCode::OK, None).await
}

pub(super) async fn start(
    State(app): State<Arc<App>>,
    NodePath(label): NodePath,
    Asking(asked): Asking<Asked>,
    form: Submitted,
) -> Result<Response, Failure> {
    let operator = right(&app, &form.visitor)?;
    let done = operator.start_node(&label).await;
    answer(&app, &operator, &form.visitor, &Place::from(asked), done).await
}

pub(super) async fn stop(
    State(app): State<Arc<App>>,
    NodePath(label): NodePath,
    Asking(asked): Asking<Asked>,
    form: Submitted,
) -> Result<Response, Failure> {
    let operator = right(&app, &form.visitor)?;
    let done = operator.stop_node(&label).await;
    answer(&app, &operator, &form.visitor, &Place::from(asked), done).await
}

pub(super) async fn hibernate(
    State(app): State<Arc<App>>,
    NodePath(label): NodePath,
    Asking(asked): Asking<Asked>,
    form: Submitted,
) -> Result<Response, Failure> {
    let operator = right(&app, &form.visitor)?;
    let done = operator.hibernate_node(&label).await;
    answer(&app, &operator, &form.visitor, &Place::from(asked), done).await
}

pub(super) async fn resume(
    State(app): State<Arc<App>>,
    NodePath(label): NodePath,
    Asking(asked): Asking<Asked>,
    form: Submitted,
) -> Result<Response, Failure> {
    let operator = right(&app, &form.visitor)?;
    let done = operator.resume_node(&label).await;
    answer(&app, &operator, &form.visitor, &Place::from(asked), done).await
}

/// The list again, with why it was not done if it was not.
async fn answer(
    app: &App,
    operator: &Operator<'_>,
    visitor: &Visitor,
    place: &Place,
    done: Result<OperatorNodeView, NodeOpError>,
) -> Result<Response, Failure> {
    let (status, text) = match done {
        Ok(_) => return Ok(see(&place.path())),
        Err(NodeOpError::NotFound) => return Err(no_such_node()),
        Err(NodeOpError::Conflict(text)) => (StatusCode::CONFLICT, text),
        Err(NodeOpError::Unavailable(text)) => (StatusCode::SERVICE_UNAVAILABLE, text),
    };
    let alert = Some(sentence(&text));
    let page = respond(app, operator, visitor, place, status, alert).await?;
    Ok(match status {
        StatusCode::SERVICE_UNAVAILABLE => with_retry(page),
        _ => page,
    })
}

async fn respond(
    app: &App,
    operator: &Operator<'_>,
    visitor: &Visitor,
    place: &Place,
    status: StatusCode,
    alert: Option<String>,
) -> Result<Response, Failure> {
    let query = NodeQuery {
        status: place.status,
        after: place.after.clone(),
        limit: NODES,
    };
    let nodes = operator.nodes(&query).await;
    let NodesPage { nodes, next } =
        nodes.map_err(|error| Failure::unavailable(&error.to_string()))?;
    let all = Place {
        status: place.status,
        after: None,
    };
    let next = next.map(|label| Place {
        after: Some(label),
        ..all.clone()
    });
    let rows = nodes.into_iter().map(|node| Row::new(node, app));
    let page = OperatorPage {
        layout: Layout::signed_in("Nodes of this host", visitor, Here::Operator)
            .wrong(alert.is_some()),
        token: visitor.token.as_str(),
        alert,
        kinds: kinds(place.status),
        rows: rows.collect(),
        here: place.query(),
        first: place.after.is_some().then(|| all.path()),
        next: next.map(|next| next.path()),
    };
    Ok(page::respond(status, &page))
}

/// Every kind of nodes, and all of them.
fn kinds(current: Option<NodeStatus>) -> Vec<Kind> {
    let each = KINDS.into_iter().map(Some);
    let kinds = std::iter::once(None).chain(each).map(|status| Kind {
        name: status.map_or("All", name_of),
        path: Place {
            status,
            after: None,
        }
        .path(),
        current: status == current,
    });
    kinds.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_the_list_survives_being_an_address() {
        let asked = |status: &str, cursor: &str| {
            Place::from(Asked {
                status: status.to_owned(),
                cursor: cursor.to_owned(),
            })
            .path()
        };
        assert_eq!(asked("", ""), "/operator");
        assert_eq!(asked("broken", ""), "/operator?status=broken");
        assert_eq!(
            asked("active", "alice"),
            "/operator?status=active&cursor=alice"
        );
        assert_eq!(asked("odd\"", "//evil.example"), "/operator");
    }

    #[test]
    fn every_kind_is_offered_once_and_one_is_current() {
        let kinds = kinds(Some(NodeStatus::Broken));
        let names: std::collections::HashSet<_> = kinds.iter().map(|kind| kind.name).collect();
        assert_eq!(names.len(), KINDS.len() + 1);
        let current: Vec<_> = kinds.iter().filter(|kind| kind.current).collect();
        assert_eq!(current.len(), 1);
        assert_eq!(current[0].path, "/operator?status=broken");
    }
}
