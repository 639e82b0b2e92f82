//! All nodes of this host, for its operators.
//!
//! Invariant: nothing is answered without the right of an operator, which only
//! the manager gives; the manager also records what is done with it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use tenant_manager::{NodeOpError, NodeQuery, Operator, OperatorNodeView, Principal};

use crate::api::input::{Input, LabelPath, NoInput, QueryInput};
use crate::api::v1::egress::Part;
use crate::api::v1::logs::{self, Wanted};
use crate::api::v1::nodes;
use crate::api::view::{
    Connections, LogLine, LogLines, NodesWanted, OperatorNode, OperatorNodeList, Suspension,
};
use crate::app::App;
use crate::auth::Caller;
use crate::operator::{after, reason};
use crate::problem::{Problem, ProblemBody};

/// Nodes of a page if nothing is said.
const NODES: usize = 100;
/// Most nodes of a page.
const MOST_NODES: usize = 500;

type Accepted = Result<(StatusCode, Json<OperatorNode>), Problem>;

/// List the nodes of this host, by label.
#[utoipa::path(
    get, path = "/api/v1/operator/nodes", operation_id = "operatorListNodes", tag = "operator",
    params(NodesWanted),
    responses(
        (status = 200, body = OperatorNodeList),
        (status = 403, body = ProblemBody<'static>, description = "The account is no operator's"),
        (status = 422, body = ProblemBody<'static>, description = "There is no such page"),
    )
)]
pub(in crate::api) async fn list(
    State(app): State<Arc<App>>,
    Caller(principal): Caller,
    QueryInput(wanted): QueryInput<NodesWanted>,
    _: NoInput,
) -> Result<Json<OperatorNodeList>, Problem> {
    let operator = right(&app, &principal)?;
    let query = query(wanted)?;
    let page = operator.nodes(&query).await.map_err(refused)?;
    Ok(Json(OperatorNodeList::new(page, &app)))
}

/// Show a node of this host.
#[utoipa::path(
    get, path = "/api/v1/operator/nodes/{label}", operation_id = "operatorGetNode",
    tag = "operator",
    params(("label" = String, Path, description = "The node's label")),
    responses(
        (status = 200, body = OperatorNode),
        (status = 403, body = ProblemBody<'static>, description = "The account is no operator's"),
        (status = 404, body = ProblemBody<'static>, description = "The host has no such node"),
    )
)]
pub(in crate::api) async fn show(
    State(app): State<Arc<App>>,
    Caller(principal): Caller,
    LabelPath(label): LabelPath,
    _: NoInput,
) -> Result<Json<OperatorNode>, Problem> {
    let operator = right(&app, &principal)?;
    let node = operator.node(&label).await.map_err(refused)?;
    Ok(Json(OperatorNode::new(node, &app)))
}

