//! Functions of the libraries that serve what is in the package's drive.

use std::time::Duration;

use serde_json::json;

use super::called::{TEXT, done, err, of_the_book};
use super::package::SITE;
use super::server::open;
use super::web::{equal, exactly};
use super::{ABSENT, By, Cell, Verdict, Web, rows};

rows! {
    "server: serve_ui" => serve_ui,
    "server: serve_ui for the owner" => serve_ui_guarded,
    "server: serve_ui of what is not there" => no_ui,
    "server: unserve_ui" => unserve_ui,
    "server: serve_file" => serve_file,
    "server: serve_file_raw_path" => serve_raw,
    "server: serve_file of what is not there" => no_file,
    "server: serve_index_html" => serve_index,
    "server: secure_serve_index_html" => secure_index,
    "server: secure_serve_ui, or serve_ui at the subdomain" => secure_ui,
    "server: handle_ui_asset_request" => asset,
}

/// The files of the site, with their types.
const TYPES: [&str; 4] = [
    "text/html",
    "text/javascript",
    "image/svg+xml",
    "application/octet-stream",
];

/// Whether a path is the file of the site with this number.
async fn is_file(web: &Web, by: By, path: &str, number: usize) -> Result<(), String> {
    let answer = web.get(by, path, 200).await?;
    let kind = answer.header("content-type");
    equal(path, kind, TYPES[number])?;
    equal(path, answer.text(), SITE[number].1)
}

/// Whether the whole site is served, its first page at `roots` too.
async fn is_site(web: &Web, by: By, roots: &[&str]) -> Result<(), String> {
    for (number, (name, _)) in SITE.iter().enumerate() {
        is_file(web, by, &format!("/{name}"), number).await?;
    }
    for root in roots {
        is_file(web, by, root, 0).await?;
    }
    Ok(())
}

/// Takes away what was served at the root, so that it answers nothing else.
async fn clear(web: &Web, paths: &[&str]) -> Result<(), String> {
    let names = SITE.iter().map(|(name, _)| format!("/{name}"));
    let paths = paths.iter().map(|path| (*path).to_owned());
    let steps = names
        .chain(paths)
        .map(|path| web.call("unbind_http_path", json!({ "path": path })))
        .collect();
    web.does(steps).await?;
    Ok(())
}

async fn serve_ui(web: &Web) -> Verdict {
    let options = json!({
        "directory": "ui", "paths": ["/", "/app"], "authenticated": false, "local_only": false,
    });
    if !web.does(vec![web.call("serve_ui", options)]).await? {
        return Ok(ABSENT);
    }
    is_site(web, By::Stranger, &["/", "/app"]).await?;
    is_site(web, By::Tunnel, &["/"]).await?;
    clear(web, &["/", "/app"]).await?;
    Ok(Cell::Conforms)
}

async fn serve_ui_guarded(web: &Web) -> Verdict {
    let options = json!({
        "directory": "ui", "paths": ["/"], "authenticated": true, "local_only": false,
    });
    if !web.does(vec![web.call("serve_ui", options)]).await? {
        return Ok(ABSENT);
    }
    is_site(web, By::Owner, &["/"]).await?;
    for path in ["/", "/main.js"] {
        web.get(By::Stranger, path, 200).await?.is_login()?;
    }
    clear(web, &["/"]).await?;
    Ok(Cell::Conforms)
}

async fn no_ui(web: &Web) -> Verdict {
    let options = json!({"directory": "no-ui", "paths": ["/"]});
    let told = web.one(web.call("serve_ui", options)).await?;
    if told == "absent" {
        return Ok(ABSENT);
    }
    let wanted = if of_the_book(&web.subject) {
        TEXT
    } else {
        "UnexpectedResponse"
    };
    exactly(&told, &err(json!(wanted)))?;
    Ok(Cell::Conforms)
}

async fn unserve_ui(web: &Web) -> Verdict {
    let options = json!({"directory": "ui", "paths": ["/"], "authenticated": false});
    let unserve = web.call("unserve_ui", options.clone());
    if web.one(unserve.clone()).await? == "absent" {
        return Ok(ABSENT);
    }
    web.does(vec![web.call("serve_ui", options)]).await?;
    is_site(web, By::Stranger, &["/"]).await?;
    web.does(vec![unserve]).await?;
    for (name, _) in SITE {
        web.get(By::Stranger, &format!("/{name}"), 404).await?;
    }
    web.get(By::Stranger, "/", 404).await?;
    Ok(Cell::Conforms)
}

