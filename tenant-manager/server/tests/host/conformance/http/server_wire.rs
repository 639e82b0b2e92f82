//! What the server says to each action, to the letter: its errors in the words
//! of the edition, and the shapes of actions of every generation.

use serde_json::{Value, json};

use super::super::names;
use super::super::spawning::tell;
use super::called::{TEXT, done, either, err};
use super::web::{equal, exactly};
use super::{By, Cell, Verdict, Web, matches, rows};

rows! {
    "server: each action, answered to the letter" => letters,
    "server: an answer has no blob, no metadata and no rights" => bare_answer,
    "server: actions as other generations write them" => shapes,
    "server: NoBlob" => no_blob,
    "server: BadRequest, or MalformedRequest" => malformed,
    "server: what it says to others is no action" => not_actions,
    "server: PathBindError, or MalformedRequest" => unbindable,
    "server: InvalidSourceProcess, from 1.0 on" => odd_source,
    "server: closing a channel that is not open is well" => close_unknown,
    "server: the answer goes to whom the request says" => inherited,
    "server: an error goes to the source alone" => error_to_source,
    "server: what is bound again is as it was bound last" => rebound,
    "server: a process binds below its own id and nowhere else" => own_prefix,
    "server: bindings are told from WebSockets'" => two_tables,
}

fn bind(path: &str) -> Value {
    json!({"Bind": {
        "path": path, "authenticated": false, "local_only": false, "cache": false,
    }})
}

fn cached(path: &str) -> Value {
    json!({"Bind": {
        "path": path, "authenticated": false, "local_only": false, "cache": true,
    }})
}

/// A malformed action's error.
pub fn no_action(web: &Web) -> Value {
    let old = json!({"BadRequest": {"req": TEXT}});
    err(either(&web.subject, old, json!("MalformedRequest")))
}

async fn letters(web: &Web) -> Verdict {
    let text = json!({"mime": "text/plain", "text": "content"});
    let asked = [
        (bind("/wire"), Value::Null),
        (cached("/wire-cached"), text.clone()),
        (
            json!({"SecureBind": {"path": "/wire-apart", "cache": false}}),
            Value::Null,
        ),
        (
            json!({"SecureBind": {"path": "/wire-kept", "cache": true}}),
            text,
        ),
        (json!({"Unbind": {"path": "/wire"}}), Value::Null),
        (
            socket(web, json!({"path": "/wire", "authenticated": false})),
            Value::Null,
        ),
        (secure_socket(web, "/wire-apart"), Value::Null),
        (json!({"WebSocketUnbind": {"path": "/wire"}}), Value::Null),
        (json!({"WebSocketClose": 0}), Value::Null),
    ]
    .map(|(body, blob)| (body, blob, done()));
    web.answered(asked.into()).await
}

/// In the shape of the edition.
pub fn socket(web: &Web, mut options: Value) -> Value {
    if options.get("extension").is_none() {
        options["extension"] = json!(false);
    }
    if !web.subject.column.newer {
        options["encrypted"] = json!(false);
    }
    json!({ "WebSocketBind": options })
}

fn secure_socket(web: &Web, path: &str) -> Value {
    let new = json!({"WebSocketSecureBind": {"path": path, "extension": false}});
    let old = json!({"WebSocketSecureBind": {
        "path": path, "encrypted": false, "extension": false,
    }});
    either(&web.subject, old, new)
}

async fn bare_answer(web: &Web) -> Verdict {
    let mut asked = web.ask(bind("/bare"), Value::Null);
    asked["await"]["metadata"] = json!("mine");
    let told = web.one(asked).await?;
    matches(
        &told,
        json!({
            "is": "response",
            "source": web.server(),
            "body": done(),
            "blob": null,
            "metadata": null,
            "capabilities": [],
        }),
    )?;
    Ok(Cell::Conforms)
}

/// Nobody but the edition's own names what is unused, or leaves it out.
async fn shapes(web: &Web) -> Verdict {
    let with = json!({"WebSocketBind": {
        "path": "/s", "authenticated": false, "encrypted": true, "extension": false,
    }});
    let secure = json!({"WebSocketSecureBind": {
        "path": "/s", "encrypted": true, "extension": false,
    }});
    let more = json!({"Bind": {
        "path": "/s", "authenticated": false, "local_only": false, "cache": false, "more": 1,
    }});
    let asked = [with, secure, more].map(|body| (body, Value::Null, done()));
    web.answered(asked.into()).await
}