/// Start a node of this host.
#[utoipa::path(
    post, path = "/api/v1/operator/nodes/{label}/start", operation_id = "operatorStartNode",
    tag = "operator",
    params(("label" = String, Path, description = "The node's label")),
    responses(
        (status = 202, body = OperatorNode, description = "The node is starting, or runs already"),
        (status = 403, body = ProblemBody<'static>, description = "The account is no operator's"),
        (status = 404, body = ProblemBody<'static>, description = "The host has no such node"),
        (status = 409, body = ProblemBody<'static>, description = "Its state does not allow it"),
    )
)]
pub(in crate::api) async fn start(
    State(app): State<Arc<App>>,
    Caller(principal): Caller,
    LabelPath(label): LabelPath,
    _: NoInput,
) -> Accepted {
    let operator = right(&app, &principal)?;
    accepted(&app, operator.start_node(&label).await)
}

/// Stop a node of this host: it answers nobody until it is started.
#[utoipa::path(
    post, path = "/api/v1/operator/nodes/{label}/stop", operation_id = "operatorStopNode",
    tag = "operator",
    params(("label" = String, Path, description = "The node's label")),
    responses(
        (status = 202, body = OperatorNode, description = "The node is stopping"),
        (status = 403, body = ProblemBody<'static>, description = "The account is no operator's"),
        (status = 404, body = ProblemBody<'static>, description = "The host has no such node"),
        (status = 409, body = ProblemBody<'static>, description = "Its state does not allow it"),
    )
)]
pub(in crate::api) async fn stop(
    State(app): State<Arc<App>>,
    Caller(principal): Caller,
    LabelPath(label): LabelPath,
    _: NoInput,
) -> Accepted {
    let operator = right(&app, &principal)?;
    accepted(&app, operator.stop_node(&label).await)
}

/// Stop a node of this host and start it again.
#[utoipa::path(
    post, path = "/api/v1/operator/nodes/{label}/restart", operation_id = "operatorRestartNode",
    tag = "operator",
    params(("label" = String, Path, description = "The node's label")),
    responses(
        (status = 202, body = OperatorNode, description = "The node is restarting"),
        (status = 403, body = ProblemBody<'static>, description = "The account is no operator's"),
        (status = 404, body = ProblemBody<'static>, description = "The host has no such node"),
        (status = 409, body = ProblemBody<'static>, description = "Its state does not allow it"),
    )
)]
pub(in crate::api) async fn restart(
    State(app): State<Arc<App>>,
    Caller(principal): Caller,
    LabelPath(label): LabelPath,
    _: NoInput,
) -> Accepted {
    let operator = right(&app, &principal)?;
    accepted(&app, operator.restart_node(&label).await)
}

/// Put a node of this host to sleep until somebody uses it.
#[utoipa::path(
    post, path = "/api/v1/operator/nodes/{label}/hibernate",
    operation_id = "operatorHibernateNode", tag = "operator",
    params(("label" = String, Path, description = "The node's label")),
    responses(
        (status = 202, body = OperatorNode, description = "The node is going to sleep"),
        (status = 403, body = ProblemBody<'static>, description = "The account is no operator's"),
        (status = 404, body = ProblemBody<'static>, description = "The host has no such node"),
        (status = 409, body = ProblemBody<'static>, description = "Its state does not allow it"),
    )
)]
pub(in crate::api) async fn hibernate(
    State(app): State<Arc<App>>,
    Caller(principal): Caller,
    LabelPath(label): LabelPath,
    _: NoInput,
) -> Accepted {
    let operator = right(&app, &principal)?;
    accepted(&app, operator.hibernate_node(&label).await)
}

/// Suspend a node: it stops, and does not run until it is resumed, whatever its
/// owner wants. The owner reads the reason.
#[utoipa::path(
    post, path = "/api/v1/operator/nodes/{label}/suspend", operation_id = "operatorSuspendNode",
    tag = "operator",
    params(("label" = String, Path, description = "The node's label")),
    request_body = Suspension,
    responses(
        (status = 202, body = OperatorNode, description = "The node is held, and stops if it runs"),
        (status = 403, body = ProblemBody<'static>, description = "The account is no operator's"),
        (status = 404, body = ProblemBody<'static>, description = "The host has no such node"),
        (status = 409, body = ProblemBody<'static>, description = "Its state does not allow it"),
        (status = 422, body = ProblemBody<'static>, description = "There is no reason, or a bad one"),
    )
)]
pub(in crate::api) async fn suspend(
    State(app): State<Arc<App>>,
    Caller(principal): Caller,
    LabelPath(label): LabelPath,
    Input(suspension): Input<Suspension>,
) -> Accepted {
    let operator = right(&app, &principal)?;
    let reason = reason(&suspension.reason).map_err(no_reason)?;
    let suspended = operator.suspend_node(&label, reason).await;
    accepted(&app, suspended)
}

/// Let a suspended node go: it runs again if its owner wants it to.
#[utoipa::path(
    post, path = "/api/v1/operator/nodes/{label}/resume", operation_id = "operatorResumeNode",
    tag = "operator",
    params(("label" = String, Path, description = "The node's label")),
    responses(
        (status = 202, body = OperatorNode, description = "The node is held no more"),
        (status = 403, body = ProblemBody<'static>, description = "The account is no operator's"),
        (status = 404, body = ProblemBody<'static>, description = "The host has no such node"),
        (status = 409, body = ProblemBody<'static>, description = "Its state does not allow it"),
    )
)]
pub(in crate::api) async fn resume(
    State(app): State<Arc<App>>,
    Caller(principal): Caller,
    LabelPath(label): LabelPath,
    _: NoInput,
) -> Accepted {
    let operator = right(&app, &principal)?;
    accepted(&app, operator.resume_node(&label).await)
}

/// Read the log of a node of this host: what its processes printed, also while
/// it does not run.
#[utoipa::path(
    get, path = "/api/v1/operator/nodes/{label}/logs", operation_id = "operatorGetNodeLogs",
    tag = "operator",
    params(("label" = String, Path, description = "The node's label"), Wanted),
    responses(
        (status = 200, description = "Lines, oldest first", content(
            (LogLines = "application/json"),
            (LogLine = "text/event-stream"),
        )),
        (status = 403, body = ProblemBody<'static>, description = "The account is no operator's"),
        (status = 404, body = ProblemBody<'static>, description = "The host has no such node"),
        (status = 422, body = ProblemBody<'static>, description = "There is no such part of a log"),
        (status = 429, body = ProblemBody<'static>, description = "Too many streams are open"),
    )
)]
pub(in crate::api) async fn log(
    State(app): State<Arc<App>>,
    Caller(principal): Caller,
    LabelPath(label): LabelPath,
    QueryInput(wanted): QueryInput<Wanted>,
    headers: HeaderMap,
    _: NoInput,
) -> Result<Response, Problem> {
    let operator = right(&app, &principal)?;
    let query = wanted.query(&headers)?;
    if !wanted.follow {
        let page = operator.node_log(&label, query).await;
        return Ok(logs::lines(page.map_err(refused)?));
    }
    let log = operator.follow_log(&label, query).await;
    logs::follow(&app, &principal, log.map_err(refused)?)
}

/// Read where the apps of a node of this host connected to, or tried to, also
/// while it does not run.
#[utoipa::path(
    get, path = "/api/v1/operator/nodes/{label}/egress", operation_id = "operatorGetNodeEgress",
    tag = "operator",
    params(("label" = String, Path, description = "The node's label"), Part),
    responses(
        (status = 200, body = Connections),
        (status = 403, body = ProblemBody<'static>, description = "The account is no operator's"),
        (status = 404, body = ProblemBody<'static>, description = "The host has no such node"),
        (status = 422, body = ProblemBody<'static>, description = "There is no such part of them"),
    )
)]
pub(in crate::api) async fn egress(
    State(app): State<Arc<App>>,
    Caller(principal): Caller,
    LabelPath(label): LabelPath,
    QueryInput(part): QueryInput<Part>,
    _: NoInput,
) -> Result<Json<Connections>, Problem> {
    let operator = right(&app, &principal)?;
    let page = operator.node_egress(&label, part.query()?).await;
    Ok(Json(page.map_err(refused)?.into()))
}

fn query(wanted: NodesWanted) -> Result<NodeQuery, Problem> {
    let limit = wanted.limit.unwrap_or(NODES);
    if !(1..=MOST_NODES).contains(&limit) {
        let text = format!("`limit` must be from 1 to {MOST_NODES}.");
        return Err(no_such_page(text));
    }
    let after = wanted.cursor.map(|cursor| {
        after(&cursor).ok_or_else(|| {
            let text = "`cursor` must be the `next_cursor` of an earlier page.";
            no_such_page(text.to_owned())
        })
    });
    Ok(NodeQuery {
        status: wanted.status,
        after: after.transpose()?,
        limit,
    })
}

fn no_such_page(detail: String) -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "no-such-page",
        "No such page of the list",
        detail,
    )
}

fn no_reason(text: String) -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "bad-reason",
        "Reason refused",
        text,
    )
}

/// The right to what stands here, or the refusal of everybody else.
fn right<'a>(app: &'a App, principal: &'a Principal) -> Result<Operator<'a>, Problem> {
    app.manager.operator(principal).ok_or_else(|| {
        Problem::new(
            StatusCode::FORBIDDEN,
            "operators-only",
            "Operators only",
            "This is for operators only, and your account is none. Whoever runs the host makes it \
             one with `berth operator create EMAIL`.",
        )
    })
}

fn accepted(app: &App, done: Result<OperatorNodeView, NodeOpError>) -> Accepted {
    let node = done.map_err(refused)?;
    Ok((StatusCode::ACCEPTED, Json(OperatorNode::new(node, app))))
}

/// A refused operation, as the operator sees it.
fn refused(error: NodeOpError) -> Problem {
    match error {
        NodeOpError::NotFound => Problem::not_found(
            "This host has no node with this label. GET /api/v1/operator/nodes lists them all.",
        ),
        NodeOpError::Conflict(_) | NodeOpError::Unavailable(_) => nodes::refused(error),
    }
}
