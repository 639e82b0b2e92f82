//! Who has a tenant and how long: quotas, archives, generations, other hosts.

mod common;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use common::{fakes, password, shows, with};
use lifecycle::Clock;
use tenant_manager::testing::{self, FakeLauncher, FakeOptions, MemoryRepositories};
use tenant_manager::{AcquireError, CreateError, ManagerLimits, NodeOpError};
use tenant_model::{DesiredState, NodeStatus, Plan};

#[tokio::test(start_paused = true)]
async fn the_quota_counts_nodes_that_are_not_archived() {
    let plan = Plan {
        nodes: 2,
        ..Plan::default()
    };
    let (fakes, alice) = with(FakeOptions {
        plan,
        ..FakeOptions::default()
    })
    .await;
    let race = ["one", "two", "three", "four"].map(|label| {
        let (manager, alice) = (fakes.manager.clone(), alice.clone());
        async move { manager.create_node(&alice, label, password()).await }
    });
    let outcomes = futures::future::join_all(race).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 2);
    let full = Err(CreateError::Quota { limit: 2 });
    assert_eq!(
        outcomes.iter().filter(|outcome| **outcome == full).count(),
        2
    );
    let kept = fakes.manager.nodes(&alice).await.unwrap();
    assert_eq!(kept.len(), 2);
    let label = kept[0].label.as_str();
    fakes
        .manager
        .delete_node(&alice, label, false)
        .await
        .unwrap();
    assert!(
        fakes
            .manager
            .create_node(&alice, "five", password())
            .await
            .is_ok()
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_archive_is_told_from_a_full_plan() {
    let plan = Plan {
        nodes: 1,
        ..Plan::default()
    };
    let (fakes, alice) = with(FakeOptions {
        plan,
        ..FakeOptions::default()
    })
    .await;
    let manager = &fakes.manager;
    for label in ["one", "two", "three", "four"] {
        fakes.node(&alice, label).await.unwrap();
        manager.delete_node(&alice, label, false).await.unwrap();
    }
    let full = manager.create_node(&alice, "five", password()).await;
    let full = full.unwrap_err();
    assert_eq!(full, CreateError::ArchiveFull { limit: 4 });
    assert!(full.to_string().contains("archived"), "{full}");
    let removed = manager.delete_node(&alice, "one", true).await.unwrap();
    assert!(removed.purge_at.is_some_and(|at| at > fakes.clock.now()));
}

#[tokio::test(start_paused = true)]
async fn archiving_stops_and_purging_removes_after_the_grace() {
    let limits = ManagerLimits {
        purge_grace: Duration::from_secs(1000),
        ..ManagerLimits::default()
    };
    let (fakes, alice) = with(FakeOptions {
        limits,
        ..FakeOptions::default()
    })
    .await;
    fakes.node(&alice, "alice").await.unwrap();
    let access = fakes.manager.visitor("alice").unwrap();
    fakes
        .manager
        .delete_node(&alice, "alice", false)
        .await
        .unwrap();
    shows(&fakes, &alice, "alice", NodeStatus::Archived).await;
    assert!(fakes.launcher.running().is_empty());
    assert_eq!(
        fakes.manager.acquire(&access).await.unwrap_err(),
        AcquireError::Archived
    );
    let started = fakes.manager.start_node(&alice, "alice").await;
    assert!(matches!(started, Err(NodeOpError::Conflict(_))));

    let view = fakes
        .manager
        .delete_node(&alice, "alice", true)
        .await
        .unwrap();
    assert!(view.status_reason.unwrap().contains("removed after"));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(fakes.launcher.purged().is_empty());
    fakes.clock.advance(1001);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(fakes.launcher.purged().len(), 1);
    let spec = fakes.launcher.specs().remove(0);
    let removed = fakes.launcher.removed();
    assert_eq!(
        removed,
        [
            spec.vfs_root.clone(),
            spec.sql_root.clone(),
            spec.log_dir.clone()
        ]
    );
    // No app reaches its own log through its files.
    assert!(!spec.log_dir.starts_with(&spec.vfs_root));
    assert_eq!(
        fakes.manager.node(&alice, "alice").await,
        Err(NodeOpError::NotFound)
    );
    assert_eq!(
        fakes.manager.acquire(&access).await.unwrap_err(),
        AcquireError::Archived
    );
    assert!(
        fakes.node(&alice, "alice").await.is_ok(),
        "the label is free again"
    );
}

#[tokio::test(start_paused = true)]
async fn a_node_taken_over_by_another_host_ends_here() {
    let (fakes, alice) = fakes().await;
    fakes.node(&alice, "alice").await.unwrap();
    fakes.repositories.take_over();
    let refused = fakes.manager.stop_node(&alice, "alice").await;
    assert!(matches!(refused, Err(NodeOpError::Unavailable(_))));
    let gone = async {
        while fakes.manager.node(&alice, "alice").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    gone.await;
    assert!(fakes.launcher.running().is_empty());
    let kept = fakes.repositories.tenant("alice").unwrap();
    assert_eq!(
        kept.desired,
        DesiredState::Running,
        "the other host's row is untouched"
    );
}

#[tokio::test(start_paused = true)]
async fn a_new_host_process_raises_generations_and_wakes_on_demand() {
    let options = FakeOptions::default();
    let repositories = Arc::new(MemoryRepositories::default());
    let launcher = Arc::new(FakeLauncher::default());
    let start = |launcher| testing::start(options.clone(), launcher, repositories.clone());
    let first = start(launcher).await.unwrap();
    let alice = first.account("alice@example.org").await.unwrap();
    first.node(&alice, "alice").await.unwrap();
    let revealed = first.manager.ssh_password(&alice, "alice").await.unwrap();
    assert!(first.manager.shutdown(Duration::from_secs(5)).await);

    let second = start(Arc::default()).await.unwrap();
    let view = second.manager.node(&alice, "alice").await.unwrap();
    assert_eq!(view.status, NodeStatus::Hibernated);
    let peer: IpAddr = "127.0.0.1".parse().unwrap();
    let access = second
        .manager
        .ssh_sign_in("alice", revealed.expose(), peer)
        .await
        .unwrap();
    second.manager.acquire(&access).await.unwrap();
    let (old, new) = (&first.launcher.specs()[0], &second.launcher.specs()[0]);
    assert_eq!(new.generation, old.generation + 1);
    assert_eq!(new.key, old.key);
    assert_eq!(
        new.secrets.networking_key.expose(),
        old.secrets.networking_key.expose()
    );

    // Another key over the same rows is refused before it changes anything.
    let mut wrong = options.clone();
    wrong.identity = testing::with_another_key(&options.identity);
    let refused = testing::start(wrong, Arc::default(), repositories.clone()).await;
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("restore the right one")
    );
    assert_eq!(repositories.tenant("alice").unwrap().generation.0, 2);
}

#[tokio::test(start_paused = true)]
async fn a_tenant_written_without_an_answer_is_found_later() {
    let (fakes, alice) = fakes().await;
    fakes.repositories.lose_next_answer();
    let created = fakes.manager.create_node(&alice, "alice", password()).await;
    assert!(matches!(created, Err(CreateError::Unavailable(_))));
    tokio::time::sleep(Duration::from_secs(30)).await;
    shows(&fakes, &alice, "alice", NodeStatus::Active).await;
}
