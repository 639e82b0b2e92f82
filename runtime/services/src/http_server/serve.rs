//! HTTP/1.1 on one connection.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use node_api::{BoxError, ByteStream, Origin};
use tokio_util::sync::CancellationToken;

use super::HttpServer;

/// How long a client may take to send a request's head.
const HEAD_TIME: Duration = Duration::from_secs(20);
/// How long requests in progress may take once the connection shall end;
/// longer than an app's deadline.
const DRAIN_TIME: Duration = Duration::from_secs(17);
/// Largest request head, bytes.
const HEAD_BYTES: usize = 64 << 10;

impl HttpServer {
    /// Serves `io` until the peer closes it or `stop` is cancelled; requests
    /// in progress are answered first.
    pub async fn serve(
        self: &Arc<Self>,
        io: Box<dyn ByteStream>,
        origin: Origin,
        stop: CancellationToken,
    ) {
        let server = Arc::clone(self);
        let service = service_fn(move |request: Request<Incoming>| {
            let server = Arc::clone(&server);
            async move {
                let request = request.map(|body| {
                    body.map_err(|error| Box::new(error) as BoxError)
                        .boxed_unsync()
                });
                Ok::<_, Infallible>(server.handle(request, origin).await)
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            .half_close(true)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(io), service);
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
