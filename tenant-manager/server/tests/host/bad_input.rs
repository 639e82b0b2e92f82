//! What goes wrong says so, and leaves nothing half-made.

use reqwest::{Response, StatusCode};
use serde_json::json;

use super::support::{self, Api, Host};

const INVALID: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;

/// Checks that the answer is a problem whose explanation mentions `word`.
async fn is_problem(answer: Response, status: StatusCode, word: &str) {
    assert_eq!(answer.status(), status);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let body = support::json(answer).await;
    assert_eq!(body["status"], status.as_u16());
    let detail = body["detail"].as_str().unwrap().to_lowercase();
    assert!(
        detail.contains(word),
        "{detail:?} does not mention {word:?}"
    );
}

async fn create(api: &Api, label: &str, password: &str) -> Response {
    let input = json!({"label": label, "password": password});
    api.post("/nodes", &input).await
}

#[tokio::test]
async fn malformed_sign_ups_are_explained() {
    let host = Host::start();
    let api = host.api();
    let sign_up = async |email: &str, password: &str| {
        let input = json!({"email": email, "password": password});
        api.post("/accounts", &input).await
    };
    let short = sign_up("alice@example.org", "short").await;
    is_problem(short, INVALID, "10").await;
    let nonsense = sign_up("nonsense", "correct horse").await;
    is_problem(nonsense, INVALID, "address").await;
    api.sign_up("alice@example.org").await;
    let again = sign_up("alice@example.org", "correct horse").await;
    is_problem(again, StatusCode::CONFLICT, "account").await;
}

#[tokio::test]
async fn malformed_nodes_are_explained() {
    let host = Host::start();
    let alice = host.api().sign_up("alice@example.org").await;
    for label in [
        "Alice",
        "9lives",
        "-a",
        "a-",
        "a--b",
        "a_b",
        "",
        "www",
        &"a".repeat(64),
    ] {
        let answer = create(&alice, label, "node password").await;
        assert_eq!(answer.status(), INVALID, "{label}");
    }
    let weak = create(&alice, "alice", "x").await;
    is_problem(weak, INVALID, "password").await;
    alice.create_node("alice").await;
    let taken = create(&alice, "alice", "node password").await;
    is_problem(taken, StatusCode::CONFLICT, "taken").await;
    for label in ["b1", "b2", "b3", "b4"] {
        let answer = create(&alice, label, "node password").await;
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
    }
    let full = create(&alice, "b5", "node password").await;
    is_problem(full, StatusCode::FORBIDDEN, "5").await;
    let nodes = support::json(alice.get("/nodes").await).await;
    let nodes = nodes["items"].as_array().unwrap();
    assert_eq!(nodes.len(), 5, "nothing half-made");

    let other = alice.get("/nodes/other").await;
    is_problem(other, StatusCode::NOT_FOUND, "node").await;
    let nowhere = alice.get("/nowhere").await;
    is_problem(nowhere, StatusCode::NOT_FOUND, "").await;
}
