//! Signing in, cookies and secure subdomains.

use http::header;
use node_api::Origin;

use super::*;

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

async fn login(
    harness: &Harness,
    path: &str,
    headers: &[(&str, &str)],
    body: String,
) -> HttpResponse {
    let asked = request(Method::POST, path, headers, body);
    harness.server.handle(asked, Origin::Public).await
}

fn cookie_of(answer: &HttpResponse) -> String {
    let value = answer.headers()[header::SET_COOKIE].to_str().unwrap();
    value.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_path_for_the_owner_shows_the_page_until_the_cookie_comes() {
    let mut harness = Harness::new();
    harness.bind("/mine", true, false).await;
    let path = format!("/{APP}/mine?a=\"><script>");
    let path = path
        .replace('"', "%22")
        .replace('<', "%3C")
        .replace('>', "%3E");
    let page = harness.public(Method::GET, &path).await;
    assert_eq!(page.status(), StatusCode::OK);
    let policy = page.headers()[header::CONTENT_SECURITY_POLICY]
        .to_str()
        .unwrap();
    assert!(policy.starts_with("default-src 'none'"));
    let html = text(page).await;
    assert!(html.contains("Sign in to alice.dev") && html.contains(&format!("value=\"{path}\"")));
    assert!(harness.sent.try_recv().is_err());

    let body = json!({"password_hash": hash_text(PASSWORD), "subdomain": ""}).to_string();
    let answer = login(&harness, "/login", &[], body).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let cookie = cookie_of(&answer);
    assert_eq!(text(answer).await, "\"\"");
    let asked = |headers: &[(&str, &str)]| request(Method::GET, &path, headers, "");
    let answer = harness.begin(asked(&[("Cookie", &cookie)]), Origin::Public);
    let message = harness.sent.recv().await.unwrap();
    harness.answer(&message, r#"{"status":200,"headers":{}}"#, Some(b"secret"));
    assert_eq!(text(answer.await.unwrap()).await, "secret");
    harness.clock.advance(27 * 7 * 24 * 3600);
    let late = harness
        .server
        .handle(asked(&[("Cookie", &cookie)]), Origin::Public)
        .await;
    assert!(text(late).await.contains("Sign in"));
}

#[tokio::test]
async fn the_old_protocol_has_its_statuses_and_bodies() {
    let harness = Harness::new();
    let right = |subdomain: Value| {
        json!({"password_hash": hash_text(PASSWORD), "subdomain": subdomain}).to_string()
    };
    let wrong = json!({"password_hash": hash_text("nope"), "subdomain": ""}).to_string();
    let answer = login(&harness, "/login", &[], wrong).await;
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!answer.headers().contains_key(header::SET_COOKIE));
    let sentence = "\"Failed to decode keyfile: failed to decrypt networking keys\"";
    assert_eq!(text(answer).await, sentence);
    for bad in ["", "{}", "[1]", r#"{"password_hash":1}"#] {
        let answer = login(&harness, "/login", &[], bad.to_owned()).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        assert_eq!(text(answer).await, "\"Failed to parse login info\"");
    }
    let answer = login(&harness, "/login", &[], right(json!("main:app_store:sys"))).await;
    assert!(cookie_of(&answer).starts_with("kinode-auth_alice.dev@main:app-store:sys="));
    for (query, wanted) in [
        ("/login?redirect=/p%3Fa=b", "/p?a=b"),
        ("/login?redirect=//evil.example", "/"),
        ("/login?redirect=https://evil.example", "/"),
        ("/login?redirect=.evil.example", "/"),
        ("/login/?redirect=/ok", "/ok"),
    ] {
        let answer = login(
            &harness,
            query,
            &[("Host", "evil.example")],
            right(Value::Null),
        )
        .await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        assert_eq!(answer.headers()[header::LOCATION], wanted, "{query}");
    }
    let large = format!("{}{}", " ".repeat(17 << 10), right(Value::Null));
    let answer = login(&harness, "/login", &[], large).await;
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn the_form_works_without_script() {
    let harness = Harness::with(config(true));
    let body = "password=correct+horse&subdomain=&redirect=%2Fapp%3Fx%3D1".to_owned();
    let answer = login(&harness, "/login", &[FORM], body).await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    assert_eq!(answer.headers()[header::LOCATION], "/app?x=1");
    let set = answer.headers()[header::SET_COOKIE].to_str().unwrap();
    assert!(set.contains("; Secure") && set.contains("; HttpOnly; SameSite=Lax"));
    let body = "password=%3Cb%3E&subdomain=app:test:alice.dev&redirect=%2F%2Fevil".to_owned();
    let answer = login(&harness, "/login", &[FORM], body).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert!(!answer.headers().contains_key(header::SET_COOKIE));
    let html = text(answer).await;
    assert!(html.contains("not the node&#39;s password"));
    assert!(html.contains("value=\"app:test:alice.dev\"") && html.contains("value=\"/\""));
}

#[tokio::test(start_paused = true)]
async fn failures_are_counted_and_wait_a_minute() {
    let harness = Harness::new();
    let attempt = |password: &str| json!({"password_hash": hash_text(password)}).to_string();
    for _ in 0..20 {
        // Right ones do not count.
        let answer = login(&harness, "/login", &[], attempt(PASSWORD)).await;
        assert_eq!(answer.status(), StatusCode::OK);
    }
    for _ in 0..10 {
        let answer = login(&harness, "/login", &[], attempt("x")).await;
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
    let answer = login(&harness, "/login", &[], attempt(PASSWORD)).await;
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.headers()[header::RETRY_AFTER], "60");
    tokio::time::advance(Duration::from_secs(60)).await;
    let answer = login(&harness, "/login", &[], attempt(PASSWORD)).await;
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn secure_paths_need_their_own_cookie() {
    let mut harness = Harness::new();
    let source = "chat:my-pkg:alice.dev";
    let bind = json!({"SecureBind": {"path": "/s", "cache": false}});
    harness.act(source, &bind, None).await;
    let path = format!("/{source}/s?q=1");
    let asked = |host: Option<&str>, cookie: &str| {
        let mut headers = vec![("Cookie", cookie), ("X-Forwarded-Proto", "javascript")];
        headers.extend(host.map(|host| ("Host", host)));
        request(Method::GET, &path, &headers, "")
    };
    // Through a tunnel the host's name is all there is.
    for (host, wanted) in [
        ("localhost:9090", "http://my-pkg-alice-dev.localhost:9090"),
        ("other-app.localhost", "http://my-pkg-alice-dev.localhost"),
        ("127.0.0.1:9090", "http://my-pkg-alice-dev.localhost:9090"),
        ("[::1]:9090", "http://my-pkg-alice-dev.localhost:9090"),
        ("node.lan:9090", "http://my-pkg-alice-dev.node.lan:9090"),
    ] {
        let answer = harness
            .server
            .handle(asked(Some(host), ""), Origin::Tunnel)
            .await;
        assert_eq!(answer.status(), StatusCode::TEMPORARY_REDIRECT);
        let wanted = format!("{wanted}{path}");
        assert_eq!(answer.headers()[header::LOCATION], *wanted);
    }
    for host in [None, Some("evil.example/x"), Some("a@b"), Some("")] {
        let answer = harness.server.handle(asked(host, ""), Origin::Public).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{host:?}");
    }
    for host in ["My-Pkg-Alice-Dev.localhost", "my-pkg-alice-dev.node.lan:1"] {
        let page = harness
            .server
            .handle(asked(Some(host), ""), Origin::Tunnel)
            .await;
        let html = text(page).await;
        assert!(html.contains(&format!("name=\"subdomain\" value=\"{source}\"")));
    }
    // The plain cookie is not enough, the process' own is.
    let right_host = Some("my-pkg-alice-dev.localhost");
    let sign_in = |subdomain: &str| {
        json!({"password_hash": hash_text(PASSWORD), "subdomain": subdomain}).to_string()
    };
    let plain = cookie_of(&login(&harness, "/login", &[], sign_in("")).await);
    let own = cookie_of(&login(&harness, "/login", &[], sign_in(source)).await);
    let page = harness
        .server
        .handle(asked(right_host, &plain), Origin::Public)
        .await;
    assert!(text(page).await.contains("Sign in"));
    let answer = harness.begin(asked(right_host, &own), Origin::Public);
    let message = harness.sent.recv().await.unwrap();
    harness.answer(&message, r#"{"status":200,"headers":{}}"#, None);
    assert_eq!(answer.await.unwrap().status(), StatusCode::OK);
}
