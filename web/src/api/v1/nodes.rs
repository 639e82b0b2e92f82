//! Nodes of the account that asks.
//!
//! Another account's node is answered exactly as one that does not exist.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use node_api::Secret;
use tenant_manager::{CreateError, NodeOpError, NodeView};

use crate::api::input::{Input, LabelPath, NoInput, QueryInput};
use crate::api::view::{Deletion, NewNode, Node, NodeList};
use crate::app::App;
use crate::auth::Caller;
use crate::problem::{Problem, ProblemBody};

type Accepted = Result<(StatusCode, Json<Node>), Problem>;

/// Create a node.
#[utoipa::path(
    post, path = "/api/v1/nodes", operation_id = "createNode", tag = "nodes",
    request_body = NewNode,
    responses(
        (status = 202, body = Node, description = "The node is being made"),
        (status = 403, body = ProblemBody<'static>, description = "The plan allows no more nodes"),
        (status = 409, body = ProblemBody<'static>, description = "The label is taken"),
        (status = 422, body = ProblemBody<'static>, description = "Bad label or weak password"),
    )
)]
pub(in crate::api) async fn create(
    State(app): State<Arc<App>>,
    Caller(principal): Caller,
    Input(input): Input<NewNode>,
) -> Result<Response, Problem> {
    let node = app
        .manager
        .create_node(&principal, &input.label, Secret::new(input.password))
        .await
        .map_err(not_created)?;
    let location = HeaderValue::try_from(format!("/api/v1/nodes/{}", node.label));
    let mut response = accepted(&app, node).into_response();
    if let Ok(location) = location {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

fn not_created(error: CreateError) -> Problem {
    let detail = error.to_string();
    let invalid = StatusCode::UNPROCESSABLE_ENTITY;
    match error {
        CreateError::BadLabel(_) => Problem::new(invalid, "bad-label", "Label refused", detail),
        CreateError::WeakPassword(_) => {
            Problem::new(invalid, "weak-password", "Password refused", detail)
        }
        CreateError::Taken => Problem::new(
            StatusCode::CONFLICT,
            "label-taken",
            "Label already in use",
            detail,
        ),
        CreateError::Quota { .. } => Problem::new(
            StatusCode::FORBIDDEN,
            "quota",
            "The plan allows no more nodes",
            detail,
        ),
        CreateError::ArchiveFull { .. } => Problem::new(
            StatusCode::FORBIDDEN,
            "archive-full",
            "The plan keeps no more archived nodes",
            detail,
        ),
        CreateError::Unavailable(cause) => Problem::unavailable(&cause),
    }
}

/// List the account's nodes.
#[utoipa::path(
    get, path = "/api/v1/nodes", operation_id = "listNodes", tag = "nodes",
    responses((status = 200, body = NodeList))
)]
pub(in crate::api) async fn list(
    State(app): State<Arc<App>>,
    Caller(principal): Caller,
    _: NoInput,
) -> Result<Json<NodeList>, Problem> {
    let nodes = app.manager.nodes(&principal).await.map_err(refused)?;
    Ok(Json(NodeList::new(nodes, &app)))
}

/// Show a node.
#[utoipa::path(
    get, path = "/api/v1/nodes/{label}", operation_id = "getNode", tag = "nodes",
    params(("label" = String, Path, description = "The node's label")),
    responses(
        (status = 200, body = Node),
        (status = 404, body = ProblemBody<'static>, description = "The account has no such node"),
    )
)]
pub(in crate::api) async fn show(
    State(app): State<Arc<App>>,
    Caller(principal): Caller,
    LabelPath(label): LabelPath,
    _: NoInput,
) -> Result<Json<Node>, Problem> {
    let node = app
        .manager
        .node(&principal, &label)
        .await
        .map_err(refused)?;
    Ok(Json(Node::new(node, &app)))
}

/// Archive a node, or purge it.
#[utoipa::path(
    delete, path = "/api/v1/nodes/{label}", operation_id = "deleteNode", tag = "nodes",
    params(("label" = String, Path, description = "The node's label"), Deletion),
    responses(
        (status = 202, body = Node, description = "The node is being put away"),
        (status = 404, body = ProblemBody<'static>, description = "The account has no such node"),
        (status = 409, body = ProblemBody<'static>, description = "Its state does not allow it"),
    )
)]
pub(in crate::api) async fn delete(
    State(app): State<Arc<App>>,
    Caller(principal): Caller,
    LabelPath(label): LabelPath,
    QueryInput(deletion): QueryInput<Deletion>,
    _: NoInput,
) -> Accepted {
    let deleted = app
        .manager
        .delete_node(&principal, &label, deletion.purge)
        .await;
    deleted.map(|node| accepted(&app, node)).map_err(refused)
}

