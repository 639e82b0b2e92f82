//! How ends are told: once each, with their reason, and nobody else ends.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::support::{self, eventually};
use super::spawning::{ask, child, spawn, tell};
use super::subject::Subject;
use super::{Node, host_of_editions};

const PATIENCE: Duration = Duration::from_secs(20);

/// What a child is told, what the terminal then says of it, and at which
/// verbosity.
fn ways() -> [(&'static str, Value, &'static [&'static str], u64); 6] {
    [
        (
            "trapper",
            json!("trap"),
            &["ended with error", "trapping as told"],
            0,
        ),
        (
            "panicker",
            json!("panic"),
            &["ended with error", "panicking as told"],
            0,
        ),
        (
            "failer",
            json!({"exit": 3}),
            &["ended with error", "exit"],
            0,
        ),
        (
            "eater",
            json!("exhaust"),
            &["ended with error", "memory limit", "256 MiB"],
            0,
        ),
        ("leaver", json!({"exit": 0}), &["ended"], 1),
        ("returner", json!("end"), &["ended"], 1),
    ]
}

impl Node {
    /// Everything the node has printed, by source and text.
    pub async fn printed(&self) -> Vec<Value> {
        let page = self
            .api
            .get("/nodes/alice/logs?limit=1000&verbosity=3")
            .await;
        let page = support::json(page).await;
        page["items"].as_array().unwrap().clone()
    }

    /// The lines in which the kernel says that `id` has ended.
    async fn ends_of(&self, id: &str) -> Vec<Value> {
        let mut lines = self.printed().await;
        lines.retain(|line| {
            let text = line["text"].as_str().unwrap_or_default();
            text.contains(id) && text.contains("ended")
        });
        lines
    }
}

async fn tell_all(subject: &Subject) {
    for (name, step, _, _) in ways() {
        let at = subject.at(&format!("-{name}"));
        let steps = json!([
            spawn(subject, name, json!({})),
            ask(&at, json!([])),
            tell(&at, step)
        ]);
        let results = subject.run(steps).await.unwrap();
        assert_eq!(results[1]["is"], "response", "{name}: {results:?}");
    }
}

#[tokio::test]
async fn every_end_is_told_once_with_its_reason_and_hurts_nobody() {
    let host = host_of_editions();
    let node = Node::of_editions(&host, "alice").await;
    // The oldest and the newest: what is told does not depend on editions.
    let subjects = node.subjects();
    let told = [&subjects[0], &subjects[2], &subjects[5], &subjects[6]];
    let mut begun = BTreeMap::new();
    for subject in told {
        let results = subject.run(json!(["begun"])).await.unwrap();
        begun.insert(subject.column.component, results[0].as_u64().unwrap());
        tell_all(subject).await;
    }
    for subject in told {
        for (name, _, words, verbosity) in ways() {
            let id = child(subject, name);
            let line = eventually(&id, PATIENCE, async || node.ends_of(&id).await.pop()).await;
            let text = line["text"].as_str().unwrap();
            for word in words {
                assert!(text.contains(word), "{name}: {word} is not in {text}");
            }
            assert_eq!(line["verbosity"], verbosity, "{text}");
        }
        // In their first lives still: nobody else has ended.
        let results = subject.run(json!(["begun"])).await.unwrap();
        let since = begun[subject.column.component];
        assert_eq!(
            results[0].as_u64(),
            Some(since + 7),
            "{}",
            subject.column.component
        );
    }
    for subject in told {
        for (name, ..) in ways() {
            let lines = node.ends_of(&child(subject, name)).await;
            assert_eq!(lines.len(), 1, "told once: {lines:?}");
        }
    }
}

#[tokio::test]
async fn a_component_that_is_missing_is_told_and_the_node_comes_up() {
    let host = host_of_editions();
    let node = Node::of_editions(&host, "alice").await;
    let subjects = node.subjects();
    let (lost, kept) = (&subjects[5], &subjects[2]);
    let vfs = lost.module("vfs:distro:sys");
    let remove = json!({"path": lost.path(), "action": "RemoveFile"});
    let steps = json!([{"await": {"to": vfs, "expects": 5, "body": remove}}]);
    lost.run(steps).await.unwrap();
    node.api.act("/nodes/alice/restart").await;
    let text = format!("{} is dropped", lost.id(""));
    let said = eventually(&text, PATIENCE, async || {
        let mut lines = node.printed().await.into_iter();
        lines.find(|line| line["text"].as_str().unwrap().contains(&text))
    })
    .await;
    assert!(
        said["text"].as_str().unwrap().contains("no such file"),
        "{said}"
    );
    node.api.wait_for_status("alice", "active").await;
    let results = kept.run(json!(["begun"])).await.unwrap();
    assert_eq!(results[0], 1, "a first script in a new life");
}

#[tokio::test]
async fn a_node_that_is_told_to_shut_down_comes_back_with_what_was_to_last() {
    let host = host_of_editions();
    let node = Node::of_editions(&host, "alice").await;
    let subjects = node.subjects();
    let subject = &subjects[5];
    let lasting = json!({"on_exit": "Restart"});
    let steps = json!([
        {"set_state": "kept"},
        spawn(subject, "lasting", lasting),
        spawn(subject, "fleeting", json!({})),
    ]);
    subject.run(steps).await.unwrap();
    let shutdown = node
        .kit
        .rpc("kernel:distro:sys", "\"Shutdown\"", None, None);
    drop(shutdown.await);
    eventually("it rests", PATIENCE, async || {
        let shown = support::json(node.api.get("/nodes/alice").await).await;
        matches!(shown["status"].as_str(), Some("hibernated" | "stopped")).then_some(())
    })
    .await;
    node.api.act("/nodes/alice/start").await;
    node.api.wait_for_status("alice", "active").await;
    let at = |name: &str| subject.at(&format!("-{name}"));
    let steps = json!([
        "begun",
        "state",
        ask(&at("lasting"), json!([])),
        ask(&at("fleeting"), json!([]))
    ]);
    let results = subject.run(steps).await.unwrap();
    assert_eq!((&results[0], &results[1]), (&json!(1), &json!("kept")));
    assert_eq!(results[2]["is"], "response", "{results:?}");
    assert_eq!(results[3]["is"], "Timeout", "{results:?}");
}
