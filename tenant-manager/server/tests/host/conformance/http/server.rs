//! The functions of the libraries' modules for the server that bind paths.

use serde_json::{Value, json};

use super::called::{err, of_the_book};
use super::web::{equal, exactly};
use super::{ABSENT, By, Cell, Verdict, Web, rows};

rows! {
    "server: bind_http_path" => bind,
    "server: bind_http_path, authenticated" => bind_authenticated,
    "server: bind_http_path, local_only" => bind_local,
    "server: HttpBindingConfig::default asks for the owner" => default_config,
    "server: HttpBindingConfig::new" => new_config,
    "server: bind_http_static_path" => bind_static,
    "server: bind_http_static_path, whose methods but GET reach the app" => static_methods,
    "server: secure_bind_http_path" => secure_bind,
    "server: secure_bind_http_static_path, or static content" => secure_static,
    "server: unbind_http_path" => unbind,
    "server: modify_http_path sends no content" => modify,
    "server: modify_http_path of a path that is not bound" => modify_unknown,
    "server: bind_multiple_http_paths" => bind_multiple,
    "server: bind_multiple_http_paths undoes what it began" => bind_multiple_fails,
}

/// A step that binds a path for everybody.
pub fn open(web: &Web, path: &str) -> Value {
    web.call(
        "bind_http_path",
        json!({"path": path, "authenticated": false, "local_only": false}),
    )
}

async fn bind(web: &Web) -> Verdict {
    web.does(vec![open(web, "/plain")]).await?;
    web.says("plain").await?;
    for by in [By::Stranger, By::Owner, By::Tunnel] {
        web.reads(by, "/plain", "plain").await?;
    }
    Ok(Cell::Conforms)
}

async fn bind_authenticated(web: &Web) -> Verdict {
    let guarded = json!({"path": "/guarded", "authenticated": true, "local_only": false});
    web.does(vec![web.call("bind_http_path", guarded)]).await?;
    web.says("for the owner").await?;
    web.get(By::Stranger, "/guarded", 200).await?.is_login()?;
    web.get(By::Tunnel, "/guarded", 200).await?.is_login()?;
    web.reads(By::Owner, "/guarded", "for the owner").await?;
    equal("requests", web.log().await?.len(), 1_usize)?;
    Ok(Cell::Conforms)
}

async fn bind_local(web: &Web) -> Verdict {
    let local = json!({"path": "/local", "authenticated": false, "local_only": true});
    web.does(vec![web.call("bind_http_path", local)]).await?;
    web.says("local").await?;
    for by in [By::Stranger, By::Owner] {
        let refused = web.get(by, "/local", 403).await?;
        equal("body", refused.text(), "")?;
    }
    web.reads(By::Tunnel, "/local", "local").await?;
    Ok(Cell::Conforms)
}

async fn default_config(web: &Web) -> Verdict {
    if of_the_book(&web.subject) {
        return Ok(ABSENT);
    }
    web.does(vec![
        web.call("bind_http_path", json!({"path": "/default"})),
    ])
    .await?;
    web.says("default").await?;
    web.get(By::Stranger, "/default", 200).await?.is_login()?;
    web.reads(By::Owner, "/default", "default").await?;
    Ok(Cell::Conforms)
}

async fn new_config(web: &Web) -> Verdict {
    if of_the_book(&web.subject) {
        return Ok(ABSENT);
    }
    let content = json!({"path": "/new", "new": true, "mime": "text/css", "text": "a {}"});
    web.does(vec![web.call("bind_http_path", content)]).await?;
    web.on("Http", json!([])).await?;
    let answer = web.get(By::Stranger, "/new", 200).await?;
    equal("type", answer.header("content-type"), "text/css")?;
    equal("body", answer.text(), "a {}")?;
    let local = json!({"path": "/new", "new": true, "local_only": true, "text": "l"});
    web.does(vec![web.call("bind_http_path", local)]).await?;
    web.get(By::Stranger, "/new", 403).await?;
    web.reads(By::Tunnel, "/new", "l").await?;
    Ok(Cell::Conforms)
}

fn content(path: &str, mime: Option<&str>, text: &str) -> Value {
    json!({
        "path": path,
        "authenticated": false,
        "local_only": false,
        "mime": mime,
        "text": text,
    })
}

async fn bind_static(web: &Web) -> Verdict {
    let bound = |path, mime, text| web.call("bind_http_static_path", content(path, mime, text));
    web.does(vec![
        bound("/static", Some("text/css"), "a {}"),
        bound("/untyped", None, "untyped"),
        bound("/empty", Some("text/css"), ""),
    ])
    .await?;
    web.on("Http", json!([])).await?;
    for (path, mime, text) in [
        ("/static", "text/css", "a {}"),
        ("/untyped", "text/plain", "untyped"),
        ("/empty", "text/css", ""),
    ] {
        let answer = web.get(By::Stranger, path, 200).await?;
        equal("type", answer.header("content-type"), mime)?;
        equal("body", answer.text(), text)?;
    }
    // The app heard nothing of it.
    equal("requests", web.log().await?.len(), 0_usize)?;
    let guarded = json!({"path": "/static", "authenticated": true, "text": "guarded"});
    web.does(vec![web.call("bind_http_static_path", guarded)])
        .await?;
    web.get(By::Stranger, "/static", 200).await?.is_login()?;
    web.reads(By::Owner, "/static", "guarded").await?;
    Ok(Cell::Conforms)
}