async fn no_blob(web: &Web) -> Verdict {
    let push = |kind: &str| json!({"WebSocketPush": {"channel_id": 1, "message_type": kind}});
    let asked = [
        cached("/none"),
        json!({"SecureBind": {"path": "/none", "cache": true}}),
        push("Text"),
        push("Binary"),
    ]
    .map(|body| (body, Value::Null, err(json!("NoBlob"))));
    web.answered(asked.into()).await?;
    // Nothing was bound.
    web.get(By::Stranger, "/none", 404).await?;
    Ok(Cell::Conforms)
}

async fn malformed(web: &Web) -> Verdict {
    let asked = [
        json!("Bind"),
        json!({"Nonsense": {}}),
        json!([]),
        json!(7),
        json!({"Bind": {"path": "/x"}}),
        json!({"Bind": {"path": 7, "authenticated": false, "local_only": false, "cache": false}}),
        json!({"Bind": {"path": "/x", "authenticated": 0, "local_only": false, "cache": false}}),
        json!({"Unbind": "/x"}),
        json!({"WebSocketClose": {"channel_id": 1}}),
        json!({"WebSocketClose": -1}),
        json!({"WebSocketPush": {"channel_id": 1, "message_type": "Letter"}}),
        json!({"WebSocketPush": {"channel_id": 4_294_967_296_u64, "message_type": "Text"}}),
    ]
    .map(|body| (body, json!({"text": "blob"}), no_action(web)));
    web.answered(asked.into()).await
}

async fn not_actions(web: &Web) -> Verdict {
    let asked = [
        json!({"WebSocketOpen": {"path": "/", "channel_id": 1}}),
        json!({"WebSocketExtPushData": {
            "id": 1, "kinode_message_type": "Request", "blob": [1],
        }}),
        json!({"Http": {
            "source_socket_addr": null, "method": "GET", "url": "http://localhost/",
            "bound_path": "/", "headers": {}, "url_params": {}, "query_params": {},
        }}),
    ];
    let steps: Vec<Value> = asked
        .iter()
        .map(|body| web.ask(body.clone(), json!({"text": "blob"})))
        .collect();
    for (body, told) in asked.iter().zip(web.run(json!(steps)).await?) {
        matches(&told, json!({"is": "response"}))?;
        if told["body"].get("Err").is_none() {
            return Err(format!("{body}: {told}"));
        }
    }
    Ok(Cell::Conforms)
}

/// Published runtimes bind whatever path.
async fn unbindable(web: &Web) -> Verdict {
    let long = format!("/{}", "x".repeat(5000));
    let old = json!({"PathBindError": {"error": TEXT}});
    let wanted = err(either(&web.subject, old, json!("MalformedRequest")));
    let asked = [
        bind(&long),
        json!({"SecureBind": {"path": long, "cache": false}}),
        socket(web, json!({"path": long, "authenticated": false})),
    ]
    .map(|body| (body, Value::Null, wanted.clone()));
    web.answered(asked.into()).await
}

/// A process whose name is none of the chain's. Until 1.0 names were free.
async fn odd_source(web: &Web) -> Verdict {
    let subject = &web.subject;
    let id = format!("odd_{}:odd-names:test.dev", subject.column.component);
    names::enter(subject, &id).await?;
    names::start(subject, &id).await?;
    let asked = [
        bind("/odd"),
        json!({"SecureBind": {"path": "/apart", "cache": false}}),
        socket(web, json!({"path": "/odd", "authenticated": false})),
        secure_socket(web, "/apart"),
    ];
    let respond = json!({"respond": {"body": {"status": 200, "headers": {}}}});
    let mut steps = vec![json!({"on": {"Http": [respond]}})];
    steps.extend(asked.iter().map(|body| web.ask(body.clone(), Value::Null)));
    let results = subject.run_at(&id, json!(steps)).await?;
    let wanted = either(subject, done(), err(json!("InvalidSourceProcess")));
    for (body, result) in asked.iter().zip(&results[1..]) {
        exactly(&result["body"], &wanted).map_err(|error| format!("{body}: {error}"))?;
    }
    let answer = web.site.get(By::Stranger, &format!("/{id}/odd")).await?;
    answer.has_status(if subject.column.newer { 404 } else { 200 })?;
    let end = tell(&subject.module(&id), json!("end"));
    web.run(json!([end])).await?;
    Ok(Cell::Conforms)
}

