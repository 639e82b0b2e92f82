//! Forms are taken from our own pages only, with the token of their session.

use crate::support::{Browser, Host, fill_in};

/// Every action of somebody signed in, and what is typed for it.
const ACTIONS: &[(&str, &str)] = &[
    ("/nodes/new", "label=carol&password=node+password"),
    ("/nodes/alice/open", ""),
    ("/nodes/alice/start", ""),
    ("/nodes/alice/stop", ""),
    ("/nodes/alice/restart", ""),
    ("/nodes/alice/hibernate", ""),
    ("/nodes/alice/password", "password=another+password"),
    ("/nodes/alice/delete", "confirm_label=alice"),
    ("/nodes/alice/purge", "confirm_label=alice"),
    ("/nodes/alice/ssh-password", ""),
    ("/nodes/alice/confirm", "account_password=long+enough"),
    ("/sign-out", ""),
];

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

/// The token in the forms of the page.
fn token(browser: &Browser<'_>) -> String {
    let form = browser.form("/sign-out");
    let field = form.fields.iter().find(|(name, _)| name == "form_token");
    field.unwrap().1.clone()
}

async fn state(host: &Host, session: &str) -> (String, String) {
    let nodes = host.api("GET", "/nodes", session, None).await.json();
    let items = nodes["items"].as_array().unwrap();
    let mut labels: Vec<String> = items.iter().map(|node| node["label"].to_string()).collect();
    labels.sort();
    let ssh = host
        .api("GET", "/nodes/alice/ssh-password", session, None)
        .await;
    (format!("{labels:?} {}", items[0]["status"]), ssh.text())
}

#[tokio::test]
async fn a_form_without_its_sessions_token_does_nothing() {
    let host = Host::start().await;
    let mut ann = Browser::signed_up(&host, "ann@example.org").await;
    ann.make_node("alice").await;
    let mine = token(&ann);
    let eve = token(&Browser::signed_up(&host, "eve@example.org").await);
    let mut second = Browser::new(&host);
    second.open("/sign-in").await;
    let fields = [("email", "ann@example.org"), ("password", "long enough")];
    second.submit("/sign-in", &fields).await;
    let other = token(&second);
    assert!(mine != eve && mine != other, "each session has its own");
    let session = ann.session().to_owned();
    assert!(!session.contains(&mine) && !mine.contains(&session));
    let before = state(&host, &session).await;
    // Signing out is for any tab; see `sessions`.
    for (action, typed) in ACTIONS.iter().filter(|(action, _)| *action != "/sign-out") {
        for wrong in [
            String::new(),
            "form_token=".to_owned(),
            "form_token=x".to_owned(),
            format!("form_token={eve}"),
            format!("form_token={other}"),
            format!("form_token={session}"),
            format!("form_token={mine}x"),
            format!("form_token={}", &mine[1..]),
            format!("form_token={mine}&form_token={mine}"),
            format!("Form_token={mine}"),
        ] {
            let answer = ann.post(action, &format!("{wrong}&{typed}")).await;
            assert_eq!(answer.status, 403, "{action} {wrong}: {}", answer.text());
            assert!(answer.text().contains("nothing was done"), "{action}");
            assert_eq!(answer.header("set-cookie"), None, "{action}");
        }
    }
    assert_eq!(state(&host, &session).await, before);
}

#[tokio::test]
async fn a_form_from_another_site_does_nothing() {
    let host = Host::start().await;
    let mut ann = Browser::signed_up(&host, "ann@example.org").await;
    ann.make_node("alice").await;
    let mine = token(&ann);
    let session = ann.session().to_owned();
    let before = state(&host, &session).await;
    let port = host.address.port();
    let own = format!("http://localhost:{port}");
    let sibling = format!("http://alice.localhost:{port}");
    let other_port = format!("http://localhost:{}", port ^ 1);
    let tls = format!("https://localhost:{port}");
    let sites: &[&[(&str, &str)]] = &[
        &[],
        &[("Origin", "null")],
        &[("Origin", "")],
        &[("Origin", "http://evil.example")],
        &[("Origin", &sibling)],
        &[("Origin", &other_port)],
        &[("Origin", &tls)],
        &[("Origin", "http://localhost")],
        &[("Origin", &own), ("Origin", "http://evil.example")],
        &[("Sec-Fetch-Site", "cross-site"), ("Origin", &own)],
        &[("Sec-Fetch-Site", "same-site"), ("Origin", &own)],
        &[("Sec-Fetch-Site", "none"), ("Origin", &own)],
        &[("Referer", &own)],
    ];
    let doors = [
        ("/sign-in", "email=ann%40example.org&password=long+enough"),
        ("/sign-up", "email=new%40example.org&password=long+enough"),
    ];
    for (action, typed) in ACTIONS.iter().chain(&doors) {
        for site in sites {
            let mut headers = vec![FORM];
            headers.extend_from_slice(site);
            let body = format!("form_token={mine}&{typed}");
            let answer = ann.send("POST", action, &headers, &body).await;
            assert_eq!(answer.status, 403, "{action} {site:?}: {}", answer.text());
            assert_eq!(answer.header("set-cookie"), None, "{action}");
        }
    }
    assert_eq!(state(&host, &session).await, before);
    let nobody = host.api(
        "POST",
        "/sessions",
        "",
        Some(serde_json::json!({
            "email": "new@example.org", "password": "long enough"
        })),
    );
    nobody.await.problem(401);
    // Either sign of our own origin is enough, as browsers differ.
    for site in [("Origin", own.as_str()), ("Sec-Fetch-Site", "same-origin")] {
        let body = format!("form_token={mine}");
        let answer = ann
            .send("POST", "/nodes/alice/start", &[FORM, site], &body)
            .await;
        assert_eq!(answer.header("location"), Some("/nodes/alice"), "{site:?}");
    }
}

