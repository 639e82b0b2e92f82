//! Where servers send requests, and where they do not get them.

use super::*;

/// Redirects `/STATUS?PLACE` there, and answers the rest with the request.
fn redirecting(request: &str) -> Vec<u8> {
    let path = request.split(' ').nth(1).unwrap();
    match path.trim_start_matches('/').split_once('?') {
        Some((status, place)) => response(
            &format!("{status} Elsewhere"),
            &format!("location: {place}\r\n"),
            b"not here",
        ),
        None => response("200 OK", "", request.as_bytes()),
    }
}

#[tokio::test]
async fn redirects_are_followed_to_the_end() {
    let mut rig = Rig::new();
    let server = Server::start(&rig.tasks, redirecting).await;
    let action = |status: u16| {
        json!({"Http": {"method": "PUT", "version": null,
            "url": server.url(&format!("/{status}?/there")),
            "headers": {"content-type": "text/x", "authorization": "secret"}}})
    };
    for status in [301, 302, 303] {
        let (_, blob) = rig.ask(APP, &action(status), Some(b"body")).await;
        let request = String::from_utf8(blob.unwrap().bytes.to_vec()).unwrap();
        assert!(request.starts_with("GET /there HTTP/1.1\r\n"), "{request}");
        assert!(request.ends_with("\r\n\r\n") && !request.contains("text/x"));
        assert!(request.contains("authorization: secret"));
    }
    for status in [307, 308] {
        let (_, blob) = rig.ask(APP, &action(status), Some(b"body")).await;
        let request = String::from_utf8(blob.unwrap().bytes.to_vec()).unwrap();
        assert!(request.starts_with("PUT /there HTTP/1.1\r\n"), "{request}");
        assert!(request.ends_with("body") && request.contains("text/x"));
    }
    // What a redirect says is read, so that its connection can be used again.
    assert_eq!(rig.connected(), 1);
    let (status, headers, _) = rig.get(&server.url("/304?/there")).await.unwrap();
    assert_eq!(
        (status, headers["Location"].as_str()),
        (304, Some("/there"))
    );
}

#[tokio::test]
async fn a_circle_is_left_after_ten_steps() {
    let mut rig = Rig::new();
    let server = Server::start(&rig.tasks, |_| {
        response("302 Found", "location: /again\r\n", b"")
    })
    .await;
    let text = rig.failure(&server.url("/")).await;
    assert_eq!(text, "the server redirects more than 10 times");
    assert_eq!(server.seen().len(), 11);
}

#[tokio::test]
async fn secrets_do_not_go_to_another_server() {
    let mut rig = Rig::new();
    let other = Server::start(&rig.tasks, |request| {
        response("200 OK", "", request.as_bytes())
    })
    .await;
    let place = other.url("/");
    let server = Server::start(&rig.tasks, move |_| {
        response("307 Elsewhere", &format!("location: {place}\r\n"), b"")
    })
    .await;
    let url = server.url("/").replace("://", "://me:password@");
    let action = json!({"Http": {"method": "GET", "version": null, "url": url,
        "headers": {"Cookie": "secret", "host": "internal", "x-kept": "1"}}});
    let (_, blob) = rig.ask(APP, &action, None).await;
    let request = String::from_utf8(blob.unwrap().bytes.to_vec()).unwrap();
    assert!(request.contains(&format!("host: {}\r\n", other.address)));
    assert!(request.contains("x-kept: 1\r\n"));
    for secret in ["cookie", "authorization", "internal"] {
        assert!(!request.contains(secret), "{request}");
    }
    let first = &server.seen()[0];
    assert!(
        first.contains("authorization: Basic bWU6cGFzc3dvcmQ="),
        "{first}"
    );
    assert!(first.contains("host: internal") && first.contains("cookie: secret"));
}

#[tokio::test]
async fn nothing_refused_is_reached_by_a_redirect() {
    let mut rig = Rig::new();
    let server = Server::start(&rig.tasks, redirecting).await;
    for place in [
        "http://169.254.169.254/latest/meta-data/",
        "http://2852039166/",
        "http://0xa9.0376.43518/",
        "http://[::ffff:169.254.169.254]/",
        "http://10.0.0.1:8080/",
        "http://[fd00::1]/",
        "https://192.168.0.1/",
        "//172.16.0.1/",
    ] {
        let text = rig.failure(&server.url(&format!("/302?{place}"))).await;
        assert!(text.contains("may not be reached"), "{place}: {text}");
    }
    for place in [
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "ws://127.0.0.1/",
    ] {
        let text = rig.failure(&server.url(&format!("/302?{place}"))).await;
        assert!(text.contains("is not followed"), "{place}: {text}");
    }
    let log = rig.log.0.lock();
    let reached = log.iter().filter(|record| record.reason.is_none());
    for record in reached {
        assert_eq!(record.address, Some(server.address));
    }
}
