//! Where a node's apps connected to, or tried to, in pages. Asking neither wakes
//! it nor keeps it awake.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use node_api::EgressQuery;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::api::input::{LabelPath, NoInput, QueryInput};
use crate::api::v1::logs::no_such_part;
use crate::api::v1::nodes::refused;
use crate::api::view::Connections;
use crate::app::App;
use crate::auth::Caller;
use crate::problem::{Problem, ProblemBody};

/// Connections of a page if nothing is said.
const CONNECTIONS: usize = 100;
/// Most connections of a page.
const MOST_CONNECTIONS: usize = 1000;

/// Which part of them.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct Part {
    /// Most connections, from 1 to 1000.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
    /// `next_cursor` of a page: the connections before those of that page.
    cursor: Option<String>,
}

/// Read where a node's apps connected to, or tried to, also while it does not
/// run.
#[utoipa::path(
    get, path = "/api/v1/nodes/{label}/egress", operation_id = "getNodeEgress", tag = "nodes",
    params(("label" = String, Path, description = "The node's label"), Part),
    responses(
        (status = 200, body = Connections),
        (status = 404, body = ProblemBody<'static>, description = "The account has no such node"),
        (status = 422, body = ProblemBody<'static>, description = "There is no such part of them"),
    )
)]
pub(in crate::api) async fn show(
    State(app): State<Arc<App>>,
    Caller(principal): Caller,
    LabelPath(label): LabelPath,
    QueryInput(part): QueryInput<Part>,
    _: NoInput,
) -> Result<Json<Connections>, Problem> {
    let query = part.query()?;
    let page = app.manager.node_egress(&principal, &label, query).await;
    Ok(Json(page.map_err(refused)?.into()))
}

impl Part {
    /// The part that is asked for.
    pub(super) fn query(&self) -> Result<EgressQuery, Problem> {
        let limit = self.limit.unwrap_or(CONNECTIONS);
        if !(1..=MOST_CONNECTIONS).contains(&limit) {
            return Err(no_such_part(format!(
                "`limit` must be from 1 to {MOST_CONNECTIONS}."
            )));
        }
        let before = self.cursor.as_deref().map(|cursor| {
            cursor.parse::<u64>().map_err(|_| {
                let text = "`cursor` must be the `next_cursor` of an earlier page.";
                no_such_part(text.to_owned())
            })
        });
        Ok(EgressQuery {
            limit,
            before: before.transpose()?,
        })
    }
}
