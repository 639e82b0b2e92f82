//! Thousands of chunks that nobody answers: none is lost.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::support::{Host, eventually};
use super::Node;

const CHUNKS: &str = "chunks:chunks:test.dev";

/// Has `count` chunks sent from `from` to a worker of `to`, and waits for all.
async fn transfer(from: &Node, to: &Node, options: Value) {
    let mut options = options;
    options["node"] = json!(format!("{}.dev", to.label));
    let count = options["count"].clone();
    from.ask(CHUNKS, &json!({ "Start": options })).await;
    let limit = Duration::from_secs(120);
    eventually(&options.to_string(), limit, async || {
        let report = to.ask(CHUNKS, &json!("Report")).await;
        let received = &report["received"];
        assert_eq!(received["broken"], Value::Null, "{options}: {received}");
        (received["count"] == count).then_some(())
    })
    .await;
}

async fn chunks(host: &Host, label: &'static str) -> Node {
    let node = Node::create(host, label).await;
    node.install("chunks:test.dev").await;
    node
}

#[tokio::test]
async fn thousands_of_unanswered_chunks_all_arrive() {
    let host = Host::start();
    let (alice, bob) = (chunks(&host, "alice").await, chunks(&host, "bob").await);
    for to in [&alice, &bob] {
        for (count, bytes, write) in [
            (10_000, 100, false),
            (3_000, 16 << 10, true),
            (4_000, 64 << 10, false),
            (60, 1 << 20, true),
            (20, 8 << 20, false),
        ] {
            let options = json!({"count": count, "bytes": bytes, "write": write});
            transfer(&alice, to, options).await;
        }
    }
    // Also when the receiver has to be woken first.
    bob.hibernate().await;
    let options = json!({"count": 5_000, "bytes": 1_000, "write": true});
    transfer(&alice, &bob, options).await;
}
