//! Extensions: programs on the owner's machine that a process exchanges
//! messages with, through a tunnel.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::called::{NUMBER, done, either, err, of_the_book};
use super::line::Line;
use super::sockets::connect;
use super::web::{equal, exactly};
use super::{By, Cell, Verdict, Web, matches, msgpack, rows};

rows! {
    "extension: bind_ext_path, or bind_ws_path with the flag" => bind,
    "extension: it comes through a tunnel and by no other way" => only_by_tunnel,
    "extension: its Response answers the app's request" => response,
    "extension: its Request arrives as one" => request,
    "extension: fields in order, and bytes as bytes" => other_encodings,
    "extension: a frame that is none of its own is a push" => plain_frames,
    "extension: other actions of it are dropped" => other_actions,
    "extension: NoBlob" => no_blob,
    "extension: WebSocketPushError, or WsChannelNotFound" => no_channel,
}

/// Has A bind a path for extensions, and connects one.
async fn connected(web: &Web, rest: &str) -> Result<(Line, u64), String> {
    bound(web, rest).await?;
    connect(web, By::Tunnel, rest).await
}

async fn bound(web: &Web, rest: &str) -> Result<(), String> {
    let (function, options) = if of_the_book(&web.subject) {
        ("bind_ext_path", json!({ "path": rest }))
    } else {
        let options = json!({"path": rest, "authenticated": false, "extension": true});
        ("bind_ws_path", options)
    };
    web.does(vec![web.call(function, options)]).await?;
    web.on("Http", json!([])).await
}

/// How the edition calls the type of a message.
fn kind_key(web: &Web) -> &'static str {
    if web.subject.column.edition == "hyperware" {
        "hyperware_message_type"
    } else {
        "kinode_message_type"
    }
}

fn outgoing(channel: u64, kind: &str, reply: &str) -> Value {
    json!({"WebSocketExtPushOutgoing": {
        "channel_id": channel, "message_type": kind, "desired_reply_type": reply,
    }})
}

/// A frame of the extension's.
fn data(web: &Web, id: &Value, kind: &str, bytes: &[u8]) -> Value {
    json!({"WebSocketExtPushData": {"id": id, kind_key(web): kind, "blob": bytes}})
}

/// What the app pushed, to the letter; its id.
async fn heard(web: &Web, line: &mut Line, kind: &str, bytes: &[u8]) -> Result<Value, String> {
    let Message::Binary(frame) = line.next().await? else {
        return Err("no binary frame came".to_owned());
    };
    let told = msgpack::read(&frame)?;
    exactly(&told, &data(web, &json!(NUMBER), kind, bytes))?;
    Ok(told["WebSocketExtPushData"]["id"].clone())
}

/// What a message of the extension's says to the app.
fn pushed(channel: u64) -> Value {
    json!({"WebSocketPush": {"channel_id": channel, "message_type": "Binary"}})
}

async fn bind(web: &Web) -> Verdict {
    let (mut line, channel) = connected(web, "/ext").await?;
    // It is a WebSocket like others, too.
    let push = json!({"channel": channel, "text": "plain"});
    web.run(json!([web.call("send_ws_push", push)])).await?;
    line.hears(Message::text("plain")).await?;
    drop(line);
    let arrived = web.heard(channel, 1).await?;
    exactly(&arrived[0]["body"], &json!({ "WebSocketClose": channel }))?;
    Ok(Cell::Conforms)
}

async fn only_by_tunnel(web: &Web) -> Verdict {
    bound(web, "/ext-local").await?;
    let path = web.path("/ext-local");
    for by in [By::Stranger, By::Owner, By::Subdomain] {
        match Line::try_open(&web.site, by, &path, &[]).await? {
            Ok(_) => return Err(format!("it opened for {by:?}")),
            Err(status) => equal("status", status, 404_u16)?,
        }
    }
    let foreign = [("origin", "http://elsewhere.example")];
    if Line::try_open(&web.site, By::Tunnel, &path, &foreign)
        .await?
        .is_ok()
    {
        return Err("it opened for a page from elsewhere".to_owned());
    }
    connect(web, By::Tunnel, "/ext-local").await?;
    Ok(Cell::Conforms)
}

/// A waits for the answer, as an app does; `answer` is what the extension sends
/// for the id.
async fn exchange(
    web: &Web,
    line: &mut Line,
    channel: u64,
    answer: impl Fn(&Value) -> Vec<u8>,
) -> Result<Value, String> {
    let asked = web.ask(
        outgoing(channel, "Binary", "Response"),
        json!({"text": "question"}),
    );
    let extension = async {
        let id = heard(web, line, "Response", b"question").await?;
        line.send(Message::binary(answer(&id))).await
    };
    let (told, answered) = futures::join!(web.one(asked), extension);
    answered?;
    told
}

async fn response(web: &Web) -> Verdict {
    let (mut line, channel) = connected(web, "/ext-response").await?;
    for round in 0..3_u8 {
        let bytes = [b'a', round];
        let told = exchange(web, &mut line, channel, |id| {
            msgpack::write(&data(web, id, "Response", &bytes))
        })
        .await?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let wanted = json!({
            "is": "response",
            "source": web.server(),
            "body": pushed(channel),
            "blob": {"text": text},
        });
        matches(&told, wanted)?;
    }
    Ok(Cell::Conforms)
}

