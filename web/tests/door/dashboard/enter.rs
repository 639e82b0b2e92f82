//! Signing up, in and out.

use crate::support::{Browser, Host, options};
use tenant_manager::ManagerLimits;

const FIELDS: [(&str, &str); 2] = [("email", "ann@example.org"), ("password", "long enough")];

#[tokio::test]
async fn somebody_new_gets_as_far_as_their_node() {
    let host = Host::start().await;
    let mut browser = Browser::new(&host);
    // Naming it on the front page.
    browser.open("/").await;
    browser.submit("/sign-up", &[("label", "Alice ")]).await;
    assert_eq!(browser.path, "/sign-up?label=Alice%20");
    browser.submit("/sign-up", &FIELDS).await;
    assert_eq!(browser.path, "/nodes/new?label=alice");
    assert_eq!(browser.page.id("label").unwrap()["value"], "alice");
    browser
        .submit("/nodes/new", &[("password", "node password")])
        .await;
    assert_eq!(browser.path, "/nodes/alice");
    browser.until("alice", "active").await;
    // Out, and in again.
    browser.submit("/sign-out", &[]).await;
    assert_eq!((browser.path.as_str(), browser.session()), ("/", ""));
    browser.open("/sign-in").await;
    browser.submit("/sign-in", &FIELDS).await;
    assert_eq!(browser.path, "/nodes");
    assert_eq!(browser.page.status().as_deref(), Some("active"));
}

#[tokio::test]
async fn a_session_known_before_is_worth_nothing_after() {
    let host = Host::start().await;
    let mut ann = Browser::signed_up(&host, "ann@example.org").await;
    let first = ann.session().to_owned();
    assert!(first.starts_with("berth_"));

    // Somebody planted a cookie of their own choice.
    let mut victim = Browser::new(&host);
    victim
        .cookies
        .insert("berth-session".to_owned(), "berth_planted".to_owned());
    victim.open("/sign-in").await;
    victim.submit("/sign-in", &FIELDS).await;
    let second = victim.session().to_owned();
    assert!(second.starts_with("berth_") && second != "berth_planted" && second != first);

    // Somebody planted their own live session: signing in or up ends it.
    let eve = Browser::signed_up(&host, "eve@example.org")
        .await
        .session()
        .to_owned();
    for (page, fields) in [
        ("/sign-in", FIELDS),
        (
            "/sign-up",
            [("email", "new@example.org"), ("password", "long enough")],
        ),
    ] {
        let mut victim = Browser::new(&host);
        victim.open(page).await;
        let body = crate::support::fill_in(&victim.form(page), &fields);
        victim
            .cookies
            .insert("berth-session".to_owned(), eve.clone());
        assert_eq!(victim.post(page, &body).await.status, 303, "{page}");
        assert_ne!(victim.session(), eve, "{page}");
    }
    host.api("GET", "/account", &eve, None).await.problem(401);

    // Every sign-in has a session of its own, and signing out ends it.
    assert_eq!(host.api("GET", "/account", &first, None).await.status, 200);
    ann.submit("/sign-out", &[]).await;
    host.api("GET", "/account", &first, None).await.problem(401);
    assert_eq!(host.api("GET", "/account", &second, None).await.status, 200);
}

#[tokio::test]
async fn errors_stand_beside_their_field() {
    let host = Host::start().await;
    Browser::signed_up(&host, "ann@example.org").await;
    let mut browser = Browser::new(&host);
    browser.open("/sign-up").await;
    assert!(browser.page.id("email").unwrap().contains_key("autofocus"));
    for (email, password, status, wrong) in [
        ("", "", 422, &["email", "password"][..]),
        ("nonsense", "long enough", 422, &["email"]),
        ("bob@example.org", "short", 422, &["password"]),
        ("ANN@example.org", "another password", 409, &["email"]),
    ] {
        let fields = [("email", email), ("password", password)];
        browser.submit("/sign-up", &fields).await;
        assert_eq!(browser.answer.status, status, "{email}");
        assert!(browser.answer.text().contains("<title>Error: "), "{email}");
        for name in ["email", "password"] {
            let input = browser.page.id(name).unwrap();
            let is_wrong = wrong.contains(&name);
            assert_eq!(
                input.contains_key("aria-invalid"),
                is_wrong,
                "{email} {name}"
            );
            let error = format!("{name}-error");
            let described = input
                .get("aria-describedby")
                .is_some_and(|ids| ids.contains(&error));
            assert_eq!(described, is_wrong, "{email} {name}");
            assert_eq!(browser.page.text_of_id(&error).is_some(), is_wrong);
        }
        assert!(browser.page.id(wrong[0]).unwrap().contains_key("autofocus"));
        assert_eq!(browser.page.id("email").unwrap()["value"], email);
        assert!(password.is_empty() || !browser.answer.text().contains(password));
    }
    browser.open("/sign-in").await;
    browser.submit("/sign-in", &[]).await;
    assert_eq!(browser.answer.status, 422);
    assert_eq!(
        browser.page.text_of_id("email-error").as_deref(),
        Some("Write your e-mail address.")
    );
    // An unknown address and a wrong password are told apart by nobody.
    let mut told = Vec::new();
    for email in ["ann@example.org", "bob@example.org"] {
        browser
            .submit(
                "/sign-in",
                &[("email", email), ("password", "not my password")],
            )
            .await;
        assert_eq!(browser.answer.status, 422);
        told.push((
            browser.page.alert().unwrap(),
            browser.answer.text().replace(email, ""),
        ));
    }
    assert_eq!(told[0], told[1]);
    assert_eq!(told[0].0, "The address or the password is wrong.");
}

