//! The functions of the libraries' module for the client that call servers.

use serde_json::{Value, json};

use super::called::{TEXT, either, err};
use super::web::{equal, exactly};
use super::{Cell, Verdict, Web, matches, rows};

rows! {
    "client: send_request_await_response" => get,
    "client: each method arrives" => methods,
    "client: headers and bodies arrive" => sends,
    "client: any status is an answer" => statuses,
    "client: redirects are followed" => redirects,
    "client: what is compressed arrives as it was" => compressed,
    "client: bytes arrive as they are" => bytes,
    "client: long answers, with their length and without" => long,
    "client: send_request with a time, answered later" => later,
    "client: send_request without a time is not answered" => unanswered,
    "client: an answer that is late is a timeout" => slow,
    "client: RequestFailed, or ExecuteRequestFailed" => failed,
    "client: addresses that nobody may reach" => refused,
}

/// A step that calls somebody and waits.
fn ask(web: &Web, method: &str, url: &str, options: Value) -> Value {
    let mut options = options;
    options["method"] = json!(method);
    options["url"] = json!(url);
    web.call("send_request_await_response", options)
}

/// What came of one call.
async fn asked(web: &Web, method: &str, path: &str, options: Value) -> Result<Value, String> {
    web.site.turn(1).await;
    let url = web.site.origin.url(path);
    let told = web.one(ask(web, method, &url, options)).await?;
    match told.get("Ok") {
        Some(answer) => Ok(answer.clone()),
        None => Err(format!("{method} {path}: {told}")),
    }
}

async fn get(web: &Web) -> Verdict {
    let path = format!("/echo/{}?a=1&b=%20", web.subject.column.process);
    let answer = asked(web, "GET", &path, json!({})).await?;
    let wanted = json!({
        "status": 200,
        "headers": {"content-type": "application/json"},
        "body": {"method": "GET", "target": path, "body": "", "length": 0},
    });
    matches(&answer, wanted)?;
    let host = &answer["body"]["headers"]["host"];
    exactly(host, &json!(web.site.origin.address().to_string()))?;
    // It was asked once.
    let asked = web.site.origin.requests();
    let times = asked.iter().filter(|line| line.ends_with(&path)).count();
    equal("requests", times, 1_usize)?;
    Ok(Cell::Conforms)
}

async fn methods(web: &Web) -> Verdict {
    for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "REPORT"] {
        let answer = asked(web, method, "/echo", json!({"text": "sent"})).await?;
        let wanted = json!({"method": method, "body": "sent"});
        matches(&answer["body"], wanted)?;
    }
    let answer = asked(web, "HEAD", "/status/204", json!({})).await?;
    matches(&answer, json!({"status": 204, "body": ""}))?;
    Ok(Cell::Conforms)
}

async fn sends(web: &Web) -> Verdict {
    let headers = json!({"X-Mine": "one", "content-type": "text/css", "Accept": "text/html"});
    let options = json!({"headers": headers, "text": "body"});
    let answer = asked(web, "POST", "/echo", options).await?;
    let wanted = json!({
        "headers": {
            "x-mine": "one",
            "content-type": "text/css",
            "accept": "text/html",
            "content-length": "4",
        },
        "body": "body",
    });
    matches(&answer["body"], wanted)?;
    let long = asked(web, "PUT", "/echo", json!({"pattern": 200_000})).await;
    // The echo is too long to be told.
    matches(&long?, json!({"status": 200}))?;
    Ok(Cell::Conforms)
}

async fn statuses(web: &Web) -> Verdict {
    for status in [200, 201, 299, 404, 418, 500, 599] {
        let answer = asked(web, "GET", &format!("/status/{status}"), json!({})).await?;
        let wanted = json!({"status": status, "body": format!("status {status}")});
        matches(&answer, wanted)?;
    }
    Ok(Cell::Conforms)
}

async fn redirects(web: &Web) -> Verdict {
    let answer = asked(web, "GET", "/redirect/3", json!({})).await?;
    matches(&answer, json!({"status": 200, "body": {"target": "/echo"}}))?;
    let echo = web.site.origin.url("/echo?there");
    for (status, method) in [(301, "GET"), (303, "GET"), (307, "POST"), (308, "POST")] {
        let path = format!("/moved/{status}?{echo}");
        let answer = asked(web, "POST", &path, json!({"text": "sent"})).await?;
        let body = if method == "POST" { "sent" } else { "" };
        let wanted = json!({"method": method, "target": "/echo?there", "body": body});
        matches(&answer["body"], wanted)?;
    }
    Ok(Cell::Conforms)
}

async fn compressed(web: &Web) -> Verdict {
    for path in ["/gzip", "/deflate"] {
        let answer = asked(web, "GET", path, json!({})).await?;
        matches(&answer, json!({"status": 200, "body": {"target": path}}))?;
    }
    Ok(Cell::Conforms)
}

