//! What becomes of a request: which answers are one, who may give it, and what
//! the client gets if there is none.

use std::time::Duration;

use futures::future::try_join_all;
use serde_json::{Value, json};

use super::super::spawning::{ask, child, spawn, tell};
use super::server::open;
use super::web::equal;
use super::{By, Cell, Verdict, Web, matches, rows};

rows! {
    "answers: status, headers and body" => whole,
    "answers: headers that are none are left out" => bad_headers,
    "answers: what is no answer is 500" => garbage,
    "answers: another process may answer" => by_another,
    "answers: the blob of another message, inherited" => inherited_blob,
    "answers: none in 15 s is 408, and one that comes later is nobody's" => none,
    "answers: one that comes after its client has left is nobody's" => left,
    "answers: an app that the server may not message is 408" => unheard,
    "answers: the paths of an app that is gone are 404" => gone,
    "answers: HEAD reaches the app" => head,
}

/// A step that answers with this body, to the letter.
fn respond(body: Value, blob: Value) -> Value {
    json!({"respond": {"body": body, "blob": blob}})
}

async fn whole(web: &Web) -> Verdict {
    web.does(vec![open(web, "/whole")]).await?;
    for (status, headers) in [
        (200, json!({"Content-Type": "text/html", "X-Mine": "1"})),
        (299, json!({})),
        (301, json!({"Location": "/elsewhere"})),
        (418, json!({"retry-after": "7"})),
        (599, json!({"set-cookie": "mine=1; Path=/"})),
    ] {
        let body = json!({"status": status, "headers": headers});
        web.on("Http", json!([respond(body, json!({"text": "body"}))]))
            .await?;
        let answer = web.get(By::Stranger, "/whole", status).await?;
        equal("body", answer.text(), "body")?;
        for (name, value) in headers.as_object().into_iter().flatten() {
            let got = answer.header(&name.to_lowercase()).to_owned();
            equal(name, Some(got.as_str()), value.as_str())?;
        }
    }
    Ok(Cell::Conforms)
}

async fn bad_headers(web: &Web) -> Verdict {
    web.does(vec![open(web, "/bad-headers")]).await?;
    let headers = json!({"bad name": "1", "": "2", "x-bad": "a\nb", "x-good": "3"});
    let body = json!({"status": 200, "headers": headers});
    web.on("Http", json!([respond(body, json!({"text": "body"}))]))
        .await?;
    let answer = web.get(By::Stranger, "/bad-headers", 200).await?;
    equal("good", answer.header("x-good"), "3")?;
    equal("bad", answer.header("x-bad"), "")?;
    let kind = answer.header("content-type");
    equal("type", kind, "application/octet-stream")?;
    Ok(Cell::Conforms)
}

async fn garbage(web: &Web) -> Verdict {
    web.does(vec![open(web, "/garbage")]).await?;
    for body in [
        json!("garbage"),
        json!(null),
        json!({}),
        json!({"status": "200", "headers": {}}),
        json!({"status": 200, "headers": {"x": 1}}),
        json!({"status": 99, "headers": {}}),
        json!({"status": 1000, "headers": {}}),
        json!({"status": 70000, "headers": {}}),
        json!({"status": -1, "headers": {}}),
    ] {
        let step = respond(body.clone(), json!({"text": "body"}));
        web.on("Http", json!([step])).await?;
        let answer = web.get(By::Stranger, "/garbage", 500).await;
        let answer = answer.map_err(|error| format!("{body}: {error}"))?;
        equal("body", answer.text(), "")?;
    }
    Ok(Cell::Conforms)
}

/// A hands the request on to B, which answers the server.
async fn by_another(web: &Web) -> Verdict {
    web.does(vec![open(web, "/by-another")]).await?;
    let body = json!({"status": 200, "headers": {}});
    let answer = json!({"do": [respond(body, json!({"text": "from B"}))]});
    let hand_on = json!({"send": {
        "to": web.subject.at("-b"), "inherit": true, "body": answer,
    }});
    web.on("Http", json!([hand_on])).await?;
    let read = web.reads(By::Stranger, "/by-another", "from B").await;
    if let Err(error) = read {
        return Err(format!("{error}; A was told {:?}", web.log().await?));
    }
    Ok(Cell::Conforms)
}

