//! What nodes used: kept while they sleep, for a day, without touching them.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{fakes, shows, with};
use node_api::DiskUse;
use tenant_manager::NodeOpError;
use tenant_manager::testing::{self, FakeLauncher, FakeOptions, Fakes};
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
    assert_eq!(asleep.disk.total(), 4096);
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
    let told = fakes.manager.usage_for_operator("alice").await.unwrap();
    assert_eq!(told.label.as_str(), "alice");
    let nobody = fakes.manager.usage_for_operator("nobody").await;
    assert!(nobody.is_none());
}

#[tokio::test(start_paused = true)]
async fn the_disk_of_a_sleeping_node_is_read_once_and_only_when_somebody_asks() {
    let options = FakeOptions::default();
    let (fakes, alice) = with(options.clone()).await;
    fakes.node(&alice, "alice").await.unwrap();
    fakes.node(&alice, "other").await.unwrap();
    let manager = &fakes.manager;
    manager.hibernate_node(&alice, "alice").await.unwrap();
    shows(&fakes, &alice, "alice", NodeStatus::Hibernated).await;
    let told = manager.node_usage(&alice, "alice").await.unwrap().disk;
    assert_eq!((told.files_bytes, told.sqlite_bytes), (3072, 1024));
    assert!(manager.shutdown(Duration::from_secs(60)).await);

    let kept = DiskUse {
        files_bytes: 3000,
        state_bytes: 200,
        kv_bytes: 10,
        sqlite_bytes: 1,
    };
    let launcher = Arc::new(FakeLauncher::default());
    launcher.set_kept_disk(kept);
    let second = testing::start(options, launcher, fakes.repositories.clone());
    let second = second.await.unwrap();
    assert_eq!(second.launcher.disk_looks(), 0, "a start reads no records");
    for view in second.manager.nodes(&alice).await.unwrap() {
        assert_eq!(view.usage.disk, kept, "{}", view.label);
    }
    let usage = second.manager.node_usage(&alice, "alice").await.unwrap();
    assert_eq!((usage.disk, usage.now), (kept, None));
    second.manager.node(&alice, "alice").await.unwrap();
    assert_eq!(second.launcher.disk_looks(), 2, "one for each of the nodes");
    assert_eq!(second.launcher.launches(), 0);

    // Of a node that runs the node itself tells.
    second.manager.start_node(&alice, "alice").await.unwrap();
    shows(&second, &alice, "alice", NodeStatus::Active).await;
    let awake = second.manager.node_usage(&alice, "alice").await.unwrap();
    assert_eq!(awake.disk, told);
    assert_eq!(second.launcher.disk_looks(), 2);
}
