//! Every page: who may see it, and what every page must be.

use std::collections::HashSet;

use crate::support::{Browser, Host, Markup};

/// Every page of somebody with one node, which is archived where the page is
/// for such nodes.
const PAGES: &[&str] = &[
    "/nodes",
    "/nodes/new",
    "/nodes/alice",
    "/nodes/alice?show=ssh-password",
    "/nodes/alice/log",
    "/nodes/alice/egress",
    "/nodes/alice/password",
    "/nodes/alice/delete",
    "/account",
];

/// What holds for every page, whatever it shows.
pub fn check(page: &Markup, path: &str) {
    let html = page.all("html").next().unwrap();
    assert_eq!(html["lang"], "en", "{path}");
    let title = page.text_of(|name, _| name == "title").unwrap();
    assert!(
        title.ends_with(" · Berth") && title.len() > 10,
        "{path}: {title}"
    );
    assert_eq!(page.all("h1").count(), 1, "{path}");
    assert_eq!(page.all("main").count(), 1, "{path}");
    let mut ids = HashSet::new();
    let mut labelled = HashSet::new();
    for (name, attributes) in page.elements() {
        if let Some(id) = attributes.get("id") {
            assert!(ids.insert(id.clone()), "{path}: #{id} twice");
        }
        if let ("label", Some(of)) = (name, attributes.get("for")) {
            labelled.insert(of.clone());
        }
        for key in attributes.keys() {
            assert!(!key.starts_with("on") && key != "style", "{path}: {key}");
        }
        for key in ["href", "action", "src"] {
            let Some(value) = attributes.get(key) else {
                continue;
            };
            let inside = value.starts_with('/') && !value.starts_with("//");
            let own = inside || value == "#main" || value.starts_with("http://alice.localhost:");
            assert!(own, "{path}: {key}={value}");
        }
        match name {
            "script" => assert!(
                attributes["src"].starts_with("/assets/berth.js?v="),
                "{path}"
            ),
            "img" => assert!(attributes.contains_key("alt"), "{path}"),
            "style" | "iframe" | "object" | "base" => panic!("{path}: <{name}>"),
            "button" => assert!(attributes.contains_key("type"), "{path}"),
            _ => {}
        }
    }
    for input in page.all("input") {
        let kind = input["type"].as_str();
        let seen = kind != "hidden" && !input.contains_key("hidden");
        if seen {
            assert!(
                labelled.contains(&input["id"]),
                "{path}: {input:?} has no label"
            );
        }
        assert!(kind != "password" || !input.contains_key("value"), "{path}");
        for id in input
            .get("aria-describedby")
            .iter()
            .flat_map(|ids| ids.split(' '))
        {
            assert!(ids.contains(id), "{path}: described by {id}");
        }
    }
    for id in page
        .elements()
        .filter_map(|(_, attributes)| attributes.get("aria-labelledby"))
    {
        assert!(ids.contains(id), "{path}: labelled by {id}");
    }
    let skip = page.links().first().copied();
    assert_eq!(skip, Some("#main"), "{path}");
    let mut focused = page
        .elements()
        .filter(|(_, attributes)| attributes.contains_key("autofocus"));
    assert!(
        focused.next().is_none() || focused.next().is_none(),
        "{path}: two cursors"
    );
}

#[tokio::test]
async fn pages_for_everybody_are_seen_by_everybody() {
    let host = Host::start().await;
    let mut browser = Browser::new(&host);
    for path in [
        "/",
        "/sign-in",
        "/sign-up",
        "/sign-in?why=ended",
        "/sign-in?why=first",
    ] {
        browser.open(path).await;
        assert_eq!((browser.answer.status, browser.path.as_str()), (200, path));
        assert_eq!(browser.answer.header("cache-control"), Some("no-store"));
        check(&browser.page, path);
        assert!(browser.page.links().contains(&"/sign-up"), "{path}");
    }
    assert!(browser.answer.text().contains("Sign in to see that page"));
    browser.open("/nothing").await;
    assert_eq!(browser.answer.status, 404);
    check(&browser.page, "/nothing");
    let refused = browser.post("/", "").await;
    assert_eq!(refused.status, 405);
    check(&Markup::read(&refused.text()), "POST /");
}

#[tokio::test]
async fn pages_of_an_account_are_seen_by_its_owner_only() {
    let host = Host::start().await;
    let mut ann = Browser::signed_up(&host, "ann@example.org").await;
    check(&ann.page, "/nodes, empty");
    assert!(ann.page.text().contains("You have no node yet"));
    ann.make_node("alice").await;
    for path in PAGES {
        ann.open(path).await;
        assert_eq!((ann.answer.status, ann.path.as_str()), (200, *path));
        assert_eq!(
            ann.answer.header("cache-control"),
            Some("no-store"),
            "{path}"
        );
        check(&ann.page, path);
        assert!(
            ann.page
                .forms()
                .iter()
                .any(|form| form.action == "/sign-out"),
            "{path}"
        );

        let mut nobody = Browser::new(&host);
        nobody.open(path).await;
        assert!(
            nobody.path.starts_with("/sign-in?"),
            "{path}: {}",
            nobody.path
        );
        assert!(!nobody.answer.text().contains("ann@"), "{path}");
    }
    for path in ["/", "/sign-in", "/sign-up"] {
        ann.open(path).await;
        assert_eq!(
            ann.path, "/nodes",
            "{path}: somebody signed in has no use for it"
        );
    }
}