#[tokio::test]
async fn nothing_is_done_by_reading() {
    let host = Host::start().await;
    let mut ann = Browser::signed_up(&host, "ann@example.org").await;
    ann.make_node("alice").await;
    let mine = token(&ann);
    let session = ann.session().to_owned();
    let before = state(&host, &session).await;
    for (action, typed) in ACTIONS {
        let path = format!("{action}?form_token={mine}&{typed}");
        let answer = ann.send("GET", &path, &[], "").await;
        assert!(
            matches!(answer.status, 200 | 303 | 405),
            "{action}: {}",
            answer.status
        );
        for method in ["PUT", "DELETE", "PATCH"] {
            let answer = ann.send(method, action, &[FORM], "").await;
            assert_eq!(answer.status, 405, "{method} {action}");
        }
    }
    assert_eq!(state(&host, &session).await, before);
    assert_eq!(
        host.api("GET", "/account", &session, None).await.status,
        200
    );
}

#[tokio::test]
async fn bodies_that_are_no_forms_are_refused_with_a_page() {
    let host = Host::start().await;
    let mut ann = Browser::signed_up(&host, "ann@example.org").await;
    let same = ("Sec-Fetch-Site", "same-origin");
    let large = format!("form_token={}", "x".repeat(65 * 1024));
    let many = "a=1&".repeat(40);
    for (media_type, body, status) in [
        ("application/json", "{\"form_token\":\"x\"}", 415),
        ("text/plain", "form_token=x", 415),
        ("multipart/form-data; boundary=x", "--x--", 415),
        ("application/x-www-form-urlencoded", large.as_str(), 413),
        ("application/x-www-form-urlencoded", many.as_str(), 415),
        ("application/x-www-form-urlencoded", "%ff%00=%zz&&&=", 403),
        ("application/x-www-form-urlencoded; charset=utf-8", "", 403),
    ] {
        let headers = [("Content-Type", media_type), same];
        let answer = ann.send("POST", "/nodes/new", &headers, body).await;
        assert_eq!(answer.status, status, "{media_type}: {}", answer.text());
        assert!(answer.text().contains("<h1>"), "{media_type}");
        assert_eq!(
            answer.header("content-type"),
            Some("text/html; charset=utf-8")
        );
    }
    let answer = ann.send("POST", "/nodes/new", &[same], "a=b").await;
    assert_eq!(answer.status, 415);
}

#[tokio::test]
async fn a_page_from_before_signing_in_again_is_out_of_date() {
    let host = Host::start().await;
    let mut ann = Browser::signed_up(&host, "ann@example.org").await;
    ann.make_node("alice").await;
    let stale = fill_in(&ann.form("/nodes/alice/stop"), &[]);
    ann.open("/nodes/alice?show=ssh-password").await;
    host.clock.advance(11 * 60);
    ann.open("/nodes/alice?show=ssh-password").await;
    ann.submit(
        "/nodes/alice/confirm",
        &[("account_password", "long enough")],
    )
    .await;
    let answer = ann.post("/nodes/alice/stop", &stale).await;
    assert_eq!(answer.status, 403);
    assert!(answer.text().contains("out of date"), "{}", answer.text());
    ann.open("/nodes/alice").await;
    ann.submit("/nodes/alice/stop", &[]).await;
    ann.until("alice", "stopped").await;
}
