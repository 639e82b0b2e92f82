//! Which bound path a request meets, and what an app is told of it.

use serde_json::{Value, json};

use super::called::{ANY, TEXT};
use super::server::open;
use super::web::{equal, exactly};
use super::{By, Cell, Verdict, Web, matches, rows};

rows! {
    "paths: the message to the app, to the letter" => letters,
    "paths: the same through a tunnel" => through_tunnel,
    "paths: one trailing slash is nothing" => trailing_slash,
    "paths: a path is bound with a slash or without" => leading_slash,
    "paths: :name is one segment" => parameters,
    "paths: *name is the rest" => wildcards,
    "paths: a literal beats a parameter, and that a wildcard" => precedence,
    "paths: a parameter's value is as it was sent" => not_decoded,
    "paths: what is doubled is another path" => doubled,
    "paths: an unknown path is 404, or for the app's root" => fallback,
    "paths: an unknown app is 404" => unknown,
    "paths: bodies arrive as they are" => bodies,
}

/// What A was told of a GET of `rest`, which must reach it.
async fn told(web: &Web, rest: &str) -> Result<Value, String> {
    web.log().await?;
    web.reads(By::Stranger, rest, "met").await?;
    let mut log = web.log().await?;
    match log.pop() {
        Some(told) if log.is_empty() => Ok(told["body"]["Http"].clone()),
        other => Err(format!("{rest}: {log:?} and {other:?} were told")),
    }
}

/// Has A bind paths for everybody and answer what meets them.
async fn meets(web: &Web, paths: &[&str]) -> Result<(), String> {
    let steps = paths.iter().map(|path| open(web, path)).collect();
    web.does(steps).await?;
    web.says("met").await
}

async fn letters(web: &Web) -> Verdict {
    meets(web, &["/letters"]).await?;
    let path = web.path("/letters/?a=1&b=%C3%A9+x&c");
    let headers = [
        ("X-Mine", "One"),
        ("x-other", "two"),
        ("content-type", "text/css"),
    ];
    let answer = web
        .site
        .send(By::Stranger, "POST", &path, &headers, b"sent".to_vec())
        .await?;
    answer.has_status(200)?;
    let log = web.log().await?;
    let bare = web.path("/letters");
    let wanted = json!({
        "is": "request",
        "source": web.server(),
        "body": {"Http": {
            "source_socket_addr": TEXT,
            "method": "POST",
            "url": format!("http://alice.localhost{bare}"),
            "bound_path": bare,
            "headers": ANY,
            "url_params": {},
            "query_params": {"a": "1", "b": "é x", "c": ""},
        }},
        "expects": 15,
        "metadata": null,
        "blob": {"mime": null, "text": "sent"},
        "capabilities": [],
        "did": ANY,
    });
    exactly(&log[0], &wanted)?;
    let wanted = json!({
        "host": web.site.authority(By::Stranger),
        "x-mine": "One",
        "x-other": "two",
        "content-type": "text/css",
    });
    matches(&log[0]["body"]["Http"]["headers"], wanted)?;
    Ok(Cell::Conforms)
}

async fn through_tunnel(web: &Web) -> Verdict {
    meets(web, &["/tunnelled"]).await?;
    web.reads(By::Tunnel, "/tunnelled", "met").await?;
    let log = web.log().await?;
    let bare = web.path("/tunnelled");
    let wanted = json!({
        "source_socket_addr": ANY,
        "method": "GET",
        "url": format!("http://localhost{bare}"),
        "bound_path": bare,
        "headers": ANY,
        "url_params": {},
        "query_params": {},
    });
    exactly(&log[0]["body"]["Http"], &wanted)?;
    // There is always a blob.
    exactly(&log[0]["blob"], &json!({"mime": null, "text": ""}))?;
    Ok(Cell::Conforms)
}

async fn trailing_slash(web: &Web) -> Verdict {
    meets(web, &["/bare", "/slashed/"]).await?;
    for path in ["/bare", "/bare/", "/slashed", "/slashed/"] {
        let told = told(web, path).await?;
        let bare = web.path(path.trim_end_matches('/'));
        let url = format!("http://alice.localhost{bare}");
        matches(&told, json!({"url": url, "bound_path": bare}))?;
    }
    web.get(By::Stranger, "/bare//", 404).await?;
    Ok(Cell::Conforms)
}

async fn leading_slash(web: &Web) -> Verdict {
    meets(web, &["unslashed", "deep/er"]).await?;
    for path in ["/unslashed", "/deep/er"] {
        let told = told(web, path).await?;
        matches(&told, json!({"bound_path": web.path(path)}))?;
    }
    Ok(Cell::Conforms)
}

async fn parameters(web: &Web) -> Verdict {
    meets(web, &["/p/:first/with/:second"]).await?;
    let told = told(web, "/p/one/with/two").await?;
    let wanted = json!({
        "bound_path": web.path("/p/:first/with/:second"),
        "url_params": {"first": "one", "second": "two"},
    });
    matches(&told, wanted)?;
    for path in ["/p/one/with", "/p/one/with/two/three", "/p//with/two"] {
        web.get(By::Stranger, path, 404).await?;
    }
    Ok(Cell::Conforms)
}

