//! Binding, messages to apps, and what becomes of their answers.

use node_api::Origin;
use node_types::Edition;

use super::*;

#[tokio::test]
async fn an_app_gets_the_request_in_its_words_and_its_answer_becomes_http() {
    let mut harness = Harness::new();
    harness.bind("/a/:id/", false, false).await;
    let headers = [
        ("Host", "alice.localhost:8000"),
        ("X-Mixed", "one"),
        ("X-Odd", "caf\u{e9}"),
    ];
    let path = "/app:test:alice.dev/a/7%20x/?q=1+2&r=%C3%A9";
    let asked = request(Method::POST, path, &headers, "payload");
    let asked = visited(asked, "127.0.0.1:5123", None);
    let answer = harness.begin(asked, Origin::Public);
    let message = harness.sent.recv().await.unwrap();
    assert_eq!(
        message.source,
        harness.port.address("http-server:distro:sys")
    );
    assert_eq!(message.target, harness.port.address(APP));
    let body: Value = serde_json::from_slice(message.message.body()).unwrap();
    let wanted = json!({"Http": {
        "source_socket_addr": "127.0.0.1:5123",
        "method": "POST",
        "url": "http://alice.localhost/app:test:alice.dev/a/7%20x",
        "bound_path": "/app:test:alice.dev/a/:id",
        "headers": {"host": "alice.localhost:8000", "x-mixed": "one", "x-odd": ""},
        "url_params": {"id": "7%20x"},
        "query_params": {"q": "1 2", "r": "é"},
    }});
    assert_eq!(body, wanted);
    let blob = message.lazy_load_blob.as_ref().unwrap();
    assert_eq!(
        (blob.mime.as_deref(), &blob.bytes[..]),
        (None, &b"payload"[..])
    );
    let Message::Request(inner) = &message.message else {
        panic!("not a request");
    };
    assert_eq!((inner.expects_response, inner.inherit), (Some(15), false));

    let reply = json!({"status": 201, "headers": {
        "X-App": "yes", "bad name": "x", "X-Bad": "a\nb",
        "Content-Length": "99999", "Transfer-Encoding": "chunked",
    }});
    harness.answer(&message, reply.to_string(), Some(b"created"));
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    assert_eq!(answer.headers()["x-app"], "yes");
    assert_eq!(answer.headers()["content-type"], "application/octet-stream");
    assert_eq!(answer.headers().len(), 2);
    assert_eq!(text(answer).await, "created");
}

#[tokio::test]
async fn answers_that_are_none_are_500() {
    let mut harness = Harness::new();
    harness.bind("/", false, false).await;
    for bad in [
        "",
        "nonsense",
        "{}",
        r#"{"status":"200","headers":{}}"#,
        r#"{"status":99,"headers":{}}"#,
        r#"{"status":101,"headers":{}}"#,
        r#"{"status":70000,"headers":{}}"#,
    ] {
        let asked = request(Method::GET, &format!("/{APP}"), &[], "");
        let answer = harness.begin(asked, Origin::Public);
        let message = harness.sent.recv().await.unwrap();
        harness.answer(&message, bad, None);
        let status = answer.await.unwrap().status();
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "{bad}");
    }
}

