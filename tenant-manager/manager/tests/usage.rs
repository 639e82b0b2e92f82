//! What nodes used: kept while they sleep, for a day, without touching them.

mod common;

use std::time::Duration;

use common::{fakes, shows};
use tenant_manager::NodeOpError;
use tenant_manager::testing::Fakes;
use tenant_model::NodeStatus;

/// Lets `minutes` pass on both clocks.
async fn pass(fakes: &Fakes, minutes: u64) {
    for _ in 0..minutes {
        fakes.clock.advance(60);
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn samples_are_taken_of_nodes_that_run_and_kept_while_they_sleep() {
    let (fakes, alice) = fakes().await;
    fakes.node(&alice, "alice").await.unwrap();
    fakes.node(&alice, "other").await.unwrap();
    let usage = async |label: &str| fakes.manager.node_usage(&alice, label).await.unwrap();
    let fresh = usage("alice").await;
    assert_eq!(fresh.status, NodeStatus::Active);
    assert_eq!(fresh.now.unwrap().node.memory_bytes, 1 << 20);
    assert_eq!((fresh.limits.processes, fresh.history.len()), (64, 0));

    pass(&fakes, 10).await;
    let awake = usage("alice").await.history;
    assert!((9..=10).contains(&awake.len()), "{}", awake.len());
    assert!(awake.iter().all(|sample| sample.memory_bytes == 1 << 20));
    let manager = &fakes.manager;
    manager.hibernate_node(&alice, "alice").await.unwrap();
    shows(&fakes, &alice, "alice", NodeStatus::Hibernated).await;
    let launches = fakes.launcher.launches();
    let asleep = usage("alice").await;
    assert_eq!(asleep.now, None);
    assert_eq!(asleep.disk_bytes, 4096);
    assert!(asleep.history.len() > awake.len());
    let before = asleep.history.len();

    // Asleep it uses nothing, and asking changes nothing.
    pass(&fakes, 20).await;
    assert_eq!(usage("alice").await.history.len(), before);
    assert_eq!(fakes.launcher.launches(), launches);
    assert_eq!(usage("alice").await.status, NodeStatus::Hibernated);

    // A day later nothing of it is left, and of the other the newest.
    pass(&fakes, 26 * 60).await;
    assert!(usage("alice").await.history.is_empty());
    let other = usage("other").await.history;
    assert!((150..=165).contains(&other.len()), "{}", other.len());
}

#[tokio::test(start_paused = true)]
async fn usage_is_for_the_owner_and_for_whoever_runs_the_host() {
    let (fakes, alice) = fakes().await;
    fakes.node(&alice, "alice").await.unwrap();
    let eve = fakes.account("eve@example.org").await.unwrap();
    let refused = fakes.manager.node_usage(&eve, "alice").await;
    assert_eq!(refused, Err(NodeOpError::NotFound));
    let told = fakes.manager.usage_for_operator("alice").unwrap();
    assert_eq!(told.label.as_str(), "alice");
    assert!(fakes.manager.usage_for_operator("nobody").is_none());
}
