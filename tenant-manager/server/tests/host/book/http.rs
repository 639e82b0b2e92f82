//! HTTP as a server and as a client, as in the book's recipes.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::super::support::ssh::free_port;
use super::super::support::{Host, Visitor, eventually, fetch, json as body_of};
use super::origin::Origin;
use super::{LOOPBACK, Node, PATIENCE};

const SERVER: &str = "http_server:http_server:template.os";
const CLIENT: &str = "http_client:http_client:template.os";

async fn server(host: &Host) -> (Node, Visitor) {
    let alice = Node::create(host, "alice").await;
    alice.install("http_server:template.os").await;
    alice.has_begun(SERVER).await;
    let owner = Visitor::owner(host, &alice.api, "alice").await;
    (alice, owner)
}

#[tokio::test]
async fn anybody_puts_json_and_the_app_prints_it() {
    let host = Host::start();
    let (alice, _owner) = server(&host).await;
    let root = format!("/{SERVER}");
    let send = |method: Method, body: &'static str| {
        let (api, root) = (alice.api.clone(), root.clone());
        async move { api.node(method, "alice.localhost", &root, body).await }
    };
    let put = send(Method::PUT, r#"{"Hello": "greetings"}"#).await;
    assert_eq!(put.status(), StatusCode::OK);
    assert_eq!(put.text().await.unwrap(), "");
    alice.printed(r#"somebody put {"Hello":"greetings"}"#).await;
    let wrong = send(Method::PUT, "not JSON").await;
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
    assert_eq!(wrong.headers()["content-type"], "application/json");
    for method in [Method::GET, Method::POST, Method::DELETE, Method::PATCH] {
        let answer = send(method.clone(), "{}").await;
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert_eq!(answer.headers()["allow"], "PUT", "{method}");
    }
    // Through the tunnel, as `curl` at localhost.
    let url = format!("http://localhost:{}{root}", alice.tunnel_port());
    let got = fetch(url).await.unwrap();
    assert_eq!(got.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn notes_are_made_read_changed_and_removed_by_their_owner() {
    let host = Host::start();
    let (alice, owner) = server(&host).await;
    let notes = format!("/{SERVER}/notes");
    let send = |method: Method, path: String, body: &'static str| {
        let (owner, host) = (&owner, &host);
        async move { owner.send(host, method, &path, body, &[]).await }
    };
    for (number, text) in [(1, "milk and bread"), (2, "bread"), (3, "ümlaut")] {
        let made = send(Method::POST, notes.clone(), text).await;
        assert_eq!(made.status(), StatusCode::CREATED, "{text}");
        assert_eq!(made.headers()["location"], format!("{notes}/{number}"));
        assert_eq!(body_of(made).await, json!({"number": number}));
    }
    let found = body_of(owner.get(&host, &format!("{notes}?has=bread")).await).await;
    assert_eq!(
        found,
        json!([
            {"number": 1, "text": "milk and bread"},
            {"number": 2, "text": "bread"},
        ])
    );
    let one = owner.get(&host, &format!("{notes}/3")).await;
    assert_eq!(one.headers()["content-type"], "text/plain; charset=utf-8");
    assert_eq!(one.text().await.unwrap(), "ümlaut");
    let changed = send(Method::PUT, format!("{notes}/1"), "only milk").await;
    assert_eq!(changed.status(), StatusCode::NO_CONTENT);
    let removed = send(Method::DELETE, format!("{notes}/2"), "").await;
    assert_eq!(removed.status(), StatusCode::NO_CONTENT);
    let left = body_of(owner.get(&host, &format!("{notes}/")).await).await;
    assert_eq!(
        left,
        json!([{"number": 1, "text": "only milk"}, {"number": 3, "text": "ümlaut"}])
    );
    for (method, path, status) in [
        (Method::GET, "/2", StatusCode::NOT_FOUND),
        (Method::GET, "/x", StatusCode::NOT_FOUND),
        (Method::DELETE, "/2", StatusCode::NOT_FOUND),
        (Method::POST, "", StatusCode::BAD_REQUEST),
        (Method::PATCH, "/1", StatusCode::METHOD_NOT_ALLOWED),
        (Method::DELETE, "", StatusCode::METHOD_NOT_ALLOWED),
        // Deeper than any path that was bound.
        (Method::GET, "/1/2", StatusCode::NOT_FOUND),
    ] {
        let answer = send(method.clone(), format!("{notes}{path}"), "").await;
        assert_eq!(answer.status(), status, "{method} {path}");
    }
    // Strangers get the login page, whatever they ask for.
    let stranger = alice.api.node_get("alice.localhost", &notes).await;
    assert_eq!(stranger.0, StatusCode::OK);
    assert!(!stranger.1.contains("milk"), "{}", stranger.1);
    assert!(stranger.1.contains("password"), "{}", stranger.1);
    let post = alice
        .api
        .node(Method::POST, "alice.localhost", &notes, "theirs")
        .await;
    assert!(!post.text().await.unwrap().contains("number\":4"));
    let left = body_of(owner.get(&host, &notes).await).await;
    assert_eq!(left.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn an_app_is_told_all_that_a_request_says() {
    let host = Host::start();
    let (alice, owner) = server(&host).await;
    let path = format!("/{SERVER}/told/a/b%20c?one=1&two=second&empty=");
    let headers = [("x-greeting", "hello"), ("cookie", "taste=sweet")];
    for method in [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
    ] {
        let stranger = Visitor::stranger("alice");
        let sent = stranger.send(&host, method.clone(), &path, "four", &headers);
        let told = body_of(sent.await).await;
        assert_eq!(told["method"], method.as_str());
        assert_eq!(told["host"], "alice.localhost", "{told}");
        assert_eq!(told["path"], "/told/a/b%20c", "{told}");
        assert_eq!(told["bound_path"], "/told/*rest", "{told}");
        assert_eq!(told["url_params"], json!({"rest": "a/b%20c"}), "{told}");
        assert_eq!(
            told["query_params"],
            json!({"one": "1", "two": "second", "empty": ""})
        );
        assert_eq!(told["headers"]["x-greeting"], "hello", "{told}");
        assert_eq!(told["headers"]["cookie"], "taste=sweet", "{told}");
        assert_eq!(told["from"], true, "{told}");
        assert_eq!(told["bytes"], 4, "{told}");
    }
    let head = owner.send(&host, Method::HEAD, &path, "", &[]).await;
    assert_eq!(head.status(), StatusCode::OK);
    assert_eq!(head.text().await.unwrap(), "");
    // A large body arrives whole.
    let large = "x".repeat(3 << 20);
    let sent = owner.send(&host, Method::POST, &path, &large, &[]).await;
    let told = body_of(sent).await;
    assert_eq!(told["bytes"], 3 << 20);
    assert_eq!(told["sum"], u64::from(b'x') * (3 << 20));
    // What is for callers on the node's machine comes through the tunnel only.
    let local = format!("/{SERVER}/local");
    let outside = alice.api.node_get("alice.localhost", &local).await;
    assert_eq!(outside.0, StatusCode::FORBIDDEN);
    let url = format!("http://localhost:{}{local}", alice.tunnel_port());
    let inside = fetch(url).await.unwrap();
    assert_eq!(inside.text().await.unwrap(), "from here");
}

async fn fetched(node: &Node, call: Value) -> Value {
    let told = node.ask(CLIENT, &json!({ "Fetch": call })).await;
    let fetched = told["Fetched"].clone();
    assert!(fetched.is_object(), "{told}");
    fetched
}

#[tokio::test]
async fn an_app_calls_a_server_outside() {
    let host = Host::start_with(&LOOPBACK);
    let origin = Origin::start();
    let alice = Node::create(&host, "alice").await;
    alice.install("http_client:template.os").await;
    alice.has_begun(CLIENT).await;

    let got = fetched(
        &alice,
        json!({"method": "GET", "url": origin.url("/a?b=c")}),
    )
    .await;
    assert_eq!(got["status"], 200);
    assert_eq!(got["headers"]["content-type"], "application/json", "{got}");
    assert_eq!(got["headers"]["x-answered"], "yes", "{got}");
    let said: Value = serde_json::from_str(got["body"].as_str().unwrap()).unwrap();
    assert_eq!(said["method"], "GET");
    assert_eq!(said["path"], "/a?b=c");
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        let call = json!({
            "method": method, "url": origin.url("/b"), "body": "a body",
            "headers": {"X-Greeting": "hello"},
        });
        let got = fetched(&alice, call).await;
        let said: Value = serde_json::from_str(got["body"].as_str().unwrap()).unwrap();
        assert_eq!(
            said,
            json!({"method": method, "path": "/b", "greeting": "hello", "body": "a body"})
        );
    }
    let gone = fetched(&alice, json!({"method": "GET", "url": origin.url("/gone")})).await;
    assert_eq!(gone["status"], 410);
    let moved = fetched(
        &alice,
        json!({"method": "GET", "url": origin.url("/moved")}),
    )
    .await;
    assert_eq!(moved["status"], 200);
    assert!(
        moved["body"]
            .as_str()
            .unwrap()
            .contains("/arrived?by=redirect"),
        "{moved}"
    );

    // What is said later arrives in the app's own time.
    let later = json!({"FetchLater": {"method": "PUT", "url": origin.url("/later")}});
    assert_eq!(alice.ask(CLIENT, &later).await, json!("Called"));
    let printed = alice.printed("later: 200 ").await;
    assert!(printed.contains(r#""path":"/later""#), "{printed}");

    // Where nobody listens, and what is no URL for it.
    let port = free_port();
    for url in [
        format!("http://127.0.0.1:{port}/"),
        "http://nobody.invalid/".to_owned(),
        "ftp://127.0.0.1/".to_owned(),
    ] {
        let call = json!({"Fetch": {"method": "GET", "url": url}});
        let told = alice.ask(CLIENT, &call).await;
        assert!(told["Failed"].is_string(), "{url}: {told}");
    }
    // It is all in the tenant's log.
    eventually("the log", PATIENCE, async || {
        let log = body_of(alice.api.get("/nodes/alice/egress?limit=100").await).await;
        let connected = log["items"].as_array().unwrap().iter().filter(|item| {
            item["process"] == CLIENT
                && item["outcome"] == "connected"
                && item["port"] == origin.address.port()
        });
        (connected.count() == origin.connections()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn without_leave_of_the_plan_no_app_reaches_the_machine_itself() {
    let host = Host::start();
    let origin = Origin::start();
    let alice = Node::create(&host, "alice").await;
    alice.install("http_client:template.os").await;
    alice.has_begun(CLIENT).await;
    let port = origin.address.port();
    for name in ["127.0.0.1", "localhost", "2130706433", "[::1]", "0.0.0.0"] {
        let url = format!("http://{name}:{port}/");
        let call = json!({"Fetch": {"method": "GET", "url": url}});
        let told = alice.ask(CLIENT, &call).await;
        assert!(told["Failed"].is_string(), "{url}: {told}");
    }
    assert_eq!(origin.connections(), 0);
}
