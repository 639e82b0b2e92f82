//! One node: how it is, what can be done with it, and how to reach it.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use http::header::CONTENT_SECURITY_POLICY;
use serde::Deserialize;
use tenant_manager::{NodeOpError, NodeView, SshPasswordError};

use super::failure::Failure;
use super::form::Asking;
use super::log::Shown;
use super::page::{self, Field, Here, Kind, Layout};
use super::usage;
use super::view::NodeCard;
use super::visitor::{NodePath, Visitor};
use crate::app::App;

/// What may stand in the query of the page.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    show: String,
    done: String,
}

/// What of the SSH password is shown.
pub(super) enum Ssh {
    Hidden,
    /// There is none to be shown.
    Nothing,
    Shown(String),
    /// First the account's password is needed.
    Confirm(Box<Field>),
    Failed(String),
}

#[derive(Template)]
#[template(path = "dashboard/node.html")]
struct NodePage<'a> {
    layout: Layout,
    node: NodeCard,
    log: Shown,
    usage: usage::Shown,
    token: &'a str,
    alert: Option<String>,
    done: Option<&'static str>,
    ssh: Ssh,
    ssh_host: &'a str,
    ssh_port: u16,
    local_http_port: u16,
}

impl NodePage<'_> {
    /// Whether the advanced details stand open from the start.
    fn advanced(&self) -> bool {
        !matches!(self.ssh, Ssh::Hidden | Ssh::Nothing)
    }
}

/// What is said about the node besides.
pub(super) struct Said {
    pub(super) status: StatusCode,
    pub(super) alert: Option<String>,
    pub(super) done: Option<&'static str>,
    pub(super) ssh: Ssh,
}

impl Default for Said {
    fn default() -> Self {
        Self {
            status: StatusCode::OK,
            alert: None,
            done: None,
            ssh: Ssh::Hidden,
        }
    }
}

/// Why the account's password is asked for once more.
pub(super) fn confirm_field(error: Option<String>) -> Ssh {
    let field = Field::new(
        "account_password",
        "Your account's password",
        Kind::Password,
    )
    .autocomplete("current-password")
    .hint("Asked for again because your sign-in was more than ten minutes ago.")
    .error(error)
    .focus(true);
    Ssh::Confirm(Box::new(field))
}

/// The SSH password, or what it takes to see it.
async fn reveal(app: &App, visitor: &Visitor, label: &str) -> Result<Ssh, Failure> {
    match app.manager.ssh_password(&visitor.principal, label).await {
        Ok(password) => Ok(Ssh::Shown(password.expose().clone())),
        Err(SshPasswordError::NotFound) => Err(Failure::no_such_node()),
        Err(SshPasswordError::SignInAgain) => Ok(confirm_field(None)),
        Err(SshPasswordError::Unavailable(text)) => Ok(Ssh::Failed(page::sentence(&text))),
    }
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    NodePath(label): NodePath,
    Asking(asked): Asking<Asked>,
) -> Result<Response, Failure> {
    let node = find(&app, &visitor, &label).await?;
    let ssh = match asked.show.as_str() {
        "ssh-password" => reveal(&app, &visitor, &label).await?,
        _ => Ssh::Hidden,
    };
    let done = match asked.done.as_str() {
        "password" => Some("The node password is changed. Everybody was signed out of the node."),
        "ssh-password" => Some("The node has a new SSH password. The old one works no more."),
        "made" => Some("You made this node a moment ago; its password is the one from then."),
        "delete" => Some("The node is being put away."),
        "purge" => Some("The node will be removed for good, with everything in it."),
        _ => None,
    };
    let said = Said {
        done,
        ssh,
        ..Said::default()
    };
    Ok(respond(&app, &visitor, node, said).await)
}

/// The account's node.
pub(super) async fn find(app: &App, visitor: &Visitor, label: &str) -> Result<NodeView, Failure> {
    let node = app.manager.node(&visitor.principal, label).await;
    node.map_err(|error| match error {
        NodeOpError::NotFound => Failure::no_such_node(),
        NodeOpError::Conflict(text) | NodeOpError::Unavailable(text) => Failure::unavailable(&text),
    })
}

/// The page of `node`.
pub(super) async fn respond(app: &App, visitor: &Visitor, node: NodeView, said: Said) -> Response {
    let log = Shown::newest(app, &visitor.principal, node.label.as_str()).await;
    let usage = usage::Shown::of(app, &visitor.principal, node.label.as_str()).await;
    // While the account cannot be looked up, the manager's refusal says it.
    let account = app.manager.account(&visitor.principal).await;
    let always_on = account.is_ok_and(|account| account.plan.always_on);
    let node = NodeCard::new(node, app).kept_on(always_on);
    let ssh = match said.ssh {
        Ssh::Hidden if !node.can.secrets => Ssh::Nothing,
        ssh => ssh,
    };
    // What somebody is reading or typing must not go away.
    let moving = node.moving && matches!(ssh, Ssh::Hidden | Ssh::Nothing);
    let layout = Layout::signed_in(node.label.clone(), visitor, Here::Nodes)
        .refreshed(format!("/nodes/{}", node.label), moving)
        .wrong(said.alert.is_some());
    let policy = crate::apex::policy_for_opening(&node.url);
    let page = NodePage {
        layout,
        node,
        log,
        usage,
        token: visitor.token.as_str(),
        alert: said.alert,
        done: said.done,
        ssh,
        ssh_host: &app.ssh_host,
        ssh_port: app.ssh_port,
        local_http_port: app.local_http_port,
    };
    let mut response = page::respond(said.status, &page);
    if let Some(policy) = policy {
        response
            .headers_mut()
            .insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}
