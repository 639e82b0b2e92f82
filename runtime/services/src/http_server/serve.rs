//! HTTP/1.1 on one connection, and the WebSocket that it may become.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Request;
use http::header::UPGRADE;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioIo, TokioTimer};
use node_api::{BoxError, ByteStream, Origin, Upgrade};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::HttpServer;

/// How long a client may take to send a request's head.
const HEAD_TIME: Duration = Duration::from_secs(20);
/// How long requests in progress may take once the connection shall end;
/// longer than apps have unless the client gives them more.
const DRAIN_TIME: Duration = Duration::from_secs(17);
/// Largest request head, bytes.
const HEAD_BYTES: usize = 64 << 10;

impl HttpServer {
    /// Serves `io` until the peer closes it or `stop` is cancelled; requests
    /// in progress are answered first. Returns once nothing uses `io` any
    /// more, be it as a WebSocket.
    pub async fn serve(
        self: &Arc<Self>,
        io: Box<dyn ByteStream>,
        origin: Origin,
        stop: CancellationToken,
    ) {
        let (open, mut closed) = mpsc::channel(1);
        self.serve_requests(io, origin, stop, open).await;
        // Nothing is ever sent: this ends when the last sender is gone.
        let _: Option<()> = closed.recv().await;
    }

    async fn serve_requests(
        self: &Arc<Self>,
        io: Box<dyn ByteStream>,
        origin: Origin,
        stop: CancellationToken,
        open: mpsc::Sender<()>,
    ) {
        let server = Arc::clone(self);
        let service = service_fn(move |mut request: Request<Incoming>| {
            let server = Arc::clone(&server);
            let upgrade = offer(&mut request, &open);
            async move {
                let mut request = request.map(|body| {
                    body.map_err(|error| Box::new(error) as BoxError)
                        .boxed_unsync()
                });
                if let Some(upgrade) = upgrade {
                    request.extensions_mut().insert(upgrade);
                }
                Ok::<_, Infallible>(server.handle(request, origin).await)
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            .half_close(true)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(io), service)
            .with_upgrades();
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                let drained = tokio::time::timeout(DRAIN_TIME, connection.as_mut()).await;
                drained.unwrap_or(Ok(()))
            }
        };
        if let Err(error) = ended {
            // Peers that vanish are ordinary.
            tracing::debug!("connection ended: {error}");
        }
    }
}

/// The right to take the connection over, for a request that asks for it.
fn offer(request: &mut Request<Incoming>, open: &mpsc::Sender<()>) -> Option<Upgrade> {
    let asks = request.headers().contains_key(UPGRADE);
    let upgrading = asks.then(|| hyper::upgrade::on(request))?;
    let open = open.clone();
    Some(Upgrade::new(async move {
        let io = TokioIo::new(upgrading.await?);
        Ok(Box::new(Kept { io, _open: open }) as Box<dyn ByteStream>)
    }))
}

/// A connection that was taken over; `serve` waits until it is dropped.
struct Kept {
    io: TokioIo<Upgraded>,
    _open: mpsc::Sender<()>,
}

impl AsyncRead for Kept {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, out)
    }
}

impl AsyncWrite for Kept {
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
