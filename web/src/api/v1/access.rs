//! Getting into a node: its own password, and links that sign its owner in.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use node_api::Secret;
use tenant_manager::NodePasswordError;

use crate::api::input::{Input, LabelPath, NoInput};
use crate::api::v1::nodes;
use crate::api::view::{NodeLink, NodePassword};
use crate::app::App;
use crate::auth::Caller;
use crate::problem::{Problem, ProblemBody};

/// Set the password of a node's own login page. Everybody signed in to the
/// node is signed out.
#[utoipa::path(
    post, path = "/api/v1/nodes/{label}/password", operation_id = "setNodePassword", tag = "nodes",
    params(("label" = String, Path, description = "The node's label")),
    request_body = NodePassword,
    responses(
        (status = 204, description = "The password is set"),
        (status = 404, body = ProblemBody<'static>, description = "The account has no such node"),
        (status = 409, body = ProblemBody<'static>, description = "Its state does not allow it"),
        (status = 422, body = ProblemBody<'static>, description = "Weak password"),
    )
)]
pub(in crate::api) async fn set_password(
    State(app): State<Arc<App>>,
    Caller(principal): Caller,
    LabelPath(label): LabelPath,
    Input(input): Input<NodePassword>,
) -> Result<StatusCode, Problem> {
    let password = Secret::new(input.password);
    let set = app.manager.set_node_password(&principal, &label, password);
    match set.await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(NodePasswordError::NotFound) => Err(nodes::no_such_node()),
        Err(NodePasswordError::WeakPassword(detail)) => Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "weak-password",
            "Password refused",
            detail,
        )),
        Err(NodePasswordError::Conflict(detail)) => Err(Problem::new(
            StatusCode::CONFLICT,
            "conflict",
            "Not possible now",
            detail,
        )),
        Err(NodePasswordError::Unavailable(cause)) => Err(Problem::unavailable(&cause)),
    }
}

/// Make a one-time link that signs the owner in to the node, and start or wake
/// the node. The link works once, for a minute.
#[utoipa::path(
    post, path = "/api/v1/nodes/{label}/open", operation_id = "openNode", tag = "nodes",
    params(("label" = String, Path, description = "The node's label")),
    responses(
        (status = 200, body = NodeLink),
        (status = 404, body = ProblemBody<'static>, description = "The account has no such node"),
        (status = 409, body = ProblemBody<'static>, description = "Its state does not allow it"),
    )
)]
pub(in crate::api) async fn open(
    State(app): State<Arc<App>>,
    Caller(principal): Caller,
    LabelPath(label): LabelPath,
    _: NoInput,
) -> Result<Json<NodeLink>, Problem> {
    let ticket = app.manager.open_node(&principal, &label).await;
    let ticket = ticket.map_err(nodes::refused)?;
    Ok(Json(NodeLink {
        url: app.urls.link(&label, &ticket.token),
    }))
}
