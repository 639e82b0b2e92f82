//! A website: every way that an app has of serving files, and who sees them.

use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::super::browser::chromium::{Chromium, Look};
use super::super::support::{Host, Visitor, fetch};
use super::Node;

const SITE: &str = "website:website:template.os";

async fn site(host: &Host) -> Node {
    let alice = Node::create(host, "alice").await;
    alice.install("website:template.os").await;
    alice.has_begun(SITE).await;
    alice
}

/// A file of the package, as it is in the source tree.
fn source(path: &str) -> Vec<u8> {
    let packages = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../runtime/packages/test-apps/book/website/pkg"
    );
    std::fs::read(format!("{packages}/{path}")).unwrap()
}

#[tokio::test]
async fn everybody_sees_the_site_and_only_the_owner_the_album() {
    let host = Host::start();
    let alice = site(&host).await;
    let owner = Visitor::owner(&host, &alice.api, "alice").await;
    let stranger = Visitor::stranger("alice");
    let base = format!("/{SITE}");
    for (path, kind, file) in [
        ("", "text/html", "ui/index.html"),
        ("/", "text/html", "ui/index.html"),
        ("/home", "text/html", "ui/index.html"),
        ("/index.html", "text/html", "ui/index.html"),
        ("/about.html", "text/html", "ui/about.html"),
        ("/assets/style.css", "text/css", "ui/assets/style.css"),
        ("/assets/site.js", "text/javascript", "ui/assets/site.js"),
        (
            "/assets/site.json",
            "application/json",
            "ui/assets/site.json",
        ),
        ("/assets/logo.png", "image/png", "ui/assets/logo.png"),
        // A query is not part of a path.
        ("/assets/logo.png?v=2", "image/png", "ui/assets/logo.png"),
    ] {
        for visitor in [&stranger, &owner] {
            let got = visitor.get(&host, &format!("{base}{path}")).await;
            assert_eq!(got.status(), StatusCode::OK, "{path}");
            let given = got.headers()[CONTENT_TYPE].to_str().unwrap().to_owned();
            assert!(given.starts_with(kind), "{path}: {given}");
            assert_eq!(got.bytes().await.unwrap(), source(file), "{path}");
        }
    }
    let robots = stranger.get(&host, &format!("{base}/robots.txt")).await;
    assert_eq!(robots.headers()[CONTENT_TYPE], "text/plain");
    assert_eq!(robots.text().await.unwrap(), "User-agent: *\nDisallow: /\n");

    // What is the owner's is a page to sign in on for everybody else.
    for (path, kind, content) in [
        ("/album", "text/html", source("album/index.html")),
        (
            "/photos/gradient.png",
            "image/png",
            source("album/photos/gradient.png"),
        ),
        (
            "/photos/circle.svg",
            "image/svg+xml",
            source("album/photos/circle.svg"),
        ),
        ("/motto", "text/plain", b"small and beautiful".to_vec()),
    ] {
        let path = format!("{base}{path}");
        let got = owner.get(&host, &path).await;
        assert_eq!(got.status(), StatusCode::OK, "{path}");
        let given = got.headers()[CONTENT_TYPE].to_str().unwrap().to_owned();
        assert!(given.starts_with(kind), "{path}: {given}");
        assert_eq!(got.bytes().await.unwrap(), content, "{path}");
        let login = stranger.get(&host, &path).await;
        assert_eq!(login.status(), StatusCode::OK, "{path}");
        let login = login.text().await.unwrap();
        assert!(login.contains("password"), "{path}: {login}");
        // Through the tunnel, too.
        let url = format!("http://localhost:{}{path}", alice.tunnel_port());
        let login = fetch(url).await.unwrap().text().await.unwrap();
        assert!(login.contains("password"), "{path}: {login}");
    }
    for path in [
        "/nothing",
        "/assets",
        "/assets/nothing.png",
        "/ui/index.html",
    ] {
        let got = owner.get(&host, &format!("{base}{path}")).await;
        assert_eq!(got.status(), StatusCode::NOT_FOUND, "{path}");
    }
    let missing = owner
        .get(&host, &format!("{base}/photos/nothing.png"))
        .await;
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    // What is kept is for GET alone; the rest is the app's to answer.
    let posted = owner
        .send(&host, Method::POST, &format!("{base}/robots.txt"), "", &[])
        .await;
    assert_eq!(posted.status(), StatusCode::METHOD_NOT_ALLOWED);

    // Asleep, the node wakes for a visitor.
    alice.hibernate().await;
    let woken = stranger.page(&host, &format!("{base}/about.html")).await;
    assert!(woken.contains("About this site"), "{woken}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_shows_the_site_and_the_album() {
    let host = Host::start();
    let alice = site(&host).await;
    let owner = Visitor::owner(&host, &alice.api, "alice").await;
    let base = format!("http://{}/{SITE}", owner.authority(&host));
    let browser = Chromium::start(Look::default()).await;
    browser.goto(&base).await;
    browser.sees("Told by a script.").await;
    let image = "const image = document.querySelector('img');
        return [image.complete, image.naturalWidth];";
    browser
        .until("the logo", async || {
            browser.script(image).await == json!([true, 32])
        })
        .await;
    let color = "return getComputedStyle(document.querySelector('h1')).color";
    assert_eq!(browser.script(color).await, json!("rgb(0, 80, 160)"));
    browser.press("About").await;
    browser.sees("About this site").await;

    // The album asks who is there.
    browser.goto(&format!("{base}/album")).await;
    browser.find("input[type=password]").await;
    super::sign_in(&browser, &alice).await;
    browser.goto(&format!("{base}/album")).await;
    browser.find("#photo").await;
    browser
        .until("the photo", async || {
            browser.script(image).await == json!([true, 96])
        })
        .await;
    browser.close().await;
}
