//! A node's SSH password: shown and changed shortly after a sign-in only.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use tenant_manager::SshPasswordError;

use super::enter;
use super::failure::{Failure, with_retry};
use super::form::Submitted;
use super::next::Next;
use super::node::{self, Said, confirm_field};
use super::page::sentence;
use super::visitor::{NodePath, see};
use crate::app::App;

/// Makes a new SSH password and shows it.
pub(super) async fn rotate(
    State(app): State<Arc<App>>,
    NodePath(label): NodePath,
    form: Submitted,
) -> Result<Response, Failure> {
    let visitor = form.visitor;
    let node = node::find(&app, &visitor, &label).await?;
    let rotated = app.manager.rotate_ssh_password(&visitor.principal, &label);
    match rotated.await {
        Ok(_) => Ok(see(&format!(
            "/nodes/{}?show=ssh-password&done=ssh-password#advanced",
            node.label
        ))),
        Err(SshPasswordError::NotFound) => Err(Failure::no_such_node()),
        Err(SshPasswordError::SignInAgain) => {
            let said = Said {
                status: StatusCode::FORBIDDEN,
                ssh: confirm_field(None),
                ..Said::default()
            };
            Ok(node::respond(&app, &visitor, node, said).await)
        }
        Err(SshPasswordError::Unavailable(text)) => {
            let said = Said {
                status: StatusCode::SERVICE_UNAVAILABLE,
                alert: Some(sentence(&text)),
                ..Said::default()
            };
            Ok(with_retry(node::respond(&app, &visitor, node, said).await))
        }
    }
}

/// Takes the account's password once more: a sign-in, with a new session.
pub(super) async fn confirm(
    State(app): State<Arc<App>>,
    NodePath(label): NodePath,
    form: Submitted,
) -> Result<Response, Failure> {
    let visitor = form.visitor;
    let node = node::find(&app, &visitor, &label).await?;
    let refuse = async |node, status, text| {
        let said = Said {
            status,
            ssh: confirm_field(Some(text)),
            ..Said::default()
        };
        node::respond(&app, &visitor, node, said).await
    };
    if let Err(wait) = app.limits.sign_in.check(form.client.address) {
        let text = "Too many sign-ins from your address. Wait a while.".to_owned();
        let page = refuse(node, StatusCode::TOO_MANY_REQUESTS, text).await;
        return Ok(enter::waiting(page, wait));
    }
    let password = form.fields.secret("account_password");
    let email = visitor.principal.email().as_str().to_owned();
    match app.manager.sign_in(&email, password).await {
        Ok(session) => {
            let cookie = enter::session_cookie(&app, form.client, &session);
            let next = Next::parse(&format!("/nodes/{}?show=ssh-password", node.label));
            enter::enter(&app, Some(visitor), cookie, &next).await
        }
        Err(error) => {
            let (status, mut text, wait) = enter::refused(&error);
            if error == tenant_manager::SignInError::Wrong {
                text = "This is not your account's password.".to_owned();
            }
            let page = refuse(node, status, text).await;
            Ok(match wait {
                Some(wait) => enter::waiting(page, wait),
                None => page,
            })
        }
    }
}
