//! All nodes of an account on one page.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::header::CONTENT_SECURITY_POLICY;

use super::failure::Failure;
use super::page::{self, Here, Layout};
use super::view::NodeCard;
use super::visitor::Visitor;
use crate::app::App;

/// How many nodes an account has, and may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quota {
    pub(super) used: usize,
    pub(super) limit: usize,
}

impl Quota {
    pub(super) fn is_full(self) -> bool {
        self.used >= self.limit
    }
}

#[derive(Template)]
#[template(path = "dashboard/nodes.html")]
struct Nodes {
    layout: Layout,
    nodes: Vec<NodeCard>,
    /// Unknown while the account cannot be looked up.
    quota: Option<Quota>,
    /// See [`NodeCard::mark`].
    seen: String,
    token: String,
}

/// What an account has of what it may have; its nodes are shown even while
/// that is not known.
pub(super) async fn quota(app: &App, visitor: &Visitor, nodes: &[NodeCard]) -> Option<Quota> {
    let account = app.manager.account(&visitor.principal).await.ok()?;
    Some(Quota {
        used: nodes.iter().filter(|node| node.counts).count(),
        limit: usize::try_from(account.plan.nodes).unwrap_or(usize::MAX),
    })
}

/// The account's nodes, in words.
pub(super) async fn cards(app: &App, visitor: &Visitor) -> Result<Vec<NodeCard>, Failure> {
    let nodes = app.manager.nodes(&visitor.principal).await;
    let nodes = nodes.map_err(|error| Failure::unavailable(&error.to_string()))?;
    Ok(nodes
        .into_iter()
        .map(|node| NodeCard::new(node, app))
        .collect())
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    visitor: Visitor,
) -> Result<Response, Failure> {
    let nodes = cards(&app, &visitor).await?;
    let marks: Vec<String> = nodes.iter().map(NodeCard::mark).collect();
    let moving = nodes.iter().any(|node| node.moving);
    let mut response = page::ok(&Nodes {
        layout: Layout::signed_in("Your nodes", &visitor, Here::Nodes).refreshed("/nodes", moving),
        quota: quota(&app, &visitor, &nodes).await,
        nodes,
        seen: marks.join(" "),
        token: visitor.token.as_str().to_owned(),
    });
    if let Some(policy) = crate::apex::policy_for_opening(&app.urls.any_node()) {
        response
            .headers_mut()
            .insert(CONTENT_SECURITY_POLICY, policy);
    }
    Ok(response)
}
