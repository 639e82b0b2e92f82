//! Accounts, sessions, the cookie and the limits.

use serde_json::json;
use tenant_manager::ManagerLimits;

use crate::support::{Answer, Host, options};

#[tokio::test]
async fn signing_up_in_and_out() {
    let host = Host::start().await;
    let input = json!({"email": "Ann@example.org", "password": "long enough"});
    let created = host.api("POST", "/accounts", "", Some(input.clone())).await;
    assert_eq!(created.status, 201, "{}", created.text());
    let account_id = created.json()["account_id"].clone();
    assert_eq!(account_id.as_str().unwrap().len(), 36);
    let first = created.json()["token"].as_str().unwrap().to_owned();

    let account = host.api("GET", "/account", &first, None).await;
    assert_eq!(account.status, 200);
    assert_eq!(
        account.json(),
        json!({
            "account_id": account_id, "email": "ann@example.org", "role": "user",
            "plan": {"name": "default", "nodes": 5, "memory_bytes": 256 << 20,
                     "disk_bytes": 2048u64 << 20, "disk_bytes_per_second": 256 << 20,
                     "processes": 64, "always_on": false, "egress_allow": []},
        })
    );

    let session = host.api("POST", "/sessions", "", Some(input)).await;
    assert_eq!(session.status, 200);
    assert_eq!(session.header("set-cookie"), None, "programs get no cookie");
    let second = session.json()["token"].as_str().unwrap().to_owned();
    assert_ne!(first, second);
    let expires = session.json()["expires_at"].as_str().unwrap().to_owned();
    assert!(
        expires.starts_with("19") && expires.ends_with('Z'),
        "{expires}"
    );

    let out = host.api("DELETE", "/sessions/current", &second, None).await;
    assert_eq!((out.status, out.body.len()), (204, 0));
    host.api("GET", "/account", &second, None)
        .await
        .problem(401);
    assert_eq!(host.api("GET", "/account", &first, None).await.status, 200);
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let host = Host::start().await;
    host.sign_up("ann@example.org").await;
    let sign_up = async |email: &str, password: &str| {
        let input = json!({"email": email, "password": password});
        host.api("POST", "/accounts", "", Some(input)).await
    };
    sign_up("ANN@example.org", "long enough").await.problem(409);
    let weak = sign_up("bob@example.org", "123456789").await.problem(422);
    assert!(weak.contains("10"), "{weak}");
    sign_up("nonsense", "long enough").await.problem(422);

    let sign_in = async |email: &str, password: &str| {
        let input = json!({"email": email, "password": password});
        host.api("POST", "/sessions", "", Some(input)).await
    };
    let wrong = sign_in("ann@example.org", "not my password").await;
    let unknown = sign_in("bob@example.org", "not my password").await;
    assert_eq!(
        wrong.problem(401),
        unknown.problem(401),
        "the same for both"
    );
    assert_eq!(wrong.body, unknown.body);
    let mut attempts = 0;
    let locked = loop {
        let answer = sign_in("ann@example.org", "not my password").await;
        attempts += 1;
        if answer.status == 429 || attempts > 50 {
            break answer;
        }
    };
    locked.problem(429);
    let wait: u64 = locked.header("retry-after").unwrap().parse().unwrap();
    assert!(wait > 1, "{wait}");
    sign_in("ann@example.org", "long enough").await.problem(429);
}

#[tokio::test]
async fn tokens_of_all_wrong_kinds_are_refused() {
    let host = Host::start().await;
    for header in [
        "Bearer unknown",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "unknown",
        "Bearer a b",
        "Bearer \u{e9}",
    ] {
        let headers = [("Authorization", header)];
        let answer = host
            .send("GET", "localhost", "/api/v1/nodes", &headers, b"")
            .await;
        answer.problem(401);
    }
    let long = format!("Bearer {}", "x".repeat(5000));
    let headers = [("Authorization", long.as_str())];
    host.send("GET", "localhost", "/api/v1/nodes", &headers, b"")
        .await
        .problem(401);
    host.api("GET", "/nodes", "", None).await.problem(401);
}

