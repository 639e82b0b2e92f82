//! Hands requests for a tenant's host to its node, in process.
//!
//! Invariant: a request that came through here reaches the node as
//! `Origin::Public`, under the label that its host name says, with forwarding
//! headers that only this host or a trusted proxy wrote. A lease is held from
//! the wake until the answer has ended or the node says that it stops, and one
//! client never has more than its share of what a node can do at once. Stops
//! with the connections.

mod body;
mod cookies;
mod frames;
mod headers;
mod link;
mod rpc_path;
mod upgrade;

use std::net::SocketAddr;
use std::time::Duration;

use http::header::CONTENT_LENGTH;
use http::{Method, Request, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use node_api::{HttpRequest, HttpResponse, Origin, Visit};
use tenant_manager::{AccessError, AcquireError, TenantAccess};
use tracing::Instrument;

use crate::app::App;
use crate::client::Client;
use crate::host_router::without_port;
use crate::in_flight::Full;
use crate::pages::Message;

use body::{Download, Ending};
pub(crate) use body::{Upload, UploadError, ended_early};
pub(crate) use frames::Paces;
pub(crate) use link::path as link_path;

/// Largest request body let through to any node. Each node's own bound, from
/// its plan, is smaller or equal.
const MAX_BODY: u64 = 128 << 20;
/// What a client is told to wait when a node has too many requests in flight.
const BUSY_RETRY: Duration = Duration::from_secs(1);
/// What a client is told to wait while the host starts or stops.
const NOT_READY_RETRY: Duration = Duration::from_secs(2);

const UNAVAILABLE: StatusCode = StatusCode::SERVICE_UNAVAILABLE;

/// Answers a request for the node with `label`, sent to `authority`.
pub(crate) async fn forward(
    app: &App,
    label: &str,
    authority: &str,
    client: Client,
    request: Request<Incoming>,
) -> HttpResponse {
    let method = request.method().clone();
    let accepts = headers::accept_only(request.headers());
    let signs_in = link::is_login(&request) || link::is_link(&request);
    let mut answer = ask(app, label, authority, client, request).await;
    if signs_in {
        answer = app.held.answer(answer).await;
    }
    match answer {
        Ok(mut response) => {
            headers::clean_response(&mut response, method == Method::HEAD);
            if upgrade::is_switch(&response) {
                upgrade::mark(response.headers_mut());
            }
            cookies::confine(response.headers_mut(), &app.hosts.node_host(label));
            response
        }
        Err(message) => message.asked_by(&method).respond(&accepts),
    }
}

/// The node's own answer, or what to say in its place.
async fn ask(
    app: &App,
    label: &str,
    authority: &str,
    client: Client,
    request: Request<Incoming>,
) -> Result<HttpResponse, Message> {
    let access = app.manager.visitor(label).map_err(no_access)?;
    if let Some(token) = link::token(&app.hosts.node_host(label), authority, request.uri()) {
        return link::follow(app, &access, token, client, request.method()).await;
    }
    if link::is_login(&request) {
        link::limit_login(app, client)?;
    }
    if rpc_path::is_rpc(request.uri().path()) {
        // The node refuses it too; this spares waking it up.
        return Err(Message::new(
            StatusCode::FORBIDDEN,
            "Not allowed",
            "The node's message interface is open to its owner only, through an SSH tunnel.",
        ));
    }
    if declared_length(&request) > MAX_BODY {
        return Err(broken_upload(UploadError::TooLarge));
    }
    if upgrade::is_asked(&request) && upgrade::has_body(&request) {
        return Err(Message::new(
            StatusCode::BAD_REQUEST,
            "Bad request",
            "A request for a WebSocket has no body.",
        ));
    }
    let span = tracing::debug_span!("http", tenant_id = %access.tenant(), label);
    lease_and_ask(app, &access, authority, client, request)
        .instrument(span)
        .await
}

/// Wakes the node if it sleeps, and asks it.
async fn lease_and_ask(
    app: &App,
    access: &TenantAccess,
    authority: &str,
    client: Client,
    request: Request<Incoming>,
) -> Result<HttpResponse, Message> {
    let tenant = access.tenant();
    let counted_as = app.counted(client.address);
    let counted = app.in_flight.enter(tenant, counted_as);
    let counted = counted.map_err(|full| busy(full, "requests"))?;
    let socket = upgrade::is_asked(&request).then(|| app.sockets.enter(tenant, counted_as));
    let socket = socket.transpose();
    let socket = socket.map_err(|full| busy(full, "open WebSockets"))?;
    let lease = app
        .manager
        .acquire(access)
        .await
        .map_err(|error| no_lease(&error, access))?;
    let visit = visit(app, access, authority, client, &request);
    let (place, ending) = (upgrade::Place::default(), Ending::default());
    let way = Way {
        authority,
        client,
        visit,
        place: socket.is_some().then_some(&place),
        ending: ending.clone(),
    };
    let request = prepare(request, way);
    let node = lease.node().clone();
    let mut lease = Some(lease);
    let mut stopping = body::stopping(node.status());
    let answering = node.http(request, Origin::Public);
    tokio::pin!(answering);
    let response = tokio::select! {
        biased;
        response = &mut answering => response,
        () = &mut stopping => {
            // A stop waits for leases; the node ends what it is doing itself.
            lease = None;
            answering.await
        }
    };
    if let Some(error) = ending.early() {
        return Err(broken_upload(error));
    }
    if let (true, Some(counted)) = (upgrade::is_switch(&response), socket) {
        let (lease, stopping) = (lease.take(), body::stopping(node.status()));
        place.put(upgrade::Held {
            lease,
            stopping,
            paced: app.paces.enter(tenant),
            _counted: counted,
        });
    } else if response.status().is_informational() {
        return Err(Message::new(
            StatusCode::BAD_GATEWAY,
            "Bad answer",
            "The app gave an answer that is not one.",
        ));
    }
    Ok(response.map(|body| Download::new(body, lease, stopping, counted).boxed_unsync()))
}

/// Why there is no room for one more of `what`.
fn busy(full: Full, what: &str) -> Message {
    let message = match full {
        Full::Tenant => Message::new(
            UNAVAILABLE,
            "This node is busy",
            format!("It has too many {what} at once. Try again in a moment."),
        ),
        Full::Client => Message::new(
            StatusCode::TOO_MANY_REQUESTS,
            "Too many at once",
            format!(
                "There are too many {what} from your address to this node at once. Close some \
                 of its windows, or wait until it has answered, and try again."
            ),
        ),
    };
    message.retry_after(BUSY_RETRY)
}

/// What is said of a body that ended early, whatever the app made of it.
fn broken_upload(error: UploadError) -> Message {
    match error {
        UploadError::TooLarge => Message::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "Too large",
            format!("A request may carry at most {} MiB.", MAX_BODY >> 20),
        ),
        UploadError::TooSlow => Message::new(
            StatusCode::REQUEST_TIMEOUT,
            "Too slow",
            "What the request carries arrived too slowly. Send it again over a faster connection.",
        ),
    }
}

