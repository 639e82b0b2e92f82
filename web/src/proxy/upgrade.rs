//! Connections that become WebSockets.
//!
//! A request that asks for one carries the right to take its connection over.
//! Invariants: nothing but 101, to such a request, turns a connection over; a
//! WebSocket keeps its node awake until either side ends it or the node says
//! that it stops, and it counts against its tenant and its client for as long.
//! What clients send is paced; see [`super::frames`].

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::header::{CONNECTION, HeaderName, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, Request, Version};
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use node_api::{ByteStream, HttpResponse, Upgrade};
use parking_lot::Mutex;
use tenant_manager::Lease;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::body::Stopping;
use super::declared_length;
use super::frames::Paced;
use crate::in_flight::Share;

/// The one protocol that connections are given to.
const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");

/// What a WebSocket holds while it is open.
pub(super) struct Held {
    pub(super) lease: Option<Lease>,
    pub(super) stopping: Stopping,
    pub(super) paced: Paced,
    pub(super) _counted: Share,
}

/// Where what a WebSocket holds is put once the node has answered 101, which
/// is before the connection is handed over.
#[derive(Clone, Default)]
pub(super) struct Place(Arc<Mutex<Option<Held>>>);

impl Place {
    pub(super) fn put(&self, held: Held) {
        *self.0.lock() = Some(held);
    }
}

/// Whether a request asks to become a WebSocket.
pub(super) fn is_asked<B>(request: &Request<B>) -> bool {
    request.method() == Method::GET
        && request.version() == Version::HTTP_11
        && has_token(request.headers(), &UPGRADE, "websocket")
        && has_token(request.headers(), &CONNECTION, "upgrade")
}

/// Whether a request that asks for it carries a body, which it must not.
pub(super) fn has_body<B>(request: &Request<B>) -> bool {
    request.headers().contains_key(TRANSFER_ENCODING) || declared_length(request) > 0
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|given| given.trim().eq_ignore_ascii_case(token))
}

/// The right to take over the request's connection.
pub(super) fn offer(request: &mut Request<Incoming>, place: &Place) -> Upgrade {
    let upgrading = hyper::upgrade::on(request);
    let place = place.clone();
    Upgrade::new(async move {
        let io = TokioIo::new(upgrading.await?);
        let held = place.0.lock().take();
        let held = held.ok_or("the answer was not passed on")?;
        let pause = None;
        Ok(Box::new(Connection { io, held, pause }) as Box<dyn ByteStream>)
    })
}

/// Says in a cleaned request or answer what the connection is to become.
pub(super) fn mark(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, WEBSOCKET);
}

/// Whether an answer turns the connection over.
pub(super) fn is_switch(response: &HttpResponse) -> bool {
    response.status() == http::StatusCode::SWITCHING_PROTOCOLS
}

/// A connection that was taken over.
struct Connection {
    io: TokioIo<Upgraded>,
    held: Held,
    /// Until when nothing is read.
    pause: Option<Pin<Box<Sleep>>>,
}

impl Connection {
    /// Reads, and counts what was read.
    fn poll_paced(
        &mut self,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(context));
            self.pause = None;
        }
        let before = out.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(context, out))?;
        let go_on = self.held.paced.read(&out.filled()[before..]);
        self.pause = go_on.map(|go_on| Box::pin(tokio::time::sleep_until(go_on)));
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = self.poll_paced(context, out);
        let held = &mut self.held;
        if read.is_pending()
            && held.lease.is_some()
            && held.stopping.as_mut().poll(context).is_ready()
        {
            // The node says goodbye itself; its stop need not wait for that.
            held.lease = None;
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
