//! Whether a label can be had.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};

use crate::api::input::{LabelPath, NoInput};
use crate::api::v1::nodes;
use crate::api::view::NameAvailability;
use crate::app::App;
use crate::client::Client;
use crate::problem::{Problem, ProblemBody};

/// Ask whether a label can be had.
#[utoipa::path(
    get, path = "/api/v1/names/{label}", operation_id = "getName", tag = "names",
    security(()),
    params(("label" = String, Path, description = "The label asked about")),
    responses(
        (status = 200, body = NameAvailability),
        (status = 429, body = ProblemBody<'static>, description = "Too many questions"),
    )
)]
pub(in crate::api) async fn show(
    State(app): State<Arc<App>>,
    Extension(client): Extension<Client>,
    LabelPath(label): LabelPath,
    _: NoInput,
) -> Result<Json<NameAvailability>, Problem> {
    app.limits.names.check(client.address).map_err(|wait| {
        Problem::too_many("Too many questions from your address. Wait a while.", wait)
    })?;
    let name = app
        .manager
        .availability(&label)
        .await
        .map_err(nodes::refused)?;
    Ok(Json(name.into()))
}
