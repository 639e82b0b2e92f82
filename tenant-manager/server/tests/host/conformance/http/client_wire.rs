//! What the client says to each request, to the letter: its errors in the words
//! of the edition.

use serde_json::{Value, json};

use super::called::{ANY, TEXT, either, err, ok};
use super::web::{equal, exactly};
use super::{Cell, Verdict, Web, matches, rows};

rows! {
    "client: an answer, to the letter" => letters,
    "client: names of headers have capitals" => capitals,
    "client: the answer's blob is the body, always" => blob,
    "client: versions of HTTP" => versions,
    "client: BadVersion" => bad_version,
    "client: BadMethod" => bad_method,
    "client: BadUrl" => bad_url,
    "client: BadRequest, or MalformedRequest" => malformed,
    "client: BadRequest, or BuildRequestFailed" => unbuildable,
    "client: errors are not sent to who waits for nothing" => silent,
    "client: the answer goes to whom the request says" => inherited,
}

fn request(method: &str, version: Value, url: &str, headers: Value) -> Value {
    json!({"Http": {"method": method, "version": version, "url": url, "headers": headers}})
}

fn get(url: &str) -> Value {
    request("GET", Value::Null, url, json!({}))
}

/// An answer with this status.
fn answer(status: u16) -> Value {
    ok(json!({"Http": {"status": status, "headers": ANY}}))
}

async fn letters(web: &Web) -> Verdict {
    let url = web.site.origin.url("/status/418");
    web.site.turn(1).await;
    let mut step = web.ask_client(get(&url), Value::Null);
    step["await"]["metadata"] = json!("mine");
    let told = web.one(step).await?;
    exactly(&told["body"], &answer(418))?;
    matches(
        &told,
        json!({
            "is": "response",
            "source": web.client(),
            "capabilities": [],
            "blob": {"text": "status 418"},
        }),
    )?;
    Ok(Cell::Conforms)
}

async fn capitals(web: &Web) -> Verdict {
    let url = web.site.origin.url("/headers");
    web.site.turn(1).await;
    let told = web.one(web.ask_client(get(&url), Value::Null)).await?;
    let headers = &told["body"]["Ok"]["Http"]["headers"];
    let wanted = json!({
        "Content-Type": "text/plain",
        "X-Lower-Case": "lower",
        "X-Upper-Case": "upper",
        "X_under_score": "under",
        "X-Empty": "",
    });
    matches(headers, wanted)?;
    let twice = headers["X-Twice"].as_str().unwrap_or_default();
    if !twice.ends_with("second") {
        return Err(format!("{headers}: of two values none is there"));
    }
    Ok(Cell::Conforms)
}

async fn blob(web: &Web) -> Verdict {
    for (path, text) in [
        ("/status/204", ""),
        ("/big/0", ""),
        ("/status/404", "status 404"),
    ] {
        let url = web.site.origin.url(path);
        web.site.turn(1).await;
        let method = if path == "/status/204" { "HEAD" } else { "GET" };
        let asked = request(method, Value::Null, &url, json!({}));
        let told = web.one(web.ask_client(asked, Value::Null)).await?;
        equal(path, told["blob"]["text"].as_str(), Some(text))?;
    }
    Ok(Cell::Conforms)
}

/// Those that are not spoken fail as an attempt to speak them does.
async fn versions(web: &Web) -> Verdict {
    let url = web.site.origin.url("/echo");
    for version in ["HTTP/1.0", "HTTP/1.1"] {
        web.site.turn(1).await;
        let asked = request("GET", json!(version), &url, json!({}));
        let told = web.one(web.ask_client(asked, Value::Null)).await?;
        exactly(&told["body"], &answer(200))?;
    }
    for version in ["HTTP/0.9", "HTTP/2.0", "HTTP/3.0"] {
        web.site.turn(1).await;
        let asked = request("GET", json!(version), &url, json!({}));
        let told = web.one(web.ask_client(asked, Value::Null)).await?;
        let old = json!({"RequestFailed": {"error": TEXT}});
        let new = json!({"ExecuteRequestFailed": TEXT});
        let failed = err(either(&web.subject, old, new));
        if exactly(&told["body"], &answer(200)).is_err() {
            exactly(&told["body"], &failed).map_err(|error| format!("{version}: {error}"))?;
        }
    }
    Ok(Cell::Conforms)
}

