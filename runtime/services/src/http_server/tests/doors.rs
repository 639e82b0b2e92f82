//! Who may use what: local paths, the RPC, sizes.

use node_api::Origin;

use super::*;

const RPC: &str = "/rpc:distro:sys/message";

#[tokio::test]
async fn local_paths_answer_the_tunnel_alone() {
    let mut harness = Harness::new();
    harness.bind("/local", false, true).await;
    let path = format!("/{APP}/local");
    for headers in [
        &[][..],
        &[("X-Forwarded-For", "127.0.0.1"), ("Host", "localhost")],
    ] {
        let asked = request(Method::GET, &path, headers, "");
        let answer = harness.server.handle(asked, Origin::Public).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
        assert_eq!(text(answer).await, "");
    }
    let answer = harness.begin(request(Method::GET, &path, &[], ""), Origin::Tunnel);
    let message = harness.sent.recv().await.unwrap();
    harness.answer(&message, r#"{"status":200,"headers":{}}"#, None);
    assert_eq!(answer.await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn no_spelling_and_no_header_opens_the_rpc_to_the_public() {
    let mut harness = Harness::new();
    // A root wildcard must not catch any spelling either.
    let everything = json!({"Bind": {"path": "/*", "authenticated": false,
        "local_only": false, "cache": false}});
    harness
        .act("homepage:homepage:sys", &everything, None)
        .await;
    let call = json!({"process": APP, "body": "x", "expects_response": 5}).to_string();
    let spellings = [
        RPC,
        "/rpc:distro:sys/message/",
        "/rpc:distro:sys/message//",
        "//rpc:distro:sys/message",
        "/rpc%3Adistro%3Asys/message",
        "/rpc%253adistro%253asys/message",
        "/%72%70%63:distro:sys/message",
        "/RPC:DISTRO:SYS/MESSAGE",
        "/x/../rpc:distro:sys/message",
        "/x/%2e%2e/rpc:distro:sys/message",
        "/./rpc:distro:sys/message",
        "/rpc:distro:sys;a=b/message;c",
        "/rpc:distro:sys/message?x=1",
        "/rpc:distro:sys%2fmessage",
        "/%5Crpc:distro:sys/message",
        "http://localhost:8080/rpc:distro:sys/message",
        "http://127.0.0.1/rpc%3adistro:sys/message/",
    ];
    let headers: [&[(&str, &str)]; 6] = [
        &[],
        &[("Host", "localhost:8080")],
        &[("Host", "127.0.0.1"), ("X-Forwarded-For", "127.0.0.1")],
        &[
            ("Forwarded", "for=127.0.0.1;by=127.0.0.1"),
            ("X-Real-IP", "::1"),
        ],
        &[
            ("X-Original-URL", "/rpc:distro:sys/message"),
            ("X-Forwarded-Host", "localhost"),
        ],
        &[("Origin", "http://localhost"), ("Via", "1.1 localhost")],
    ];
    for path in spellings {
        for headers in headers {
            for method in [Method::POST, Method::GET, Method::OPTIONS] {
                let asked = request(method, path, headers, call.clone());
                let answer = harness.server.handle(asked, Origin::Public).await;
                assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{path} {headers:?}");
                assert_eq!(text(answer).await, "");
            }
        }
    }
    assert!(harness.sent.try_recv().is_err());
}

#[tokio::test]
async fn the_rpc_sends_waits_and_answers_byte_for_byte() {
    let mut harness = Harness::new();
    let call = |body: &Value| request(Method::POST, RPC, &[], body.to_string());
    let waits = json!({"process": "main:app_store:sys", "body": "{\"A\":1}", "expects_response": 1,
        "data": "aGk=", "mime": "application/zip", "metadata": "m", "node": null});
    let answer = harness.begin(call(&waits), Origin::Tunnel);
    let message = harness.sent.recv().await.unwrap();
    assert_eq!(message.target, harness.port.address("main:app-store:sys"));
    let Message::Request(inner) = &message.message else {
        panic!("not a request");
    };
    assert_eq!(inner.body, r#"{"A":1}"#);
    assert_eq!(inner.metadata.as_deref(), Some("m"));
    assert_eq!(message.lazy_load_blob.as_ref().unwrap().bytes, "hi");
    harness.answer(&message, "by", Some(b"hi"));
    let answer = answer.await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/html");
    assert_eq!(
        text(answer).await,
        r#"{"body":[98,121],"lazy_load_blob":{"mime":null,"bytes":[97,71,107,61]}}"#
    );

    let quiet = json!({"process": APP, "body": "x"});
    let answer = harness.server.handle(call(&quiet), Origin::Tunnel).await;
    assert_eq!(
        (answer.status(), text(answer).await),
        (StatusCode::OK, String::new())
    );
    assert_eq!(harness.sent.recv().await.unwrap().message.body(), "x");

    let bad = harness
        .server
        .handle(call(&json!({"body": "x"})), Origin::Tunnel)
        .await;
    assert_eq!(bad.status(), StatusCode::BAD_REQUEST);
    harness.port.refuse(APP);
    let refused = json!({"process": APP, "expects_response": 5});
    let refused = harness.server.handle(call(&refused), Origin::Tunnel).await;
    assert_eq!(refused.status(), StatusCode::REQUEST_TIMEOUT);
    assert_eq!(text(refused).await, "");
}

#[tokio::test]
async fn foreign_pages_in_the_owners_browser_cannot_use_the_tunnel() {
    let harness = Harness::new();
    let call = json!({"process": APP}).to_string();
    for (origin, wanted) in [
        ("http://localhost:9090", StatusCode::OK),
        ("http://127.0.0.1:9090", StatusCode::OK),
        // Another tenant's page, on a host of that name.
        ("http://mallory.localhost:8000", StatusCode::FORBIDDEN),
        ("https://evil.example", StatusCode::FORBIDDEN),
        ("http://localhost.evil.example:9090", StatusCode::FORBIDDEN),
        ("null", StatusCode::FORBIDDEN),
    ] {
        let asked = request(Method::POST, RPC, &[("Origin", origin)], call.clone());
        let answer = harness.server.handle(asked, Origin::Tunnel).await;
        assert_eq!(answer.status(), wanted, "{origin}");
    }
}

#[tokio::test]
async fn bodies_are_read_up_to_the_limit() {
    let mut harness = Harness::new();
    harness.bind("/", false, false).await;
    let path = format!("/{APP}");
    let just = usize::try_from(PUBLIC_LIMIT).unwrap();
    let answer = harness.begin(
        request(Method::POST, &path, &[], vec![b'x'; just]),
        Origin::Public,
    );
    let message = harness.sent.recv().await.unwrap();
    assert_eq!(message.lazy_load_blob.as_ref().unwrap().bytes.len(), just);
    harness.answer(&message, r#"{"status":200,"headers":{}}"#, None);
    assert_eq!(answer.await.unwrap().status(), StatusCode::OK);

    let over = request(Method::POST, &path, &[], vec![b'x'; just + 1]);
    let declared = request(
        Method::POST,
        &path,
        &[("Content-Length", "99999999999")],
        "",
    );
    let pieces =
        futures::stream::iter((0..just).map(|_| {
            Ok::<_, node_api::BoxError>(http_body::Frame::data(Bytes::from_static(b"xx")))
        }));
    let mut streamed = request(Method::POST, &path, &[], "");
    *streamed.body_mut() = http_body_util::StreamBody::new(pieces).boxed_unsync();
    for asked in [over, declared, streamed] {
        let answer = harness.server.handle(asked, Origin::Public).await;
        assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert!(text(answer).await.contains("limit of 1000 bytes"));
    }
    // The tunnel and the RPC have their own, larger limit.
    let large = json!({"process": APP, "body": "x".repeat(just * 2)}).to_string();
    let asked = request(Method::POST, RPC, &[], large);
    assert_eq!(
        harness.server.handle(asked, Origin::Tunnel).await.status(),
        StatusCode::OK
    );
    let larger = usize::try_from(LOCAL_LIMIT).unwrap() + 1;
    let asked = request(Method::POST, RPC, &[], vec![b' '; larger]);
    let answer = harness.server.handle(asked, Origin::Tunnel).await;
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    // Everything charged was given back.
    let mut all = harness.server.public_bodies.charge(Standing::Owner, None);
    assert!(
        super::super::body::read(body(vec![0; 8000]), None, 8000, &mut all)
            .await
            .is_ok()
    );
}

#[tokio::test(start_paused = true)]
async fn a_silent_sender_is_given_up_and_the_budget_is_shared() {
    let mut harness = Harness::new();
    harness.bind("/", false, false).await;
    let path = format!("/{APP}");
    let mut silent = request(Method::POST, &path, &[], "");
    let pieces = futures::stream::pending::<Result<http_body::Frame<Bytes>, node_api::BoxError>>();
    *silent.body_mut() = http_body_util::StreamBody::new(pieces).boxed_unsync();
    let answer = harness.server.handle(silent, Origin::Public).await;
    assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);

    let mut waiting = Vec::new();
    for _ in 0..STRANGERS_BODIES {
        let full = vec![b'x'; usize::try_from(PUBLIC_LIMIT).unwrap()];
        waiting.push(harness.begin(request(Method::POST, &path, &[], full), Origin::Public));
        harness.sent.recv().await.unwrap();
    }
    let asked = request(Method::POST, &path, &[], "y");
    let answer = harness.server.handle(asked, Origin::Public).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn unknown_paths_are_404_without_content() {
    let mut harness = Harness::new();
    harness.bind("/a", false, false).await;
    for path in [
        "/",
        "/x",
        "/a",
        "//app:test:alice.dev/a",
        "/app:test:alice.dev/b",
        "/login/x",
    ] {
        let answer = harness.public(Method::GET, path).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
        assert_eq!(text(answer).await, "");
    }
}
