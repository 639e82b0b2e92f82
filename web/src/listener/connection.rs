//! Serves one connection: parses, routes by host name, answers; a WebSocket
//! takes the connection with it.
//!
//! Stops when the client closes, when a deadline of [`Guarded`] passes, or, once
//! it is told to [`Stop`], after the request in flight. Closing politely, the
//! next answer says that it is the last, and event streams are cut whose clients
//! come back by themselves; others are cut when the connection has to end.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use bytes::Bytes;
use http::header::{ACCEPT, CONNECTION, CONTENT_TYPE, TRANSFER_ENCODING};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use node_api::{BoxError, HttpBody, HttpResponse};
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::guard::Guarded;
use super::head::{self, Refusal};
use super::signals::{Signals, Unanswered};
use super::slots::Slot;
use crate::app::App;
use crate::client::Client;
use crate::host_router::HostError;
use crate::pages::Message;
use crate::{apex, host_router, proxy};

/// Read buffer of one connection; holds a whole head.
const MAX_BUFFER: usize = 2 * head::MAX_HEAD;

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

/// Serves `stream` to its end.
pub(super) async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    site: Arc<Site>,
    stop: Arc<Stop>,
    slot: Slot,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, "failed to set TCP_NODELAY: {error}");
    }
    let signals = Arc::new(Signals::default());
    if stop.closing.is_cancelled() {
        signals.close();
    }
    // A WebSocket outlives what follows, and needs its slot for as long.
    let guarded = Guarded::new(stream, signals.clone()).holding(slot);
    let service = service_fn(|request| {
        let (unanswered, refusal) = signals.called();
        let (site, signals, stop) = (site.clone(), signals.clone(), stop.clone());
        let comes_back = asks_for_events(&request);
        async move {
            let mut response = match refusal {
                Some(refusal) => refused(refusal),
                None => answer(&site, peer, request).await,
            };
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                signals.switch();
            } else if signals.is_closing() {
                close_after(&mut response);
            }
            let until = is_event_stream(&response).then(|| {
                let end = if comes_back { &stop.closing } else { &stop.now };
                Box::pin(end.clone().cancelled_owned())
            });
            Ok::<_, Infallible>(response.map(|body| Answering {
                body,
                until,
                unanswered,
            }))
        }
    });
    let connection = http1::Builder::new()
        .max_headers(head::MAX_HEADERS)
        .max_buf_size(MAX_BUFFER)
        // Deadlines are the guard's.
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(guarded), service)
        .with_upgrades();
    tokio::pin!(connection);
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = stop.closing.cancelled() => {
            // The guard hears it when the connection is polled again.
            signals.close();
            tokio::select! {
                biased;
                () = stop.now.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.as_mut().await
                }
                ended = connection.as_mut() => ended,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, "HTTP connection ended: {error}");
    }
}

/// Answers one request.
async fn answer(site: &Site, peer: SocketAddr, request: Request<Incoming>) -> HttpResponse {
    // The end of a chunked body is known to the parser only, so nothing that
    // follows it is read.
    let last = request.headers().contains_key(TRANSFER_ENCODING);
    let (kind, mut response) = route(site, peer, request).await;
    count(kind, response.status());
    if last {
        close_after(&mut response);
    }
    response
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

fn count(site: &'static str, status: StatusCode) {
    let class = match status.as_u16() {
        ..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        500.. => "5xx",
    };
    metrics::counter!("berth_http_requests_total", "site" => site, "status" => class).increment(1);
}

/// Says that this answer is the connection's last.
fn close_after(response: &mut HttpResponse) {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
}

/// Whether whoever asks knows how to go on with a stream of events: this is how
/// browsers ask for one.
fn asks_for_events(request: &Request<Incoming>) -> bool {
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

fn refused(refusal: Refusal) -> HttpResponse {
    count("none", refusal.status);
    let text = format!("The request was not understood: {}.", refusal.detail);
    let message = Message::new(refusal.status, "Bad request", text);
    // What the client accepts is not known: its headers were refused.
    let mut response = message.respond(&http::HeaderMap::new());
    close_after(&mut response);
    response
}

/// A body whose end is the end of its request.
struct Answering {
    body: HttpBody,
    /// When an event stream is cut in any case.
    until: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    #[expect(dead_code, reason = "its drop says that the request is answered")]
    unanswered: Unanswered,
}

impl Body for Answering {
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
