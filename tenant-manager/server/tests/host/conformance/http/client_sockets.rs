//! WebSockets that a process opens: the functions of the libraries, and what
//! the client says of them.

use serde_json::{Value, json};

use super::called::{ANY, TEXT, done, either, err, ok};
use super::web::exactly;
use super::{Cell, Verdict, Web, matches, rows};

rows! {
    "client: open_ws_connection, send_ws_client_push, close_ws_connection" => library,
    "client: each type of message, there and back" => echoes,
    "client: headers of an open arrive" => headers,
    "client: a ping arrives" => ping,
    "client: the other side's end is told" => ends,
    "client: what was closed is not heard of again" => close,
    "client: answers about WebSockets, to the letter" => letters,
    "client: WsOpenFailed" => open_failed,
    "client: WsPushFailed, or WsPushUnknownChannel" => unknown_channel,
    "client: WsPushFailed, or WsPushNoBlob and WsPushBadText" => bad_push,
    "client: WsCloseFailed" => close_failed,
    "client: channels are told apart by process" => by_process,
    "client: addresses that nobody may reach by WebSocket" => refused,
}

fn opened(web: &Web, path: &str, channel: u32, headers: Value) -> Value {
    let url = web.site.origin.socket(path);
    web.call(
        "open_ws_connection",
        json!({"url": url, "channel": channel, "headers": headers}),
    )
}

/// Opens one that must open; A's log is empty before.
async fn open(web: &Web, path: &str, channel: u32) -> Result<(), String> {
    web.on("Http", json!([])).await?;
    web.site.turn(1).await;
    let told = web.one(opened(web, path, channel, json!({}))).await?;
    exactly(&told, &done())
}

async fn close_it(web: &Web, channel: u32) -> Result<(), String> {
    let step = web.call("close_ws_connection", json!({ "channel": channel }));
    exactly(&web.one(step).await?, &done())
}

fn push(channel: u32, kind: &str) -> Value {
    json!({"WebSocketPush": {"channel_id": channel, "message_type": kind}})
}

fn closed(channel: u32) -> Value {
    json!({"WebSocketClose": {"channel_id": channel}})
}

async fn library(web: &Web) -> Verdict {
    open(web, "/ws/echo", 1).await?;
    let step = web.call(
        "send_ws_client_push",
        json!({"channel": 1, "type": "Text", "text": "hello"}),
    );
    web.run(json!([step])).await?;
    let arrived = web.heard(1, 1).await?;
    exactly(&arrived[0]["body"], &push(1, "Text"))?;
    matches(&arrived[0]["blob"], json!({"text": "hello"}))?;
    close_it(web, 1).await?;
    Ok(Cell::Conforms)
}

async fn echoes(web: &Web) -> Verdict {
    open(web, "/ws/echo", 2).await?;
    for (kind, mime, text) in [
        ("Text", "text/plain", "text"),
        ("Text", "text/plain", ""),
        ("Binary", "application/octet-stream", "bytes"),
    ] {
        let options = json!({"channel": 2, "type": kind, "text": text});
        web.run(json!([web.call("send_ws_client_push", options)]))
            .await?;
        let arrived = web.heard(2, 1).await?;
        let wanted = json!({
            "is": "request",
            "source": web.client(),
            "expects": null,
            "body": push(2, kind),
            "blob": {"mime": mime, "text": text},
        });
        matches(&arrived[0], wanted)?;
    }
    let long = json!({"channel": 2, "type": "Binary", "pattern": 200_000});
    web.run(json!([web.call("send_ws_client_push", long)]))
        .await?;
    let arrived = web.heard(2, 1).await?;
    matches(&arrived[0], json!({"blob": {"bytes": 200_000}}))?;
    // Pings are answered by the other side.
    let ping = json!({"channel": 2, "type": "Ping", "text": "ping"});
    web.run(json!([web.call("send_ws_client_push", ping)]))
        .await?;
    let arrived = web.heard(2, 1).await?;
    exactly(&arrived[0]["body"], &push(2, "Pong"))?;
    close_it(web, 2).await?;
    Ok(Cell::Conforms)
}

async fn headers(web: &Web) -> Verdict {
    web.on("Http", json!([])).await?;
    web.site.turn(1).await;
    let step = opened(web, "/ws/header/x-mine?a=1", 3, json!({"X-Mine": "one"}));
    exactly(&web.one(step).await?, &done())?;
    let arrived = web.heard(3, 1).await?;
    exactly(&arrived[0]["body"], &push(3, "Text"))?;
    matches(&arrived[0]["blob"], json!({"text": "one"}))?;
    close_it(web, 3).await?;
    Ok(Cell::Conforms)
}

async fn ping(web: &Web) -> Verdict {
    open(web, "/ws/ping", 4).await?;
    let arrived = web.heard(4, 1).await?;
    exactly(&arrived[0]["body"], &push(4, "Ping"))?;
    exactly(&arrived[0]["blob"], &Value::Null)?;
    close_it(web, 4).await?;
    Ok(Cell::Conforms)
}

/// With a close of any code, and without a word.
async fn ends(web: &Web) -> Verdict {
    for path in ["/ws/close/1000", "/ws/close/1011", "/ws/drop"] {
        open(web, path, 5).await?;
        let is_end = |told: &Value| told["body"] == closed(5);
        let arrived = web.arrived(1, is_end).await?;
        let wanted = json!({"is": "request", "source": web.client(), "blob": null});
        matches(&arrived[0], wanted)?;
        // It is gone.
        let step = web.ask_client(closed(5), Value::Null);
        let wanted = err(json!({"WsCloseFailed": {"channel_id": 5}}));
        exactly(&web.one(step).await?["body"], &wanted)?;
    }
    Ok(Cell::Conforms)
}

