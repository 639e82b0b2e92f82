//! The front page, for somebody who comes by.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::failure::Failure;
use super::next::HOME;
use super::page::{self, Layout};
use super::visitor::{Seen, see};
use crate::app::App;

#[derive(Template)]
#[template(path = "dashboard/landing.html")]
struct Landing<'a> {
    layout: Layout,
    /// What stands before and after a label in a node's address.
    address_start: String,
    address_end: String,
    node_suffix: &'a str,
    ssh_host: &'a str,
    ssh_port: u16,
}

pub(super) async fn show(State(app): State<Arc<App>>, seen: Seen) -> Result<Response, Failure> {
    if matches!(seen, Seen::Visitor(_)) {
        return Ok(see(HOME));
    }
    let (address_start, address_end) = app.urls.around_label();
    Ok(page::ok(&Landing {
        layout: Layout::signed_out("Your own node, always on"),
        address_start,
        address_end,
        node_suffix: &app.node_suffix,
        ssh_host: &app.ssh_host,
        ssh_port: app.ssh_port,
    }))
}
