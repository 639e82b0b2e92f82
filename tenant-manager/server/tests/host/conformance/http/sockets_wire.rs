//! What the server says of WebSockets, to the letter, and how they end.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::called::{TEXT, done, either, err};
use super::line::Line;
use super::sockets::{connect, open_to_all};
use super::web::{equal, exactly};
use super::{By, Cell, Verdict, Web, matches, rows};

rows! {
    "sockets: each type of message reaches the app" => frames,
    "sockets: pushes are answered if asked for" => answered,
    "sockets: WebSocketPushError, or WsPingPongTooLong" => long_ping,
    "sockets: WebSocketPushError, or WsChannelNotFound" => no_channel,
    "sockets: nobody pushes to another's channel" => anothers,
    "sockets: nobody closes another's channel" => close_anothers,
    "sockets: WebSocketClose closes after what was pushed" => close,
    "sockets: a pushed Close closes" => push_close,
    "sockets: the app is told of the client's end" => ends,
    "sockets: an upgrade of an unbound path falls to its page" => falls_through,
}

fn push(channel: u64, kind: &str) -> Value {
    json!({"WebSocketPush": {"channel_id": channel, "message_type": kind}})
}

async fn line(web: &Web, rest: &str) -> Result<(Line, u64), String> {
    web.does(vec![open_to_all(web, rest)]).await?;
    web.on("Http", json!([])).await?;
    connect(web, By::Stranger, rest).await
}

async fn frames(web: &Web) -> Verdict {
    let (mut line, channel) = line(web, "/ws-frames").await?;
    for (message, kind, text) in [
        (Message::text("text"), "Text", "text"),
        (Message::text(""), "Text", ""),
        (Message::binary(vec![104, 105]), "Binary", "hi"),
        (Message::Ping(b"ping".to_vec().into()), "Ping", "ping"),
        (Message::Pong(b"pong".to_vec().into()), "Pong", "pong"),
    ] {
        line.send(message).await?;
        let arrived = web.heard(channel, 1).await?;
        exactly(&arrived[0]["body"], &push(channel, kind))?;
        let wanted = json!({
            "is": "request",
            "source": web.server(),
            "expects": null,
            "blob": {"mime": null, "text": text},
        });
        matches(&arrived[0], wanted)?;
    }
    // Order is kept.
    for number in 0..10 {
        line.send(Message::text(number.to_string())).await?;
    }
    let arrived = web.heard(channel, 10).await?;
    for (number, told) in arrived.iter().enumerate() {
        exactly(&told["blob"]["text"], &json!(number.to_string()))?;
    }
    Ok(Cell::Conforms)
}

async fn answered(web: &Web) -> Verdict {
    let (mut line, channel) = line(web, "/ws-answered").await?;
    let blob = json!({"text": "pushed"});
    let asked = ["Text", "Binary"].map(|kind| (push(channel, kind), blob.clone(), done()));
    web.answered(asked.into()).await?;
    line.hears(Message::text("pushed")).await?;
    line.hears(Message::binary(b"pushed".to_vec())).await?;
    Ok(Cell::Conforms)
}

async fn long_ping(web: &Web) -> Verdict {
    let (mut line, channel) = line(web, "/ws-long").await?;
    let old = json!({"WebSocketPushError": {"error": TEXT}});
    let wanted = err(either(&web.subject, old, json!("WsPingPongTooLong")));
    let [long, fits] = [126, 125].map(|length| json!({ "pattern": length }));
    let asked = vec![
        (push(channel, "Ping"), long.clone(), wanted.clone()),
        (push(channel, "Pong"), long, wanted),
        (push(channel, "Ping"), fits, done()),
    ];
    web.answered(asked).await?;
    let longest: Vec<u8> = (0..125).collect();
    line.hears(Message::Ping(longest.into())).await?;
    Ok(Cell::Conforms)
}

fn not_found(web: &Web) -> Value {
    let old = json!({"WebSocketPushError": {"error": TEXT}});
    err(either(&web.subject, old, json!("WsChannelNotFound")))
}

