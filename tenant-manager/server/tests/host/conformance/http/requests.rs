//! The functions of the libraries' modules for the server that read requests
//! and answer them.

use serde_json::json;

use super::called::{TEXT, by_hand, either, err, of_the_book};
use super::server::open;
use super::web::{equal, exactly};
use super::{ABSENT, By, Cell, Verdict, Web, matches, rows};

rows! {
    "server: send_response" => send_response,
    "server: HttpServer::handle_request and HttpResponse" => handle_request,
    "server: HttpServer::parse_request" => parse_request,
    "server: HttpServerRequest::from_bytes and each part of a request" => parts,
    "server: get_mime_type" => mime_type,
}

async fn send_response(web: &Web) -> Verdict {
    web.does(vec![open(web, "/answer")]).await?;
    let headers = json!({"Content-Type": "text/css", "X-Mine": "one", "x-other": "two"});
    let full = json!({"status": 201, "headers": headers, "text": "full"});
    web.on("Http", json!([web.call("send_response", full)]))
        .await?;
    let answer = web.get(By::Stranger, "/answer", 201).await?;
    equal("body", answer.text(), "full")?;
    for (name, value) in [
        ("content-type", "text/css"),
        ("x-mine", "one"),
        ("x-other", "two"),
    ] {
        equal(name, answer.header(name), value)?;
    }
    let bare = json!({"status": 404});
    web.on("Http", json!([web.call("send_response", bare)]))
        .await?;
    let answer = web.get(By::Stranger, "/answer", 404).await?;
    equal("body", answer.text(), "")?;
    let kind = answer.header("content-type");
    equal("type", kind, "application/octet-stream")?;
    Ok(Cell::Conforms)
}

async fn handle_request(web: &Web) -> Verdict {
    if of_the_book(&web.subject) {
        return Ok(ABSENT);
    }
    web.does(vec![open(web, "/handled")]).await?;
    let answer = json!({"status": 202, "headers": {"X-Mine": "one"}, "text": "handled"});
    web.on("Http", json!([web.call("handle_request", answer)]))
        .await?;
    let answer = web.get(By::Stranger, "/handled", 202).await?;
    equal("body", answer.text(), "handled")?;
    equal("header", answer.header("x-mine"), "one")?;
    let log = web.log().await?;
    let did = json!([{"Ok": {"http": ["/handled"], "pushed": []}}]);
    exactly(&log[0]["did"], &did)?;
    // Without a blob.
    let answer = json!({"status": 200});
    web.on("Http", json!([web.call("handle_request", answer)]))
        .await?;
    web.reads(By::Stranger, "/handled", "").await?;
    Ok(Cell::Conforms)
}

async fn parse_request(web: &Web) -> Verdict {
    if of_the_book(&web.subject) {
        return Ok(ABSENT);
    }
    let close = json!({"WebSocketClose": 7});
    let parse = |text: String| web.call("parse_request", json!({ "text": text }));
    let results = web
        .run(json!([
            parse(close.to_string()),
            parse("no request".to_owned())
        ]))
        .await?;
    exactly(&results[0], &json!({ "Ok": close }))?;
    let old = json!({"BadRequest": {"req": TEXT}});
    let wanted = either(&web.subject, old, json!("MalformedRequest"));
    exactly(&results[1], &err(wanted))?;
    Ok(Cell::Conforms)
}

async fn parts(web: &Web) -> Verdict {
    if by_hand(&web.subject) {
        return Ok(ABSENT);
    }
    web.does(vec![open(web, "/parts/:which")]).await?;
    let strip = web.subject.id("");
    let answer = web.call("send_response", json!({"status": 200}));
    web.on(
        "Http",
        json!([web.call("incoming", json!({ "strip": strip })), answer]),
    )
    .await?;
    let path = web.path("/parts/first/?a=1&b=two%20words&a=3");
    let headers = [("x-mine", "one"), ("content-type", "text/css")];
    let answer = web
        .site
        .send(By::Stranger, "PATCH", &path, &headers, b"sent".to_vec())
        .await?;
    answer.has_status(200)?;
    let log = web.log().await?;
    let told = &log[0]["did"][0]["Ok"];
    let bare = web.path("/parts/first");
    matches(
        told,
        json!({
            "method": "PATCH",
            "url": format!("http://alice.localhost{bare}"),
            "bound_path": web.path("/parts/:which"),
            "stripped": "/parts/:which",
            "path": "/parts/first",
            "headers": {"x-mine": "one", "content-type": "text/css"},
            "url_params": {"which": "first"},
            "query_params": {"a": "3", "b": "two words"},
        }),
    )?;
    let from = told["source_socket_addr"].as_str().unwrap_or_default();
    match from.parse::<std::net::SocketAddr>() {
        Ok(address) if address.ip().is_loopback() => Ok(Cell::Conforms),
        _ => Err(format!("{from:?} is no address")),
    }
}

async fn mime_type(web: &Web) -> Verdict {
    for (path, mime) in [
        ("/a/index.html", "text/html"),
        ("style.css", "text/css"),
        ("logo.svg", "image/svg+xml"),
        ("app.wasm", "application/wasm"),
        ("data.json", "application/json"),
        ("no kind", "application/octet-stream"),
    ] {
        let told = web
            .one(web.call("get_mime_type", json!({ "path": path })))
            .await?;
        if told == "absent" {
            return Ok(ABSENT);
        }
        exactly(&told, &json!({ "Ok": mime }))?;
    }
    Ok(Cell::Conforms)
}
