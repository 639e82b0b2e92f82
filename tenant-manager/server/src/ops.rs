//! The operations port: `/metrics`, `/healthz`, `/readyz`.
//!
//! Private by default and plain: three answers, no routing library. `/healthz`
//! says that the process answers at all, `/readyz` whether it should be given
//! work. Stops with its tasks.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use lifecycle::{TaskKind, Tasks};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::{TcpListener, TcpStream};

use crate::readiness::Readiness;
use crate::{accept, process_stats};

/// Most connections served at once; more are closed at once.
const MAX_CONNECTIONS: usize = 64;

/// What the three paths answer from.
pub struct Ops {
    metrics: PrometheusHandle,
    readiness: Readiness,
    tasks: Tasks,
}

impl Ops {
    /// Answers from these; reads figures on blocking threads of `tasks`.
    #[must_use]
    pub fn new(metrics: PrometheusHandle, readiness: Readiness, tasks: Tasks) -> Self {
        Self {
            metrics,
            readiness,
            tasks,
        }
    }

    async fn answer(&self, path: &str) -> http::Response<Full<Bytes>> {
        let (status, text) = match path {
            "/healthz" => (200, "ok\n".to_owned()),
            "/readyz" => match self.readiness.ready().await {
                Ok(()) => (200, "ready\n".to_owned()),
                Err(reason) => (503, format!("{reason}\n")),
            },
            "/metrics" => {
                let metrics = self.metrics.clone();
                let sampled = self.tasks.blocking(move || {
                    process_stats::sample();
                    metrics.render()
                });
                match sampled.await {
                    Some(text) => (200, text),
                    None => (500, "sampling failed; see the log\n".to_owned()),
                }
            }
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
    let serve = |stream| connection(stream, ops.clone());
    let kind = TaskKind::abortable("operations connection");
    accept::serve(kind, listener, MAX_CONNECTIONS, tasks, serve).await;
}

async fn connection(stream: TcpStream, ops: Arc<Ops>) {
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
}
