//! Extensions: what they are told, and what they may answer.

use node_types::MessageId;

use super::*;

/// What an extension says, as its MessagePack library writes it.
fn said(id: u64, kind: &str, blob: &[u8]) -> Frame {
    let said = json!({"WebSocketExtPushData":
        {"id": id, "kinode_message_type": kind, "blob": blob}});
    Frame::Binary(rmp_serde::to_vec_named(&said).unwrap().into())
}

fn push_out(channel: u64, kind: &str, reply: &str) -> Value {
    json!({"WebSocketExtPushOutgoing":
        {"channel_id": channel, "message_type": kind, "desired_reply_type": reply}})
}

impl Harness {
    /// An extension of the app and its channel.
    async fn extension(&mut self) -> (Client, u64) {
        let bind =
            json!({"WebSocketBind": {"path": "/ext", "authenticated": false, "extension": true}});
        assert_eq!(self.act(APP, &bind, None).await, json!({"Ok": null}));
        let client = open(self, Origin::Tunnel, &url("/ext"), &[]).await.unwrap();
        let channel = self.channel().await;
        (client, channel)
    }

    /// Sends something to an extension in the name of the app, which waits for
    /// the answer for so many seconds.
    fn tell(&self, channel: u64, reply: &str, blob: &[u8], waits: Option<u64>) -> MessageId {
        let body = push_out(channel, "Binary", reply).to_string();
        let target = "http-server:distro:sys";
        let mut request = self.port.request(APP, target, body, Some(blob));
        if let Message::Request(inner) = &mut request.message {
            inner.expects_response = waits;
        }
        let id = request.id;
        self.inbox.try_send(request, 1).unwrap();
        id
    }

    /// What the app gets next, a response or not.
    async fn heard(&mut self) -> (MessageId, bool, Value, Bytes) {
        let message = self.sent.recv().await.unwrap();
        assert_eq!(message.target, self.port.address(APP));
        assert_eq!(message.rsvp, None);
        let body = serde_json::from_slice(message.message.body()).unwrap();
        let answers = matches!(message.message, Message::Response(..));
        let blob = message.lazy_load_blob.unwrap();
        assert_eq!(blob.mime, None);
        (message.id, answers, body, blob.bytes)
    }
}

async fn read(client: &mut Client) -> Value {
    let Frame::Binary(frame) = client.next().await.unwrap().unwrap() else {
        panic!("not binary");
    };
    rmp_serde::from_slice(&frame).unwrap()
}

fn pushed(channel: u64) -> Value {
    json!({"WebSocketPush": {"channel_id": channel, "message_type": "Binary"}})
}

#[tokio::test]
async fn an_extension_answers_in_the_place_of_the_server() {
    let mut harness = Harness::new();
    let (mut client, channel) = harness.extension().await;
    for reply in ["Response", "Request"] {
        let id = harness.tell(channel, reply, b"\x01\xff", Some(5));
        let wanted = json!({"WebSocketExtPushData":
            {"id": id.0, "kinode_message_type": reply, "blob": [1, 255]}});
        assert_eq!(read(&mut client).await, wanted);
        client.send(said(id.0, reply, b"answer")).await.unwrap();
        // The first that the app hears: the server never says Ok.
        let wanted = (
            id,
            reply == "Response",
            pushed(channel),
            Bytes::from("answer"),
        );
        assert_eq!(harness.heard().await, wanted);
    }
    harness.port.set_edition(APP, Edition::Hyperware);
    let id = harness.tell(channel, "Response", b"", None);
    let wanted = json!({"WebSocketExtPushData":
        {"id": id.0, "hyperware_message_type": "Response", "blob": []}});
    assert_eq!(read(&mut client).await, wanted);
}

#[tokio::test]
async fn nothing_is_answered_that_the_process_does_not_wait_for() {
    let mut harness = Harness::new();
    let (mut client, channel) = harness.extension().await;
    let (mut second, other_channel) = harness.extension().await;
    let elsewhere = harness.tell(other_channel, "Response", b"", Some(5));
    read(&mut second).await;
    let over = harness.tell(channel, "Response", b"", Some(0));
    let unawaited = harness.tell(channel, "Response", b"", None);
    let awaited = harness.tell(channel, "Response", b"", Some(5));
    for _ in 0..3 {
        read(&mut client).await;
    }
    client
        .send(said(awaited.0, "Response", b"1"))
        .await
        .unwrap();
    assert_eq!(harness.heard().await.0, awaited);
    for id in [0, 77, elsewhere.0, over.0, unawaited.0, awaited.0] {
        client.send(said(id, "Response", b"forged")).await.unwrap();
    }
    // What only processes say to the server is for nobody.
    for frame in [
        json!({"WebSocketClose": other_channel}),
        json!({"Unbind": {"path": "/ext"}}),
    ] {
        let frame = rmp_serde::to_vec_named(&frame).unwrap();
        client.send(Frame::Binary(frame.into())).await.unwrap();
    }
    // A request harms nobody, whatever its id.
    client
        .send(said(elsewhere.0, "Request", b"2"))
        .await
        .unwrap();
    let wanted = (elsewhere, false, pushed(channel), Bytes::from("2"));
    assert_eq!(harness.heard().await, wanted);
    // Anything else is an ordinary push.
    client.send(Frame::Binary("plain".into())).await.unwrap();
    let (body, blob) = harness.told().await;
    assert_eq!((body, blob.unwrap()), (pushed(channel), "plain".into()));
    client.send(Frame::text("text")).await.unwrap();
    let (body, blob) = harness.told().await;
    assert_eq!(body["WebSocketPush"]["message_type"], "Text");
    assert_eq!(blob.unwrap(), "text");
    // The right extension still may.
    second
        .send(said(elsewhere.0, "Response", b"3"))
        .await
        .unwrap();
    let wanted = (elsewhere, true, pushed(other_channel), Bytes::from("3"));
    assert_eq!(harness.heard().await, wanted);
}

