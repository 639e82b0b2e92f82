//! The functions of the libraries' modules for the server that concern
//! WebSockets.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::called::{NUMBER, by_hand, of_the_book};
use super::line::Line;
use super::web::{equal, exactly};
use super::{ABSENT, By, Cell, Verdict, Web, matches, rows};

rows! {
    "server: bind_ws_path" => bind,
    "server: bind_ws_path, authenticated" => bind_authenticated,
    "server: WsBindingConfig::default asks for the owner" => default_config,
    "server: WsBindingConfig::new" => new_config,
    "server: bind_ws_path, encrypted or not" => encrypted,
    "server: secure_bind_ws_path" => secure_bind,
    "server: unbind_ws_path" => unbind,
    "server: modify_ws_path" => modify,
    "server: modify_ws_path of a path that is not bound" => modify_unknown,
    "server: send_ws_push" => push,
    "server: HttpServer::handle_request and get_ws_channels" => channels,
    "server: HttpServer::handle_websocket_open and _close" => by_hand_channels,
    "server: ws_push_all_channels" => push_all,
    "server: get_ws_channel_addr" => address,
}

/// A step that binds a path for everybody's WebSockets.
pub fn open_to_all(web: &Web, path: &str) -> Value {
    web.call(
        "bind_ws_path",
        json!({"path": path, "authenticated": false}),
    )
}

/// What A is told of a channel on `rest`: in old interfaces the path has the
/// process in it.
pub fn opened(web: &Web, rest: &str, channel: Value) -> Value {
    let path = if by_hand(&web.subject) {
        format!("{}{}", web.subject.id(""), rest.trim_end_matches('/'))
    } else {
        rest.to_owned()
    };
    let mut told = json!({"path": path, "channel_id": channel});
    if web.subject.column.edition == "hyperware" {
        told["source_socket_addr"] = json!(super::called::TEXT);
        told["forwarded_for"] = Value::Null;
    }
    json!({ "WebSocketOpen": told })
}

/// Opens a WebSocket of A's; it, and the channel that A was told.
pub async fn connect(web: &Web, by: By, rest: &str) -> Result<(Line, u64), String> {
    let (line, told) = open(web, by, rest).await?;
    let channel = told["body"]["WebSocketOpen"]["channel_id"].as_u64();
    let channel = channel.ok_or_else(|| format!("no channel was opened: {told}"))?;
    Ok((line, channel))
}

/// The same, and all that A was told.
async fn open(web: &Web, by: By, rest: &str) -> Result<(Line, Value), String> {
    web.log().await?;
    let line = Line::open(&web.site, by, &web.path(rest)).await?;
    let opens = |told: &Value| told["body"].get("WebSocketOpen").is_some();
    let mut arrived = web.arrived(1, opens).await?;
    Ok((line, arrived.swap_remove(0)))
}

/// Whether a stranger's upgrade is refused with this status.
async fn is_refused(web: &Web, by: By, rest: &str, status: u16) -> Result<(), String> {
    match Line::try_open(&web.site, by, &web.path(rest), &[]).await? {
        Ok(_) => Err(format!("{rest} opened for {by:?}")),
        Err(got) => equal(rest, got, status),
    }
}

async fn bind(web: &Web) -> Verdict {
    web.does(vec![open_to_all(web, "/"), open_to_all(web, "/sub/path")])
        .await?;
    for rest in ["/", "/sub/path"] {
        for by in [By::Stranger, By::Tunnel] {
            let (_line, told) = open(web, by, rest).await?;
            let mut wanted = opened(web, rest, json!(NUMBER));
            if by == By::Tunnel && web.subject.column.edition == "hyperware" {
                wanted["WebSocketOpen"]["source_socket_addr"] = json!(super::called::ANY);
            }
            exactly(&told["body"], &wanted)?;
            let wanted = json!({
                "is": "request", "source": web.server(), "expects": null, "blob": null,
            });
            matches(&told, wanted)?;
        }
    }
    Ok(Cell::Conforms)
}

async fn bind_authenticated(web: &Web) -> Verdict {
    let guarded = json!({"path": "/ws-guarded", "authenticated": true});
    web.does(vec![web.call("bind_ws_path", guarded)]).await?;
    for by in [By::Stranger, By::Tunnel] {
        is_refused(web, by, "/ws-guarded", 404).await?;
    }
    connect(web, By::Owner, "/ws-guarded").await?;
    Ok(Cell::Conforms)
}

