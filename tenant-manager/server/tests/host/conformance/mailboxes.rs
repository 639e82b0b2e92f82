//! Full mailboxes: who waits, what is told, and that nothing is lost or
//! overtaken on the way.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::support::eventually;
use super::spawning::{spawn, tell};
use super::subject::{Subject, failed, took};
use super::{Node, host_of_editions};

/// More than a mailbox holds.
const MANY: u64 = 3000;
/// Exactly what a mailbox holds.
const FULL: u64 = 1024;
const PATIENCE: Duration = Duration::from_secs(20);

fn burst(to: &str, count: u64) -> Value {
    json!({"burst": {"to": to, "count": count, "bytes": 64}})
}

fn sender(subject: &Subject, number: u64) -> String {
    subject.at(&format!("-sender-{number}"))
}

async fn spawn_senders(subject: &Subject, count: u64) {
    for number in 0..count {
        let steps = json!([spawn(subject, &format!("sender-{number}"), json!({}))]);
        let results = subject.run(steps).await.unwrap();
        assert!(results[0]["Ok"].is_string(), "{results:?}");
    }
}

#[tokio::test]
async fn senders_wait_for_a_busy_receiver_and_nothing_is_lost_or_overtaken() {
    let host = host_of_editions();
    let node = Node::of_editions(&host, "alice").await;
    for subject in &node.subjects()[..] {
        let a = subject.at("");
        spawn_senders(subject, 4).await;
        let mut steps: Vec<Value> = (0..4)
            .map(|number| tell(&sender(subject, number), burst(&a, MANY)))
            .collect();
        // They have filled the mailbox and wait before it is looked at.
        steps.push(json!({"busy": {"millis": 300}}));
        steps.push(json!({"gather": {"count": 4 * MANY}}));
        let results = subject.run(json!(steps)).await.unwrap();
        let gathered = &results[5];
        assert_eq!(gathered["in_order"], true, "{gathered}");
        assert_eq!(gathered["senders"], 4, "{gathered}");
        let ends: Vec<Value> = (0..4)
            .map(|number| tell(&sender(subject, number), json!("end")))
            .collect();
        subject.run(json!(ends)).await.unwrap();
    }
}

#[tokio::test]
async fn whoever_stays_deaf_costs_its_senders_five_seconds_and_nobody_else_anything() {
    let host = host_of_editions();
    let node = Node::of_editions(&host, "alice").await;
    let subject = &node.subjects()[5];
    let deaf = subject.at("-deaf");
    let ask_deaf = json!({"await": {"to": deaf, "expects": 60, "body": "hello?"}});
    let steps = json!([
        spawn(subject, "deaf", json!({})),
        tell(&deaf, json!({"busy": {"millis": 13_000}})),
        burst(&deaf, FULL),
        ask_deaf,
    ]);
    let asked = subject.run(steps);
    // Everybody else is served meanwhile.
    let other = &node.subjects()[2];
    let others = async {
        let mut slowest = 0;
        for _ in 0..20 {
            let [_, b, _] = other.abc();
            let ask = json!({"await": {"to": b, "expects": 5, "body": {"run": []}}});
            let results = other.run(json!([ask])).await.unwrap();
            assert_eq!(results[0]["is"], "response", "{results:?}");
            slowest = slowest.max(results[0]["millis"].as_u64().unwrap());
        }
        slowest
    };
    let (results, slowest) = tokio::join!(asked, others);
    let results = results.unwrap();
    failed(subject, &results[3], "Timeout", &deaf).unwrap();
    took(&results[3], 4_800..8_000).unwrap();
    assert!(slowest < 1000, "somebody else waited {slowest} ms");

    // What wants no answer is given up after the same time, and told once.
    let steps = json!([burst(&deaf, 1)]);
    subject.run(steps).await.unwrap();
    let told = "does not empty its mailbox";
    let dropped = eventually(told, PATIENCE, async || {
        let lines = node.printed().await;
        let found = lines
            .iter()
            .filter(|line| line["text"].as_str().unwrap().contains(told));
        Some(found.count()).filter(|count| *count > 0)
    })
    .await;
    assert_eq!(dropped, 1);
}
