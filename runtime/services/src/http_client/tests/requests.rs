//! Requests of every shape, and what they are told.

use std::convert::Infallible;

use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::*;

#[tokio::test]
async fn a_request_arrives_as_it_was_asked_for() {
    let mut rig = Rig::new();
    let server = Server::start(&rig.tasks, |_| {
        let headers = "Content-Type: text/x\r\nx-many: 1\r\nX-Many: 2\r\nset-cookie: a\r\n\
                       set-cookie: b\r\n";
        response("201 Created", headers, b"made")
    })
    .await;
    let action = json!({"Http": {"method": "post", "version": "HTTP/1.1",
        "url": server.url("/a/b?c=d#e"),
        "headers": {"X-Own": "1", "User-Agent": "me", "connection": "close"}}});
    for source in [APP, OLD] {
        let (answer, blob) = rig.ask(source, &action, Some(b"what to make")).await;
        let wanted = json!({"Ok": {"Http": {"status": 201, "headers": {
            "Content-Type": "text/x", "X-Many": "1, 2", "Set-Cookie": "b", "Content-Length": "4",
        }}}});
        assert_eq!(answer, wanted);
        assert_eq!(blob.unwrap().bytes, "made");
    }
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    let (head, body) = seen[0].split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "what to make");
    let mut lines: Vec<_> = head.lines().collect();
    assert_eq!(lines.remove(0), "POST /a/b?c=d HTTP/1.1");
    lines.sort_unstable();
    let host = format!("host: {}", server.address);
    assert_eq!(
        lines,
        [
            "accept-encoding: gzip, br, deflate",
            "accept: */*",
            "content-length: 12",
            host.as_str(),
            "user-agent: me",
            "x-own: 1",
        ]
    );
    // Each process has connections of its own.
    assert_eq!(rig.connected(), 2);
    let log = rig.log.0.lock();
    let processes: Vec<_> = log.iter().map(|record| record.process.as_str()).collect();
    assert_eq!(processes, [APP, OLD]);
}

#[tokio::test]
async fn every_error_is_told_in_the_words_of_the_receiver() {
    let mut rig = Rig::new();
    let versioned = |version: &str| {
        json!({"Http": {"method": "GET", "version": version, "url": "http://127.0.0.1:1/",
            "headers": {}}})
    };
    let with_header = |name: &str, value: &str| {
        let url = "http://127.0.0.1:1/";
        json!({"Http": {"method": "GET", "version": null, "url": url, "headers": {name: value}}})
    };
    let bad = |kind: &str, field: &str, value: &str| {
        let error = json!({"Err": {kind: {field: value}}});
        (error.clone(), error)
    };
    let named = |text: &str| {
        (
            json!({"Err": {"BadRequest": {"req": text}}}),
            json!({"Err": {"BuildRequestFailed": text}}),
        )
    };
    let executed = |text: &str| {
        (
            json!({"Err": {"RequestFailed": {"error": text}}}),
            json!({"Err": {"ExecuteRequestFailed": text}}),
        )
    };
    for (action, (old, new)) in [
        (
            http("A B", "http://127.0.0.1"),
            bad("BadMethod", "method", "A B"),
        ),
        (
            http("CONNECT", "http://127.0.0.1"),
            bad("BadMethod", "method", "CONNECT"),
        ),
        (http("GET", "no url"), bad("BadUrl", "url", "no url")),
        (
            http("GET", "ftp://a.b/"),
            bad("BadUrl", "url", "ftp://a.b/"),
        ),
        (versioned("HTTP/7"), bad("BadVersion", "version", "HTTP/7")),
        (
            with_header("a b", "c"),
            named("`a b` is not the name of a header"),
        ),
        (
            with_header("a", "b\r\nc: d"),
            named("the value of `a` is not one"),
        ),
        (
            versioned("HTTP/0.9"),
            executed("HTTP/0.9 is not spoken here: use HTTP/1.0, HTTP/1.1 or HTTP/2.0"),
        ),
        (
            versioned("HTTP/3.0"),
            executed("HTTP/3.0 is not spoken here: use HTTP/1.0, HTTP/1.1 or HTTP/2.0"),
        ),
    ] {
        assert_eq!(rig.ask(OLD, &action, None).await, (old, None), "{action}");
        assert_eq!(rig.ask(APP, &action, None).await, (new, None), "{action}");
    }
    for malformed in [
        json!("Http"),
        json!({"Nothing": {}}),
        json!({"Http": {"method": "GET"}}),
        json!({"WebSocketClose": 7}),
    ] {
        let (told, _) = rig.ask(APP, &malformed, None).await;
        assert_eq!(told, json!({"Err": "MalformedRequest"}));
        let (told, _) = rig.ask(OLD, &malformed, None).await;
        let text = told["Err"]["BadRequest"]["req"].as_str().unwrap();
        assert!(text.starts_with("not an action: "), "{text}");
    }
    assert_eq!(rig.connected(), 0);
}