async fn serve_file(web: &Web) -> Verdict {
    let options = json!({
        "path": "/ui/img/logo.svg", "paths": ["/logo", "/mark"], "authenticated": false,
    });
    if !web.does(vec![web.call("serve_file", options)]).await? {
        return Ok(ABSENT);
    }
    for path in ["/logo", "/mark"] {
        is_file(web, By::Stranger, path, 2).await?;
    }
    Ok(Cell::Conforms)
}

async fn serve_raw(web: &Web) -> Verdict {
    let options = json!({
        "path": "/conformance:test.dev/pkg/ui/main.js", "paths": ["/raw"], "authenticated": false,
    });
    let step = web.call("serve_file_raw_path", options);
    if !web.does(vec![step]).await? {
        return Ok(ABSENT);
    }
    is_file(web, By::Stranger, "/raw", 1).await?;
    Ok(Cell::Conforms)
}

async fn no_file(web: &Web) -> Verdict {
    for function in ["serve_file", "serve_file_raw_path"] {
        let options = json!({"path": "/conformance:test.dev/pkg/no", "paths": ["/no-file"]});
        let told = web.one(web.call(function, options)).await?;
        if told == "absent" {
            return Ok(ABSENT);
        }
        exactly(&told, &err(json!("NoBlob")))?;
    }
    web.get(By::Stranger, "/no-file", 404).await?;
    Ok(Cell::Conforms)
}

async fn serve_index(web: &Web) -> Verdict {
    let options = json!({
        "directory": "ui", "paths": ["/index", "/start"],
        "authenticated": false, "local_only": false,
    });
    let step = web.call("serve_index_html", options);
    if !web.does(vec![step]).await? {
        return Ok(ABSENT);
    }
    for path in ["/index", "/start"] {
        is_file(web, By::Stranger, path, 0).await?;
    }
    Ok(Cell::Conforms)
}

/// Whether these paths live at the subdomain, behind a login.
async fn are_apart(web: &Web, paths: &[(&str, usize)]) -> Result<(), String> {
    let cookie = web.site.sign_in(&web.subject.id("")).await?;
    let signed_in = [("cookie", cookie.as_str())];
    for (path, number) in paths {
        web.get(By::Owner, path, 307).await?;
        web.get(By::Subdomain, path, 200).await?.is_login()?;
        let whole = web.path(path);
        let answer = web
            .site
            .send(By::Subdomain, "GET", &whole, &signed_in, Vec::new())
            .await?;
        answer.has_status(200)?;
        equal(path, answer.text(), SITE[*number].1)?;
    }
    Ok(())
}

async fn secure_index(web: &Web) -> Verdict {
    let options = json!({"directory": "ui", "paths": ["/vault"]});
    let step = web.call("secure_serve_index_html", options);
    if !web.does(vec![step]).await? {
        return Ok(ABSENT);
    }
    are_apart(web, &[("/vault", 0)]).await?;
    Ok(Cell::Conforms)
}

async fn secure_ui(web: &Web) -> Verdict {
    let function = if of_the_book(&web.subject) {
        "secure_serve_ui"
    } else {
        "serve_ui"
    };
    let options = json!({"directory": "ui", "paths": ["/safe"], "secure": true});
    if !web.does(vec![web.call(function, options)]).await? {
        return Ok(ABSENT);
    }
    are_apart(web, &[("/safe", 0), ("/main.js", 1), ("/img/logo.svg", 2)]).await?;
    clear(web, &["/safe"]).await?;
    Ok(Cell::Conforms)
}

/// The library answers with the file that the path names.
async fn asset(web: &Web) -> Verdict {
    web.does(vec![open(web, "/assets/*")]).await?;
    let path = format!("{}/main.js", web.path(""));
    let step = web.call(
        "handle_ui_asset_request",
        json!({"directory": "ui", "path": path}),
    );
    web.on("Http", json!([step])).await?;
    let asked = web.path("/assets/main.js");
    let answer = web.site.get(By::Stranger, &asked);
    // Where there is no such function nothing answers.
    let told = tokio::time::timeout(Duration::from_secs(2), answer).await;
    let log = web.log().await?;
    let did = &log[0]["did"][0];
    if did == "absent" {
        return Ok(ABSENT);
    }
    exactly(did, &done())?;
    let answer = told.map_err(|_| "no answer came".to_owned())??;
    answer.has_status(200)?;
    equal("body", answer.text(), SITE[1].1)?;
    let kind = answer.header("content-type");
    equal("type", kind, TYPES[1])?;
    Ok(Cell::Conforms)
}