fn declared_length<B>(request: &Request<B>) -> u64 {
    let length = request.headers().get(CONTENT_LENGTH);
    length
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse().ok())
        .unwrap_or(0)
}

/// What the node is told of the request beside what it says itself.
fn visit(
    app: &App,
    access: &TenantAccess,
    authority: &str,
    client: Client,
    request: &Request<Incoming>,
) -> Visit {
    let own = app.hosts.node_host(access.label().as_str());
    let host = without_port(authority);
    let port = &authority[host.len()..];
    let below = host.strip_suffix(&own);
    let below = below.and_then(|below| below.strip_suffix('.'));
    let peer = request.extensions().get::<SocketAddr>();
    let peer = peer.filter(|peer| peer.ip().to_canonical() == client.address);
    Visit {
        client: SocketAddr::new(client.address, peer.map_or(0, SocketAddr::port)),
        secure: client.secure,
        site: format!("{own}{port}"),
        subdomain: below.map(str::to_owned),
    }
}

/// How a request came here and how it goes on.
struct Way<'a> {
    authority: &'a str,
    client: Client,
    visit: Visit,
    /// Of one that may become a WebSocket.
    place: Option<&'a upgrade::Place>,
    /// Told if the body ends early.
    ending: Ending,
}

/// The request as the node gets it: origin form, clean headers, bounded body.
fn prepare(mut request: Request<Incoming>, way: Way<'_>) -> HttpRequest {
    let upgrade = way.place.map(|place| upgrade::offer(&mut request, place));
    let (mut parts, body) = request.into_parts();
    if let Some(path) = parts.uri.path_and_query() {
        parts.uri = Uri::from(path.clone());
    }
    // Whatever the connection hung on it is nothing the node should reach.
    parts.extensions.clear();
    parts.extensions.insert(way.visit);
    headers::clean_request(&mut parts.headers, way.authority, way.client);
    if let Some(upgrade) = upgrade {
        upgrade::mark(&mut parts.headers);
        parts.extensions.insert(upgrade);
    }
    let body = Upload::new(body, MAX_BODY).telling(way.ending);
    HttpRequest::from_parts(parts, body.boxed_unsync())
}

