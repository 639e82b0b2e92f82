//! Whatever is wrong with a call of the API, the answer is a problem document.

use serde_json::json;

use crate::support::Host;

#[tokio::test]
async fn bad_bodies_are_problems() {
    let host = Host::start().await;
    let token = host.sign_up("ann@example.org").await;
    let bearer = format!("Bearer {token}");
    let send = async |path: &str, media_type: Option<&str>, body: &[u8]| {
        let mut headers = vec![("Authorization", bearer.as_str())];
        headers.extend(media_type.map(|media_type| ("Content-Type", media_type)));
        host.send("POST", "localhost", path, &headers, body).await
    };
    let json = Some("application/json");
    for path in ["/api/v1/accounts", "/api/v1/sessions", "/api/v1/nodes"] {
        for (body, status) in [
            (&b""[..], 400),
            (b"{", 400),
            (b"{\"password\":\"a\"", 400),
            (b"\xff\xfe", 400),
            (b"not json", 400),
            (b"null", 422),
            (b"[]", 422),
            (b"\"text\"", 422),
            (b"{}", 422),
            (br#"{"email":5,"password":"long enough","label":5}"#, 422),
            (br#"{"password":null}"#, 422),
            (
                br#"{"email":"a@b.c","label":"a","password":"long enough","admin":true}"#,
                422,
            ),
        ] {
            let answer = send(path, json, body).await;
            answer.problem(status);
        }
        let deep = "[".repeat(60_000);
        let answer = send(path, json, deep.as_bytes()).await;
        assert!(matches!(answer.status, 400 | 422), "{}", answer.text());
        answer.problem(answer.status);
        let form = Some("application/x-www-form-urlencoded");
        send(path, form, b"email=a").await.problem(415);
        send(path, None, b"{}").await.problem(415);
        let large = format!("{{\"email\":\"{}\"}}", "x".repeat(65 * 1024));
        let detail = send(path, json, large.as_bytes()).await.problem(413);
        assert!(detail.contains("64"), "{detail}");
    }
    let chunked = format!(
        "POST /api/v1/nodes HTTP/1.1\r\nHost: localhost\r\nAuthorization: {bearer}\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n\
         11000\r\n{}\r\n0\r\n\r\n",
        "x".repeat(0x11000)
    );
    host.raw(chunked).await[0].problem(413);
}

#[tokio::test]
async fn operations_without_input_take_an_empty_body() {
    let host = Host::start().await;
    let token = host.sign_up("ann@example.org").await;
    host.make_node(&token, "alice").await;
    let bearer = format!("Bearer {token}");
    let start = async |headers: &[(&str, &str)], body: &[u8]| {
        let mut all = vec![("Authorization", bearer.as_str())];
        all.extend_from_slice(headers);
        let path = "/api/v1/nodes/alice/start";
        host.send("POST", "localhost", path, &all, body).await
    };
    assert_eq!(start(&[], b"").await.status, 202);
    assert_eq!(start(&[("Content-Length", "0")], b"").await.status, 202);
    assert_eq!(
        start(&[("Content-Type", "application/json")], b"")
            .await
            .status,
        202
    );
    assert_eq!(
        start(&[("Content-Type", "text/plain")], b"").await.status,
        202
    );
    assert_eq!(
        start(&[("Content-Type", "application/json")], b" {} ")
            .await
            .status,
        202
    );
    start(&[], b"{\"force\":true}").await.problem(422);
    start(&[], b"x").await.problem(422);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() {
    let host = Host::start().await;
    for path in [
        "/api",
        "/api/",
        "/api/v1",
        "/api/v1/",
        "/api/v2/nodes",
        "/api/v1/nodes/",
        "/api/v1/nodes/a/b/c",
        "/api/v1/nodes/alice/openly",
        "/api/v1//nodes",
        "/api/%ff",
    ] {
        let answer = host.get("localhost", path).await;
        answer.problem(404);
    }
    for (method, path) in [
        ("PUT", "/nodes"),
        ("DELETE", "/nodes"),
        ("PATCH", "/nodes/alice"),
        ("GET", "/nodes/alice/start"),
        ("GET", "/sessions"),
        ("POST", "/account"),
        ("OPTIONS", "/accounts"),
        ("TRACE", "/accounts"),
        ("BREW", "/accounts"),
    ] {
        let answer = host
            .send(method, "localhost", &format!("/api/v1{path}"), &[], b"")
            .await;
        answer.problem(405);
        assert!(answer.header("allow").is_some(), "{method} {path}");
    }
    host.send("POST", "localhost", "/api/openapi.json", &[], b"")
        .await
        .problem(405);
    // A page elsewhere on the dashboard host, unless JSON is asked for.
    assert!(host.get("localhost", "/none").await.text().contains("<h1>"));
    let accept = [("Accept", "application/json")];
    host.send("GET", "localhost", "/none", &accept, b"")
        .await
        .problem(404);
}

#[tokio::test]
async fn nothing_the_client_sent_comes_back_as_markup() {
    let host = Host::start().await;
    let token = host.sign_up("ann@example.org").await;
    let evil = "<script>alert(1)</script>";
    let input = json!({"label": evil, "password": "node password"});
    let answer = host.api("POST", "/nodes", &token, Some(input)).await;
    answer.problem(422);
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    for (name, path) in [
        ("localhost", "/%3Cscript%3E"),
        ("bob.localhost", "/%3Cscript%3E"),
    ] {
        let text = host.get(name, path).await.text().to_lowercase();
        assert!(!text.contains("<script>"), "{text}");
    }
}