/// An echo: the answer takes the blob of the request.
async fn inherited_blob(web: &Web) -> Verdict {
    web.does(vec![open(web, "/echo")]).await?;
    let body = json!({"status": 200, "headers": {}});
    let step = json!({"respond": {"body": body, "inherit": true}});
    web.on("Http", json!([step])).await?;
    let path = web.path("/echo");
    let answer = web
        .site
        .send(By::Stranger, "POST", &path, &[], b"there and back".to_vec())
        .await?;
    answer.has_status(200)?;
    equal("body", answer.text(), "there and back")?;
    Ok(Cell::Conforms)
}

/// Steps that answer a request with `text`, once the process at `gate` has heard
/// from [`let_go`].
fn answer_late(gate: &str, text: &str) -> Vec<Value> {
    let body = json!({"status": 200, "headers": {}});
    vec![
        json!({"await": {"to": gate, "expects": 60, "body": {"run": ["receive"]}}}),
        respond(body, json!({ "text": text })),
    ]
}

/// Lets whoever waits at the process `gate` go on.
async fn let_go(web: &Web, gate: &str) -> Result<(), String> {
    let sent = web.subject.kit.rpc(gate, "\"go\"", None, None).await;
    equal("sent", sent.status.as_u16(), 200_u16)
}

/// Whether the process `id` did give its late answer, and to nobody who asks
/// `path` now.
async fn was_late(web: &Web, id: &str, path: &str) -> Result<(), String> {
    let results = web.subject.run_at(id, json!(["log"])).await?;
    let log = results[0].as_array().map_or(&[][..], Vec::as_slice);
    let did = log.iter().find_map(|told| told["did"].as_array());
    let Some([.., waited, answered]) = did.map(Vec::as_slice) else {
        return Err(format!("{id} did not answer: {log:?}"));
    };
    matches(waited, json!({"is": "response"}))?;
    matches(answered, Value::Null)?;
    let body = json!({"status": 200, "headers": {}});
    let next = respond(body, json!({"text": "next"}));
    let steps = json!([{"on": {"Http": [next]}}]);
    web.subject.run_at(id, steps).await?;
    let answer = web.site.get(By::Stranger, path).await?;
    answer.has_status(200)?;
    equal(path, answer.text(), "next")?;
    web.subject.run_at(id, json!([{"on": {}}, "log"])).await?;
    Ok(())
}

/// By either door, and whether content is kept for other methods or not. B
/// answers too late.
async fn none(web: &Web) -> Verdict {
    let kept = json!({"path": "/kept-mute", "authenticated": false, "text": "kept"});
    let steps = vec![open(web, "/mute"), web.call("bind_http_static_path", kept)];
    web.does(steps).await?;
    web.on("Http", json!([])).await?;
    let (b, gate) = (web.subject.id("-b"), web.subject.id("-c"));
    let bind = json!({"Bind": {
        "path": "/late", "authenticated": false, "local_only": false, "cache": false,
    }});
    let steps = answer_late(&web.subject.at("-c"), "late");
    let steps = json!([web.ask(bind, Value::Null), {"on": {"Http": steps}}, "log"]);
    let results = web.subject.run_at(&b, steps).await?;
    matches(&results[0], json!({"body": {"Ok": null}}))?;
    let began = tokio::time::Instant::now();
    let (mute, kept) = (web.path("/mute"), web.path("/kept-mute"));
    let late = format!("/{b}/late");
    let asked = [
        (By::Stranger, "GET", &mute),
        (By::Tunnel, "GET", &mute),
        (By::Stranger, "POST", &kept),
        (By::Stranger, "GET", &late),
    ];
    let answers = try_join_all(
        asked.map(|(by, method, path)| web.site.send(by, method, path, &[], Vec::new())),
    )
    .await?;
    for answer in answers {
        answer.has_status(408)?;
        equal("body", answer.text(), "")?;
    }
    let took = began.elapsed().as_secs();
    if !(14..25).contains(&took) {
        return Err(format!("it took {took} s"));
    }
    equal("requests", web.log().await?.len(), 3_usize)?;
    let_go(web, &gate).await?;
    was_late(web, &b, &late).await?;
    Ok(Cell::Conforms)
}

