//! What a node uses and used. Asking neither wakes it nor keeps it awake.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use crate::api::input::{LabelPath, NoInput};
use crate::api::v1::nodes::refused;
use crate::api::view::NodeUsage;
use crate::app::App;
use crate::auth::Caller;
use crate::problem::{Problem, ProblemBody};

/// Show what a node uses: memory, processor, disk, messages and requests.
#[utoipa::path(
    get, path = "/api/v1/nodes/{label}/usage", operation_id = "getNodeUsage", tag = "nodes",
    params(("label" = String, Path, description = "The node's label")),
    responses(
        (status = 200, body = NodeUsage),
        (status = 404, body = ProblemBody<'static>, description = "The account has no such node"),
    )
)]
pub(in crate::api) async fn show(
    State(app): State<Arc<App>>,
    Caller(principal): Caller,
    LabelPath(label): LabelPath,
    _: NoInput,
) -> Result<Json<NodeUsage>, Problem> {
    let usage = app.manager.node_usage(&principal, &label).await;
    Ok(Json(usage.map_err(refused)?.into()))
}