/// The number may be used again.
async fn close(web: &Web) -> Verdict {
    for _ in 0..2 {
        open(web, "/ws/echo", 6).await?;
        close_it(web, 6).await?;
        let wanted = err(json!({"WsCloseFailed": {"channel_id": 6}}));
        let step = web.call("close_ws_connection", json!({"channel": 6}));
        exactly(&web.one(step).await?, &wanted)?;
    }
    Ok(Cell::Conforms)
}

async fn letters(web: &Web) -> Verdict {
    let acknowledged = ok("WebSocketAck");
    let url = web.site.origin.socket("/ws/echo");
    let open = json!({"WebSocketOpen": {"url": url, "headers": {}, "channel_id": u32::MAX}});
    let blob = json!({"text": "pushed"});
    let asked = vec![
        (open, Value::Null, acknowledged.clone()),
        (push(u32::MAX, "Text"), blob.clone(), acknowledged.clone()),
        (push(u32::MAX, "Binary"), blob, acknowledged.clone()),
        (closed(u32::MAX), Value::Null, acknowledged),
    ];
    web.client_answered(asked).await
}

async fn open_failed(web: &Web) -> Verdict {
    let origin = &web.site.origin;
    let nobody = format!("ws://127.0.0.1:{}/", super::site::free_port());
    for url in [
        nobody,
        origin.socket("/ws/refuse"),
        origin.socket("/echo"),
        origin.socket("/close"),
    ] {
        web.site.turn(1).await;
        let options = json!({"url": url, "channel": 7});
        let told = web.one(web.call("open_ws_connection", options)).await?;
        exactly(&told, &err(json!({"WsOpenFailed": {"url": url}})))?;
    }
    // What is no URL of a WebSocket at all.
    let body = json!({"WebSocketOpen": {"url": "no URL", "headers": {}, "channel_id": 7}});
    let told = web.one(web.ask_client(body, Value::Null)).await?;
    exactly(&told["body"], &err(json!(ANY)))?;
    Ok(Cell::Conforms)
}

/// A failed push.
fn failed(web: &Web, new: Value) -> Value {
    let old = json!({"WsPushFailed": {"req": TEXT}});
    err(either(&web.subject, old, new))
}

async fn unknown_channel(web: &Web) -> Verdict {
    let wanted = failed(web, json!({"WsPushUnknownChannel": {"channel_id": 8}}));
    let asked = ["Text", "Binary", "Ping"]
        .map(|kind| (push(8, kind), json!({"text": "blob"}), wanted.clone()));
    web.client_answered(asked.into()).await
}

async fn bad_push(web: &Web) -> Verdict {
    open(web, "/ws/echo", 9).await?;
    let no_blob = failed(web, json!("WsPushNoBlob"));
    let bad_text = failed(web, json!("WsPushBadText"));
    let asked = vec![
        (push(9, "Text"), Value::Null, no_blob.clone()),
        (push(9, "Binary"), Value::Null, no_blob),
        (push(9, "Text"), json!({"bytes": [97, 255]}), bad_text),
        // It is open still.
        (push(9, "Text"), json!({"text": "good"}), ok("WebSocketAck")),
        (closed(9), Value::Null, ok("WebSocketAck")),
    ];
    web.client_answered(asked).await
}

async fn close_failed(web: &Web) -> Verdict {
    let wanted = err(json!({"WsCloseFailed": {"channel_id": 10}}));
    let asked = vec![(closed(10), Value::Null, wanted)];
    web.client_answered(asked).await
}

/// B has the same number, and neither reaches the other's.
async fn by_process(web: &Web) -> Verdict {
    open(web, "/ws/echo", 11).await?;
    let b = web.subject.id("-b");
    let unknown = failed(web, json!({"WsPushUnknownChannel": {"channel_id": 11}}));
    let pushed = web.ask_client(push(11, "Text"), json!({"text": "not mine"}));
    let own = opened(web, "/ws/echo", 11, json!({}));
    web.site.turn(1).await;
    let steps = json!([
        pushed,
        own,
        web.call("close_ws_connection", json!({"channel": 11})),
    ]);
    let results = web.subject.run_at(&b, steps).await?;
    exactly(&results[0]["body"], &unknown)?;
    exactly(&results[1], &done())?;
    exactly(&results[2], &done())?;
    let mine = web.call(
        "send_ws_client_push",
        json!({"channel": 11, "text": "mine"}),
    );
    web.run(json!([mine])).await?;
    let arrived = web.heard(11, 1).await?;
    matches(&arrived[0]["blob"], json!({"text": "mine"}))?;
    close_it(web, 11).await?;
    Ok(Cell::Conforms)
}

async fn refused(web: &Web) -> Verdict {
    let port = web.site.origin.address().port();
    for url in [
        "ws://10.0.0.1/".to_owned(),
        format!("ws://[::1]:{port}/ws/echo"),
        format!("ws://0.0.0.0:{port}/ws/echo"),
        "ws://169.254.169.254/".to_owned(),
    ] {
        web.site.turn(1).await;
        let options = json!({"url": url, "channel": 12});
        let told = web.one(web.call("open_ws_connection", options)).await?;
        exactly(&told, &err(json!({"WsOpenFailed": {"url": url}})))?;
    }
    Ok(Cell::Conforms)
}
