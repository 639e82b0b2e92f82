//! A real client of HTTP/2 on one connection.

use std::future::Future;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper_util::rt::TokioIo;
use lifecycle::{TaskKind, Tasks};
use node_api::HttpBody;
use tokio::net::TcpStream;

use super::{Host, PATIENCE};

/// Runs what the client wants run.
#[derive(Clone)]
struct OnTasks(Tasks);

impl<F> hyper::rt::Executor<F> for OnTasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        self.0.spawn(TaskKind::abortable("http2 client"), task);
    }
}

/// Connects without asking first, as proxies do.
pub async fn connect(host: &Host) -> http2::SendRequest<HttpBody> {
    let stream = TcpStream::connect(host.address).await.unwrap();
    let executor = OnTasks(host.tasks.clone());
    let (sender, connection) = http2::handshake(executor, TokioIo::new(stream))
        .await
        .unwrap();
    host.tasks.spawn(TaskKind::abortable("client"), async move {
        let _ = connection.await;
    });
    sender
}

/// A body that is there.
pub fn whole(bytes: impl Into<Bytes>) -> HttpBody {
    let body = Full::new(bytes.into());
    body.map_err(|never| match never {}).boxed_unsync()
}

/// One request and its whole answer.
pub async fn exchange(
    sender: &http2::SendRequest<HttpBody>,
    request: Request<HttpBody>,
) -> (StatusCode, HeaderMap, String) {
    let mut sender = sender.clone();
    let talk = async {
        sender.ready().await.unwrap();
        let response = sender.send_request(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&body).into_owned();
        (parts.status, parts.headers, text)
    };
    tokio::time::timeout(PATIENCE, talk).await.unwrap()
}
