//! Hosts and origins: what answers where, and to whose pages.

use http::header;
use node_api::Origin;

use super::*;

const VAULT: &str = "vault:my-pkg:alice.dev";
const LABEL: &str = "my-pkg-alice-dev";
const CLIENT: &str = "192.0.2.7:1";

async fn at(
    harness: &Harness,
    subdomain: Option<&str>,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
) -> HttpResponse {
    let asked = visited(request(method, path, headers, ""), CLIENT, subdomain);
    harness.server.handle(asked, Origin::Public).await
}

fn location(answer: &HttpResponse) -> &str {
    answer.headers()[header::LOCATION].to_str().unwrap()
}

async fn static_page(harness: &mut Harness, source: &str, path: &str, authenticated: bool) {
    let bind = json!({"Bind": {"path": path, "authenticated": authenticated,
        "local_only": false, "cache": true}});
    assert_eq!(
        harness.act(source, &bind, Some(b"page")).await,
        json!({"Ok": null})
    );
}

#[tokio::test]
async fn on_a_packages_subdomain_nothing_of_another_answers() {
    let mut harness = Harness::new();
    let secure = json!({"SecureBind": {"path": "/s", "cache": false}});
    assert_eq!(harness.act(VAULT, &secure, None).await, json!({"Ok": null}));
    static_page(&mut harness, VAULT, "/public", false).await;
    static_page(&mut harness, APP, "/page", false).await;
    static_page(&mut harness, APP, "/mine", true).await;
    static_page(&mut harness, "homepage:homepage:sys", "/our.js", false).await;
    static_page(&mut harness, "homepage:homepage:sys", "/", true).await;
    let get = async |subdomain, path: &str| at(&harness, subdomain, Method::GET, path, &[]).await;
    let cookie = harness.server.login_cookie(false).unwrap();
    let signed_in = [("cookie", cookie.split(';').next().unwrap())];
    // Its own pages, and what the homepage shows to everybody.
    for path in [&format!("/{VAULT}/public"), "/our.js"] {
        assert_eq!(text(get(Some(LABEL), path).await).await, "page", "{path}");
    }
    // Others are sent back to the node's own host, cookie or not.
    for path in [
        format!("/{APP}/page?a=b"),
        format!("/{APP}/mine"),
        "/".to_owned(),
    ] {
        for headers in [&[][..], &signed_in] {
            let answer = at(&harness, Some(LABEL), Method::GET, &path, headers).await;
            assert_eq!(answer.status(), StatusCode::TEMPORARY_REDIRECT);
            assert_eq!(
                location(&answer),
                format!("http://alice.localhost:8000{path}")
            );
            let answer = at(&harness, Some(LABEL), Method::POST, &path, headers).await;
            assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        }
    }
    // A subdomain that nobody has, and one that another package would have.
    for label in ["test-alice-dev", "nobody", ""] {
        let answer = get(Some(label), &format!("/{APP}/page")).await;
        assert_eq!(answer.status(), StatusCode::TEMPORARY_REDIRECT, "{label}");
    }
    // The secure path is nowhere but at home.
    for place in [None, Some("nobody")] {
        let answer = get(place, &format!("/{VAULT}/s?q=1")).await;
        let wanted = format!("http://{LABEL}.alice.localhost:8000/{VAULT}/s?q=1");
        assert_eq!(location(&answer), wanted);
    }
    let page = text(get(Some(LABEL), &format!("/{VAULT}/s")).await).await;
    assert!(page.contains(&format!("name=\"subdomain\" value=\"{VAULT}\"")));
}

#[tokio::test]
async fn a_label_belongs_to_the_first_package_that_wants_it() {
    let mut harness = Harness::new();
    harness
        .port
        .set_edition("x:my:pkg-alice.dev", node_types::Edition::V0_8);
    let secure = json!({"SecureBind": {"path": "/s", "cache": false}});
    let socket = json!({"WebSocketSecureBind": {"path": "/ws", "extension": false}});
    assert_eq!(harness.act(VAULT, &socket, None).await, json!({"Ok": null}));
    for action in [&secure, &socket] {
        let error = harness.act("x:my:pkg-alice.dev", action, None).await;
        let text = error["Err"]["PathBindError"]["error"].as_str().unwrap();
        assert!(text.contains("belongs to my-pkg:alice.dev"), "{text}");
    }
    // Its ordinary paths do not answer there either.
    static_page(&mut harness, "x:my:pkg-alice.dev", "/page", false).await;
    let answer = at(
        &harness,
        Some(LABEL),
        Method::GET,
        "/x:my:pkg-alice.dev/page",
        &[],
    )
    .await;
    assert_eq!(answer.status(), StatusCode::TEMPORARY_REDIRECT);
    harness.server.forget(&VAULT.parse().unwrap());
    let answer = harness.act("x:my:pkg-alice.dev", &secure, None).await;
    assert_eq!(answer, json!({"Ok": null}));
}