async fn default_config(web: &Web) -> Verdict {
    if of_the_book(&web.subject) {
        return Ok(ABSENT);
    }
    web.does(vec![
        web.call("bind_ws_path", json!({"path": "/ws-default"})),
    ])
    .await?;
    is_refused(web, By::Stranger, "/ws-default", 404).await?;
    connect(web, By::Owner, "/ws-default").await?;
    Ok(Cell::Conforms)
}

async fn new_config(web: &Web) -> Verdict {
    if of_the_book(&web.subject) {
        return Ok(ABSENT);
    }
    let new = |options: Value| web.call("bind_ws_path", options);
    web.does(vec![new(json!({"path": "/ws-new", "new": true}))])
        .await?;
    connect(web, By::Stranger, "/ws-new").await?;
    web.does(vec![new(
        json!({"path": "/ws-new", "new": true, "authenticated": true}),
    )])
    .await?;
    is_refused(web, By::Stranger, "/ws-new", 404).await?;
    Ok(Cell::Conforms)
}

/// The flag means nothing.
async fn encrypted(web: &Web) -> Verdict {
    let options = json!({"path": "/ws-encrypted", "authenticated": false, "encrypted": true});
    web.does(vec![web.call("bind_ws_path", options)]).await?;
    let (mut line, channel) = connect(web, By::Stranger, "/ws-encrypted").await?;
    let push = json!({"channel": channel, "text": "in the clear"});
    web.run(json!([web.call("send_ws_push", push)])).await?;
    line.hears(Message::text("in the clear")).await?;
    Ok(Cell::Conforms)
}

async fn secure_bind(web: &Web) -> Verdict {
    let step = web.call("secure_bind_ws_path", json!({"path": "/ws-apart"}));
    web.does(vec![step]).await?;
    for by in [By::Stranger, By::Owner, By::Subdomain] {
        is_refused(web, by, "/ws-apart", 404).await?;
    }
    let cookie = web.site.sign_in(&web.subject.id("")).await?;
    let origin = format!("http://{}", web.site.authority(By::Subdomain));
    let headers = [("cookie", cookie.as_str()), ("origin", origin.as_str())];
    let path = web.path("/ws-apart");
    match Line::try_open(&web.site, By::Subdomain, &path, &headers).await? {
        Ok(_) => Ok(Cell::Conforms),
        Err(status) => Err(format!("refused with {status} to the owner")),
    }
}

async fn unbind(web: &Web) -> Verdict {
    web.does(vec![open_to_all(web, "/ws-once")]).await?;
    connect(web, By::Stranger, "/ws-once").await?;
    let unbound = web.call("unbind_ws_path", json!({"path": "/ws-once"}));
    web.does(vec![unbound]).await?;
    is_refused(web, By::Stranger, "/ws-once", 404).await?;
    Ok(Cell::Conforms)
}

async fn modify(web: &Web) -> Verdict {
    let modify = json!({"path": "/ws-mod", "authenticated": true});
    let results = web
        .run(json!([
            open_to_all(web, "/ws-mod"),
            web.call("modify_ws_path", modify)
        ]))
        .await?;
    if results[1] == "absent" {
        return Ok(ABSENT);
    }
    exactly(&results[1], &json!({"Ok": null}))?;
    is_refused(web, By::Stranger, "/ws-mod", 404).await?;
    connect(web, By::Owner, "/ws-mod").await?;
    Ok(Cell::Conforms)
}

async fn modify_unknown(web: &Web) -> Verdict {
    web.finds_no_path("modify_ws_path", "/ws-never").await
}

async fn push(web: &Web) -> Verdict {
    web.does(vec![open_to_all(web, "/ws-push")]).await?;
    let (mut line, channel) = connect(web, By::Stranger, "/ws-push").await?;
    let push = |kind: &str, content: Value| {
        let mut options = content;
        options["channel"] = json!(channel);
        options["type"] = json!(kind);
        web.call("send_ws_push", options)
    };
    web.run(json!([
        push("Text", json!({"text": "text"})),
        // Text is mended, bytes are not.
        push("Text", json!({"bytes": [97, 255, 98]})),
        push("Text", json!({"text": ""})),
        push("Binary", json!({"bytes": [0, 255, 1]})),
        push("Binary", json!({"pattern": 100_000})),
        push("Ping", json!({"text": "ping"})),
        push("Pong", json!({"text": "pong"})),
    ]))
    .await?;
    line.hears(Message::text("text")).await?;
    line.hears(Message::text("a\u{fffd}b")).await?;
    line.hears(Message::text("")).await?;
    line.hears(Message::binary(vec![0, 255, 1])).await?;
    let long: Vec<u8> = (0..100_000_u32).map(|at| (at % 251) as u8).collect();
    line.hears(Message::binary(long)).await?;
    line.hears(Message::Ping(b"ping".to_vec().into())).await?;
    line.hears(Message::Pong(b"pong".to_vec().into())).await?;
    Ok(Cell::Conforms)
}