/// The app, which is told nothing of it, answers as ever. That it has the
/// request C is told, and that the client has left B.
async fn left(web: &Web) -> Verdict {
    web.does(vec![open(web, "/left")]).await?;
    let (gate, told) = (web.subject.id("-b"), web.subject.id("-c"));
    let path = web.path("/left");
    for by in [By::Stranger, By::Tunnel] {
        web.subject.run_at(&told, json!(["log"])).await?;
        let mut steps = answer_late(&web.subject.at("-b"), "late");
        steps.insert(0, tell_here(web));
        web.on("Http", json!(steps)).await?;
        tokio::select! {
            answer = web.site.get(by, &path) => {
                return Err(format!("it was answered: {answer:?}"));
            }
            heard = hears(web, &told) => heard?,
        }
        let_go(web, &gate).await?;
        was_late(web, &web.subject.id(""), &path).await?;
    }
    Ok(Cell::Conforms)
}

/// A step that tells C that it was reached.
fn tell_here(web: &Web) -> Value {
    json!({"send": {"to": web.subject.at("-c"), "body": "here"}})
}

/// Waits until the process `id` was told something.
async fn hears(web: &Web, id: &str) -> Result<(), String> {
    for _ in 0..200 {
        let results = web.subject.run_at(id, json!(["log"])).await?;
        if results[0].as_array().is_some_and(|log| !log.is_empty()) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Err(format!("{id} was told nothing"))
}

/// The process has bound a path, and was not told so.
async fn unheard(web: &Web) -> Verdict {
    let bind = json!({"Bind": {
        "path": "/", "authenticated": false, "local_only": false, "cache": false,
    }});
    let script = json!({"run": [
        {"await": {"to": web.server(), "expects": 1, "body": bind}},
    ]});
    let to = web.subject.at("-unheard");
    let told = web
        .one(json!({"await": {"to": to, "expects": 5, "body": script}}))
        .await?;
    matches(&told["body"][0], json!({"is": "Timeout"}))?;
    let path = format!("/{}", web.subject.id("-unheard"));
    let answer = web.site.get(By::Stranger, &path).await?;
    answer.has_status(408)?;
    Ok(Cell::Conforms)
}

/// A child binds a path and returns. Published runtimes keep the path, which
/// then answers 408 after 15 s; here it is nobody's.
async fn gone(web: &Web) -> Verdict {
    let (id, at) = (child(&web.subject, "gone"), web.subject.at("-gone"));
    let server = json!({"issuer": web.server(), "params": "\"messaging\""});
    let options = json!({
        "request": [server],
        "grant": [{"to": web.subject.column.server, "params": "messaging"}],
    });
    let body = json!({"status": 200, "headers": {}});
    let answers = json!({"on": {"Http": [respond(body, json!({"text": "here"}))]}});
    let bind = json!({"path": "/", "authenticated": false, "local_only": false});
    let results = web
        .run(json!([
            spawn(&web.subject, "gone", options),
            ask(&at, json!([answers, web.call("bind_http_path", bind)])),
        ]))
        .await?;
    matches(&results[0], json!({ "Ok": id }))?;
    matches(&results[1], json!({"body": [null, {"Ok": null}]}))?;
    let path = format!("/{id}");
    let answer = web.site.get(By::Stranger, &path).await?;
    answer.has_status(200)?;
    web.run(json!([tell(&at, json!("end"))])).await?;
    for _ in 0..200 {
        if web.site.get(By::Stranger, &path).await?.status == 404 {
            return Ok(Cell::Conforms);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Err("its path still answers".to_owned())
}

async fn head(web: &Web) -> Verdict {
    web.does(vec![open(web, "/head")]).await?;
    web.says("body").await?;
    let path = web.path("/head");
    let answer = web
        .site
        .send(By::Stranger, "HEAD", &path, &[], Vec::new())
        .await?;
    answer.has_status(200)?;
    equal("body", answer.text(), "")?;
    let log = web.log().await?;
    matches(&log[0]["body"]["Http"], json!({"method": "HEAD"}))?;
    Ok(Cell::Conforms)
}
