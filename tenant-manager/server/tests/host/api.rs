//! Accounts, sessions, names and nodes over the REST API.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::support::{self, Host};

#[tokio::test]
async fn from_sign_up_to_a_running_node_with_curl_alone() {
    let host = Host::start();
    let alice = host.api().sign_up("alice@example.org").await;

    let account = support::json(alice.get("/account").await).await;
    assert_eq!(account["email"], "alice@example.org");
    assert_eq!(account["role"], "user");
    assert_eq!(account["plan"]["nodes"], 5);

    let free = support::json(alice.get("/names/alice").await).await;
    assert_eq!(free, json!({"available": true, "reason": null}));
    let empty = support::json(alice.get("/nodes").await).await;
    assert_eq!(empty, json!({"items": [], "next_cursor": null}));

    let node = alice.create_node("alice").await;
    assert_eq!(node["name"], "alice.dev");
    let port = host.http().rsplit(':').next().unwrap().to_owned();
    assert_eq!(node["url"], format!("http://alice.localhost:{port}"));
    assert_eq!(node["access"]["ssh_user"], "alice");
    assert_eq!(node["access"]["ssh_port"], host.ssh_port());
    assert_eq!(node["access"]["http_port"], 8080);
    assert!(node["last_started_at"].as_str().unwrap().ends_with('Z'));
    // Its first process may only just begin.
    support::eventually("memory in use", Duration::from_secs(20), async || {
        let node = support::json(alice.get("/nodes/alice").await).await;
        (node["usage"]["memory_bytes"].as_u64()? > 0).then_some(())
    })
    .await;

    let taken = support::json(alice.get("/names/alice").await).await;
    assert_eq!(taken, json!({"available": false, "reason": "taken"}));
    let listed = support::json(alice.get("/nodes").await).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn stop_start_restart_and_delete_take_effect() {
    let host = Host::start();
    let alice = host.api().sign_up("alice@example.org").await;
    alice.create_node("alice").await;

    assert_eq!(
        alice.act("/nodes/alice/stop").await.status(),
        StatusCode::ACCEPTED
    );
    alice.wait_for_status("alice", "stopped").await;
    let (status, page) = alice.node_get("alice.localhost", "/").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{page}");
    assert!(
        page.contains("stopped"),
        "a stopped node does not wake, and says so: {page}"
    );

    assert_eq!(
        alice.act("/nodes/alice/start").await.status(),
        StatusCode::ACCEPTED
    );
    let first = alice.wait_for_status("alice", "active").await;
    assert_eq!(
        alice.act("/nodes/alice/restart").await.status(),
        StatusCode::ACCEPTED
    );
    let again = support::eventually(
        "restarted",
        std::time::Duration::from_secs(30),
        async || {
            let node = support::json(alice.get("/nodes/alice").await).await;
            (node["status"] == "active" && node["last_started_at"] != first["last_started_at"])
                .then_some(node)
        },
    )
    .await;
    assert_eq!(again["created_at"], first["created_at"]);

    assert_eq!(
        alice.delete("/nodes/alice").await.status(),
        StatusCode::ACCEPTED
    );
    alice.wait_for_status("alice", "archived").await;
    let (status, _) = alice.node_get("alice.localhost", "/").await;
    assert!(matches!(status.as_u16(), 404 | 503), "{status}");
}

#[tokio::test]
async fn sessions_are_bearer_tokens_that_end() {
    let host = Host::start();
    let api = host.api();
    api.sign_up("alice@example.org").await;

    let wrong = json!({"email": "alice@example.org", "password": "not my password"});
    let stranger = json!({"email": "nobody@example.org", "password": "not my password"});
    let refused = api.post("/sessions", &wrong).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    let first = support::json(refused).await;
    let unknown = api.post("/sessions", &stranger).await;
    assert_eq!(unknown.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(
        first,
        support::json(unknown).await,
        "an unknown address is not told apart"
    );

    let right = json!({"email": "Alice@example.org", "password": "correct horse"});
    let session = support::json(api.post("/sessions", &right).await).await;
    assert!(session["expires_at"].is_string());
    let alice = api.with_token(session["token"].as_str());
    assert_eq!(alice.get("/account").await.status(), StatusCode::OK);
    assert!(
        alice
            .delete("/sessions/current")
            .await
            .status()
            .is_success()
    );
    assert_eq!(
        alice.get("/account").await.status(),
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(api.get("/nodes").await.status(), StatusCode::UNAUTHORIZED);

    for _ in 0..10 {
        api.post("/sessions", &wrong).await;
    }
    let locked = api.post("/sessions", &right).await;
    assert_eq!(locked.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(
        locked.headers()["retry-after"]
            .to_str()
            .unwrap()
            .parse::<u64>()
            .unwrap()
            > 0
    );
}

#[tokio::test]
async fn an_unknown_label_is_404_and_the_apex_is_the_dashboard() {
    let host = Host::start();
    let api = host.api();
    let (status, _) = api.node_get("nobody.localhost", "/").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let apex = api.node(Method::GET, "localhost", "/", "").await;
    assert_eq!(apex.status(), StatusCode::OK);
    assert!(apex.headers().contains_key("content-security-policy"));
    let openapi = api
        .node(Method::GET, "localhost", "/api/openapi.json", "")
        .await;
    let openapi = support::json(openapi).await;
    assert!(openapi["openapi"].as_str().unwrap().starts_with("3.1"));
    assert!(openapi["paths"].as_object().unwrap().len() >= 10);
}

#[tokio::test]
async fn health_readiness_and_metrics_are_on_the_private_port() {
    let host = Host::start();
    let get = async |path: &str| {
        let answer = support::fetch(format!("http://{}{path}", host.metrics()))
            .await
            .unwrap();
        (answer.status(), answer.text().await.unwrap())
    };
    assert_eq!(get("/healthz").await.0, StatusCode::OK);
    let (status, text) = get("/readyz").await;
    assert_eq!(status, StatusCode::OK, "{text}");
    assert_eq!(get("/metrics").await.0, StatusCode::OK);
    assert_eq!(get("/").await.0, StatusCode::NOT_FOUND);
}
