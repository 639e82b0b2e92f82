//! A node's SSH password.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use tenant_manager::SshPasswordError;

use crate::api::input::{LabelPath, NoInput};
use crate::api::v1::nodes;
use crate::api::view::SshPassword;
use crate::app::App;
use crate::auth::Caller;
use crate::problem::{Problem, ProblemBody};

/// Show a node's SSH password, within minutes of a sign-in.
#[utoipa::path(
    get, path = "/api/v1/nodes/{label}/ssh-password", operation_id = "getSshPassword", tag = "ssh",
    params(("label" = String, Path, description = "The node's label")),
    responses(
        (status = 200, body = SshPassword),
        (status = 403, body = ProblemBody<'static>, description = "The sign-in was too long ago"),
        (status = 404, body = ProblemBody<'static>, description = "The account has no such node"),
    )
)]
pub(in crate::api) async fn reveal(
    State(app): State<Arc<App>>,
    Caller(principal): Caller,
    LabelPath(label): LabelPath,
    _: NoInput,
) -> Result<Json<SshPassword>, Problem> {
    let password = app.manager.ssh_password(&principal, &label).await;
    Ok(Json(password.map_err(refused)?.into()))
}

/// Replace a node's SSH password by a new one.
#[utoipa::path(
    post, path = "/api/v1/nodes/{label}/ssh-password", operation_id = "rotateSshPassword", tag = "ssh",
    params(("label" = String, Path, description = "The node's label")),
    responses(
        (status = 200, body = SshPassword),
        (status = 403, body = ProblemBody<'static>, description = "The sign-in was too long ago"),
        (status = 404, body = ProblemBody<'static>, description = "The account has no such node"),
    )
)]
pub(in crate::api) async fn rotate(
    State(app): State<Arc<App>>,
    Caller(principal): Caller,
    LabelPath(label): LabelPath,
    _: NoInput,
) -> Result<Json<SshPassword>, Problem> {
    let password = app.manager.rotate_ssh_password(&principal, &label).await;
    Ok(Json(password.map_err(refused)?.into()))
}

fn refused(error: SshPasswordError) -> Problem {
    match error {
        SshPasswordError::NotFound => nodes::no_such_node(),
        SshPasswordError::SignInAgain => Problem::new(
            StatusCode::FORBIDDEN,
            "sign-in-again",
            "Sign in again",
            "The SSH password is shown within ten minutes of a sign-in. Sign in again, then ask \
             with the new token.",
        ),
        SshPasswordError::Unavailable(cause) => Problem::unavailable(&cause),
    }
}
