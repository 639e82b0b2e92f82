//! What goes wrong says so, and leaves nothing half-made.

use reqwest::StatusCode;
use serde_json::json;

use super::support::{self, Host};

#[tokio::test]
async fn malformed_sign_ups_and_nodes_are_explained() {
    let host = Host::start();
    let api = host.api();
    let problem = async |answer: reqwest::Response, status: StatusCode, word: &str| {
        assert_eq!(answer.status(), status);
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        let body = support::json(answer).await;
        assert_eq!(body["status"], status.as_u16());
        let detail = body["detail"].as_str().unwrap().to_lowercase();
        assert!(
            detail.contains(word),
            "{detail:?} does not mention {word:?}"
        );
    };
    let sign_up = async |email: &str, password: &str| {
        api.post("/accounts", &json!({"email": email, "password": password}))
            .await
    };
    problem(
        sign_up("alice@example.org", "short").await,
        StatusCode::UNPROCESSABLE_ENTITY,
        "10",
    )
    .await;
    problem(
        sign_up("nonsense", "correct horse").await,
        StatusCode::UNPROCESSABLE_ENTITY,
        "address",
    )
    .await;

    let alice = api.sign_up("alice@example.org").await;
    problem(
        sign_up("alice@example.org", "correct horse").await,
        StatusCode::CONFLICT,
        "account",
    )
    .await;

    let create = async |label: &str, password: &str| {
        alice
            .post("/nodes", &json!({"label": label, "password": password}))
            .await
    };
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
        let answer = create(label, "node password").await;
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY, "{label}");
    }
    problem(
        create("alice", "x").await,
        StatusCode::UNPROCESSABLE_ENTITY,
        "password",
    )
    .await;
    alice.create_node("alice").await;
    problem(
        create("alice", "node password").await,
        StatusCode::CONFLICT,
        "taken",
    )
    .await;
    for label in ["b1", "b2", "b3", "b4"] {
        assert_eq!(
            create(label, "node password").await.status(),
            StatusCode::ACCEPTED
        );
    }
    problem(
        create("b5", "node password").await,
        StatusCode::FORBIDDEN,
        "5",
    )
    .await;
    let nodes = support::json(alice.get("/nodes").await).await;
    assert_eq!(
        nodes["items"].as_array().unwrap().len(),
        5,
        "nothing half-made"
    );

    problem(
        alice.get("/nodes/other").await,
        StatusCode::NOT_FOUND,
        "node",
    )
    .await;
    problem(alice.get("/nowhere").await, StatusCode::NOT_FOUND, "").await;
}