fn cookie_of(answer: &Answer) -> String {
    let cookie = answer.header("set-cookie").expect("a cookie");
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"),
        "{cookie}"
    );
    assert!(
        cookie.contains("Path=/") && !cookie.contains("Domain"),
        "{cookie}"
    );
    cookie.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_cookie_changes_things_only_from_our_own_pages() {
    let host = Host::start().await;
    host.sign_up("ann@example.org").await;
    let body = json!({"email": "ann@example.org", "password": "long enough"}).to_string();
    let from_page = [
        ("Content-Type", "application/json"),
        ("Sec-Fetch-Site", "same-origin"),
    ];
    let answer = host
        .send(
            "POST",
            "localhost",
            "/api/v1/sessions",
            &from_page,
            body.as_bytes(),
        )
        .await;
    assert_eq!(answer.status, 200);
    let cookie = cookie_of(&answer);
    assert!(cookie.starts_with("berth-session="));

    let ask = async |method: &str, path: &str, headers: &[(&str, &str)]| {
        let mut all = vec![("Cookie", cookie.as_str())];
        all.extend_from_slice(headers);
        host.send(method, "localhost:8000", path, &all, b"").await
    };
    assert_eq!(ask("GET", "/api/v1/account", &[]).await.status, 200);
    for evil in [
        &[][..],
        &[("Origin", "http://evil.example")],
        &[("Origin", "http://alice.localhost:8000")],
        &[("Origin", "null")],
        &[("Sec-Fetch-Site", "cross-site")],
        &[("Sec-Fetch-Site", "same-site")],
        &[
            ("Sec-Fetch-Site", "cross-site"),
            ("Origin", "http://localhost:8000"),
        ],
    ] {
        let refused = ask("POST", "/api/v1/nodes/alice/stop", evil).await;
        let detail = refused.problem(403);
        assert!(detail.contains("bearer"), "{detail}");
    }
    let own = [("Origin", "http://localhost:8000")];
    ask("POST", "/api/v1/nodes/alice/stop", &own)
        .await
        .problem(404);
    let two = format!("{cookie}; berth-session=planted");
    let planted = [("Cookie", two.as_str())];
    host.send("GET", "localhost", "/api/v1/account", &planted, b"")
        .await
        .problem(401);

    let out = ask("DELETE", "/api/v1/sessions/current", &own).await;
    assert_eq!(out.status, 204);
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"));
    ask("GET", "/api/v1/account", &[]).await.problem(401);
}

#[tokio::test]
async fn under_tls_the_cookie_has_the_host_prefix() {
    let mut options = options();
    options.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let host = Host::start_with(options, ManagerLimits::default()).await;
    host.sign_up("ann@example.org").await;
    let body = json!({"email": "ann@example.org", "password": "long enough"}).to_string();
    let headers = [
        ("Content-Type", "application/json"),
        ("Origin", "https://localhost"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-For", "203.0.113.9"),
    ];
    let answer = host
        .send(
            "POST",
            "localhost",
            "/api/v1/sessions",
            &headers,
            body.as_bytes(),
        )
        .await;
    assert_eq!(answer.status, 200);
    let cookie = cookie_of(&answer);
    assert!(cookie.starts_with("__Host-berth-session="), "{cookie}");
    assert!(answer.header("set-cookie").unwrap().ends_with("; Secure"));
    let ask = async |proto: &str| {
        let headers = [("Cookie", cookie.as_str()), ("X-Forwarded-Proto", proto)];
        host.send("GET", "localhost", "/api/v1/account", &headers, b"")
            .await
            .status
    };
    assert_eq!(ask("https").await, 200);
    assert_eq!(
        ask("http").await,
        401,
        "not sent in the clear by any browser"
    );
}

#[tokio::test]
async fn strangers_are_limited_by_address_and_this_machine_is_not() {
    let mut options = options();
    options.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    let host = Host::start_with(options, ManagerLimits::default()).await;
    let sign_up = async |from: &str, number: u32| {
        let email = format!("user{number}@example.org");
        // Too short a password costs no hashing, and counts all the same.
        let body = json!({"email": email, "password": "short"}).to_string();
        let headers = [
            ("Content-Type", "application/json"),
            ("X-Forwarded-For", from),
        ];
        host.send(
            "POST",
            "localhost",
            "/api/v1/accounts",
            &headers,
            body.as_bytes(),
        )
        .await
    };
    for number in 0..10 {
        sign_up("203.0.113.9", number).await.problem(422);
    }
    let refused = sign_up("203.0.113.9", 10).await;
    refused.problem(429);
    assert_eq!(refused.header("retry-after"), Some("360"));
    sign_up("198.51.100.1, 203.0.113.9", 11).await.problem(429);
    sign_up("203.0.113.10", 12).await.problem(422);
    for number in 0..15 {
        sign_up("127.0.0.1", number).await.problem(422);
    }
}
