//! The dashboard: pages on which people sign up, make nodes and look after
//! them.
//!
//! Owns nothing; every action is an operation of the manager that the REST API
//! has too. Invariants: every page is whole without a script; a form changes
//! something only with a live session, from a page of this origin, with that
//! session's token in it ([`form`], which knows the one exception); whatever a person typed is shown escaped,
//! and passwords are never shown again.

mod account;
mod actions;
mod assets;
mod egress;
mod enter;
mod failure;
mod form;
mod landing;
mod log;
mod new_node;
mod next;
mod node;
mod node_password;
mod nodes;
mod operator;
mod page;
mod removal;
mod ssh;
mod suspension;
mod token;
mod usage;
mod view;
mod visitor;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::app::App;

pub(crate) use failure::page as failure_page;

/// Routes of the dashboard.
pub(crate) fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(landing::show))
        .route("/sign-up", get(enter::sign_up_page).post(enter::sign_up))
        .route("/sign-in", get(enter::sign_in_page).post(enter::sign_in))
        .route("/sign-out", post(enter::sign_out))
        .route("/account", get(account::show))
        .route("/nodes", get(nodes::show))
        .route("/nodes/new", get(new_node::show).post(new_node::create))
        .route("/nodes/{label}", get(node::show))
        .route("/nodes/{label}/log", get(log::show))
        .route("/nodes/{label}/egress", get(egress::show))
        .route("/nodes/{label}/open", post(actions::open))
        .route("/nodes/{label}/start", post(actions::start))
        .route("/nodes/{label}/stop", post(actions::stop))
        .route("/nodes/{label}/restart", post(actions::restart))
        .route("/nodes/{label}/hibernate", post(actions::hibernate))
        .route(
            "/nodes/{label}/password",
            get(node_password::show).post(node_password::set),
        )
        .route(
            "/nodes/{label}/delete",
            get(removal::ask_delete).post(removal::delete),
        )
        .route(
            "/nodes/{label}/purge",
            get(removal::ask_purge).post(removal::purge),
        )
        .route("/nodes/{label}/ssh-password", post(ssh::rotate))
        .route("/nodes/{label}/confirm", post(ssh::confirm))
        .merge(for_operators())
        .merge(assets::router())
}

fn for_operators() -> Router<Arc<App>> {
    Router::new()
        .route("/operator", get(operator::show))
        .route("/operator/nodes/{label}/start", post(operator::start))
        .route("/operator/nodes/{label}/stop", post(operator::stop))
        .route(
            "/operator/nodes/{label}/hibernate",
            post(operator::hibernate),
        )
        .route("/operator/nodes/{label}/resume", post(operator::resume))
        .route(
            "/operator/nodes/{label}/suspend",
            get(suspension::ask).post(suspension::suspend),
        )
}