#[tokio::test]
async fn nobody_is_told_who_does_not_ask() {
    let mut rig = Rig::new();
    let server = Server::start(&rig.tasks, |_| response("200 OK", "", b"")).await;
    let silent = |rig: &Rig, action: &Value| {
        let mut message = rig.message(APP, action, None);
        if let Message::Request(request) = &mut message.message {
            request.expects_response = None;
        }
        message
    };
    for action in [
        http("GET", &server.url("/silent")),
        http("GET", "no url"),
        json!("nothing"),
        json!({"WebSocketClose": {"channel_id": 1}}),
    ] {
        let message = silent(&rig, &action);
        rig.give(message);
    }
    until(|| server.seen().len() == 1).await;
    // Messages of other nodes do nothing at all.
    let mut foreign = rig.message(APP, &http("GET", &server.url("/foreign")), None);
    foreign.source.node = "bob.dev".parse().unwrap();
    rig.give(foreign);
    // An answer goes to the rsvp, in its words.
    let mut passed = silent(&rig, &http("GET", "no url"));
    passed.rsvp = Some(rig.port.address(OLD));
    rig.give(passed);
    let answer = rig.next().await;
    assert_eq!(answer.target, rig.port.address(OLD));
    let mut passed = silent(&rig, &http("A B", &server.url("/")));
    passed.rsvp = Some(rig.port.address(OLD));
    rig.give(passed);
    assert_eq!(rig.next().await.target, rig.port.address(OLD));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn connections_are_used_again() {
    let mut rig = Rig::new();
    let server = Server::start(&rig.tasks, |request| {
        if request.starts_with("GET /close") {
            return response("200 OK", "connection: close\r\n", b"bye");
        }
        response("200 OK", "", b"hi")
    })
    .await;
    for _ in 0..3 {
        assert_eq!(rig.get(&server.url("/")).await.unwrap().2, "hi");
    }
    assert_eq!((rig.connected(), rig.client.pool.kept()), (1, 1));
    assert_eq!(rig.get(&server.url("/close")).await.unwrap().2, "bye");
    assert_eq!(rig.get(&server.url("/")).await.unwrap().2, "hi");
    assert_eq!(rig.connected(), 2);
    rig.client.forget(&APP.parse().unwrap());
    assert_eq!(rig.client.pool.kept(), 0);
}

#[tokio::test(start_paused = true)]
async fn connections_that_nobody_uses_end() {
    let mut rig = Rig::new();
    let server = Server::start(&rig.tasks, |_| response("200 OK", "", b"hi")).await;
    assert_eq!(rig.get(&server.url("/")).await.unwrap().2, "hi");
    assert_eq!(rig.client.pool.kept(), 1);
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert_eq!(rig.client.pool.kept(), 0);
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_no_error() {
    let mut rig = Rig::new();
    // Answers once, and hangs up at the next request.
    let address = listen(&rig.tasks, |mut stream| async move {
        read_request(&mut stream).await.unwrap();
        let answer = response("200 OK", "", b"once");
        stream.write_all(&answer).await.unwrap();
        read_request(&mut stream).await;
    })
    .await;
    for number in 1..4 {
        let (_, _, body) = rig.get(&format!("http://{address}/")).await.unwrap();
        assert_eq!((body, rig.connected()), ("once".into(), number));
    }
}

#[tokio::test]
async fn what_fails_otherwise_is_not_asked_again() {
    let mut rig = Rig::new();
    let server = Server::start(&rig.tasks, |request| {
        if request.starts_with("GET /nonsense") {
            return b"what is this\r\n\r\n".to_vec();
        }
        response("200 OK", "", b"hi")
    })
    .await;
    assert_eq!(rig.get(&server.url("/")).await.unwrap().2, "hi");
    rig.failure(&server.url("/nonsense")).await;
    assert_eq!((rig.connected(), server.seen().len()), (1, 2));
}

#[tokio::test]
async fn a_shared_connection_whose_server_is_silent_is_left() {
    let mut rig = Rig::new();
    let address = listen(&rig.tasks, |stream| async move {
        // Answers once.
        let answered = Arc::new(AtomicUsize::new(0));
        let service = service_fn(move |_: http::Request<Incoming>| {
            let answered = answered.clone();
            async move {
                if answered.fetch_add(1, Ordering::SeqCst) > 0 {
                    std::future::pending::<()>().await;
                }
                let body = Full::new(Bytes::from_static(b"once"));
                Ok::<_, Infallible>(http::Response::new(body))
            }
        });
        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let _ = builder
            .serve_connection(TokioIo::new(stream), service)
            .await;
    })
    .await;
    let action = json!({"Http": {"method": "GET", "version": "HTTP/2.0",
        "url": format!("http://{address}/"), "headers": {}}});
    let (answer, _) = rig.ask(APP, &action, None).await;
    assert_eq!(answer["Ok"]["Http"]["status"], 200, "{answer}");
    let mut unanswered = rig.message(APP, &action, None);
    if let Message::Request(request) = &mut unanswered.message {
        request.expects_response = Some(1);
    }
    rig.give(unanswered);
    let client = rig.client.clone();
    until(|| client.turns.taken() == (1, 1)).await;
    until(|| client.turns.taken() == (0, 0)).await;
    let (answer, _) = rig.ask(APP, &action, None).await;
    assert_eq!(answer["Ok"]["Http"]["status"], 200, "{answer}");
    assert_eq!(rig.connected(), 2);
}

#[tokio::test]
async fn old_servers_and_old_versions_are_spoken() {
    let mut rig = Rig::new();
    let address = listen(&rig.tasks, |mut stream| async move {
        let request = read_request(&mut stream).await.unwrap();
        let answer = format!("HTTP/1.0 200 OK\r\n\r\n{request}");
        stream.write_all(answer.as_bytes()).await.unwrap();
    })
    .await;
    let action = json!({"Http": {"method": "GET", "version": "HTTP/1.0",
        "url": format!("http://{address}/x"), "headers": {"host": "other.example"}}});
    let (answer, blob) = rig.ask(APP, &action, None).await;
    assert_eq!(answer["Ok"]["Http"]["status"], 200);
    let request = String::from_utf8(blob.unwrap().bytes.to_vec()).unwrap();
    assert!(request.starts_with("GET /x HTTP/1.0\r\n"), "{request}");
    assert!(request.contains("host: other.example\r\n"), "{request}");
}

#[tokio::test]
async fn http_2_is_spoken_to_servers_that_know_it() {
    let mut rig = Rig::new();
    let address = listen(&rig.tasks, |stream| async move {
        let service = service_fn(|request: http::Request<Incoming>| async move {
            let said = format!("{:?} {}", request.version(), request.uri());
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let said = format!("{said} {}", String::from_utf8_lossy(&body));
            Ok::<_, Infallible>(http::Response::new(Full::new(Bytes::from(said))))
        });
        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let _ = builder
            .serve_connection(TokioIo::new(stream), service)
            .await;
    })
    .await;
    let action = json!({"Http": {"method": "PUT", "version": "HTTP/2.0",
        "url": format!("http://{address}/x"), "headers": {}}});
    for _ in 0..3 {
        let (answer, blob) = rig.ask(APP, &action, Some(b"body")).await;
        assert_eq!(answer["Ok"]["Http"]["status"], 200, "{answer}");
        let wanted = format!("HTTP/2.0 http://{address}/x body");
        assert_eq!(blob.unwrap().bytes, wanted);
    }
    assert_eq!((rig.connected(), rig.client.pool.kept()), (1, 1));
    // A server that does not gives an error.
    let server = Server::start(&rig.tasks, |_| {
        response("400 Bad", "connection: close\r\n", b"")
    })
    .await;
    let action = json!({"Http": {"method": "GET", "version": "HTTP/2.0",
        "url": server.url("/"), "headers": {}}});
    let (answer, _) = rig.ask(APP, &action, None).await;
    assert!(
        answer["Err"]["ExecuteRequestFailed"].is_string(),
        "{answer}"
    );
}

#[tokio::test]
async fn servers_that_fail_are_errors() {
    let mut rig = Rig::new();
    let address = listen(&rig.tasks, |mut stream| async move {
        let request = read_request(&mut stream).await.unwrap();
        let path = request.split(' ').nth(1).unwrap();
        let answer: &[u8] = match path {
            "/hangs-up" => b"",
            "/garbage" => b"what is this\r\n\r\n",
            "/cut" => b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
            "/cut-chunk" => b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhalf",
            _ => b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nhalf",
        };
        stream.write_all(answer).await.unwrap();
    })
    .await;
    for path in ["/hangs-up", "/garbage", "/cut", "/cut-chunk", "/not-gzip"] {
        let text = rig.failure(&format!("http://{address}{path}")).await;
        assert!(!text.is_empty(), "{path}");
    }
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let text = rig.failure(&format!("http://{address}/")).await;
    assert!(text.starts_with("cannot connect"), "{text}");
    assert_eq!(rig.client.pool.kept(), 0);
    assert_eq!(rig.client.downloads.held(), 0);
}