#[tokio::test(start_paused = true)]
async fn silence_is_408_after_15_seconds_and_late_answers_are_ignored() {
    let mut harness = Harness::new();
    harness.bind("/", false, false).await;
    let began = tokio::time::Instant::now();
    let answer = harness.public(Method::GET, &format!("/{APP}")).await;
    assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
    assert_eq!(began.elapsed().as_secs(), 15);
    let message = harness.sent.recv().await.unwrap();
    harness.answer(&message, r#"{"status":200,"headers":{}}"#, None);
    assert_eq!(harness.server.pending.len(), 0);
    // Refused by the kernel: at once.
    harness.port.refuse(APP);
    let began = tokio::time::Instant::now();
    let answer = harness.public(Method::GET, &format!("/{APP}")).await;
    assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
    assert_eq!(began.elapsed().as_secs(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_signs_the_owner_in_is_kept_from_apps() {
    let mut harness = Harness::new();
    harness.bind("/mine", true, false).await;
    let path = format!("/{APP}/mine");
    let login = cookie(&harness);
    for (cookies, seen, set, kept) in [
        (login.clone(), Value::Null, "kinode-auth_alice.dev=x", false),
        (
            format!("a=1; berth-session=t; {login}; b=2"),
            json!("a=1; b=2"),
            "a=3; HttpOnly",
            true,
        ),
        (
            format!("{login}; a=1"),
            json!("a=1"),
            "__Host-berth-session=x; Path=/; Secure",
            false,
        ),
    ] {
        for origin in [Origin::Public, Origin::Tunnel] {
            let asked = request(Method::GET, &path, &[("Cookie", &cookies)], "");
            let answer = harness.begin(asked, origin);
            let message = harness.sent.recv().await.unwrap();
            let told: Value = serde_json::from_slice(message.message.body()).unwrap();
            assert_eq!(told["Http"]["headers"]["cookie"], seen);
            let reply = json!({"status": 200, "headers": {"Set-Cookie": set}});
            harness.answer(&message, reply.to_string(), None);
            let answer = answer.await.unwrap();
            assert_eq!(answer.headers().contains_key("set-cookie"), kept, "{set}");
        }
    }
}

#[tokio::test]
async fn a_stop_answers_those_who_wait() {
    let mut harness = Harness::new();
    harness.bind("/", false, false).await;
    let server = Arc::clone(&harness.server);
    let asked = request(Method::GET, &format!("/{APP}"), &[], "");
    let answer = server.handle(asked, Origin::Public);
    tokio::pin!(answer);
    assert!(futures::poll!(answer.as_mut()).is_pending());
    harness.sent.recv().await.unwrap();
    harness.tasks.token().cancel();
    assert_eq!(answer.await.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn static_content_answers_get_alone() {
    let mut harness = Harness::new();
    let bind = |mime: Option<&str>| {
        let action = json!({"Bind": {"path": "/page", "authenticated": false,
            "local_only": false, "cache": true}});
        let mut request = harness.port.request(
            APP,
            "http-server:distro:sys",
            action.to_string(),
            Some(b"<p>hi"),
        );
        if let Some(blob) = &mut request.lazy_load_blob {
            blob.mime = mime.map(str::to_owned);
        }
        harness.inbox.try_send(request, 1).unwrap();
    };
    let path = format!("/{APP}/page");
    for (given, wanted) in [
        (Some("text/html"), "text/html"),
        (None, "text/plain"),
        (Some("bad\nmime"), "text/plain"),
    ] {
        bind(given);
        harness.sent.recv().await.unwrap();
        let answer = harness.public(Method::GET, &path).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], wanted);
        assert_eq!(text(answer).await, "<p>hi");
    }
    let posted = harness.begin(request(Method::POST, &path, &[], ""), Origin::Public);
    let message = harness.sent.recv().await.unwrap();
    harness.answer(&message, r#"{"status":204,"headers":{}}"#, None);
    assert_eq!(posted.await.unwrap().status(), StatusCode::NO_CONTENT);
    harness.server.forget(&APP.parse().unwrap());
    assert_eq!(
        harness.public(Method::GET, &path).await.status(),
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn each_generation_is_answered_in_its_own_words() {
    let mut harness = Harness::new();
    harness.port.set_edition("old:test:sys", Edition::V0_8);
    harness.port.set_edition("new:test:sys", Edition::V1_0);
    let cached =
        json!({"Bind": {"path": "/", "authenticated": true, "local_only": false, "cache": true}});
    let ws = json!({"WebSocketBind": {"path": "/", "authenticated": true, "encrypted": false, "extension": false}});
    let extension = json!({"WebSocketExtPushOutgoing":
        {"channel_id": 7, "message_type": "Binary", "desired_reply_type": "Response"}});
    let push = json!({"WebSocketPush": {"channel_id": 7, "message_type": "Ping"}});
    for (action, old, new) in [
        (
            json!({"Unbind": {"path": "/x"}}),
            json!({"Ok": null}),
            json!({"Ok": null}),
        ),
        (
            json!({"WebSocketPush": {"channel_id": 7, "message_type": "Text"}}),
            json!({"Err": "NoBlob"}),
            json!({"Err": "NoBlob"}),
        ),
        (
            json!({"WebSocketClose": 7}),
            json!({"Ok": null}),
            json!({"Ok": null}),
        ),
        (cached, json!({"Err": "NoBlob"}), json!({"Err": "NoBlob"})),
        (ws, json!({"Ok": null}), json!({"Ok": null})),
        (
            json!({"WebSocketUnbind": {"path": "/"}}),
            json!({"Ok": null}),
            json!({"Ok": null}),
        ),
        (
            extension,
            json!({"Err": "NoBlob"}),
            json!({"Err": "NoBlob"}),
        ),
        (
            push,
            json!({"Err": {"WebSocketPushError": {"error": "no such WebSocket channel"}}}),
            json!({"Err": "WsChannelNotFound"}),
        ),
    ] {
        assert_eq!(
            harness.act("old:test:sys", &action, None).await,
            old,
            "{action}"
        );
        assert_eq!(
            harness.act("new:test:sys", &action, None).await,
            new,
            "{action}"
        );
    }
    // What only the module says, and what nobody does.
    for name in ["WebSocketOpen", "WebSocketExtPushData"] {
        let action = json!({name: {"path": "/", "channel_id": 1}});
        let error = harness.act("old:test:sys", &action, None).await;
        let error = &error["Err"]["WebSocketPushError"]["error"];
        assert!(error.as_str().unwrap().starts_with(name), "{error}");
        let error = harness.act("new:test:sys", &action, None).await;
        assert_eq!(error, json!({"Err": "MalformedRequest"}));
    }
    let bad = json!({"Bind": {"path": "/"}});
    let error = harness.act("old:test:sys", &bad, None).await;
    let wanted = json!({"Err": {"BadRequest": {"req": bad.to_string()}}});
    assert_eq!(error, wanted);
    let error = harness.act("new:test:sys", &bad, None).await;
    assert_eq!(error, json!({"Err": "MalformedRequest"}));
    let printed = |part: &str| {
        let prints = harness.port.prints();
        prints.iter().any(|(_, _, text)| text.contains(part))
    };
    assert!(printed("WebSocketOpen") && printed("missing field"));
}

#[tokio::test]
async fn newer_generations_bind_for_names_of_the_chain_only() {
    let mut harness = Harness::new();
    let bind =
        json!({"Bind": {"path": "/", "authenticated": true, "local_only": false, "cache": false}});
    let secure = json!({"SecureBind": {"path": "/", "cache": true}});
    let socket = json!({"WebSocketBind": {"path": "/", "authenticated": true, "extension": false}});
    let secure_socket = json!({"WebSocketSecureBind": {"path": "/", "extension": false}});
    let unbind = json!({"Unbind": {"path": "/"}});
    for source in [
        "my_app:test:alice.dev",
        "app:Test:alice.dev",
        "app:test:a_b.dev",
    ] {
        for edition in [Edition::V1_0, Edition::Hyperware] {
            harness.port.set_edition(source, edition);
            for action in [&bind, &secure, &socket, &secure_socket] {
                let error = harness.act(source, action, None).await;
                assert_eq!(error, json!({"Err": "InvalidSourceProcess"}), "{source}");
            }
            assert_eq!(
                harness.act(source, &unbind, None).await,
                json!({"Ok": null})
            );
        }
        harness.port.set_edition(source, Edition::V0_8);
        assert_eq!(harness.act(source, &bind, None).await, json!({"Ok": null}));
    }
    harness.port.set_edition(APP, Edition::V1_0);
    assert_eq!(harness.act(APP, &bind, None).await, json!({"Ok": null}));
    let error = harness.act(APP, &secure, None).await;
    assert_eq!(error, json!({"Err": "NoBlob"}));
}

#[tokio::test]
async fn success_is_told_when_asked_and_errors_always_to_the_source() {
    let mut harness = Harness::new();
    let quiet = |body: &str, rsvp: Option<&str>| {
        let mut request =
            harness
                .port
                .request(APP, "http-server:distro:sys", body.to_owned(), None);
        if let Message::Request(inner) = &mut request.message {
            inner.expects_response = None;
        }
        request.rsvp = rsvp.map(|to| harness.port.address(to));
        harness.inbox.try_send(request, 1).unwrap();
    };
    let unbind = r#"{"Unbind":{"path":"/x"}}"#;
    quiet(unbind, None);
    quiet("bad", Some("other:test:sys"));
    quiet(unbind, Some("other:test:sys"));
    let error = harness.sent.recv().await.unwrap();
    assert_eq!(error.target, harness.port.address(APP));
    assert!(error.message.body().starts_with(b"{\"Err\""));
    let ok = harness.sent.recv().await.unwrap();
    assert_eq!(ok.target, harness.port.address("other:test:sys"));
    assert_eq!(ok.message.body(), r#"{"Ok":null}"#);
    // Another node cannot bind here.
    let mut foreign = harness
        .port
        .request(APP, "http-server:distro:sys", "bad", None);
    foreign.source = "bob.dev@app:test:alice.dev".parse().unwrap();
    harness.inbox.try_send(foreign, 1).unwrap();
    quiet("bad", None);
    assert_eq!(
        harness.sent.recv().await.unwrap().target.node,
        *harness.port.our()
    );
}

#[tokio::test(start_paused = true)]
async fn a_booting_node_lets_requests_wait_for_their_path() {
    let mut harness = Harness::new();
    harness.server.set_ready(false);
    let path = format!("/{APP}/late");
    let early = harness.begin(request(Method::GET, &path, &[], ""), Origin::Public);
    tokio::task::yield_now().await;
    // The root binding is not taken for an answer while better may come.
    harness.bind("/", false, false).await;
    harness.bind("/late", false, false).await;
    let message = harness.sent.recv().await.unwrap();
    let body: Value = serde_json::from_slice(message.message.body()).unwrap();
    assert_eq!(body["Http"]["bound_path"], path);
    harness.answer(&message, r#"{"status":200,"headers":{}}"#, None);
    assert_eq!(early.await.unwrap().status(), StatusCode::OK);

    let unknown = harness.begin(request(Method::GET, "/nothing", &[], ""), Origin::Public);
    tokio::task::yield_now().await;
    harness.server.set_ready(true);
    assert_eq!(unknown.await.unwrap().status(), StatusCode::NOT_FOUND);
    harness.server.set_ready(false);
    let began = tokio::time::Instant::now();
    let never = harness.public(Method::GET, "/nothing").await;
    assert_eq!(never.status(), StatusCode::NOT_FOUND);
    assert_eq!(began.elapsed(), READY_TIME);
}