/// Start a node.
#[utoipa::path(
    post, path = "/api/v1/nodes/{label}/start", operation_id = "startNode", tag = "nodes",
    params(("label" = String, Path, description = "The node's label")),
    responses(
        (status = 202, body = Node, description = "The node is starting, or runs already"),
        (status = 404, body = ProblemBody<'static>, description = "The account has no such node"),
        (status = 409, body = ProblemBody<'static>, description = "Its state does not allow it"),
    )
)]
pub(in crate::api) async fn start(
    State(app): State<Arc<App>>,
    Caller(principal): Caller,
    LabelPath(label): LabelPath,
    _: NoInput,
) -> Accepted {
    let started = app.manager.start_node(&principal, &label).await;
    started.map(|node| accepted(&app, node)).map_err(refused)
}

/// Stop a node: it answers nobody until it is started.
#[utoipa::path(
    post, path = "/api/v1/nodes/{label}/stop", operation_id = "stopNode", tag = "nodes",
    params(("label" = String, Path, description = "The node's label")),
    responses(
        (status = 202, body = Node, description = "The node is stopping"),
        (status = 404, body = ProblemBody<'static>, description = "The account has no such node"),
        (status = 409, body = ProblemBody<'static>, description = "Its state does not allow it"),
    )
)]
pub(in crate::api) async fn stop(
    State(app): State<Arc<App>>,
    Caller(principal): Caller,
    LabelPath(label): LabelPath,
    _: NoInput,
) -> Accepted {
    let stopped = app.manager.stop_node(&principal, &label).await;
    stopped.map(|node| accepted(&app, node)).map_err(refused)
}

/// Stop a node and start it again.
#[utoipa::path(
    post, path = "/api/v1/nodes/{label}/restart", operation_id = "restartNode", tag = "nodes",
    params(("label" = String, Path, description = "The node's label")),
    responses(
        (status = 202, body = Node, description = "The node is restarting"),
        (status = 404, body = ProblemBody<'static>, description = "The account has no such node"),
        (status = 409, body = ProblemBody<'static>, description = "Its state does not allow it"),
    )
)]
pub(in crate::api) async fn restart(
    State(app): State<Arc<App>>,
    Caller(principal): Caller,
    LabelPath(label): LabelPath,
    _: NoInput,
) -> Accepted {
    let restarted = app.manager.restart_node(&principal, &label).await;
    restarted.map(|node| accepted(&app, node)).map_err(refused)
}

/// Put a node to sleep until somebody uses it.
#[utoipa::path(
    post, path = "/api/v1/nodes/{label}/hibernate", operation_id = "hibernateNode", tag = "nodes",
    params(("label" = String, Path, description = "The node's label")),
    responses(
        (status = 202, body = Node, description = "The node is going to sleep"),
        (status = 404, body = ProblemBody<'static>, description = "The account has no such node"),
        (status = 409, body = ProblemBody<'static>, description = "Its state does not allow it"),
    )
)]
pub(in crate::api) async fn hibernate(
    State(app): State<Arc<App>>,
    Caller(principal): Caller,
    LabelPath(label): LabelPath,
    _: NoInput,
) -> Accepted {
    let hibernated = app.manager.hibernate_node(&principal, &label).await;
    hibernated.map(|node| accepted(&app, node)).map_err(refused)
}

fn accepted(app: &App, node: NodeView) -> (StatusCode, Json<Node>) {
    (StatusCode::ACCEPTED, Json(Node::new(node, app)))
}

/// A refused operation, as the client sees it.
pub(super) fn refused(error: NodeOpError) -> Problem {
    match error {
        NodeOpError::NotFound => no_such_node(),
        NodeOpError::Conflict(detail) => {
            Problem::new(StatusCode::CONFLICT, "conflict", "Not possible now", detail)
        }
        NodeOpError::Unavailable(cause) => Problem::unavailable(&cause),
    }
}

/// The account has no node with this label.
pub(super) fn no_such_node() -> Problem {
    Problem::not_found("You have no node with this label. GET /api/v1/nodes lists yours.")
}
