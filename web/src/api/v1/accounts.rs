//! Accounts: signing up, and one's own.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use http::StatusCode;
use node_api::Secret;
use tenant_manager::RegisterError;

use crate::api::input::{Input, NoInput};
use crate::api::view::{Account, AccountCreated, Credentials};
use crate::app::App;
use crate::auth::{Caller, auth_problem};
use crate::client::Client;
use crate::problem::{Problem, ProblemBody};

/// Sign up.
#[utoipa::path(
    post, path = "/api/v1/accounts", operation_id = "createAccount", tag = "accounts",
    security(()),
    request_body = Credentials,
    responses(
        (status = 201, body = AccountCreated),
        (status = 409, body = ProblemBody<'static>, description = "The address has an account"),
        (status = 422, body = ProblemBody<'static>, description = "Malformed address or weak password"),
        (status = 429, body = ProblemBody<'static>, description = "Too many accounts from one address"),
    )
)]
pub(in crate::api) async fn create(
    State(app): State<Arc<App>>,
    Extension(client): Extension<Client>,
    Input(input): Input<Credentials>,
) -> Result<(StatusCode, Json<AccountCreated>), Problem> {
    app.limits.sign_up.check(client.address).map_err(|wait| {
        let detail = "Too many accounts were created from your address. Wait before the next one.";
        Problem::too_many(detail, wait)
    })?;
    let account = app
        .manager
        .register(&input.email, Secret::new(input.password))
        .await
        .map_err(refused)?;
    Ok((StatusCode::CREATED, Json(account.into())))
}

fn refused(error: RegisterError) -> Problem {
    let detail = error.to_string();
    match error {
        RegisterError::BadEmail(_) => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "bad-email",
            "Malformed address",
            detail,
        ),
        RegisterError::WeakPassword(_) => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "weak-password",
            "Password refused",
            detail,
        ),
        RegisterError::Taken => Problem::new(
            StatusCode::CONFLICT,
            "email-taken",
            "Address already in use",
            detail,
        ),
        RegisterError::Unavailable(cause) => Problem::unavailable(&cause),
    }
}

/// Show the account that asks.
#[utoipa::path(
    get, path = "/api/v1/account", operation_id = "getAccount", tag = "accounts",
    responses((status = 200, body = Account))
)]
pub(in crate::api) async fn show(
    State(app): State<Arc<App>>,
    Caller(principal): Caller,
    _: NoInput,
) -> Result<Json<Account>, Problem> {
    let account = app
        .manager
        .account(&principal)
        .await
        .map_err(auth_problem)?;
    Ok(Json(account.into()))
}