async fn bad_version(web: &Web) -> Verdict {
    let url = web.site.origin.url("/echo");
    let asked = ["HTTP/4", "1.1", "http/1.1", ""].map(|version| {
        let wanted = err(json!({"BadVersion": {"version": version}}));
        let body = request("GET", json!(version), &url, json!({}));
        (body, Value::Null, wanted)
    });
    web.client_answered(asked.into()).await
}

async fn bad_method(web: &Web) -> Verdict {
    let url = web.site.origin.url("/echo");
    let asked = ["", "G T", "GET\r\nX: y", "gét"].map(|method| {
        let wanted = err(json!({"BadMethod": {"method": method}}));
        let body = request(method, Value::Null, &url, json!({}));
        (body, Value::Null, wanted)
    });
    web.client_answered(asked.into()).await
}

async fn bad_url(web: &Web) -> Verdict {
    let asked = ["", "no URL", "/path", "http://", "http://a b/", "127.0.0.1"].map(|url| {
        let wanted = err(json!({"BadUrl": {"url": url}}));
        (get(url), Value::Null, wanted)
    });
    web.client_answered(asked.into()).await
}

async fn malformed(web: &Web) -> Verdict {
    let old = json!({"BadRequest": {"req": TEXT}});
    let wanted = err(either(&web.subject, old, json!("MalformedRequest")));
    let url = web.site.origin.url("/echo");
    let asked = [
        json!("no request"),
        json!({"Nonsense": {}}),
        json!({"Http": {"method": "GET"}}),
        json!({"Http": {"method": 7, "version": null, "url": url, "headers": {}}}),
        json!({"Http": {"method": "GET", "version": null, "url": url, "headers": {"a": 1}}}),
        json!({"WebSocketOpen": {"url": "ws://127.0.0.1/"}}),
        json!({"WebSocketPush": {"channel_id": 1, "message_type": "Letter"}}),
        json!({"WebSocketClose": 7}),
    ]
    .map(|body| (body, json!({"text": "blob"}), wanted.clone()));
    web.client_answered(asked.into()).await
}

async fn unbuildable(web: &Web) -> Verdict {
    let old = json!({"BadRequest": {"req": TEXT}});
    let new = json!({"BuildRequestFailed": TEXT});
    let wanted = err(either(&web.subject, old, new));
    let url = web.site.origin.url("/echo");
    let asked = [json!({"bad name": "value"}), json!({"name": "bad\nvalue"})].map(|headers| {
        let body = request("GET", Value::Null, &url, headers);
        (body, Value::Null, wanted.clone())
    });
    web.client_answered(asked.into()).await
}

/// Not even afterwards.
async fn silent(web: &Web) -> Verdict {
    let url = web.site.origin.url("/slow/200");
    web.site.turn(2).await;
    let send = json!({"send": {"to": web.client(), "body": "no request"}});
    web.run(json!(["log", send])).await?;
    web.one(web.ask_client(get(&url), Value::Null)).await?;
    let answers = web.log().await?;
    let answers = answers.iter().filter(|told| told["source"] == web.client());
    equal("answers", answers.count(), 0_usize)?;
    Ok(Cell::Conforms)
}

/// B hands A's request on to the client, which answers A.
async fn inherited(web: &Web) -> Verdict {
    let url = web.site.origin.url("/status/202");
    let hand_on = json!({"do": [
        {"send": {"to": web.client(), "inherit": true, "body": get(&url)}},
    ]});
    let b = web.subject.at("-b");
    web.site.turn(1).await;
    let told = web
        .one(json!({"await": {"to": b, "expects": 5, "body": hand_on}}))
        .await?;
    matches(&told, json!({"is": "response", "source": web.client()}))?;
    exactly(&told["body"], &answer(202))?;
    Ok(Cell::Conforms)
}
