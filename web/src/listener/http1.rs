//! HTTP/1 on one connection; a WebSocket takes the connection with it.
//!
//! Stops when the client closes, when a deadline of [`Guarded`] passes, or, once
//! it is told to stop, after the request in flight. Closing politely, the next
//! answer says that it is the last.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use node_api::{BoxError, HttpResponse};
use tokio::net::TcpStream;

use super::answer::{Cuttable, Visitor, asks_for_events, refused};
use super::guard::Guarded;
use super::head;
use super::signals::{Signals, Unanswered};
use super::slots::Slot;

/// Read buffer of one connection; holds a whole head.
const MAX_BUFFER: usize = 2 * head::MAX_HEAD;

/// Serves `stream`, of which `read` was read already, to its end.
pub(super) async fn serve(stream: TcpStream, read: BytesMut, visitor: Visitor, slot: Slot) {
    let stop = visitor.stop.clone();
    let signals = Arc::new(Signals::default());
    if stop.closing.is_cancelled() {
        signals.close();
    }
    // A WebSocket outlives what follows, and needs its slot for as long.
    let guarded = Guarded::new(stream, signals.clone())
        .holding(slot)
        .begun(read);
    let service = service_fn(|request: Request<Incoming>| {
        let (unanswered, refusal) = signals.called();
        let (visitor, signals) = (visitor.clone(), signals.clone());
        async move {
            let comes_back = asks_for_events(&request);
            let mut last = refusal.is_some() || is_last(&request);
            let mut response = match refusal {
                // What the client accepts is not known: its headers were refused.
                Some(refusal) => refused(refusal, &HeaderMap::new()),
                None => visitor.answer(request).await,
            };
            // The rest of a body that was given up is not waited for.
            last |= response.status() == StatusCode::REQUEST_TIMEOUT;
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                signals.switch();
            } else if last || signals.is_closing() {
                close_after(&mut response);
            }
            let response = visitor.cut(response, comes_back);
            Ok::<_, Infallible>(response.map(|body| Answering { body, unanswered }))
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
        tracing::debug!(peer = %visitor.peer, "HTTP connection ended: {error}");
    }
}

/// Whether nothing is read after this request: the end of a chunked body is
/// known to the parser only, and who asked for a tunnel may take what follows
/// for its contents.
fn is_last(request: &Request<Incoming>) -> bool {
    request.headers().contains_key(TRANSFER_ENCODING) || request.method() == Method::CONNECT
}

/// Says that this answer is the connection's last.
fn close_after(response: &mut HttpResponse) {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
}

/// A body whose end is the end of its request.
struct Answering {
    body: Cuttable,
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
        Pin::new(&mut self.get_mut().body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
