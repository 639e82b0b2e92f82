//! A real HTTP client on one connection.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use lifecycle::TaskKind;
use node_api::HttpBody;
use tokio::net::TcpStream;

use crate::support::{Host, PATIENCE};

async fn connect(host: &Host) -> http1::SendRequest<HttpBody> {
    let stream = TcpStream::connect(host.address).await.unwrap();
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    host.tasks.spawn(TaskKind::abortable("client"), async move {
        let _ = connection.await;
    });
    sender
}

fn request(method: &str, path: &str, body: HttpBody) -> Request<HttpBody> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("host", "alice.localhost")
        .body(body)
        .unwrap()
}

fn whole(text: &'static str) -> HttpBody {
    let body = Full::new(Bytes::from_static(text.as_bytes()));
    body.map_err(|never| match never {}).boxed_unsync()
}

async fn ask(
    sender: &mut http1::SendRequest<HttpBody>,
    request: Request<HttpBody>,
) -> (StatusCode, String) {
    let talk = async {
        sender.ready().await.unwrap();
        let response = sender.send_request(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    };
    tokio::time::timeout(PATIENCE, talk).await.unwrap()
}

#[tokio::test]
async fn a_connection_is_used_again_until_a_chunked_request() {
    let host = Host::start().await;
    let token = host.sign_up("ann@example.org").await;
    host.make_node(&token, "alice").await;
    let mut sender = connect(&host).await;
    for _ in 0..3 {
        let posted = ask(&mut sender, request("POST", "/echo", whole("hello"))).await;
        assert_eq!(posted, (StatusCode::OK, "hello".to_owned()));
        let got = ask(&mut sender, request("GET", "/name", whole(""))).await;
        assert_eq!(got.1, "alice.dev");
        let (head, text) = ask(&mut sender, request("HEAD", "/name", whole(""))).await;
        assert_eq!((head, text.as_str()), (StatusCode::OK, ""));
        let refused = ask(
            &mut sender,
            request("GET", "/rpc:distro:sys/message", whole("")),
        )
        .await;
        assert_eq!(refused.0, StatusCode::FORBIDDEN);
    }
    let pieces = futures::stream::iter(
        ["a", "bc", "def"]
            .map(|piece| Ok(http_body::Frame::data(Bytes::from_static(piece.as_bytes())))),
    );
    let chunked = StreamBody::new(pieces).boxed_unsync();
    let echoed = ask(&mut sender, request("POST", "/echo", chunked)).await;
    assert_eq!(echoed.1, "abcdef");
    let ended = tokio::time::timeout(PATIENCE, sender.ready())
        .await
        .unwrap();
    assert!(ended.is_err(), "the connection ends after it");
}