async fn static_methods(web: &Web) -> Verdict {
    let step = web.call(
        "bind_http_static_path",
        content("/methods", Some("text/css"), "a {}"),
    );
    web.does(vec![step]).await?;
    web.says("from the app").await?;
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let path = web.path("/methods");
        let answer = web
            .site
            .send(By::Stranger, method, &path, &[], b"sent".to_vec())
            .await?;
        answer.has_status(200)?;
        equal(method, answer.text(), "from the app")?;
    }
    let methods: Vec<Value> = web.log().await?;
    let methods: Vec<&Value> = methods
        .iter()
        .map(|told| &told["body"]["Http"]["method"])
        .collect();
    equal("methods", methods, ["POST", "PUT", "DELETE", "PATCH"])?;
    web.reads(By::Stranger, "/methods", "a {}").await?;
    Ok(Cell::Conforms)
}

/// Whether a path lives at the subdomain of the package, for the owner who has
/// signed in there.
async fn lives_apart(web: &Web, rest: &str, text: &str) -> Result<(), String> {
    let path = web.path(rest);
    let away = web.site.get(By::Owner, &format!("{path}?a=b")).await?;
    away.has_status(307)?;
    let there = format!("http://{}{path}?a=b", web.site.authority(By::Subdomain));
    equal("location", away.header("location"), there)?;
    web.get(By::Subdomain, rest, 200).await?.is_login()?;
    let cookie = web.site.sign_in(&web.subject.id("")).await?;
    let wanted = format!("kinode-auth_alice.dev@{}=", web.subject.id(""));
    if !cookie.starts_with(&wanted) {
        return Err(format!("{cookie} where {wanted} was expected"));
    }
    let signed_in = [("cookie", cookie.as_str())];
    let answer = web
        .site
        .send(By::Subdomain, "GET", &path, &signed_in, Vec::new())
        .await?;
    answer.has_status(200)?;
    equal("body", answer.text(), text)
}

async fn secure_bind(web: &Web) -> Verdict {
    let step = web.call("secure_bind_http_path", json!({"path": "/apart"}));
    web.does(vec![step]).await?;
    web.says("apart").await?;
    lives_apart(web, "/apart", "apart").await?;
    Ok(Cell::Conforms)
}

async fn secure_static(web: &Web) -> Verdict {
    let content =
        json!({"path": "/kept-apart", "secure": true, "mime": "text/css", "text": "a {}"});
    let function = if of_the_book(&web.subject) {
        "secure_bind_http_static_path"
    } else {
        "bind_http_path"
    };
    web.does(vec![web.call(function, content)]).await?;
    web.on("Http", json!([])).await?;
    lives_apart(web, "/kept-apart", "a {}").await?;
    equal("requests", web.log().await?.len(), 0_usize)?;
    Ok(Cell::Conforms)
}

async fn unbind(web: &Web) -> Verdict {
    web.does(vec![open(web, "/once")]).await?;
    web.says("once").await?;
    web.reads(By::Stranger, "/once", "once").await?;
    let unbound = || web.call("unbind_http_path", json!({"path": "/once"}));
    // What is not bound can be unbound.
    web.does(vec![unbound(), unbound()]).await?;
    let answer = web.get(By::Stranger, "/once", 404).await?;
    equal("body", answer.text(), "")?;
    web.get(By::Owner, "/once", 404).await?;
    Ok(Cell::Conforms)
}

/// The libraries ask for content to be kept and send none.
async fn modify(web: &Web) -> Verdict {
    let step = web.call(
        "modify_http_path",
        json!({"path": "/mod", "text": "content"}),
    );
    let results = web.run(json!([open(web, "/mod"), step])).await?;
    if results[1] == "absent" {
        return Ok(ABSENT);
    }
    exactly(&results[1], &err(json!("NoBlob")))?;
    web.says("as it was").await?;
    web.reads(By::Stranger, "/mod", "as it was").await?;
    Ok(Cell::Conforms)
}

async fn modify_unknown(web: &Web) -> Verdict {
    web.finds_no_path("modify_http_path", "/never-bound").await
}

async fn bind_multiple(web: &Web) -> Verdict {
    let paths = json!({"paths": ["/one", "/two", "three"], "authenticated": false});
    if !web
        .does(vec![web.call("bind_multiple_http_paths", paths)])
        .await?
    {
        return Ok(ABSENT);
    }
    web.says("several").await?;
    for path in ["/one", "/two", "/three"] {
        web.reads(By::Stranger, path, "several").await?;
    }
    let apart = json!({"paths": ["/four"], "secure": true});
    web.does(vec![web.call("bind_multiple_http_paths", apart)])
        .await?;
    web.get(By::Owner, "/four", 307).await?;
    Ok(Cell::Conforms)
}

async fn bind_multiple_fails(web: &Web) -> Verdict {
    let long = format!("/{}", "x".repeat(2000));
    let paths = json!({"paths": ["/begun", long], "authenticated": false});
    let result = web.one(web.call("bind_multiple_http_paths", paths)).await?;
    if result == "absent" {
        return Ok(ABSENT);
    }
    exactly(&result, &err(json!("MalformedRequest")))?;
    web.get(By::Stranger, "/begun", 404).await?;
    Ok(Cell::Conforms)
}