/// Two WebSockets on one path, by what the library kept when they opened.
async fn two(web: &Web, rest: &str) -> Result<[(Line, u64); 2], String> {
    let handle = || json!([web.call("handle_request", json!({}))]);
    let on = json!({
        "WebSocketOpen": handle(), "WebSocketPush": handle(), "WebSocketClose": handle(),
    });
    web.run(json!([{ "on": on }, "log"])).await?;
    web.does(vec![open_to_all(web, rest)]).await?;
    Ok([
        connect(web, By::Stranger, rest).await?,
        connect(web, By::Stranger, rest).await?,
    ])
}

async fn channels(web: &Web) -> Verdict {
    if of_the_book(&web.subject) {
        return Ok(ABSENT);
    }
    let [(mut first, one), (second, two)] = two(web, "/ws-kept").await?;
    first.send(Message::text("hello")).await?;
    let arrived = web.heard(one, 1).await?;
    let blob = json!({"mime": null, "text": "hello"});
    let did = json!([{"Ok": {"http": [], "pushed": [[one, "Text", blob]]}}]);
    exactly(&arrived[0]["did"], &did)?;
    let told = web.one(web.call("get_ws_channels", json!({}))).await?;
    if told == "absent" {
        return Ok(ABSENT);
    }
    let mut both = [one, two];
    both.sort_unstable();
    exactly(&told["Ok"]["/ws-kept"], &json!(both))?;
    drop(second);
    web.heard(two, 1).await?;
    let told = web.one(web.call("get_ws_channels", json!({}))).await?;
    exactly(&told["Ok"]["/ws-kept"], &json!([one]))?;
    Ok(Cell::Conforms)
}

async fn by_hand_channels(web: &Web) -> Verdict {
    if of_the_book(&web.subject) {
        return Ok(ABSENT);
    }
    let with = |function: &str, channel: u32| {
        web.call(function, json!({"path": "/ws-made-up", "channel": channel}))
    };
    let results = web
        .run(json!([
            with("handle_websocket_open", 7),
            with("handle_websocket_open", 8),
            with("handle_websocket_close", 7),
            web.call("get_ws_channels", json!({})),
        ]))
        .await?;
    for result in &results[..3] {
        exactly(result, &json!({"Ok": null}))?;
    }
    if results[3] != "absent" {
        exactly(&results[3]["Ok"]["/ws-made-up"], &json!([8]))?;
    }
    Ok(Cell::Conforms)
}

/// By the method, and by the function where there is one.
async fn push_all(web: &Web) -> Verdict {
    if of_the_book(&web.subject) {
        return Ok(ABSENT);
    }
    let [(mut first, _), (mut second, _)] = two(web, "/ws-all").await?;
    let all = json!({"path": "/ws-all", "text": "all"});
    let other = json!({"path": "/ws-other", "text": "nobody"});
    let function = web.call("server::ws_push_all_channels", all.clone());
    let results = web
        .run(json!([
            web.call("ws_push_all_channels", other),
            web.call("ws_push_all_channels", all),
            function,
        ]))
        .await?;
    let times = if results[2] == "absent" { 1 } else { 2 };
    for line in [&mut first, &mut second] {
        for _ in 0..times {
            line.hears(Message::text("all")).await?;
        }
    }
    Ok(Cell::Conforms)
}

async fn address(web: &Web) -> Verdict {
    if web.subject.column.edition != "hyperware" {
        return Ok(ABSENT);
    }
    let [(_first, one), _second] = two(web, "/ws-from").await?;
    let of = |channel: u64| web.call("get_ws_channel_addr", json!({ "channel": channel }));
    let results = web.run(json!([of(one), of(u64::from(u32::MAX))])).await?;
    let from = results[0]["Ok"].as_str().unwrap_or_default();
    if !from.starts_with("127.0.0.1") {
        return Err(format!("{} is no address of ours", results[0]));
    }
    exactly(&results[1], &json!({"Ok": null}))?;
    Ok(Cell::Conforms)
}
