//! One's own account.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use tenant_manager::AuthError;
use tenant_model::Role;

use super::failure::Failure;
use super::page::{self, Here, Layout};
use super::view::bytes;
use super::visitor::Visitor;
use crate::app::App;

#[derive(Template)]
#[template(path = "dashboard/account.html")]
struct AccountPage<'a> {
    layout: Layout,
    token: &'a str,
    email: String,
    operator: bool,
    plan: String,
    nodes: u32,
    memory: String,
    disk: String,
    disk_rate: Option<String>,
    processes: u32,
    always_on: bool,
    egress_allow: Option<String>,
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    visitor: Visitor,
) -> Result<Response, Failure> {
    let account = app.manager.account(&visitor.principal).await;
    let account = account.map_err(|error| match error {
        AuthError::Unknown => Failure::from(super::visitor::see("/sign-in?why=ended")),
        AuthError::Unavailable(cause) => Failure::unavailable(&cause),
    })?;
    let ranges = account.plan.egress_allow.iter().map(ToString::to_string);
    let ranges: Vec<String> = ranges.collect();
    Ok(page::ok(&AccountPage {
        layout: Layout::signed_in("Your account", &visitor, Here::Account),
        token: visitor.token.as_str(),
        email: account.email.to_string(),
        operator: account.role == Role::Operator,
        plan: account.plan.name,
        nodes: account.plan.nodes,
        memory: bytes(account.plan.memory_bytes),
        disk: bytes(account.plan.disk_bytes),
        disk_rate: (account.plan.disk_bytes_per_second > 0)
            .then(|| bytes(account.plan.disk_bytes_per_second)),
        processes: account.plan.processes,
        always_on: account.plan.always_on,
        egress_allow: (!ranges.is_empty()).then(|| ranges.join(", ")),
    }))
}