#[tokio::test]
async fn other_sockets_are_told_and_answer_nothing() {
    let mut harness = Harness::new();
    harness.bind_socket(APP, "/", false).await;
    let mut client = open(&harness, Origin::Public, &url(""), &[]).await.unwrap();
    let channel = harness.channel().await;
    let id = harness.tell(channel, "Response", b"hi", Some(5));
    let told = read(&mut client).await;
    assert_eq!(told["WebSocketExtPushData"]["id"], id.0);
    let answer = said(id.0, "Response", b"forged");
    client.send(answer.clone()).await.unwrap();
    let (body, blob) = harness.told().await;
    assert_eq!(body, pushed(channel));
    assert_eq!(blob.unwrap(), answer.into_data());
}

#[tokio::test]
async fn what_cannot_be_pushed_is_an_error_in_each_generation() {
    let mut harness = Harness::new();
    harness.port.set_edition(OTHER, Edition::V0_8);
    let (_client, channel) = harness.extension().await;
    let new = |error: &str| json!({"Err": error});
    let old = json!({"Err": {"WebSocketPushError": {"error": "no such WebSocket channel"}}});
    let binary = push_out(channel, "Binary", "Response");
    let text = push_out(channel, "Text", "Response");
    let unknown = push_out(channel ^ 1, "Binary", "Request");
    for (source, action, blob, wanted) in [
        (APP, &binary, None, new("NoBlob")),
        (OTHER, &binary, None, new("NoBlob")),
        (APP, &text, Some(&b"x"[..]), new("NoBlob")),
        (OTHER, &text, Some(b"x"), new("NoBlob")),
        (APP, &unknown, Some(b"x"), new("WsChannelNotFound")),
        (OTHER, &unknown, Some(b"x"), old.clone()),
        // Somebody else's.
        (OTHER, &binary, Some(b"x"), old),
        (
            APP,
            &push_out(channel, "Binary", "Other"),
            None,
            new("MalformedRequest"),
        ),
    ] {
        assert_eq!(harness.act(source, action, blob).await, wanted, "{action}");
    }
}

#[tokio::test]
async fn through_the_tunnel_messages_may_be_as_large_as_it_takes() {
    const LARGE: usize = 400 << 10;
    let mut harness = Harness::with(Config {
        local_message_bytes: 4 << 20,
        ..config(false)
    });
    let (mut client, channel) = harness.extension().await;
    let large = vec![0xff; LARGE];
    let first = harness.tell(channel, "Response", &large, Some(5));
    let second = harness.tell(channel, "Response", &large, Some(5));
    for id in [first, second] {
        let told = read(&mut client).await;
        let blob = told["WebSocketExtPushData"]["blob"].as_array().unwrap();
        assert_eq!(blob.len(), LARGE);
        client.send(said(id.0, "Response", &large)).await.unwrap();
        let wanted = (id, true, pushed(channel), Bytes::from(large.clone()));
        assert!(harness.heard().await == wanted);
    }
    // One that answers nothing holds nothing up.
    client.send(said(7, "Response", &large)).await.unwrap();
    client
        .send(Frame::Binary(large.clone().into()))
        .await
        .unwrap();
    assert_eq!(harness.told().await.1.unwrap(), large);
}

#[tokio::test]
async fn what_is_too_large_for_the_tunnel_too_ends_the_socket() {
    let mut harness = Harness::new();
    let (mut client, _) = harness.extension().await;
    let most = usize::try_from(LOCAL_LIMIT).unwrap();
    let most = vec![1_u8; most];
    client
        .send(Frame::Binary(most.clone().into()))
        .await
        .unwrap();
    assert_eq!(harness.told().await.1.unwrap(), most);
    let over = [&most[..], b"1"].concat();
    client.send(Frame::Binary(over.into())).await.unwrap();
    assert_eq!(close_code(&mut client).await, 1009);
}
