//! WebSockets to servers, from the request that opens them to their end.

mod opening;

use futures::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::{WebSocketStream, accept_async};

use super::*;

type Peer = WebSocketStream<TcpStream>;

/// A server that hands over every socket.
async fn hub(tasks: &Tasks) -> (String, mpsc::Receiver<Peer>) {
    let (sender, receiver) = mpsc::channel(100);
    let address = listen(tasks, move |stream| {
        let sender = sender.clone();
        async move {
            if let Ok(peer) = accept_async(stream).await {
                let _ = sender.send(peer).await;
            }
        }
    })
    .await;
    (format!("ws://{address}/live"), receiver)
}

fn open(url: &str, channel: u32) -> Value {
    json!({"WebSocketOpen": {"url": url, "headers": {}, "channel_id": channel}})
}

fn push(channel: u32, kind: &str) -> Value {
    json!({"WebSocketPush": {"channel_id": channel, "message_type": kind}})
}

fn close(channel: u32) -> Value {
    json!({"WebSocketClose": {"channel_id": channel}})
}

fn acknowledged() -> Value {
    json!({"Ok": "WebSocketAck"})
}

impl Rig {
    async fn open(&mut self, source: &str, url: &str, channel: u32) {
        let (answer, _) = self.ask(source, &open(url, channel), None).await;
        assert_eq!(answer, acknowledged());
    }

    /// The next message to a process, and its blob.
    async fn told(&mut self) -> (Value, Option<Blob>) {
        let message = self.next().await;
        assert!(matches!(message.message, Message::Request(_)));
        assert!(!message.message.expects_response());
        (read(&message), message.lazy_load_blob)
    }
}

/// The code of the close frame that comes next.
async fn close_code(peer: &mut Peer) -> u16 {
    while let Some(Ok(frame)) = peer.next().await {
        if let Frame::Close(Some(close)) = frame {
            // The answer to it.
            let _ = peer.next().await;
            return close.code.into();
        }
    }
    0
}

#[tokio::test]
async fn frames_go_both_ways_and_the_end_is_told_once() {
    let mut rig = Rig::new();
    let (url, mut peers) = hub(&rig.tasks).await;
    let message = rig.message(APP, &open(&url, 7), None);
    let id = message.id;
    rig.give(message);
    assert_eq!(read(&rig.next().await), acknowledged());
    assert_eq!(rig.used.load(Ordering::SeqCst), 1);
    let mut peer = peers.recv().await.unwrap();
    for (kind, blob, wanted) in [
        ("Text", Some(&b"hi"[..]), Frame::text("hi")),
        (
            "Binary",
            Some(&b"\xff"[..]),
            Frame::Binary(Bytes::from_static(b"\xff")),
        ),
        ("Ping", None, Frame::Ping(Bytes::new())),
        (
            "Pong",
            Some(&b"p"[..]),
            Frame::Pong(Bytes::from_static(b"p")),
        ),
    ] {
        let (answer, _) = rig.ask(APP, &push(7, kind), blob).await;
        assert_eq!(answer, acknowledged());
        assert_eq!(peer.next().await.unwrap().unwrap(), wanted);
    }
    // The answer to the ping of the process.
    peer.flush().await.unwrap();
    assert_eq!(rig.told().await, (push(7, "Pong"), None));
    for (frame, kind, mime) in [
        (Frame::text("hi"), "Text", Some("text/plain")),
        (
            Frame::binary("hi"),
            "Binary",
            Some("application/octet-stream"),
        ),
        (Frame::Ping("hi".into()), "Ping", None),
        (Frame::Pong("hi".into()), "Pong", None),
    ] {
        peer.send(frame).await.unwrap();
        let message = rig.next().await;
        assert_eq!(message.id, id);
        assert_eq!(message.target, rig.port.address(APP));
        assert_eq!(read(&message), push(7, kind));
        let wanted = mime.map(|mime| Blob {
            mime: Some(mime.to_owned()),
            bytes: "hi".into(),
        });
        assert_eq!(message.lazy_load_blob, wanted);
    }
    let pong = peer.next().await.unwrap().unwrap();
    assert_eq!(pong, Frame::Pong("hi".into()));
    peer.close(Some(CloseFrame {
        code: CloseCode::Away,
        reason: "away".into(),
    }))
    .await
    .unwrap();
    while let Some(Ok(_)) = peer.next().await {}
    drop(peer);
    assert_eq!(rig.told().await, (close(7), None));
    let (client, used) = (rig.client.clone(), rig.used.clone());
    until(|| client.sockets.count() == (0, sockets_free(0))).await;
    until(|| used.load(Ordering::SeqCst) == 0).await;
    // Nothing else is told.
    let (answer, _) = rig.ask(APP, &push(7, "Text"), Some(b"late")).await;
    let gone = json!({"Err": {"WsPushUnknownChannel": {"channel_id": 7}}});
    assert_eq!(answer, gone);
}

