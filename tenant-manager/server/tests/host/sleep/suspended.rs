//! Nodes that an operator holds.

use reqwest::StatusCode;
use serde_json::json;

use super::Node;
use super::doors::refuses;
use super::support::{self, Api, Host, Metrics};

const REASON: &str = "it sends spam";

async fn order(by: &Api, label: &str, what: &str) -> StatusCode {
    let path = format!("/operator/nodes/{label}/{what}");
    let answer = match what {
        "suspend" => by.post(&path, &json!({ "reason": REASON })).await,
        _ => by.act(&path).await,
    };
    answer.status()
}

async fn obeyed(by: &Api, label: &str, what: &str) {
    let status = order(by, label, what).await;
    assert!(status.is_success(), "{what} {label}: {status}");
}

#[tokio::test]
async fn an_operator_holds_a_node_and_lets_it_go() {
    let mut host = Host::start();
    let operator = support::operator(&host, "root@example.org").await;
    let alice = Node::create(&host, "alice").await;
    let bob = Node::create(&host, "bob").await;
    for what in ["suspend", "resume"] {
        let status = order(&bob.api, "alice", what).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{what}");
    }

    // Whoever is at it is put out, and nobody is let in, its owner either.
    let mut shell = alice.ssh(&host).shell();
    shell.expect("alice.dev > ");
    obeyed(&operator, "alice", "suspend").await;
    alice.is("suspended").await;
    let (_, rest, errors) = shell.finish(super::PATIENCE);
    let said = format!("{rest}{errors}");
    assert!(
        said.contains("operator holds this node"),
        "it was told: {said:?}"
    );
    let told = support::json(alice.api.get("/nodes/alice").await).await;
    let reason = told["status_reason"].as_str().unwrap_or_default();
    assert!(reason.contains(REASON), "{told}");
    let boots = Metrics::of(&host).await.boots();
    refuses(&host, &alice, "suspended").await;
    for what in ["start", "restart", "open"] {
        let refused = alice.api.act(&format!("/nodes/alice/{what}")).await;
        assert!(refused.status().is_client_error(), "{what}: {refused:?}");
    }
    let hi = bob.ssh(&host).exec("hi alice.dev hello");
    let said = hi.stdout.trim_ascii();
    assert_eq!(said, b"alice.dev is offline or does not exist", "{hi:?}");
    assert_eq!(alice.status().await, "suspended");
    assert_eq!(Metrics::of(&host).await.boots(), boots);

    // It is held over a restart, and everybody else is not.
    host.restart();
    let (alice, bob) = (alice.again(&host), bob.again(&host));
    let operator = operator.again(&host);
    assert!(!alice.page("/login").await.0.is_success());
    assert_eq!(alice.status().await, "suspended");
    assert_eq!(bob.page("/login").await.0, StatusCode::OK);

    obeyed(&operator, "alice", "resume").await;
    alice.serves("/login").await;
    alice.is("active").await;
}

#[tokio::test]
async fn what_its_owner_wanted_of_a_held_node_counts_again_afterwards() {
    let host = Host::start();
    let operator = support::operator(&host, "root@example.org").await;
    let alice = Node::create(&host, "alice").await;
    alice.act("stop", "stopped").await;
    obeyed(&operator, "alice", "suspend").await;
    alice.is("suspended").await;
    obeyed(&operator, "alice", "resume").await;
    alice.is("stopped").await;
    let (status, page) = alice.page("/login").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(page.contains("stopped"), "{page}");
    alice.act("start", "active").await;

    // Asleep when it was held, it sleeps when it is let go.
    alice.sleep().await;
    let boots = Metrics::of(&host).await.boots();
    obeyed(&operator, "alice", "suspend").await;
    alice.is("suspended").await;
    obeyed(&operator, "alice", "resume").await;
    alice.is("hibernated").await;
    assert_eq!(Metrics::of(&host).await.boots(), boots);
    assert_eq!(alice.page("/login").await.0, StatusCode::OK);
}
