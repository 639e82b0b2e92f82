//! What is left of a node that was removed for good: its record, empty.

use std::path::PathBuf;

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::support::{self, Database, Host, eventually};
use super::{Node, PATIENCE};

const COUNT: &str = "/counter:counter:tester.dev/api";

#[tokio::test]
async fn a_purged_node_leaves_nothing_but_an_empty_record() {
    let mut host = Host::start();
    let (alice, bob) = (
        Node::create(&host, "alice").await,
        Node::create(&host, "bob").await,
    );
    for node in [&alice, &bob] {
        node.install(&host, "counter:tester.dev").await;
        node.serves(COUNT).await;
        let counted = node.api.node(Method::POST, &node.name(), COUNT, "").await;
        assert_eq!(counted.text().await.unwrap(), r#"{"count":1}"#);
    }
    let id = Database::of(&host).query("SELECT id FROM tenants WHERE label = 'alice'");
    let [id]: [String; 1] = id.try_into().unwrap();
    let of_it: Vec<PathBuf> = ["nodes", "logs"]
        .map(|kind| host.data().join(kind).join(&id))
        .into();
    assert!(of_it.iter().all(|path| path.is_dir()), "{of_it:?}");

    let removed = alice.api.delete("/nodes/alice?purge=true").await;
    assert_eq!(removed.status(), StatusCode::ACCEPTED);
    alice.is("archived").await;
    assert!(of_it.iter().all(|path| path.is_dir()), "there is a grace");
    // The grace is days. Nobody waits for that here: it is over at the next
    // start of the host.
    Database::of(&host).query("UPDATE tenants SET purge_at = created_at WHERE label = 'alice'");
    host.restart();
    let (alice, bob) = (alice.again(&host), bob.again(&host));
    eventually("the purge", PATIENCE, async || {
        (alice.status().await == "absent").then_some(())
    })
    .await;

    for path in &of_it {
        assert!(!path.exists(), "{}", path.display());
    }
    let record = Database::of(&host).query(&format!(
        "SELECT purged_at IS NOT NULL, length(tenant_key) + length(networking_key)
           + length(jwt_secret) + length(file_key) + length(ssh_sealed) + length(keyfile)
         FROM tenants WHERE id = '{id}'"
    ));
    assert_eq!(record, ["t|0"]);
    let audited = Database::of(&host).query(&format!(
        "SELECT count(*) FROM audit WHERE tenant = '{id}' AND action = 'node.purge'"
    ));
    assert_eq!(audited, ["1"]);
    let free = support::json(alice.api.get("/names/alice").await).await;
    assert_eq!(free, json!({"available": true, "reason": null}));
    assert_eq!(alice.page("/").await.0, StatusCode::NOT_FOUND);
    let old = alice.ssh(&host).exec("echo let me in");
    assert!(!old.status.success(), "{old:?}");
    assert_eq!(bob.page(COUNT).await.1, r#"{"count":1}"#);

    // The next life of the label finds nothing of the last one.
    alice.api.create_node("alice").await;
    let alice = Node {
        password: alice.api.ssh_password("alice").await,
        ..alice
    };
    assert_eq!(alice.page(COUNT).await.0, StatusCode::NOT_FOUND);
    alice.install(&host, "counter:tester.dev").await;
    alice.serves(COUNT).await;
    assert_eq!(alice.page(COUNT).await.1, r#"{"count":0}"#);
}
