//! Making nodes and looking after them.

use std::sync::atomic::Ordering;

use crate::support::{Browser, Host, fill_in};

#[tokio::test]
async fn the_page_of_a_new_node_follows_it_until_it_is_up() {
    let host = Host::start().await;
    let mut ann = Browser::signed_up(&host, "ann@example.org").await;
    assert!(ann.page.links().contains(&"/nodes/new"));
    host.control.asleep.store(true, Ordering::SeqCst);
    ann.open("/nodes/new").await;
    ann.submit(
        "/nodes/new",
        &[("label", " Alice"), ("password", "node password")],
    )
    .await;
    assert_eq!(
        ann.path, "/nodes/alice",
        "nobody means another name by a capital letter"
    );
    assert!(matches!(
        ann.page.status().as_deref(),
        Some("provisioning" | "booting")
    ));
    // It looks again by itself, without a script, and nothing can be opened.
    for path in ["/nodes/alice", "/nodes"] {
        ann.open(path).await;
        let html = ann.answer.text();
        let refresh = format!("<noscript><meta http-equiv=\"refresh\" content=\"2; url={path}\">");
        assert!(html.contains(&refresh), "{html}");
        let open = ann
            .page
            .forms()
            .iter()
            .any(|form| form.action.ends_with("/open"));
        assert!(!open, "{html}");
    }
    host.control.asleep.store(false, Ordering::SeqCst);
    host.control.wake.notify_one();
    ann.until("alice", "active").await;
    let html = ann.answer.text();
    assert!(!html.contains("http-equiv"), "{html}");
    let text = ann.page.text();
    assert!(
        text.contains("alice.dev") && text.contains("1000 bytes"),
        "{text}"
    );
}

#[tokio::test]
async fn one_click_leads_into_the_node_signed_in() {
    let host = Host::start().await;
    let mut ann = Browser::signed_up(&host, "ann@example.org").await;
    ann.make_node("alice").await;
    let node = format!("http://alice.localhost:{}", host.address.port());
    for page in ["/nodes", "/nodes/alice"] {
        ann.open(page).await;
        // Browsers hold redirects after a form to the form's rule.
        let policy = ann.answer.header("content-security-policy").unwrap();
        let any = format!("http://*.localhost:{}", host.address.port());
        let rule = policy
            .split("; ")
            .find(|rule| rule.starts_with("form-action"))
            .unwrap();
        let to = if page == "/nodes" { &any } else { &node };
        assert_eq!(rule, format!("form-action 'self' {to}"));
        let form = ann.form("/nodes/alice/open");
        assert!(form.button.starts_with("Open"));
        let answer = ann.post("/nodes/alice/open", &fill_in(&form, &[])).await;
        assert_eq!(answer.status, 303);
        let link = answer.header("location").unwrap();
        let path = link.strip_prefix(&node).unwrap();
        let inside = host.get("alice.localhost", path).await;
        assert_eq!(inside.status, 303, "{}", inside.text());
        assert_eq!(inside.header("location"), Some("/"));
        assert!(
            inside
                .header("set-cookie")
                .unwrap()
                .starts_with("kinode-auth_alice.dev=")
        );
        assert_eq!(
            host.get("alice.localhost", path).await.status,
            403,
            "works once"
        );
    }
}

#[tokio::test]
async fn errors_stand_beside_their_field_and_what_was_typed_stays() {
    let host = Host::start().await;
    let mut bob = Browser::signed_up(&host, "bob@example.org").await;
    bob.make_node("taken").await;
    let mut ann = Browser::signed_up(&host, "ann@example.org").await;
    ann.open("/nodes/new").await;
    for (label, password, status, wrong) in [
        ("", "", 422, &["label", "password"][..]),
        ("a--b", "xyzzy xyzzy", 422, &["label"]),
        ("www", "xyzzy xyzzy", 422, &["label"]),
        ("new", "xyzzy xyzzy", 422, &["label"]),
        ("taken", "xyzzy xyzzy", 409, &["label"]),
        ("fine", "short", 422, &["password"]),
    ] {
        let fields = [("label", label), ("password", password)];
        ann.submit("/nodes/new", &fields).await;
        assert_eq!(ann.answer.status, status, "{label}");
        for name in ["label", "password"] {
            let input = ann.page.id(name).unwrap();
            let is_wrong = wrong.contains(&name);
            assert_eq!(
                input.contains_key("aria-invalid"),
                is_wrong,
                "{label} {name}"
            );
            let error = ann.page.text_of_id(&format!("{name}-error"));
            assert_eq!(error.is_some(), is_wrong, "{label} {name}");
        }
        assert!(
            ann.page.id(wrong[0]).unwrap().contains_key("autofocus"),
            "{label}"
        );
        assert_eq!(ann.page.id("label").unwrap()["value"], label);
        assert!(password.is_empty() || !ann.answer.text().contains(password));
    }
    let mut titles = ann.page.text();
    titles.truncate(80);
    assert!(
        ann.answer.text().contains("<title>Error: New node"),
        "{titles}"
    );
}

