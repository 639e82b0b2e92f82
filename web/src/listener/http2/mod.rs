//! HTTP/2 on one connection, as what ends TLS before this host speaks it.
//!
//! Many requests share the connection; each is routed by its own host name, and
//! each is a task. WebSockets are HTTP/1.1's: extended `CONNECT` is not offered.
//! Invariants: no request means anything here that it would not mean in HTTP/1,
//! and no client, nor what it asks, keeps the connection or an answer for ever.
//!
//! Stops when the client closes or takes nothing, when it asked nothing for too
//! long, when it gives up far more than it takes, or, once it is told to stop,
//! after the requests in flight. It says goodbye first; who does not go then has
//! [`GOODBYE`] left after the last answer. A trusted proxy's connection is that
//! of many people: who of them gives up too much is refused alone, and if nobody
//! can tell who it is the connection is only ever ended with a goodbye.

mod calls;
mod check;
mod streams;
mod wire;

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Method, Request, StatusCode};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use lifecycle::Tasks;
use node_api::{HttpResponse, empty_body};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::answer::{Visitor, asks_for_events, count, refused};
use super::head;
use super::slots::Slot;
use crate::app::ClientRequest;
use crate::client::{Client, is_trusted};
use crate::pages::Message;
use calls::{Asker, Call, Calls};
use streams::{PIECE, Piecewise, Progress, Streams};
use wire::Wire;

/// Most requests of one connection at once.
const MAX_STREAMS: u32 = 100;
/// Bytes of one request's body that a client may send before we read them...
const STREAM_WINDOW: u32 = 128 * 1024;
/// ...and of all: room for every stream, so that a body which nobody reads yet
/// holds up no other.
const CONNECTION_WINDOW: u32 = MAX_STREAMS * STREAM_WINDOW;
/// Longest head, as HTTP/2 counts it.
const MAX_HEADER_LIST: u32 = head::MAX_HEAD as u32;
/// Bytes of one answer that are buffered for a client that does not take them.
const SEND_BUFFER: usize = 4 * PIECE;
/// Requests that are reset before we looked at them; more end the connection.
const MAX_PENDING_RESETS: usize = 20;
/// Requests that the library resets because they are malformed; more end the
/// connection.
const MAX_MALFORMED: usize = 64;
/// The same two for a trusted proxy, whose clients answer for themselves.
const MAX_PENDING_RESETS_SHARED: usize = 200;
const MAX_MALFORMED_SHARED: usize = 1024;
/// A client that sends nothing for so long is asked whether it is there...
const PING_AFTER: Duration = Duration::from_secs(30);
/// ...and must say so in this time.
const PONG_DEADLINE: Duration = Duration::from_secs(20);
/// How long a client has to close the connection after our goodbye.
const GOODBYE: Duration = Duration::from_secs(5);
/// What a client with too many requests is told to wait.
const BUSY_RETRY: Duration = Duration::from_secs(1);

/// Serves `stream`, of which `begun` was read already, to its end. Its requests
/// are among `tasks`.
pub(super) async fn serve(
    stream: TcpStream,
    begun: Bytes,
    visitor: Visitor,
    slot: Slot,
    tasks: Tasks,
) {
    let is_shared = is_trusted(visitor.peer.ip().to_canonical(), &visitor.site.app.trusted);
    let calls = Calls::new(is_shared);
    let streams = Streams::new(tasks);
    let connecting = builder(streams.clone(), is_shared);
    let service = {
        let (visitor, calls) = (visitor.clone(), calls.clone());
        service_fn(move |request: Request<Incoming>| {
            // Before anything is awaited: see `Streams`.
            let client = counted_client(&visitor, &request);
            let asker = client.map(|address| Asker {
                address,
                given_up: visitor.site.app.given_up.clone(),
            });
            let (progress, call) = (streams.begin(), calls.begin(asker));
            let visitor = visitor.clone();
            async move {
                let answer = answer(&visitor, request, client, progress, call);
                Ok::<_, Infallible>(answer.await)
            }
        })
    };
    let wire = Wire::new(stream, begun, Some(slot));
    let connection = connecting.serve_connection(TokioIo::new(wire), service);
    tokio::pin!(connection);
    let over = async {
        tokio::select! {
            () = visitor.stop.closing.cancelled() => {}
            () = calls.idle() => {}
            () = calls.worn_out(), if is_shared => {}
        }
    };
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = calls.worn_out(), if !is_shared => return worn_out(&visitor),
        () = over => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                biased;
                ended = connection.as_mut() => ended,
                () = calls.worn_out(), if !is_shared => return worn_out(&visitor),
                () = calls.quiet(GOODBYE, Instant::now()) => Ok(()),
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(peer = %visitor.peer, "HTTP/2 connection ended: {error}");
    }
}