#[tokio::test]
async fn guessing_locks_an_account_for_a_while() {
    let host = Host::start().await;
    Browser::signed_up(&host, "ann@example.org").await;
    let mut browser = Browser::new(&host);
    browser.open("/sign-in").await;
    for _ in 0..5 {
        browser
            .submit(
                "/sign-in",
                &[("email", "ann@example.org"), ("password", "wrong")],
            )
            .await;
        assert_eq!(browser.answer.status, 422);
    }
    browser.submit("/sign-in", &FIELDS).await;
    assert_eq!(browser.answer.status, 429, "even with the right password");
    assert!(browser.answer.header("retry-after").is_some());
    assert!(
        browser
            .page
            .alert()
            .unwrap()
            .starts_with("Too many wrong passwords")
    );
    host.clock.advance(16 * 60);
    browser.submit("/sign-in", &FIELDS).await;
    assert_eq!(browser.path, "/nodes");
}

#[tokio::test]
async fn strangers_are_limited_by_address() {
    let mut options = options();
    options.rate_limits.count_loopback = true;
    let host = Host::start_with(options, ManagerLimits::default()).await;
    let mut browser = Browser::new(&host);
    browser.open("/sign-up").await;
    for _ in 0..10 {
        browser
            .submit("/sign-up", &[("email", "x"), ("password", "y")])
            .await;
        assert_eq!(browser.answer.status, 422);
    }
    browser
        .submit("/sign-up", &[("email", "x"), ("password", "y")])
        .await;
    assert_eq!(browser.answer.status, 429);
    assert_eq!(browser.answer.header("retry-after"), Some("360"));
    assert!(browser.page.alert().unwrap().contains("Too many accounts"));
    browser.open("/sign-in").await;
    for _ in 0..30 {
        browser.submit("/sign-in", &[]).await;
        assert_eq!(browser.answer.status, 422);
    }
    browser.submit("/sign-in", &[]).await;
    assert_eq!(browser.answer.status, 429);
}

#[tokio::test]
async fn a_button_pressed_twice_is_harmless() {
    let host = Host::start().await;
    let mut browser = Browser::new(&host);
    browser.open("/sign-up").await;
    let body = crate::support::fill_in(&browser.form("/sign-up"), &FIELDS);
    for _ in 0..2 {
        let answer = browser.post("/sign-up", &body).await;
        assert_eq!(
            answer.header("location"),
            Some("/nodes"),
            "{}",
            answer.text()
        );
    }
    browser.open("/nodes/new").await;
    let fields = [("label", "alice"), ("password", "node password")];
    let body = crate::support::fill_in(&browser.form("/nodes/new"), &fields);
    for target in ["/nodes/alice", "/nodes/alice?done=made"] {
        let answer = browser.post("/nodes/new", &body).await;
        let text = answer.text();
        assert_eq!(answer.header("location"), Some(target), "{text}");
    }
    // With another password it would be the first one that holds.
    browser.open("/nodes/new").await;
    let fields = [("label", "alice"), ("password", "another password")];
    browser.submit("/nodes/new", &fields).await;
    assert_eq!(browser.path, "/nodes/alice?done=made");
    let said = "its password is the one from then";
    assert!(
        browser.page.text().contains(said),
        "{}",
        browser.answer.text()
    );
    browser.open("/nodes").await;
    assert_eq!(
        browser.page.text_of_id("quota").as_deref(),
        Some("1 of 5 in use")
    );
    // Much later it was not the same press.
    host.clock.advance(3600);
    assert_eq!(browser.post("/nodes/new", &body).await.status, 409);
    let out = crate::support::fill_in(&browser.form("/sign-out"), &[]);
    assert_eq!(
        browser.post("/sign-out", &out).await.header("location"),
        Some("/")
    );
    let again = browser.post("/sign-out", &out).await;
    assert_eq!(again.status, 303, "{}", again.text());
}