#[tokio::test]
async fn at_the_quota_the_button_says_why() {
    let host = Host::start().await;
    let mut ann = Browser::signed_up(&host, "ann@example.org").await;
    for label in ["a", "b", "c", "d"] {
        ann.make_node(label).await;
    }
    ann.open("/nodes/new").await;
    let last = fill_in(
        &ann.form("/nodes/new"),
        &[("label", "f"), ("password", "node password")],
    );
    ann.make_node("e").await;
    ann.open("/nodes").await;
    assert_eq!(
        ann.page.text_of_id("quota").as_deref(),
        Some("5 of 5 in use")
    );
    assert!(!ann.page.links().contains(&"/nodes/new"));
    let disabled = ann
        .page
        .all("button")
        .find(|button| button.contains_key("disabled"))
        .unwrap();
    assert_eq!(disabled["aria-describedby"], "quota-reason");
    let reason = ann.page.text_of_id("quota-reason").unwrap();
    assert!(reason.contains("5 nodes"), "{reason}");
    ann.open("/nodes/new").await;
    assert!(
        ann.page
            .forms()
            .iter()
            .all(|form| form.action != "/nodes/new")
    );
    assert!(ann.page.text().contains("Your plan allows 5 nodes"));
    let refused = ann.post("/nodes/new", &last).await;
    assert_eq!(refused.status, 403);
    assert!(
        refused.text().contains("role=\"alert\""),
        "{}",
        refused.text()
    );
    // A node put away makes room.
    ann.open("/nodes/e/delete").await;
    ann.submit("/nodes/e/delete", &[("confirm_label", "e")])
        .await;
    ann.make_node("f").await;
}

#[tokio::test]
async fn buttons_fit_how_the_node_is() {
    let host = Host::start().await;
    let mut ann = Browser::signed_up(&host, "ann@example.org").await;
    ann.make_node("alice").await;
    let buttons = |browser: &Browser<'_>| -> Vec<String> {
        let forms = browser.page.forms().into_iter();
        forms
            .filter_map(|form| form.action.strip_prefix("/nodes/alice/").map(str::to_owned))
            .filter(|action| action != "ssh-password")
            .collect()
    };
    assert_eq!(buttons(&ann), ["open", "restart", "hibernate", "stop"]);
    ann.submit("/nodes/alice/stop", &[]).await;
    assert_eq!(ann.path, "/nodes/alice");
    ann.until("alice", "stopped").await;
    assert_eq!(buttons(&ann), ["start"]);
    assert_eq!(ann.form("/nodes/alice/start").button, "Start");
    ann.submit("/nodes/alice/start", &[]).await;
    ann.until("alice", "active").await;
    ann.submit("/nodes/alice/hibernate", &[]).await;
    ann.until("alice", "hibernated").await;
    assert_eq!(buttons(&ann), ["open", "start", "stop"]);
    assert!(ann.page.text().contains("Asleep"));
    // Reading pages wakes nobody.
    let launches = host.control.launches.load(Ordering::SeqCst);
    for path in [
        "/nodes",
        "/nodes/alice?show=ssh-password",
        "/nodes/alice/password",
    ] {
        ann.open(path).await;
    }
    ann.until("alice", "hibernated").await;
    assert_eq!(host.control.launches.load(Ordering::SeqCst), launches);
    ann.submit("/nodes/alice/start", &[]).await;
    ann.until("alice", "active").await;
    ann.submit("/nodes/alice/restart", &[]).await;
    ann.until("alice", "active").await;
}