#[tokio::test]
async fn after_signing_in_one_is_where_one_wanted_to_be() {
    let host = Host::start().await;
    let mut ann = Browser::signed_up(&host, "ann@example.org").await;
    ann.make_node("alice").await;
    for path in PAGES {
        let mut browser = Browser::new(&host);
        browser.open(path).await;
        assert!(
            browser.answer.text().contains("Sign in to see that page"),
            "{path}"
        );
        let fields = [("email", "ann@example.org"), ("password", "long enough")];
        browser.submit("/sign-in", &fields).await;
        assert_eq!(browser.path, *path);
        assert_eq!(browser.answer.status, 200, "{path}");
    }
}

#[tokio::test]
async fn an_ended_session_leads_to_the_sign_in_page_and_back() {
    let host = Host::start().await;
    let mut ann = Browser::signed_up(&host, "ann@example.org").await;
    ann.make_node("alice").await;
    host.clock.advance(31 * 24 * 3600);
    ann.open("/nodes/alice").await;
    assert_eq!(ann.path, "/sign-in?next=%2Fnodes%2Falice&why=ended");
    assert!(ann.page.text().contains("Your session has ended"));
    let fields = [("email", "ann@example.org"), ("password", "long enough")];
    ann.submit("/sign-in", &fields).await;
    assert_eq!(ann.path, "/nodes/alice");

    // A button pressed too late leads back to the page with the button.
    let body = crate::support::fill_in(&ann.form("/nodes/alice/stop"), &[]);
    host.clock.advance(31 * 24 * 3600);
    let answer = ann.post("/nodes/alice/stop", &body).await;
    let target = answer.header("location").unwrap();
    assert_eq!(target, "/sign-in?next=%2Fnodes%2Falice&why=ended");
}

#[tokio::test]
async fn without_the_database_pages_say_so_and_known_sessions_go_on() {
    let host = Host::start().await;
    let mut ann = Browser::signed_up(&host, "ann@example.org").await;
    ann.make_node("alice").await;
    let mut known = Browser::new(&host);
    known.open("/nodes").await;
    host.rows.set_away(true);
    // Nobody can be signed in, and says so in the form.
    let fields = [("email", "ann@example.org"), ("password", "long enough")];
    known.submit("/sign-in", &fields).await;
    assert_eq!(known.answer.status, 503);
    assert!(known.answer.header("retry-after").is_some());
    assert!(known.page.alert().unwrap().contains("try again"));
    check(&known.page, "/sign-in, away");
    // A session that was seen before goes on, with what memory knows.
    ann.open("/nodes").await;
    assert_eq!(ann.answer.status, 200);
    assert!(
        ann.page.text().contains("cannot be looked up"),
        "{}",
        ann.page.text()
    );
    ann.open("/account").await;
    assert_eq!(ann.answer.status, 503);
    assert!(ann.answer.header("retry-after").is_some());
    check(&ann.page, "/account, away");
    ann.open("/nodes/new").await;
    let fields = [("label", "bob"), ("password", "node password")];
    ann.submit("/nodes/new", &fields).await;
    assert_eq!(ann.answer.status, 503);
    assert_eq!(
        ann.page.id("label").unwrap()["value"],
        "bob",
        "what was typed stays"
    );
    assert!(ann.answer.header("retry-after").is_some());
    // One that nobody has seen cannot be checked.
    let mut unknown = Browser::new(&host);
    unknown
        .cookies
        .insert("berth-session".to_owned(), "berth_unknown".to_owned());
    unknown.open("/nodes").await;
    assert_eq!(unknown.answer.status, 503);
    assert!(
        !unknown.answer.text().contains("taken away"),
        "no details of the database"
    );
    host.rows.set_away(false);
    ann.submit("/nodes/new", &fields).await;
    assert_eq!(ann.path, "/nodes/bob");
}

#[tokio::test]
async fn files_are_kept_as_long_as_they_do_not_change() {
    let host = Host::start().await;
    let page = host.get("localhost", "/").await.text();
    let start = page.find("/assets/berth.css?v=").unwrap();
    let end = page[start..].find('"').unwrap() + start;
    let named = host.get("localhost", &page[start..end]).await;
    assert_eq!(named.status, 200);
    assert!(named.header("cache-control").unwrap().contains("immutable"));
    for (path, media_type) in [
        ("/assets/berth.css", "text/css; charset=utf-8"),
        ("/assets/berth.js", "text/javascript; charset=utf-8"),
        ("/assets/berth.svg", "image/svg+xml"),
        ("/assets/harbour.svg", "image/svg+xml"),
        ("/favicon.ico", "image/x-icon"),
        ("/robots.txt", "text/plain; charset=utf-8"),
    ] {
        let answer = host.get("localhost", path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("content-type"), Some(media_type));
        assert_eq!(
            answer.header("cache-control"),
            Some("public, no-cache"),
            "{path}"
        );
        let tag = answer.header("etag").unwrap().to_owned();
        for (sent, status) in [
            (tag.as_str(), 304),
            (&format!("\"x\", W/{tag}"), 304),
            ("*", 304),
            ("\"x\"", 200),
        ] {
            let headers = [("If-None-Match", sent)];
            let again = host.send("GET", "localhost", path, &headers, b"").await;
            assert_eq!(again.status, status, "{path} {sent}");
            assert_eq!(again.header("etag"), Some(tag.as_str()));
        }
    }
}