/// Also one that nobody asked for.
async fn request(web: &Web) -> Verdict {
    let (mut line, channel) = connected(web, "/ext-request").await?;
    let send = json!({"send": {
        "to": web.server(),
        "body": outgoing(channel, "Binary", "Request"),
        "blob": {"text": "go on"},
    }});
    web.run(json!([send])).await?;
    let id = heard(web, &mut line, "Request", b"go on").await?;
    for (id, text) in [(id, "asked for"), (json!(7), "unasked")] {
        let frame = data(web, &id, "Request", text.as_bytes());
        line.send(Message::binary(msgpack::write(&frame))).await?;
        let arrived = web.heard(channel, 1).await?;
        let wanted = json!({
            "is": "request",
            "source": web.server(),
            "body": pushed(channel),
            "blob": {"text": text},
        });
        matches(&arrived[0], wanted)?;
    }
    Ok(Cell::Conforms)
}

/// As encoders of other languages write it.
async fn other_encodings(web: &Web) -> Verdict {
    let (mut line, channel) = connected(web, "/ext-encodings").await?;
    let in_order = |id: &Value| {
        let fields = json!([id, "Response", [104, 105]]);
        msgpack::write(&json!({ "WebSocketExtPushData": fields }))
    };
    let as_bytes = |id: &Value| {
        // A map of one, then of three fields, of which the last is `bin`.
        let mut frame = vec![0x81];
        frame.extend(msgpack::write(&json!("WebSocketExtPushData")));
        frame.push(0x83);
        for part in [
            json!("id"),
            id.clone(),
            json!(kind_key(web)),
            json!("Response"),
            json!("blob"),
        ] {
            frame.extend(msgpack::write(&part));
        }
        frame.extend(msgpack::bin(b"hi"));
        frame
    };
    for encoding in [&in_order as &(dyn Fn(&Value) -> Vec<u8> + Sync), &as_bytes] {
        let told = exchange(web, &mut line, channel, encoding).await?;
        matches(&told, json!({"is": "response", "blob": {"text": "hi"}}))?;
    }
    Ok(Cell::Conforms)
}

async fn plain_frames(web: &Web) -> Verdict {
    let (mut line, channel) = connected(web, "/ext-plain").await?;
    for (message, kind, text) in [
        (Message::binary(b"no map".to_vec()), "Binary", "no map"),
        (Message::text("text"), "Text", "text"),
    ] {
        line.send(message).await?;
        let arrived = web.heard(channel, 1).await?;
        let body = json!({"WebSocketPush": {"channel_id": channel, "message_type": kind}});
        matches(&arrived[0], json!({"body": body, "blob": {"text": text}}))?;
    }
    Ok(Cell::Conforms)
}

async fn other_actions(web: &Web) -> Verdict {
    let (mut line, channel) = connected(web, "/ext-actions").await?;
    for action in [
        json!({ "WebSocketClose": channel }),
        json!({"Unbind": {"path": "/ext-actions"}}),
    ] {
        line.send(Message::binary(msgpack::write(&action))).await?;
    }
    line.send(Message::text("mark")).await?;
    let arrived = web.heard(channel, 1).await?;
    matches(&arrived[0], json!({"blob": {"text": "mark"}}))?;
    equal("messages", arrived.len(), 1_usize)?;
    Ok(Cell::Conforms)
}

async fn no_blob(web: &Web) -> Verdict {
    let (mut line, channel) = connected(web, "/ext-no-blob").await?;
    let text = json!({"text": "blob"});
    let refused = err(json!("NoBlob"));
    let asked = vec![
        (
            outgoing(channel, "Binary", "Response"),
            Value::Null,
            refused.clone(),
        ),
        (
            outgoing(channel, "Text", "Response"),
            text.clone(),
            refused.clone(),
        ),
        (outgoing(channel, "Ping", "Response"), text, refused),
        (json!({ "WebSocketClose": channel }), Value::Null, done()),
    ];
    web.answered(asked).await?;
    line.is_closed(1000).await?;
    Ok(Cell::Conforms)
}

async fn no_channel(web: &Web) -> Verdict {
    let (line, channel) = connected(web, "/ext-gone").await?;
    let old = json!({"WebSocketPushError": {"error": super::called::TEXT}});
    let wanted = err(either(&web.subject, old, json!("WsChannelNotFound")));
    let blob = json!({"text": "blob"});
    let step = web.ask(outgoing(channel, "Binary", "Response"), blob.clone());
    let b = web.subject.id("-b");
    let results = web.subject.run_at(&b, json!([step])).await?;
    exactly(&results[0]["body"], &wanted)?;
    drop(line);
    web.heard(channel, 1).await?;
    web.answered(vec![(
        outgoing(channel, "Binary", "Response"),
        blob,
        wanted,
    )])
    .await
}
