//! Operations on nodes.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use tenant_manager::ManagerLimits;

use crate::support::{Host, options};

/// The keys of the contract, in any order.
fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    keys
}

#[tokio::test]
async fn a_node_has_all_keys_of_the_contract() {
    let host = Host::start().await;
    let token = host.sign_up("ann@example.org").await;
    let input = json!({"label": "alice", "password": "node password"});
    let created = host.api("POST", "/nodes", &token, Some(input)).await;
    assert_eq!(created.status, 202, "{}", created.text());
    assert_eq!(created.header("location"), Some("/api/v1/nodes/alice"));
    host.wait_for_status(&token, "alice", "active").await;

    let node = host.api("GET", "/nodes/alice", &token, None).await.json();
    for shape in [&created.json(), &node] {
        assert_eq!(
            keys(shape),
            [
                "access",
                "created_at",
                "label",
                "last_started_at",
                "name",
                "plan",
                "status",
                "status_reason",
                "url",
                "usage"
            ]
        );
        assert_eq!(keys(&shape["usage"]), ["disk_bytes", "memory_bytes"]);
    }
    assert_eq!(node["label"], "alice");
    assert_eq!(node["name"], "alice.dev");
    assert_eq!(node["status_reason"], Value::Null);
    assert_eq!(node["created_at"], "1970-01-01T00:00:00Z");
    assert_eq!(
        node["url"],
        format!("http://alice.localhost:{}", host.address.port())
    );
    assert_eq!(
        node["access"],
        json!({"ssh_host": "localhost", "ssh_port": 2222, "ssh_user": "alice", "http_port": 8080})
    );
    assert_eq!(
        node["usage"],
        json!({"memory_bytes": 1000, "disk_bytes": 2000})
    );
    let list = host.api("GET", "/nodes", &token, None).await.json();
    assert_eq!(list, json!({"items": [node], "next_cursor": null}));
}

#[tokio::test]
async fn public_urls_are_told_when_set() {
    let mut options = options();
    options.public_url = Some("https://localhost:8443".to_owned());
    options.ssh_host = "ssh.example".to_owned();
    let host = Host::start_with(options, ManagerLimits::default()).await;
    let token = host.sign_up("ann@example.org").await;
    let input = json!({"label": "alice", "password": "node password"});
    let node = host.api("POST", "/nodes", &token, Some(input)).await.json();
    assert_eq!(node["url"], "https://alice.localhost:8443");
    assert_eq!(node["access"]["ssh_host"], "ssh.example");
}

#[tokio::test]
async fn labels_and_passwords_are_checked() {
    let host = Host::start().await;
    let token = host.sign_up("ann@example.org").await;
    host.make_node(&token, "alice").await;
    let create = async |label: &str, password: &str| {
        let input = json!({"label": label, "password": password});
        host.api("POST", "/nodes", &token, Some(input)).await
    };
    create("alice", "node password").await.problem(409);
    for label in ["", "Alice", "a--b", "-a", "a.b", "www", &"a".repeat(64)] {
        create(label, "node password").await.problem(422);
    }
    create("bob", "short").await.problem(422);
    for label in ["b", "c", "d", "e"] {
        assert_eq!(create(label, "node password").await.status, 202, "{label}");
    }
    let quota = create("f", "node password").await.problem(403);
    assert!(quota.contains('5'), "{quota}");

    let name = async |label: &str| host.api("GET", &format!("/names/{label}"), "", None).await;
    let answer = |available: bool, reason: Value| json!({"available": available, "reason": reason});
    assert_eq!(name("free").await.json(), answer(true, Value::Null));
    assert_eq!(name("alice").await.json(), answer(false, json!("taken")));
    assert_eq!(name("www").await.json(), answer(false, json!("reserved")));
    assert_eq!(name("a--b").await.json(), answer(false, json!("invalid")));
    assert_eq!(name("%41").await.json(), answer(false, json!("invalid")));
    name("%ff").await.problem(400);
}

#[tokio::test]
async fn a_node_is_stopped_started_and_put_away() {
    let host = Host::start().await;
    let token = host.sign_up("ann@example.org").await;
    host.make_node(&token, "alice").await;
    let act = async |action: &str| {
        let answer = host
            .api("POST", &format!("/nodes/alice/{action}"), &token, None)
            .await;
        assert_eq!(answer.status, 202, "{action}: {}", answer.text());
        assert_eq!(answer.json()["label"], "alice");
    };
    act("stop").await;
    host.wait_for_status(&token, "alice", "stopped").await;
    let page = host.get("alice.localhost", "/name").await;
    assert_eq!(page.status, 503);
    assert!(page.text().contains("owner stopped it"), "{}", page.text());
    act("start").await;
    host.wait_for_status(&token, "alice", "active").await;
    let before = host.control.launches.load(Ordering::SeqCst);
    act("restart").await;
    assert_eq!(
        host.get("alice.localhost", "/name").await.text(),
        "alice.dev"
    );
    act("hibernate").await;
    host.wait_for_status(&token, "alice", "hibernated").await;
    assert_eq!(
        host.get("alice.localhost", "/name").await.text(),
        "alice.dev",
        "wakes"
    );
    assert!(host.control.launches.load(Ordering::SeqCst) > before);

    let gone = host.api("DELETE", "/nodes/alice", &token, None).await;
    assert_eq!(gone.status, 202, "{}", gone.text());
    host.wait_for_status(&token, "alice", "archived").await;
    assert_eq!(host.get("alice.localhost", "/name").await.status, 503);
}