#[tokio::test]
async fn pages_of_neighbours_do_not_act_for_the_owner() {
    let mut harness = Harness::new();
    harness.bind("/mine", true, false).await;
    harness.bind("/open", false, false).await;
    let cookie = harness.server.login_cookie(false).unwrap();
    let cookie = cookie.split(';').next().unwrap();
    let host = ("host", "alice.localhost:8000");
    for (origin, wanted) in [
        ("http://mallory.localhost:8000", Some(StatusCode::FORBIDDEN)),
        ("http://localhost:8000", Some(StatusCode::FORBIDDEN)),
        (
            "http://my-pkg-alice-dev.alice.localhost:8000",
            Some(StatusCode::FORBIDDEN),
        ),
        ("null", Some(StatusCode::FORBIDDEN)),
        ("http://alice.localhost:8000", None),
    ] {
        let headers = [("cookie", cookie), ("origin", origin), host];
        for method in [Method::POST, Method::PUT, Method::DELETE] {
            let path = format!("/{APP}/mine");
            let asked = visited(request(method, &path, &headers, ""), CLIENT, None);
            let answer = harness.begin(asked, Origin::Public);
            if let Some(wanted) = wanted {
                assert_eq!(answer.await.unwrap().status(), wanted, "{origin}");
                assert!(harness.sent.try_recv().is_err());
            } else {
                let message = harness.sent.recv().await.unwrap();
                harness.answer(&message, r#"{"status":200,"headers":{}}"#, None);
                assert_eq!(answer.await.unwrap().status(), StatusCode::OK);
            }
        }
        // What is for everybody is for their pages too.
        let asked = request(Method::POST, &format!("/{APP}/open"), &headers, "");
        let answer = harness.begin(visited(asked, CLIENT, None), Origin::Public);
        let message = harness.sent.recv().await.unwrap();
        harness.answer(&message, r#"{"status":200,"headers":{}}"#, None);
        assert_eq!(answer.await.unwrap().status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn neighbours_do_not_frame_the_owners_pages() {
    let mut harness = Harness::new();
    static_page(&mut harness, APP, "/page", false).await;
    static_page(&mut harness, APP, "/mine", true).await;
    harness.bind("/app", true, false).await;
    let secure = json!({"SecureBind": {"path": "/s", "cache": true}});
    let bound = harness.act(VAULT, &secure, Some(b"page")).await;
    assert_eq!(bound, json!({"Ok": null}));
    let cookie = cookie(&harness);
    let signed_in = [("cookie", cookie.as_str())];
    let policies = |answer: &HttpResponse| -> Vec<String> {
        let all = answer.headers().get_all(header::CONTENT_SECURITY_POLICY);
        all.iter()
            .map(|policy| policy.to_str().unwrap().to_owned())
            .collect()
    };
    let get = async |subdomain, path: String, headers: &[(&str, &str)]| {
        policies(&at(&harness, subdomain, Method::GET, &path, headers).await)
    };
    let ours = "frame-ancestors 'self'";
    assert!(get(None, format!("/{APP}/page"), &[]).await.is_empty());
    assert_eq!(get(None, format!("/{APP}/mine"), &signed_in).await, [ours]);
    // The page that asks for the password is in no frame at all.
    for path in [format!("/{APP}/mine"), "/login".to_owned()] {
        let policy = &get(None, path, &[]).await[0];
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    }
    let login = json!({"password_hash": hash_text(PASSWORD), "subdomain": VAULT});
    let login = request(Method::POST, "/login", &[], login.to_string());
    let answer = harness.server.handle(login, Origin::Public).await;
    let own = answer.headers()[header::SET_COOKIE].to_str().unwrap();
    let own = [("cookie", own.split(';').next().unwrap())];
    let above = "frame-ancestors 'self' http://alice.localhost:8000";
    let path = format!("/{VAULT}/s");
    assert_eq!(get(Some(LABEL), path, &own).await, [above]);

    let tunnel = "frame-ancestors 'self' http://localhost:* http://127.0.0.1:*";
    for (origin, set, wanted) in [
        (Origin::Public, None, &[ours][..]),
        (Origin::Tunnel, None, &[tunnel]),
        (
            Origin::Public,
            Some("default-src 'self'"),
            &["default-src 'self'", ours],
        ),
        (
            Origin::Public,
            Some("frame-ancestors https://friend.example"),
            &["frame-ancestors https://friend.example"],
        ),
    ] {
        let asked = request(Method::GET, &format!("/{APP}/app"), &signed_in, "");
        let answer = harness.begin(asked, origin);
        let message = harness.sent.recv().await.unwrap();
        let mut headers = serde_json::Map::new();
        if let Some(set) = set {
            headers.insert("content-security-policy".to_owned(), set.into());
        }
        let reply = json!({"status": 200, "headers": headers});
        harness.answer(&message, reply.to_string(), None);
        assert_eq!(policies(&answer.await.unwrap()), wanted);
    }
}

#[tokio::test]
async fn signing_out_takes_the_cookies_back() {
    let mut harness = Harness::with(config(true));
    let cookie = "kinode-auth_alice.dev=a; other=b; kinode-auth_alice.dev@vault:my-pkg:alice.dev=c; \
                  kinode-auth_alice.device=d; kinode-auth_bob.dev=e";
    let headers = [("cookie", cookie), ("host", "alice.localhost:8000")];
    let answer = at(&harness, None, Method::POST, "/logout", &headers).await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    assert_eq!(location(&answer), "/");
    let gone: Vec<_> = answer
        .headers()
        .get_all(header::SET_COOKIE)
        .iter()
        .collect();
    assert_eq!(
        gone,
        [
            "kinode-auth_alice.dev=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure",
            "kinode-auth_alice.dev@vault:my-pkg:alice.dev=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure",
        ]
    );
    let foreign = [
        headers[0],
        headers[1],
        ("origin", "http://mallory.localhost:8000"),
    ];
    let answer = at(&harness, None, Method::POST, "/logout", &foreign).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert!(!answer.headers().contains_key(header::SET_COOKIE));
    assert_eq!(
        at(&harness, None, Method::GET, "/logout", &headers)
            .await
            .status(),
        StatusCode::NOT_FOUND
    );
    // An app's own comes first.
    let bind = json!({"Bind": {"path": "/logout", "authenticated": false, "local_only": false, "cache": false}});
    harness.act("homepage:homepage:sys", &bind, None).await;
    let asked = visited(request(Method::POST, "/logout", &headers, ""), CLIENT, None);
    let answer = harness.begin(asked, Origin::Public);
    let message = harness.sent.recv().await.unwrap();
    harness.answer(&message, r#"{"status":204,"headers":{}}"#, None);
    assert_eq!(answer.await.unwrap().status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn strangers_who_guess_do_not_keep_the_owner_out() {
    let harness = Harness::new();
    let attempt = async |client: &str, password: &str| {
        let body = json!({"password_hash": hash_text(password)}).to_string();
        let asked = request(Method::POST, "/login", &[], body);
        harness
            .server
            .handle(visited(asked, client, None), Origin::Public)
            .await
            .status()
    };
    for _ in 0..10 {
        assert_eq!(
            attempt("192.0.2.1:1", "guess").await,
            StatusCode::INTERNAL_SERVER_ERROR
        );
    }
    assert_eq!(
        attempt("192.0.2.1:2", PASSWORD).await,
        StatusCode::TOO_MANY_REQUESTS
    );
    assert_eq!(attempt("192.0.2.2:1", PASSWORD).await, StatusCode::OK);
    let body = json!({"password_hash": hash_text(PASSWORD)}).to_string();
    let tunnelled = request(Method::POST, "/login", &[], body);
    let answer = harness.server.handle(tunnelled, Origin::Tunnel).await;
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_label_is_free_once_nothing_secure_is_bound() {
    let mut harness = Harness::new();
    let other = "x:my:pkg-alice.dev";
    let secure = json!({"SecureBind": {"path": "/s", "cache": false}});
    let open = json!({"Bind": {"path": "/s", "authenticated": false, "local_only": false, "cache": false}});
    let unbind = json!({"Unbind": {"path": "/s"}});
    let ok = json!({"Ok": null});
    for (owner, next) in [(VAULT, &open), (other, &unbind), (VAULT, &open)] {
        assert_eq!(harness.act(owner, &secure, None).await, ok, "{owner}");
        let taken = if owner == VAULT { other } else { VAULT };
        let refused = harness.act(taken, &secure, None).await;
        assert!(refused.get("Err").is_some(), "{refused}");
        assert_eq!(harness.act(owner, next, None).await, ok);
    }
}