async fn bytes(web: &Web) -> Verdict {
    let all: Vec<u8> = (0..=255).collect();
    let headers = json!({"content-type": "image/png"});
    let options = json!({"bytes": all, "headers": headers});
    let answer = asked(web, "POST", "/back", options).await?;
    let kind = json!({"status": 200, "headers": {"content-type": "image/png"}});
    matches(&answer, kind)?;
    let wanted = json!(String::from_utf8_lossy(&all));
    exactly(&answer["body"], &wanted)?;
    // There and back, told by its length and hash.
    let sent = asked(web, "POST", "/back", json!({"pattern": 300_000})).await?;
    let got = asked(web, "GET", "/big/300000", json!({})).await?;
    equal("bytes", sent["body"]["bytes"].as_u64(), Some(300_000))?;
    exactly(&sent["body"], &got["body"])?;
    Ok(Cell::Conforms)
}

async fn long(web: &Web) -> Verdict {
    let with = asked(web, "GET", "/big/1000000", json!({})).await?;
    let without = asked(web, "GET", "/chunked/1000000", json!({})).await?;
    equal("bytes", with["body"]["bytes"].as_u64(), Some(1_000_000))?;
    exactly(&with["body"], &without["body"])?;
    let empty = asked(web, "GET", "/big/0", json!({})).await?;
    exactly(&empty["body"], &json!(""))?;
    Ok(Cell::Conforms)
}

/// The answer comes to the app like any.
async fn later(web: &Web) -> Verdict {
    let url = web.site.origin.url("/echo/later");
    let options = json!({"method": "GET", "url": url, "seconds": 10});
    web.site.turn(1).await;
    web.run(json!(["log", web.call("send_request", options)]))
        .await?;
    let arrived = web.arrived(1, |told| told["is"] == "response").await?;
    let client = web.client();
    matches(
        &arrived[0],
        json!({"source": client, "body": {"Ok": {"Http": {"status": 200}}}}),
    )?;
    Ok(Cell::Conforms)
}

async fn unanswered(web: &Web) -> Verdict {
    let path = format!("/echo/unanswered/{}", web.subject.column.process);
    let url = web.site.origin.url(&path);
    web.site.turn(2).await;
    let silent = web.call("send_request", json!({"method": "PUT", "url": url}));
    web.run(json!(["log", silent])).await?;
    // What is answered after it has been asked.
    asked(web, "GET", "/slow/300", json!({})).await?;
    let line = format!("PUT {path}");
    if !web.site.origin.requests().contains(&line) {
        return Err("it was not sent".to_owned());
    }
    let answers = web.log().await?;
    let answers = answers.iter().filter(|told| told["is"] == "response");
    equal("answers", answers.count(), 0_usize)?;
    Ok(Cell::Conforms)
}

async fn slow(web: &Web) -> Verdict {
    let url = web.site.origin.url("/slow/4000");
    web.site.turn(1).await;
    let told = web
        .one(ask(web, "GET", &url, json!({"seconds": 1})))
        .await?;
    let wanted = match web.subject.column.component {
        // Without a library there are the words of the interface.
        "unversioned" | "v0_7" => json!("Timeout"),
        _ => failure(web),
    };
    exactly(&told, &err(wanted))?;
    Ok(Cell::Conforms)
}

fn failure(web: &Web) -> Value {
    let old = json!({"RequestFailed": {"error": TEXT}});
    either(&web.subject, old, json!({"ExecuteRequestFailed": TEXT}))
}

/// Nobody listens, nobody answers, and what is answered is none.
async fn failed(web: &Web) -> Verdict {
    let origin = &web.site.origin;
    let nobody = format!("http://127.0.0.1:{}/", super::site::free_port());
    for url in [
        nobody,
        "http://name.invalid/".to_owned(),
        origin.url("/close"),
        origin.url("/garbage"),
        origin.url("/half"),
        origin.url("/moved/302?ftp://127.0.0.1/"),
    ] {
        web.site.turn(1).await;
        let step = ask(web, "GET", &url, json!({"seconds": 20}));
        let told = web.one(step).await?;
        exactly(&told, &err(failure(web))).map_err(|error| format!("{url}: {error}"))?;
    }
    Ok(Cell::Conforms)
}

/// Named, spelled otherwise, or where a redirect leads.
async fn refused(web: &Web) -> Verdict {
    let origin = &web.site.origin;
    let port = origin.address().port();
    let before = origin.connections();
    for url in [
        "http://10.0.0.1/".to_owned(),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://192.168.1.1/".to_owned(),
        format!("http://[::1]:{port}/"),
        "http://[fd00::1]/".to_owned(),
        format!("http://0.0.0.0:{port}/"),
        "http://0xa000001/".to_owned(),
        "http://[::ffff:10.0.0.1]/".to_owned(),
        origin.url("/moved/302?http://10.0.0.1/"),
    ] {
        web.site.turn(1).await;
        let told = web.one(ask(web, "GET", &url, json!({}))).await?;
        exactly(&told, &err(failure(web))).map_err(|error| format!("{url}: {error}"))?;
    }
    if origin.connections() == before {
        return Err("the redirect was not asked for".to_owned());
    }
    Ok(Cell::Conforms)
}