fn no_access(error: AccessError) -> Message {
    match error {
        AccessError::UnknownLabel => Message::new(
            StatusCode::NOT_FOUND,
            "No such node",
            "There is no node at this address. Check how it is spelled.",
        ),
        AccessError::NotReady => Message::new(
            UNAVAILABLE,
            "One moment",
            "The host is starting or stopping. Try again in a few seconds.",
        )
        .retry_after(NOT_READY_RETRY),
    }
}

/// What strangers are told; reasons are for the owner, on the dashboard.
fn no_lease(error: &AcquireError, access: &TenantAccess) -> Message {
    let message = |title, text| Message::new(UNAVAILABLE, title, text);
    match error {
        AcquireError::Stopped => message(
            "This node is stopped",
            "Its owner stopped it. It will answer again once its owner starts it.",
        ),
        AcquireError::Archived => message("This node is archived", "Its owner put it away."),
        AcquireError::Suspended => message(
            "This node is suspended",
            "Its host's operator holds it. Its owner can read why on the dashboard.",
        ),
        AcquireError::Broken { reason } => {
            tracing::debug!(tenant = %access.tenant(), "refused a visitor of a broken node: {reason}");
            message(
                "This node is out of order",
                "It could not be started. Its owner can see the reason and start it again.",
            )
        }
        AcquireError::TimedOut { retry_after } => message(
            "This node is waking up",
            "It takes longer than usual. Try again in a few seconds.",
        )
        .retry_after(*retry_after),
        AcquireError::Busy { retry_after } => message(
            "The host is busy",
            "Many nodes are being started. Try again in a few seconds.",
        )
        .retry_after(*retry_after),
        AcquireError::Full { retry_after } => message(
            "The host is full",
            "All room for running nodes is taken. Try again in a few seconds.",
        )
        .retry_after(*retry_after),
        AcquireError::ShuttingDown => message(
            "One moment",
            "The host is being restarted. Try again in a few seconds.",
        )
        .retry_after(NOT_READY_RETRY),
    }
}

#[cfg(test)]
mod tests {
    use tenant_manager::testing::manager_with_fakes;

    use super::*;

    #[tokio::test]
    async fn a_full_host_is_asked_again_and_a_suspended_node_is_not() {
        let fakes = manager_with_fakes().await.unwrap();
        let ann = fakes.account("ann@example.org").await.unwrap();
        fakes.node(&ann, "alice").await.unwrap();
        let access = fakes.manager.visitor("alice").unwrap();
        let retry_after = Duration::from_secs(3);
        let full = no_lease(&AcquireError::Full { retry_after }, &access);
        assert_eq!((full.status, full.title), (UNAVAILABLE, "The host is full"));
        assert_eq!(full.retry_after, Some(retry_after));
        let suspended = no_lease(&AcquireError::Suspended, &access);
        let expected = (UNAVAILABLE, "This node is suspended");
        assert_eq!((suspended.status, suspended.title), expected);
        assert_eq!(suspended.retry_after, None);
    }
}