fn worn_out(visitor: &Visitor) {
    let peer = visitor.peer;
    tracing::debug!(%peer, "closed an HTTP/2 connection whose client gives up all it asks for");
}

fn builder(streams: Streams, is_shared: bool) -> http2::Builder<Streams> {
    let (resets, malformed) = if is_shared {
        (MAX_PENDING_RESETS_SHARED, MAX_MALFORMED_SHARED)
    } else {
        (MAX_PENDING_RESETS, MAX_MALFORMED)
    };
    let mut builder = http2::Builder::new(streams);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(MAX_HEADER_LIST)
        .max_pending_accept_reset_streams(resets)
        .max_local_error_reset_streams(malformed)
        .keep_alive_interval(PING_AFTER)
        .keep_alive_timeout(PONG_DEADLINE);
    builder
}

/// Answers one request, of `client` if that one is counted.
async fn answer(
    visitor: &Visitor,
    mut request: Request<Incoming>,
    client: Option<IpAddr>,
    progress: Arc<Progress>,
    call: Call,
) -> http::Response<Piecewise> {
    let comes_back = asks_for_events(&request);
    let is_head = request.method() == Method::HEAD;
    // Before headers are counted: crumbs of cookies are one.
    check::join_cookies(request.headers_mut());
    let place = place(visitor, client, &call);
    let (mut response, place) = match (check::check(&request), place) {
        (Err(refusal), _) => (refused(refusal, request.headers()), None),
        (Ok(()), Err(full)) => {
            count("none", full.status);
            (full.respond(request.headers()), None)
        }
        (Ok(()), Ok(place)) => (visitor.answer(request).await, place),
    };
    leave_out_body(&mut response, is_head);
    visitor
        .cut(response, comes_back)
        .map(|body| Piecewise::new(body, progress, call, place))
}

/// As whom the request's client is counted, if it is.
fn counted_client(visitor: &Visitor, request: &Request<Incoming>) -> Option<IpAddr> {
    let app = &visitor.site.app;
    let headers = request.headers();
    let client = Client::resolve(visitor.peer, headers, &app.trusted, app.urls.is_secure());
    app.counted(client.address)
}

/// A place for the request among those of its client, if that one is counted.
fn place(
    visitor: &Visitor,
    client: Option<IpAddr>,
    call: &Call,
) -> Result<Option<ClientRequest>, Message> {
    let Some(address) = client else {
        return Ok(None);
    };
    let too_many = |title: &'static str, text: &'static str| {
        Message::new(StatusCode::TOO_MANY_REQUESTS, title, text).retry_after(BUSY_RETRY)
    };
    if call.is_refused() {
        return Err(too_many(
            "Too many given up",
            "Too many requests from your address were given up before they were answered. Wait \
             a moment, and try again.",
        ));
    }
    let full = || {
        too_many(
            "Too many at once",
            "There are too many requests from your address at once. Wait until some are \
             answered, and try again.",
        )
    };
    let place = visitor.site.app.client_requests.enter(address);
    place.map(Some).ok_or_else(full)
}

/// Leaves out the body of an answer that has none, which the library would send.
fn leave_out_body(response: &mut HttpResponse, is_head: bool) {
    let status = response.status();
    let has_none = is_head
        || matches!(
            status,
            StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED
        );
    if !has_none {
        return;
    }
    let body = std::mem::replace(response.body_mut(), empty_body());
    let headers = response.headers_mut();
    if status == StatusCode::NO_CONTENT || status == StatusCode::RESET_CONTENT {
        headers.remove(CONTENT_LENGTH);
    } else if is_head && let Some(length) = body.size_hint().exact().filter(|length| *length > 0) {
        headers
            .entry(CONTENT_LENGTH)
            .or_insert(HeaderValue::from(length));
    }
}

#[cfg(test)]
mod tests {
    use node_api::body;

    use super::*;

    fn left(status: StatusCode, is_head: bool) -> (bool, Option<String>) {
        let mut response = HttpResponse::new(body("four"));
        *response.status_mut() = status;
        leave_out_body(&mut response, is_head);
        let length = response.headers().get(CONTENT_LENGTH);
        let length = length.map(|length| length.to_str().unwrap().to_owned());
        (!response.body().is_end_stream(), length)
    }

    #[test]
    fn answers_without_a_body_are_sent_without_one() {
        let four = Some("4".to_owned());
        assert_eq!(left(StatusCode::OK, false), (true, None));
        assert_eq!(left(StatusCode::OK, true), (false, four));
        assert_eq!(left(StatusCode::NO_CONTENT, false), (false, None));
        assert_eq!(left(StatusCode::NOT_MODIFIED, false), (false, None));
    }
}