#[tokio::test]
async fn under_tls_the_session_has_the_host_prefix() {
    let mut options = options();
    options.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    options.public_url = Some("https://localhost".to_owned());
    let host = Host::start_with(options, ManagerLimits::default()).await;
    let headers = [
        ("Origin", "https://localhost"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-For", "203.0.113.9"),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ];
    let body = b"email=ann%40example.org&password=long+enough";
    let answer = host
        .send("POST", "localhost", "/sign-up", &headers, body)
        .await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    let cookie = answer.header("set-cookie").unwrap();
    assert!(
        cookie.starts_with("__Host-berth-session=berth_"),
        "{cookie}"
    );
    for part in [
        "; Path=/",
        "; HttpOnly",
        "; SameSite=Lax",
        "; Secure",
        "; Max-Age=",
    ] {
        assert!(cookie.contains(part), "{cookie}");
    }
}

#[tokio::test]
async fn a_proxy_that_nobody_declared_weakens_no_cookie() {
    let mut options = options();
    options.public_url = Some("https://localhost".to_owned());
    let host = Host::start_with(options, ManagerLimits::default()).await;
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    let body = b"email=ann%40example.org&password=long+enough";
    let sign_up = async |origin: &str| {
        let headers = [("Origin", origin), form];
        host.send("POST", "localhost", "/sign-up", &headers, body)
            .await
    };
    assert_eq!(sign_up("http://localhost").await.status, 403);
    let answer = sign_up("https://localhost").await;
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.starts_with("__Host-berth-session="), "{cookie}");
    assert!(cookie.contains("; Secure"), "{cookie}");
    let session = cookie.split(';').next().unwrap();
    let cookies = [("Cookie", session)];
    let nodes = host.send("GET", "localhost", "/nodes", &cookies, b"").await;
    assert_eq!(nodes.status, 200);
    let headers = [("Cookie", session), ("Origin", "https://localhost"), form];
    let out = host
        .send("POST", "localhost", "/sign-out", &headers, b"")
        .await;
    let ended = out.header("set-cookie").unwrap();
    assert!(ended.starts_with("__Host-berth-session=; "), "{ended}");
    assert!(ended.contains("; Secure"), "{ended}");
}

#[tokio::test]
async fn nobody_is_sent_to_another_site_after_signing_in() {
    let host = Host::start().await;
    Browser::signed_up(&host, "ann@example.org").await;
    let long = format!("/nodes/{}", "a".repeat(1100));
    let elsewhere = [
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "\\/evil.example",
        "/\\/evil.example",
        "https://evil.example",
        "HTTPS://evil.example",
        "https:evil.example",
        "https:/evil.example",
        "http:///evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "evil.example",
        "@evil.example",
        "/@evil.example",
        ".evil.example",
        ":8000",
        "/%2f%2fevil.example",
        "/%5cevil.example",
        "%2f%2fevil.example",
        "/nodes//evil.example",
        "/nodes/..//evil.example",
        "/nodes/../../evil.example",
        "/./nodes",
        "/nodes/\u{9}//evil.example",
        "/\u{9}/evil.example",
        "\u{9}//evil.example",
        " //evil.example",
        "/nodes\r\nLocation: https://evil.example",
        "/nodes\nSet-Cookie: a=b",
        "/nodes\u{0}",
        "/nodes/\u{202e}x",
        "/nodes#//evil.example",
        "/nodes?next=https://evil.example",
        "/nodes;//evil.example",
        "/api/v1/account",
        "/sign-in",
        "/assets/berth.css",
        "/nodesevil",
        "",
        long.as_str(),
    ];
    assert!(elsewhere.len() >= 40);
    for next in elsewhere {
        let mut browser = Browser::new(&host);
        browser
            .open(&format!("/sign-in?next={}", crate::support::encode(next)))
            .await;
        assert_eq!(browser.answer.status, 200, "{next:?}");
        let form = browser.form("/sign-in");
        assert!(
            form.fields
                .contains(&("next".to_owned(), "/nodes".to_owned())),
            "{next:?}"
        );
        // Nor if the form itself was changed.
        let mut fields = FIELDS.to_vec();
        fields.push(("next", next));
        let body = crate::support::fill_in(&form, &fields);
        let answer = browser.post("/sign-in", &body).await;
        assert_eq!(answer.header("location"), Some("/nodes"), "{next:?}");
        // Nor for somebody who is signed in already.
        let answer = browser
            .send(
                "GET",
                &format!("/sign-in?next={}", crate::support::encode(next)),
                &[],
                "",
            )
            .await;
        assert_eq!(answer.header("location"), Some("/nodes"), "{next:?}");
    }
}