async fn no_channel(web: &Web) -> Verdict {
    let (line, channel) = line(web, "/ws-gone").await?;
    drop(line);
    web.heard(channel, 1).await?;
    let asked = ["Text", "Binary", "Ping", "Pong"]
        .map(|kind| (push(channel, kind), json!({"text": "late"}), not_found(web)));
    web.answered(asked.into()).await
}

async fn anothers(web: &Web) -> Verdict {
    let (mut line, channel) = line(web, "/ws-mine").await?;
    let step = web.ask(push(channel, "Text"), json!({"text": "not mine"}));
    let b = web.subject.id("-b");
    let results = web.subject.run_at(&b, json!([step])).await?;
    exactly(&results[0]["body"], &not_found(web))?;
    let asked = (push(channel, "Text"), json!({"text": "mine"}), done());
    web.answered(vec![asked]).await?;
    line.hears(Message::text("mine")).await?;
    Ok(Cell::Conforms)
}

async fn close_anothers(web: &Web) -> Verdict {
    let (mut line, channel) = line(web, "/ws-kept-open").await?;
    let step = web.ask(json!({ "WebSocketClose": channel }), Value::Null);
    let b = web.subject.id("-b");
    let results = web.subject.run_at(&b, json!([step])).await?;
    exactly(&results[0]["body"], &done())?;
    let asked = (push(channel, "Text"), json!({"text": "open"}), done());
    web.answered(vec![asked]).await?;
    line.hears(Message::text("open")).await?;
    Ok(Cell::Conforms)
}

async fn close(web: &Web) -> Verdict {
    let (mut line, channel) = line(web, "/ws-close").await?;
    let last = json!({"channel": channel, "text": "last words"});
    let close = json!({ "WebSocketClose": channel });
    web.run(json!([
        web.call("send_ws_push", last),
        web.ask(close.clone(), Value::Null),
    ]))
    .await?;
    line.hears(Message::text("last words")).await?;
    line.is_closed(1000).await?;
    // The answer to the close, which the library sends as it is read on.
    let _ = line.next().await;
    let arrived = web.heard(channel, 1).await?;
    exactly(&arrived[0]["body"], &close)?;
    Ok(Cell::Conforms)
}

async fn push_close(web: &Web) -> Verdict {
    let (mut line, channel) = line(web, "/ws-push-close").await?;
    let push = json!({"channel": channel, "type": "Close", "text": ""});
    web.run(json!([web.call("send_ws_push", push)])).await?;
    line.is_closed(1000).await?;
    let _ = line.next().await;
    let arrived = web.heard(channel, 1).await?;
    exactly(&arrived[0]["body"], &json!({ "WebSocketClose": channel }))?;
    Ok(Cell::Conforms)
}

/// With a close, and without a word. A close may arrive as a push before.
async fn ends(web: &Web) -> Verdict {
    for politely in [true, false] {
        let (mut line, channel) = line(web, "/ws-ends").await?;
        if politely {
            let frame = CloseFrame {
                code: 1000_u16.into(),
                reason: "enough".into(),
            };
            line.send(Message::Close(Some(frame))).await?;
            line.is_closed(1000).await?;
        }
        drop(line);
        let wanted = json!({ "WebSocketClose": channel });
        let arrived = web.heard(channel, 1).await?;
        let last = arrived.last().map(|told| told["body"].clone());
        if last.as_ref() == Some(&push(channel, "Close")) {
            let arrived = web.heard(channel, 1).await?;
            exactly(&arrived[0]["body"], &wanted)?;
        } else {
            equal("last", last, Some(wanted))?;
        }
    }
    Ok(Cell::Conforms)
}

async fn falls_through(web: &Web) -> Verdict {
    web.does(vec![super::server::open(web, "/page")]).await?;
    web.says("a page").await?;
    let path = web.path("/page");
    match Line::try_open(&web.site, By::Stranger, &path, &[]).await? {
        Ok(_) => Err("it opened".to_owned()),
        Err(status) => {
            equal("status", status, 200_u16)?;
            let is_page = |told: &Value| told["body"].get("Http").is_some();
            let log = web.arrived(1, is_page).await?;
            matches(&log[0]["body"]["Http"], json!({"method": "GET"}))?;
            Ok(Cell::Conforms)
        }
    }
}
