//! Signing in at a node's own host: one-time links of the dashboard, and how
//! often one client may try.
//!
//! A link is answered here and never reaches the node: the node only says
//! which cookie makes a browser its owner's. Invariant: a link is used up only
//! once the node runs, so a failed wake costs nobody a link.

use http::header::{CACHE_CONTROL, LOCATION, REFERRER_POLICY, SET_COOKIE};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use node_api::{HttpResponse, empty_body};
use tenant_manager::TenantAccess;

use super::no_lease;
use crate::app::App;
use crate::client::Client;
use crate::host_router::without_port;
use crate::pages::Message;

/// What the path of a link begins with; the token follows.
const PREFIX: &str = "/login/link/";
/// No token is longer.
const MAX_TOKEN: usize = 128;

/// The path of a link on its node's host.
pub(crate) fn path(token: &str) -> String {
    format!("{PREFIX}{token}")
}

/// The token in `uri`, if the request is for a link on the node's own host.
/// Its secure subdomains have other cookies.
pub(super) fn token<'a>(node_host: &str, authority: &str, uri: &'a Uri) -> Option<&'a str> {
    let token = uri.path().strip_prefix(PREFIX)?;
    (without_port(authority) == node_host).then_some(token)
}

/// Whether this is an attempt to sign in with the node's password.
pub(super) fn is_login<B>(request: &Request<B>) -> bool {
    request.method() == Method::POST && request.uri().path().trim_end_matches('/') == "/login"
}

/// Whether this may be somebody who tries links.
pub(super) fn is_link<B>(request: &Request<B>) -> bool {
    request.uri().path().starts_with(PREFIX)
}

/// Counts an attempt to sign in to any node.
pub(super) fn limit_login(app: &App, client: Client) -> Result<(), Message> {
    let checked = app.limits.node_sign_in.check(client.address);
    checked.map_err(|wait| {
        Message::new(
            StatusCode::TOO_MANY_REQUESTS,
            "Too many attempts",
            "There were too many attempts to sign in from your address. Try again later.",
        )
        .retry_after(wait)
    })
}

/// Follows a link: wakes the node, uses the link up, and signs the browser in.
pub(super) async fn follow(
    app: &App,
    access: &TenantAccess,
    token: &str,
    client: Client,
    method: &Method,
) -> Result<HttpResponse, Message> {
    if *method != Method::GET {
        return Err(Message::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "Method not allowed",
            "A link to a node is opened with GET.",
        ));
    }
    let label = access.label().as_str();
    let known = token.len() <= MAX_TOKEN && app.manager.check_link(label, token).is_ok();
    if !known {
        limit_login(app, client)?;
        return Err(worn());
    }
    let lease = app
        .manager
        .acquire(access)
        .await
        .map_err(|error| no_lease(&error, access))?;
    app.manager.redeem(label, token).map_err(|_| worn())?;
    let cookie = lease.node().login_cookie(client.secure);
    let Some(cookie) = cookie.and_then(|text| HeaderValue::try_from(text).ok()) else {
        return Err(Message::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Not signed in",
            "The node could not sign you in. Use its password instead.",
        ));
    };
    let mut response = HttpResponse::new(empty_body());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let headers = response.headers_mut();
    headers.insert(SET_COOKIE, cookie);
    headers.insert(LOCATION, HeaderValue::from_static("/"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(response)
}

fn worn() -> Message {
    Message::new(
        StatusCode::FORBIDDEN,
        "This link does not work any more",
        "A link to a node works once and for a minute. Open the node from the dashboard again, \
         or sign in with its password.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_known_on_the_nodes_own_host_only() {
        let uri: Uri = path("abc").parse().unwrap();
        let host = "alice.nodes.test";
        assert_eq!(token(host, "alice.nodes.test:8000", &uri), Some("abc"));
        assert_eq!(token(host, "alice.nodes.test", &uri), Some("abc"));
        assert_eq!(token(host, "app.alice.nodes.test", &uri), None);
        let other: Uri = "/login".parse().unwrap();
        assert_eq!(token(host, host, &other), None);
    }
}