async fn close_unknown(web: &Web) -> Verdict {
    let asked = [0, 1, u32::MAX].map(|channel| {
        let body = json!({ "WebSocketClose": channel });
        (body, Value::Null, done())
    });
    web.answered(asked.into()).await
}

/// B hands A's request on to the server with another body: for A the answer is
/// that to its own.
fn handed_on(web: &Web, body: Value) -> Value {
    let hand_on = json!({"do": [
        {"send": {"to": web.server(), "inherit": true, "body": body}},
    ]});
    let b = web.subject.at("-b");
    json!({"await": {"to": b, "expects": 1, "body": hand_on}})
}

async fn inherited(web: &Web) -> Verdict {
    let told = web.one(handed_on(web, bind("/handed-on"))).await?;
    let wanted = json!({"is": "response", "source": web.server(), "body": done()});
    matches(&told, wanted)?;
    Ok(Cell::Conforms)
}

async fn error_to_source(web: &Web) -> Verdict {
    let told = web.one(handed_on(web, json!("no action"))).await?;
    matches(&told, json!({"is": "Timeout"}))?;
    Ok(Cell::Conforms)
}

/// Open, for the owner, at the subdomain, as content, local, and open again.
async fn rebound(web: &Web) -> Verdict {
    let path = "/again";
    web.says("from the app").await?;
    let to = |body: Value, blob: Value| web.answered(vec![(body, blob, done())]);
    to(bind(path), Value::Null).await?;
    web.reads(By::Stranger, path, "from the app").await?;
    let guarded = json!({"Bind": {
        "path": path, "authenticated": true, "local_only": false, "cache": false,
    }});
    to(guarded, Value::Null).await?;
    web.get(By::Stranger, path, 200).await?.is_login()?;
    let apart = json!({"SecureBind": {"path": path, "cache": false}});
    to(apart, Value::Null).await?;
    web.get(By::Owner, path, 307).await?;
    to(cached(path), json!({"text": "content"})).await?;
    web.reads(By::Stranger, path, "content").await?;
    let local = json!({"Bind": {
        "path": path, "authenticated": false, "local_only": true, "cache": false,
    }});
    to(local, Value::Null).await?;
    web.get(By::Stranger, path, 403).await?;
    to(json!({"Unbind": {"path": path}}), Value::Null).await?;
    web.get(By::Tunnel, path, 404).await?;
    to(bind(path), Value::Null).await?;
    web.reads(By::Stranger, path, "from the app").await?;
    Ok(Cell::Conforms)
}

async fn own_prefix(web: &Web) -> Verdict {
    let other = format!("/{}/mine", web.subject.id("-b"));
    let paths = [other.as_str(), "/our.js", "/../up", "//twice", "/login"];
    let asked = paths.map(|path| (bind(path), Value::Null, done()));
    web.answered(asked.into()).await?;
    web.on("Http", json!([])).await?;
    web.site.get(By::Stranger, &other).await?.has_status(404)?;
    web.site
        .get(By::Stranger, "/our.js")
        .await?
        .has_status(200)?;
    web.site.get(By::Stranger, "/login").await?.is_login()?;
    equal("requests", web.log().await?.len(), 0_usize)?;
    web.says("below").await?;
    for path in [other.as_str(), "/our.js", "/login"] {
        web.reads(By::Stranger, path, "below").await?;
    }
    Ok(Cell::Conforms)
}

/// What a path is bound as for requests says nothing of WebSockets, and the
/// other way round.
async fn two_tables(web: &Web) -> Verdict {
    let asked = [
        bind("/both"),
        socket(web, json!({"path": "/both", "authenticated": true})),
        json!({"WebSocketUnbind": {"path": "/both"}}),
    ]
    .map(|body| (body, Value::Null, done()));
    web.answered(asked.into()).await?;
    web.says("both").await?;
    web.reads(By::Stranger, "/both", "both").await?;
    let only_sockets = socket(web, json!({"path": "/only", "authenticated": false}));
    let told = web.one(web.ask(only_sockets, Value::Null)).await?;
    exactly(&told["body"], &done())?;
    web.get(By::Stranger, "/only", 404).await?;
    Ok(Cell::Conforms)
}
