//! WebSockets as browsers and apps see them, over whole connections.

mod bounds;
mod ends;
mod extensions;

use futures::{SinkExt, StreamExt};
use node_api::Origin;
use node_types::Edition;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message as Frame};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::*;

type Client = WebSocketStream<DuplexStream>;

const OTHER: &str = "other:test:alice.dev";
/// What a connection holds on its way; a slow reader fills it.
const PIPE: usize = 16 << 10;

fn connect(harness: &Harness, origin: Origin) -> DuplexStream {
    let (ours, theirs) = tokio::io::duplex(PIPE);
    let server = Arc::clone(&harness.server);
    let stop = harness.tasks.token().clone();
    harness
        .tasks
        .spawn(TaskKind::graceful("connection"), async move {
            server.serve(Box::new(theirs), origin, stop).await;
        });
    ours
}

/// Opens a WebSocket, or gives the status of the refusal.
async fn open(
    harness: &Harness,
    origin: Origin,
    url: &str,
    headers: &[(&'static str, &str)],
) -> Result<Client, u16> {
    let mut asked = url.into_client_request().unwrap();
    for (name, value) in headers {
        asked.headers_mut().insert(*name, value.parse().unwrap());
    }
    match client_async(asked, connect(harness, origin)).await {
        Ok((client, _)) => Ok(client),
        Err(Error::Http(refusal)) => Err(refusal.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

fn url(path: &str) -> String {
    format!("ws://localhost/{APP}{path}")
}

impl Harness {
    async fn bind_socket(&mut self, source: &str, path: &str, authenticated: bool) {
        let action = json!({"WebSocketBind": {"path": path, "authenticated": authenticated,
            "encrypted": false, "extension": false}});
        assert_eq!(self.act(source, &action, None).await, json!({"Ok": null}));
    }

    /// The next message to an app and its blob.
    async fn told(&mut self) -> (Value, Option<Bytes>) {
        let message = self.sent.recv().await.unwrap();
        let Message::Request(request) = &message.message else {
            panic!("not a request: {message:?}");
        };
        assert_eq!(request.expects_response, None);
        let body = serde_json::from_slice(&request.body).unwrap();
        (body, message.lazy_load_blob.map(|blob| blob.bytes))
    }

    async fn channel(&mut self) -> u64 {
        let (body, blob) = self.told().await;
        assert_eq!(blob, None);
        body["WebSocketOpen"]["channel_id"].as_u64().unwrap()
    }

    async fn push(&mut self, source: &str, channel: u64, kind: &str, bytes: &[u8]) -> Value {
        let push = json!({"WebSocketPush": {"channel_id": channel, "message_type": kind}});
        self.act(source, &push, Some(bytes)).await
    }
}

/// Reads to the close frame, and to the end after it.
async fn close_code(client: &mut Client) -> u16 {
    let mut code = None;
    while let Some(Ok(frame)) = client.next().await {
        if let Frame::Close(Some(close)) = frame {
            code = Some(close.code.into());
        }
    }
    code.unwrap()
}

#[tokio::test]
async fn frames_go_both_ways_in_order_and_the_end_is_told() {
    let mut harness = Harness::new();
    harness.bind_socket(APP, "/live", false).await;
    let mut client = open(&harness, Origin::Public, &url("/live"), &[])
        .await
        .unwrap();
    let (body, _) = harness.told().await;
    assert_eq!(body["WebSocketOpen"]["path"], "/live");
    let channel = body["WebSocketOpen"]["channel_id"].as_u64().unwrap();
    for number in 0..300_u32 {
        let frame = match number % 3 {
            0 => Frame::text(number.to_string()),
            1 => Frame::Binary(number.to_string().into()),
            _ => Frame::Ping(number.to_string().into()),
        };
        client.send(frame).await.unwrap();
        let (body, blob) = harness.told().await;
        let kind = ["Text", "Binary", "Ping"][number as usize % 3];
        let wanted = json!({"WebSocketPush": {"channel_id": channel, "message_type": kind}});
        assert_eq!((body, blob.unwrap()), (wanted, number.to_string().into()));
        if number % 3 == 2 {
            assert_eq!(
                client.next().await.unwrap().unwrap(),
                Frame::Pong(number.to_string().into())
            );
        }
    }
    for (kind, bytes, wanted) in [
        ("Text", &b"hi \xff"[..], Frame::text("hi \u{fffd}")),
        (
            "Binary",
            b"\x00\xff",
            Frame::Binary(Bytes::from_static(b"\x00\xff")),
        ),
        ("Ping", b"p", Frame::Ping(Bytes::from_static(b"p"))),
        ("Pong", b"q", Frame::Pong(Bytes::from_static(b"q"))),
    ] {
        assert_eq!(
            harness.push(APP, channel, kind, bytes).await,
            json!({"Ok": null})
        );
        assert_eq!(client.next().await.unwrap().unwrap(), wanted);
    }
    // The answer to the app's ping.
    client.flush().await.unwrap();
    let (body, blob) = harness.told().await;
    assert_eq!(
        (
            body["WebSocketPush"]["message_type"].as_str(),
            blob.unwrap()
        ),
        (Some("Pong"), "p".into())
    );
    client.close(None).await.unwrap();
    assert_eq!(harness.told().await.0, json!({"WebSocketClose": channel}));
    let late = harness.push(APP, channel, "Text", b"late").await;
    assert_eq!(late, json!({"Err": "WsChannelNotFound"}));
}

#[tokio::test]
async fn a_channel_belongs_to_its_process() {
    let mut harness = Harness::new();
    harness.port.set_edition(OTHER, Edition::V0_8);
    harness.bind_socket(APP, "/", false).await;
    let mut client = open(&harness, Origin::Public, &url(""), &[]).await.unwrap();
    let channel = harness.channel().await;
    let error = harness.push(OTHER, channel, "Text", b"forged").await;
    let wanted = json!({"Err": {"WebSocketPushError": {"error": "no such WebSocket channel"}}});
    assert_eq!(error, wanted);
    let close = json!({"WebSocketClose": channel});
    assert_eq!(harness.act(OTHER, &close, None).await, json!({"Ok": null}));
    let long = [b'x'; 126];
    for kind in ["Ping", "Pong"] {
        let error = harness.push(APP, channel, kind, &long).await;
        assert_eq!(error, json!({"Err": "WsPingPongTooLong"}));
        let error = harness.push(OTHER, channel, kind, &long).await;
        let wanted = "a ping or pong carries at most 125 bytes";
        assert_eq!(
            error,
            json!({"Err": {"WebSocketPushError": {"error": wanted}}})
        );
    }
    // Everything pushed before a close arrives.
    for number in 0..50 {
        harness
            .push(APP, channel, "Text", format!("{number}").as_bytes())
            .await;
    }
    assert_eq!(harness.act(APP, &close, None).await, json!({"Ok": null}));
    for number in 0..50 {
        assert_eq!(
            client.next().await.unwrap().unwrap(),
            Frame::text(number.to_string())
        );
    }
    assert_eq!(close_code(&mut client).await, 1000);
    assert_eq!(harness.told().await.0, close);
    // Pushing `Close` is a close too.
    let mut client = open(&harness, Origin::Public, &url(""), &[]).await.unwrap();
    let channel = harness.channel().await;
    assert_eq!(
        harness.push(APP, channel, "Close", b"").await,
        json!({"Ok": null})
    );
    assert_eq!(close_code(&mut client).await, 1000);
}

#[tokio::test]
async fn the_owners_sockets_open_for_the_owners_pages_only() {
    let mut harness = Harness::new();
    harness.bind_socket(APP, "/mine", true).await;
    let cookie = harness.server.login_cookie(false).unwrap();
    let cookie = cookie.split(';').next().unwrap();
    let signed_in = ("cookie", cookie);
    // What a browser gets who may not: the login page's status, or a 404.
    for headers in [
        &[][..],
        &[("cookie", "kinode-auth_alice.dev=junk")],
        &[signed_in, ("origin", "http://mallory.localhost")],
        &[signed_in, ("origin", "http://localhost.evil.example")],
        &[signed_in, ("origin", "https://evil.example")],
        &[signed_in, ("origin", "http://localhost:8001")],
        &[signed_in, ("origin", "null")],
    ] {
        let refused = open(&harness, Origin::Public, &url("/mine"), headers).await;
        assert_eq!(refused.err(), Some(404), "{headers:?}");
    }
    for headers in [
        &[signed_in][..],
        &[signed_in, ("origin", "http://localhost")],
        &[signed_in, ("origin", "https://LOCALHOST")],
    ] {
        open(&harness, Origin::Public, &url("/mine"), headers)
            .await
            .unwrap();
        harness.channel().await;
        assert!(harness.told().await.0["WebSocketClose"].is_u64());
    }
    // The owner's machine may develop an app on another port.
    let local = [signed_in, ("origin", "http://localhost:3000")];
    open(&harness, Origin::Tunnel, &url("/mine"), &local)
        .await
        .unwrap();
    harness.channel().await;
    assert!(harness.told().await.0["WebSocketClose"].is_u64());
    let foreign = [signed_in, ("origin", "http://mallory.localhost:8000")];
    let refused = open(&harness, Origin::Tunnel, &url("/mine"), &foreign).await;
    assert_eq!(refused.err(), Some(404));
    // A refused upgrade is an ordinary request for the same path.
    harness.bind("/mine", true, false).await;
    let refused = open(&harness, Origin::Public, &url("/mine"), &[]).await;
    assert_eq!(refused.err(), Some(200));
}

#[tokio::test]
async fn extensions_come_through_the_tunnel() {
    let mut harness = Harness::new();
    let bind =
        json!({"WebSocketBind": {"path": "/ext", "authenticated": false, "extension": true}});
    assert_eq!(harness.act(APP, &bind, None).await, json!({"Ok": null}));
    let refused = open(&harness, Origin::Public, &url("/ext"), &[]).await;
    assert_eq!(refused.err(), Some(404));
    let page = [("origin", "http://mallory.localhost:8000")];
    let refused = open(&harness, Origin::Tunnel, &url("/ext"), &page).await;
    assert_eq!(refused.err(), Some(404));
    open(&harness, Origin::Tunnel, &url("/ext"), &[])
        .await
        .unwrap();
    harness.channel().await;
}

#[tokio::test]
async fn handshakes_that_are_none_are_refused() {
    let mut harness = Harness::new();
    harness.bind_socket(APP, "/", false).await;
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let version = "Sec-WebSocket-Version: 13\r\n";
    let upgrade = "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n";
    for (head, wanted) in [
        (format!("{upgrade}{version}"), "400"),
        (format!("{upgrade}{version}{key}{key}"), "400"),
        (
            format!("{upgrade}{version}Sec-WebSocket-Key: short\r\n"),
            "400",
        ),
        (format!("{upgrade}{key}"), "426"),
        (format!("{upgrade}{key}Sec-WebSocket-Version: 8\r\n"), "426"),
        (
            format!("{upgrade}{version}{key}Content-Length: 5\r\n"),
            "400",
        ),
        (
            format!("Connection: Upgrade\r\nUpgrade: h2c\r\n{version}{key}"),
            "404",
        ),
        (format!("Upgrade: websocket\r\n{version}{key}"), "404"),
        (format!("{upgrade}{version}{key}"), "101"),
    ] {
        let mut io = connect(&harness, Origin::Public);
        let request = format!("GET /{APP} HTTP/1.1\r\nHost: localhost\r\n{head}\r\n");
        io.write_all(request.as_bytes()).await.unwrap();
        let mut status = [0; 12];
        io.read_exact(&mut status).await.unwrap();
        assert_eq!(std::str::from_utf8(&status[9..]).unwrap(), wanted, "{head}");
    }
}
