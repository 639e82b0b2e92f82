//! The operations port: `/metrics`, `/healthz`, `/readyz`.
//!
//! Private by default and plain: three answers, no routing library. Stops with
//! its tasks.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use lifecycle::{TaskKind, Tasks};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Most connections served at once; more are closed at once.
const MAX_CONNECTIONS: usize = 64;

/// Whether the host can do its work; asked at each `/readyz`.
#[async_trait::async_trait]
pub trait Readiness: Send + Sync {
    /// `Err` says what is missing.
    async fn ready(&self) -> Result<(), String>;
}

/// What the three paths answer from.
pub struct Ops {
    metrics: PrometheusHandle,
    readiness: Arc<dyn Readiness>,
}

impl Ops {
    /// Answers from these.
    #[must_use]
    pub fn new(metrics: PrometheusHandle, readiness: Arc<dyn Readiness>) -> Self {
        Self { metrics, readiness }
    }

    async fn answer(&self, path: &str) -> http::Response<Full<Bytes>> {
        let (status, text) = match path {
            "/healthz" => (200, "ok\n".to_owned()),
            "/readyz" => match self.readiness.ready().await {
                Ok(()) => (200, "ready\n".to_owned()),
                Err(reason) => (503, format!("{reason}\n")),
            },
            "/metrics" => (200, self.metrics.render()),
            _ => (404, "there are /metrics, /healthz and /readyz\n".to_owned()),
        };
        let mut response = http::Response::new(Full::new(Bytes::from(text)));
        *response.status_mut() =
            http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
        response.headers_mut().insert(
            http::header::CONTENT_TYPE,
            http::HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        response
    }
}

/// Serves `ops` on `listener` until the tasks are cancelled.
pub async fn serve(listener: TcpListener, ops: Arc<Ops>, tasks: Tasks) {
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let stopped = tasks.token().clone();
    loop {
        let accepted = tokio::select! {
            () = stopped.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, _peer): (_, SocketAddr) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!("failed to accept on the operations port: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(permit) = connections.clone().try_acquire_owned() else {
            continue;
        };
        let ops = ops.clone();
        tasks.spawn(TaskKind::abortable("ops connection"), async move {
            let _permit = permit;
            let service = service_fn(|request: http::Request<hyper::body::Incoming>| {
                let ops = ops.clone();
                async move { Ok::<_, Infallible>(ops.answer(request.uri().path()).await) }
            });
            let served = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(10))
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(error) = served {
                tracing::debug!("operations connection ended: {error}");
            }
        });
    }
}