/// How many places are free while `taken` sockets are there.
fn sockets_free(taken: usize) -> usize {
    crate::http_client::sockets::MAX_CHANNELS - taken
}

#[tokio::test]
async fn a_process_closes_what_it_opened_after_what_it_pushed() {
    let mut rig = Rig::new();
    let (url, mut peers) = hub(&rig.tasks).await;
    for closing in [close(1), push(1, "Close")] {
        rig.open(APP, &url, 1).await;
        let mut peer = peers.recv().await.unwrap();
        for number in 0..50_u32 {
            let number = number.to_string();
            let text = push(1, "Text");
            let pushed = rig.ask(APP, &text, Some(number.as_bytes()));
            assert_eq!(pushed.await.0, acknowledged());
        }
        assert_eq!(rig.ask(APP, &closing, None).await.0, acknowledged());
        for number in 0..50_u32 {
            let frame = peer.next().await.unwrap().unwrap();
            assert_eq!(frame, Frame::text(number.to_string()));
        }
        assert_eq!(close_code(&mut peer).await, 1000);
        drop(peer);
        assert_eq!(rig.told().await.0, close(1));
        let client = rig.client.clone();
        until(|| client.sockets.count() == (0, sockets_free(0))).await;
    }
}

#[tokio::test]
async fn channels_are_the_processes_own() {
    let mut rig = Rig::new();
    let (url, mut peers) = hub(&rig.tasks).await;
    rig.open(APP, &url, 1).await;
    let mut of_app = peers.recv().await.unwrap();
    let (answer, _) = rig.ask(OLD, &push(1, "Text"), Some(b"forged")).await;
    let wanted = json!({"WsPushFailed": {"req": "no such WebSocket channel: 1"}});
    assert_eq!(answer, json!({"Err": wanted}));
    let (answer, _) = rig.ask(OLD, &close(1), None).await;
    assert_eq!(answer, json!({"Err": {"WsCloseFailed": {"channel_id": 1}}}));
    // The same number is another channel.
    rig.open(OLD, &url, 1).await;
    let mut of_old = peers.recv().await.unwrap();
    assert_eq!(
        rig.ask(OLD, &push(1, "Text"), Some(b"o")).await.0,
        acknowledged()
    );
    assert_eq!(
        rig.ask(APP, &push(1, "Text"), Some(b"a")).await.0,
        acknowledged()
    );
    assert_eq!(of_old.next().await.unwrap().unwrap(), Frame::text("o"));
    assert_eq!(of_app.next().await.unwrap().unwrap(), Frame::text("a"));
    // The end of a process is that of its channels, and nobody is told.
    rig.client.process_ended(&APP.parse().unwrap());
    assert_eq!(close_code(&mut of_app).await, 1011);
    drop(of_app);
    of_old.send(Frame::text("still here")).await.unwrap();
    assert_eq!(rig.told().await.0, push(1, "Text"));
    let client = rig.client.clone();
    until(|| client.sockets.count() == (1, sockets_free(1))).await;
}

#[tokio::test]
async fn what_cannot_be_pushed_is_told() {
    let mut rig = Rig::new();
    let (url, mut peers) = hub(&rig.tasks).await;
    let long = [b'x'; 126];
    let longest = usize::try_from(LIMIT).unwrap();
    let (too_long, too_long_text) = (
        vec![b'x'; longest + 1],
        format!("a message has at most {LIMIT} bytes"),
    );
    let mut open = Vec::new();
    for source in [APP, OLD] {
        rig.open(source, &url, 1).await;
        open.push(peers.recv().await.unwrap());
        for (kind, blob, word, text) in [
            (
                "Text",
                None,
                json!("WsPushNoBlob"),
                "what to push must be in the blob of the request, which has none",
            ),
            (
                "Binary",
                None,
                json!("WsPushNoBlob"),
                "what to push must be in the blob of the request, which has none",
            ),
            (
                "Text",
                Some(&b"\xff"[..]),
                json!("WsPushBadText"),
                "a text must be UTF-8",
            ),
            (
                "Ping",
                Some(&long[..]),
                json!("MalformedRequest"),
                "a ping or pong carries at most 125 bytes",
            ),
            (
                "Text",
                Some(&too_long[..]),
                json!("MalformedRequest"),
                too_long_text.as_str(),
            ),
            (
                "Binary",
                Some(&too_long[..]),
                json!("MalformedRequest"),
                too_long_text.as_str(),
            ),
        ] {
            let (answer, _) = rig.ask(source, &push(1, kind), blob).await;
            let wanted = if source == APP {
                word
            } else {
                json!({"WsPushFailed": {"req": text}})
            };
            assert_eq!(answer, json!({"Err": wanted}), "{kind}");
        }
    }
}