#[tokio::test]
async fn deletion_is_asked_for_precisely() {
    let host = Host::start().await;
    let token = host.sign_up("ann@example.org").await;
    host.make_node(&token, "alice").await;
    for query in [
        "?purge=yes",
        "?purge=1",
        "?purge",
        "?Purge=true",
        "?purge=true&x=1",
    ] {
        let answer = host
            .api("DELETE", &format!("/nodes/alice{query}"), &token, None)
            .await;
        answer.problem(400);
    }
    host.wait_for_status(&token, "alice", "active").await;
    let purged = host
        .api("DELETE", "/nodes/alice?purge=true", &token, None)
        .await;
    assert_eq!(purged.status, 202, "{}", purged.text());
}

#[tokio::test]
async fn another_accounts_node_does_not_exist() {
    let host = Host::start().await;
    let ann = host.sign_up("ann@example.org").await;
    let eve = host.sign_up("eve@example.org").await;
    host.make_node(&ann, "alice").await;
    for (method, path) in [
        ("GET", "/nodes/LABEL"),
        ("DELETE", "/nodes/LABEL"),
        ("DELETE", "/nodes/LABEL?purge=true"),
        ("POST", "/nodes/LABEL/start"),
        ("POST", "/nodes/LABEL/stop"),
        ("POST", "/nodes/LABEL/restart"),
        ("POST", "/nodes/LABEL/hibernate"),
        ("GET", "/nodes/LABEL/ssh-password"),
        ("POST", "/nodes/LABEL/ssh-password"),
    ] {
        let hers = host
            .api(method, &path.replace("LABEL", "alice"), &eve, None)
            .await;
        let none = host
            .api(method, &path.replace("LABEL", "nobody"), &eve, None)
            .await;
        let malformed = host
            .api(method, &path.replace("LABEL", "..%2F"), &eve, None)
            .await;
        hers.problem(404);
        malformed.problem(404);
        assert_eq!(hers.body, none.body, "{method} {path}");
    }
    let list = host.api("GET", "/nodes", &eve, None).await.json();
    assert_eq!(list["items"], json!([]));
    host.wait_for_status(&ann, "alice", "active").await;
}

#[tokio::test]
async fn the_ssh_password_is_shown_soon_after_a_sign_in() {
    let host = Host::start().await;
    let token = host.sign_up("ann@example.org").await;
    host.make_node(&token, "alice").await;
    let path = "/nodes/alice/ssh-password";
    let shown = host.api("GET", path, &token, None).await;
    assert_eq!(shown.status, 200, "{}", shown.text());
    let again = host.api("GET", path, &token, None).await;
    assert_eq!(shown.body, again.body);
    let rotated = host.api("POST", path, &token, None).await.json();
    assert_ne!(rotated, shown.json());
    assert_eq!(keys(&rotated), ["password"]);
    assert_eq!(host.api("GET", path, &token, None).await.json(), rotated);

    host.clock.advance(11 * 60);
    let late = host.api("GET", path, &token, None).await.problem(403);
    assert!(late.contains("Sign in again"), "{late}");
    assert_eq!(
        host.api("GET", "/nodes/alice", &token, None).await.status,
        200
    );
}

#[tokio::test]
async fn reading_does_not_wake_a_node() {
    let host = Host::start().await;
    let token = host.sign_up("ann@example.org").await;
    host.make_node(&token, "alice").await;
    host.api("POST", "/nodes/alice/hibernate", &token, None)
        .await;
    host.wait_for_status(&token, "alice", "hibernated").await;
    let launches = host.control.launches.load(Ordering::SeqCst);
    host.api("GET", "/nodes", &token, None).await;
    host.api("GET", "/nodes/alice", &token, None).await;
    host.api("GET", "/nodes/alice/ssh-password", &token, None)
        .await;
    let rpc = host
        .send(
            "POST",
            "alice.localhost",
            "/rpc:distro:sys/message",
            &[],
            b"{}",
        )
        .await;
    assert_eq!(rpc.status, 403);
    host.wait_for_status(&token, "alice", "hibernated").await;
    assert_eq!(host.control.launches.load(Ordering::SeqCst), launches);
}