#[tokio::test]
async fn a_node_that_cannot_start_says_why_and_can_be_tried_again() {
    let host = Host::start().await;
    let mut ann = Browser::signed_up(&host, "ann@example.org").await;
    ann.make_node("alice").await;
    ann.submit("/nodes/alice/stop", &[]).await;
    ann.until("alice", "stopped").await;
    host.control.broken.store(true, Ordering::SeqCst);
    ann.submit("/nodes/alice/start", &[]).await;
    ann.until("alice", "broken").await;
    assert!(ann.page.text().contains("Reason:"), "{}", ann.page.text());
    assert_eq!(ann.form("/nodes/alice/start").button, "Start again");
    host.control.broken.store(false, Ordering::SeqCst);
    ann.submit("/nodes/alice/start", &[]).await;
    ann.until("alice", "active").await;
}

#[tokio::test]
async fn what_its_state_does_not_allow_is_said_on_the_nodes_page() {
    let host = Host::start().await;
    let mut ann = Browser::signed_up(&host, "ann@example.org").await;
    ann.make_node("alice").await;
    let hibernate = fill_in(&ann.form("/nodes/alice/hibernate"), &[]);
    ann.submit("/nodes/alice/stop", &[]).await;
    ann.until("alice", "stopped").await;
    let refused = ann.post("/nodes/alice/hibernate", &hibernate).await;
    assert_eq!(refused.status, 409);
    let page = crate::support::Markup::read(&refused.text());
    assert!(
        page.alert()
            .unwrap()
            .contains("only a running node can hibernate")
    );
    host.rows.set_away(true);
    ann.submit("/nodes/alice/start", &[]).await;
    assert_eq!(ann.answer.status, 503);
    assert!(ann.answer.header("retry-after").is_some());
    assert!(ann.page.alert().is_some());
}

#[tokio::test]
async fn another_accounts_node_does_not_exist() {
    let host = Host::start().await;
    let mut ann = Browser::signed_up(&host, "ann@example.org").await;
    ann.make_node("alice").await;
    let mut eve = Browser::signed_up(&host, "eve@example.org").await;
    assert!(eve.page.text().contains("You have no node yet"));
    let out = fill_in(&eve.form("/sign-out"), &[]);
    for page in ["", "?show=ssh-password", "/password", "/delete", "/purge"] {
        let mut shown = Vec::new();
        for label in ["alice", "nobody"] {
            eve.open(&format!("/nodes/{label}{page}")).await;
            assert_eq!(eve.answer.status, 404, "{label}{page}");
            shown.push(eve.answer.text());
        }
        assert_eq!(shown[0], shown[1], "{page}");
    }
    for action in [
        "open",
        "start",
        "stop",
        "restart",
        "hibernate",
        "delete",
        "purge",
        "ssh-password",
        "confirm",
        "password",
    ] {
        let mut shown = Vec::new();
        for label in ["alice", "nobody"] {
            let body = format!(
                "{out}&password=another+password&confirm_label={label}&account_password=long+enough"
            );
            let answer = eve.post(&format!("/nodes/{label}/{action}"), &body).await;
            assert_eq!(answer.status, 404, "{label}/{action}: {}", answer.text());
            shown.push(answer.text());
        }
        assert_eq!(shown[0], shown[1], "{action}");
    }
    for path in [
        "/nodes/%ff",
        "/nodes/..%2f",
        "/nodes/Alice",
        "/nodes/alice/x",
        "/nodes/",
    ] {
        eve.open(path).await;
        assert_eq!(eve.answer.status, 404, "{path}");
    }
    ann.until("alice", "active").await;
}

#[tokio::test]
async fn a_wish_that_cannot_be_had_is_explained() {
    let host = Host::start().await;
    let mut browser = Browser::new(&host);
    browser.open("/").await;
    browser.submit("/sign-up", &[("label", "Jürgen")]).await;
    browser
        .submit(
            "/sign-up",
            &[("email", "ann@example.org"), ("password", "long enough")],
        )
        .await;
    assert_eq!(browser.path, "/nodes/new?label=j%C3%BCrgen");
    assert_eq!(browser.page.id("label").unwrap()["value"], "jürgen");
    let error = browser.page.text_of_id("label-error").unwrap();
    assert!(error.contains("small letters"), "{error}");
    browser.open("/nodes/new?label=admin").await;
    let error = browser.page.text_of_id("label-error").unwrap();
    assert!(error.contains("reserved"), "{error}");
    for fine in ["/nodes/new", "/nodes/new?label=", "/nodes/new?label=Ann%20"] {
        browser.open(fine).await;
        assert_eq!(browser.page.text_of_id("label-error"), None, "{fine}");
    }
}
