//! What a request is answered with, whichever HTTP carries it.
//!
//! Owns nothing. Which site answers depends on the host name alone.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use node_api::{BoxError, HttpBody, HttpResponse};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::head::Refusal;
use crate::app::App;
use crate::client::Client;
use crate::host_router::HostError;
use crate::pages::Message;
use crate::{apex, host_router, proxy};

/// Media type of a stream of events.
const EVENTS: &[u8] = b"text/event-stream";

/// Why a stream of events is cut: not its end, so that whoever reads it comes
/// back.
#[derive(Debug, thiserror::Error)]
#[error("the host is going down or starting anew")]
struct Cut;

/// Everything that is served here.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) app: Arc<App>,
    pub(super) apex: Router,
}

/// How a connection is told to end.
#[derive(Debug, Clone)]
pub(super) struct Stop {
    /// Politely: after the next answer, or when none is asked for.
    pub(super) closing: CancellationToken,
    /// After the request in flight, idle or not; comes with `closing`.
    pub(super) now: CancellationToken,
}

/// What the requests of one connection are answered from. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Visitor {
    pub(super) peer: SocketAddr,
    pub(super) site: Arc<Site>,
    pub(super) stop: Arc<Stop>,
}

impl Visitor {
    /// Answers one request.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> HttpResponse {
        let (kind, response) = route(&self.site, self.peer, request).await;
        count(kind, response.status());
        response
    }

    /// The answer's body, cut when it has to be: `comes_back` tells that whoever
    /// asked knows how to go on with a stream of events.
    pub(super) fn cut(&self, response: HttpResponse, comes_back: bool) -> http::Response<Cuttable> {
        let until = is_event_stream(&response).then(|| {
            let end = if comes_back {
                &self.stop.closing
            } else {
                &self.stop.now
            };
            Box::pin(end.clone().cancelled_owned())
        });
        response.map(|body| Cuttable { body, until })
    }
}

/// The answer, and which kind of site gave it.
async fn route(
    site: &Site,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> (&'static str, HttpResponse) {
    if request.method() == Method::CONNECT {
        let message = Message::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "No tunnels here",
            "CONNECT is not supported. Use SSH port forwarding to reach a node's local port.",
        );
        return ("none", message.respond(request.headers()));
    }
    let routed = match site.app.hosts.route(request.uri(), request.headers()) {
        Ok(routed) => routed,
        Err(error) => return ("none", bad_host(error, &request)),
    };
    let app = &site.app;
    let client = Client::resolve(peer, request.headers(), &app.trusted, app.urls.is_secure());
    let authority = routed.authority;
    match routed.site {
        host_router::Site::Apex => {
            let response = apex::respond(app, &site.apex, request, client, authority).await;
            ("dashboard", response)
        }
        host_router::Site::Node { label } => {
            let mut request = request;
            request.extensions_mut().insert(peer);
            let response = proxy::forward(app, &label, &authority, client, request).await;
            ("node", response)
        }
        host_router::Site::Elsewhere => {
            let message = Message::new(
                StatusCode::MISDIRECTED_REQUEST,
                "Not served here",
                "This host serves no site of that name. Check the address.",
            );
            ("none", message.respond(request.headers()))
        }
    }
}

/// Counts an answer of `site`.
pub(super) fn count(site: &'static str, status: StatusCode) {
    let class = match status.as_u16() {
        ..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        500.. => "5xx",
    };
    metrics::counter!("berth_http_requests_total", "site" => site, "status" => class).increment(1);
}

/// Whether whoever asks knows how to go on with a stream of events: this is how
/// browsers ask for one.
pub(super) fn asks_for_events(request: &Request<Incoming>) -> bool {
    let named = |accept: &HeaderValue| {
        accept.as_bytes().split(|byte| *byte == b',').any(|kind| {
            let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default();
            kind.trim_ascii().eq_ignore_ascii_case(EVENTS)
        })
    };
    request.method() == Method::GET && request.headers().get_all(ACCEPT).iter().any(named)
}

/// Whether an answer goes on until somebody ends it.
fn is_event_stream(response: &HttpResponse) -> bool {
    let kind = response.headers().get(CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(EVENTS))
}

fn bad_host(error: HostError, request: &Request<Incoming>) -> HttpResponse {
    Message::new(
        StatusCode::BAD_REQUEST,
        "Bad request",
        format!("Bad host name: {error}."),
    )
    .respond(request.headers())
}

/// Answers a request that was refused for its shape. `headers` are what is known
/// of those it came with.
pub(super) fn refused(refusal: Refusal, headers: &HeaderMap) -> HttpResponse {
    count("none", refusal.status);
    let text = format!("The request was not understood: {}.", refusal.detail);
    Message::new(refusal.status, "Bad request", text).respond(headers)
}

/// A body that is cut once its time has come.
pub(super) struct Cuttable {
    body: HttpBody,
    /// When an event stream is cut in any case.
    until: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl Body for Cuttable {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        // First: a busy stream would never be cut else.
        if let Some(until) = &mut this.until
            && until.as_mut().poll(context).is_ready()
        {
            this.until = None;
            return Poll::Ready(Some(Err(Cut.into())));
        }
        Pin::new(&mut this.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