async fn wildcards(web: &Web) -> Verdict {
    meets(web, &["/w/*rest", "/v/*"]).await?;
    for (path, rest) in [("/w/one", "one"), ("/w/one/two/three", "one/two/three")] {
        let told = told(web, path).await?;
        exactly(&told["url_params"], &json!({ "rest": rest }))?;
    }
    let told = told(web, "/v/one/two").await?;
    exactly(&told["url_params"], &json!({}))?;
    // It is one segment at least.
    web.get(By::Stranger, "/w", 404).await?;
    Ok(Cell::Conforms)
}

async fn precedence(web: &Web) -> Verdict {
    meets(web, &["/q/*rest", "/q/:one", "/q/literal"]).await?;
    for (path, bound) in [
        ("/q/literal", "/q/literal"),
        ("/q/other", "/q/:one"),
        ("/q/literal/more", "/q/*rest"),
    ] {
        let told = told(web, path).await?;
        matches(&told, json!({"bound_path": web.path(bound)}))?;
    }
    Ok(Cell::Conforms)
}

async fn not_decoded(web: &Web) -> Verdict {
    meets(web, &["/d/:one"]).await?;
    let told = told(web, "/d/a%2Fb%20c").await?;
    exactly(&told["url_params"], &json!({"one": "a%2Fb%20c"}))?;
    Ok(Cell::Conforms)
}

async fn doubled(web: &Web) -> Verdict {
    meets(web, &["/twice/deep"]).await?;
    told(web, "/twice/deep").await?;
    web.get(By::Stranger, "//twice/deep", 404).await?;
    web.get(By::Stranger, "/twice//deep", 404).await?;
    let path = format!("/{}", web.path("/twice/deep"));
    web.site.get(By::Stranger, &path).await?.has_status(404)?;
    Ok(Cell::Conforms)
}

/// From 1.0 on the binding of the app's root answers what nothing else does,
/// as it is bound, until it is unbound.
async fn fallback(web: &Web) -> Verdict {
    meets(web, &["/", "/known"]).await?;
    let root = told(web, "/").await?;
    let bound = web.path("");
    matches(
        &root,
        json!({"bound_path": bound, "url": format!("http://alice.localhost{bound}")}),
    )?;
    let steps = vec![
        open(web, "/gone"),
        web.call("unbind_http_path", json!({"path": "/gone"})),
    ];
    web.does(steps).await?;
    // What was unbound is not for the root.
    web.get(By::Stranger, "/gone", 404).await?;
    if web.subject.column.newer {
        let told = told(web, "/unknown/path").await?;
        let url = format!("http://alice.localhost{}", web.path("/unknown/path"));
        matches(&told, json!({"bound_path": bound, "url": url}))?;
    } else {
        web.get(By::Stranger, "/unknown/path", 404).await?;
    }
    let guarded = json!({"path": "/", "authenticated": true});
    web.does(vec![web.call("bind_http_path", guarded)]).await?;
    let status = if web.subject.column.newer { 200 } else { 404 };
    web.get(By::Stranger, "/unknown/path", status).await?;
    web.reads(By::Stranger, "/known", "met").await?;
    let unbound = web.call("unbind_http_path", json!({"path": "/"}));
    web.does(vec![unbound]).await?;
    for path in ["/", "/unknown/path"] {
        web.get(By::Stranger, path, 404).await?;
    }
    Ok(Cell::Conforms)
}

async fn unknown(web: &Web) -> Verdict {
    for path in ["/nobody:here:sys", "/nobody:here:sys/x", "/x", "/:"] {
        let answer = web.site.get(By::Stranger, path).await?;
        answer.has_status(404)?;
    }
    Ok(Cell::Conforms)
}

async fn bodies(web: &Web) -> Verdict {
    meets(web, &["/bodies"]).await?;
    // As the app's `pattern` has them.
    let pattern: Vec<u8> = (0..100_000_u32).map(|at| (at % 251) as u8).collect();
    let path = web.path("/bodies");
    for body in [pattern.clone(), vec![0, 255, 254]] {
        let answer = web.site.send(By::Stranger, "PUT", &path, &[], body).await?;
        answer.has_status(200)?;
    }
    let log = web.log().await?;
    equal("bytes", log[0]["blob"]["bytes"].as_u64(), Some(100_000))?;
    exactly(&log[1]["blob"]["text"], &json!("\0\u{fffd}\u{fffd}"))?;
    // And go back as they are.
    let answer = json!({"status": 200, "pattern": 100_000});
    web.on("Http", json!([web.call("send_response", answer)]))
        .await?;
    let answer = web.get(By::Stranger, "/bodies", 200).await?;
    if answer.body == pattern {
        Ok(Cell::Conforms)
    } else {
        Err(format!("{} other bytes came back", answer.body.len()))
    }
}
