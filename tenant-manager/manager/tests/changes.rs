//! Who is told that a node may look different.

mod common;

use std::time::Duration;

use common::{fakes, password, shows, with};
use tenant_manager::testing::{FakeOptions, Fakes};
use tenant_manager::{ManagerLimits, NodeChanges, Principal};
use tenant_model::NodeStatus;

/// Whether there is something to tell now.
async fn is_told(changes: &mut NodeChanges) -> bool {
    let next = changes.next();
    tokio::pin!(next);
    futures::poll!(next).is_ready()
}

/// Waits until the node is no more.
async fn gone(fakes: &Fakes, owner: &Principal, label: &str) {
    while fakes.manager.node(owner, label).await.is_ok() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn changes_of_others_are_not_told() {
    let limits = ManagerLimits {
        purge_grace: Duration::ZERO,
        ..ManagerLimits::default()
    };
    let (fakes, alice) = with(FakeOptions {
        limits,
        ..FakeOptions::default()
    })
    .await;
    let bob = fakes.account("bob@example.org").await.unwrap();
    let manager = &fakes.manager;
    fakes.node(&alice, "alice").await.unwrap();
    let (mut hers, mut his) = (manager.changes(&alice), manager.changes(&bob));
    assert!(!is_told(&mut hers).await, "nothing has changed");

    // All that can happen to a node of another account, up to its end.
    fakes.node(&bob, "bob").await.unwrap();
    assert!(is_told(&mut his).await);
    for act in ["restart", "hibernate", "start", "stop"] {
        let (done, status) = match act {
            "restart" => (manager.restart_node(&bob, "bob").await, NodeStatus::Active),
            "hibernate" => (
                manager.hibernate_node(&bob, "bob").await,
                NodeStatus::Hibernated,
            ),
            "start" => (manager.start_node(&bob, "bob").await, NodeStatus::Active),
            _ => (manager.stop_node(&bob, "bob").await, NodeStatus::Stopped),
        };
        done.unwrap();
        shows(&fakes, &bob, "bob", status).await;
        assert!(is_told(&mut his).await, "{act}");
        assert!(!is_told(&mut hers).await, "{act}");
    }
    manager.delete_node(&bob, "bob", true).await.unwrap();
    gone(&fakes, &bob, "bob").await;
    assert!(is_told(&mut his).await, "the node is gone");
    assert!(!is_told(&mut hers).await);

    manager.stop_node(&alice, "alice").await.unwrap();
    assert!(is_told(&mut hers).await);
    assert!(!is_told(&mut his).await);
}

#[tokio::test(start_paused = true)]
async fn a_change_is_told_to_whoever_waits_and_after_it_can_be_seen() {
    let (fakes, alice) = fakes().await;
    let manager = &fakes.manager;
    let mut changes = manager.changes(&alice);
    let created = manager.create_node(&alice, "alice", password()).await;
    created.unwrap();
    // Looking after each change is enough to see how it ends.
    let mut see = async |status| {
        let seen = async {
            while manager.node(&alice, "alice").await.unwrap().status != status {
                assert_eq!(changes.next().await, Some(()));
            }
        };
        let seen = tokio::time::timeout(Duration::from_secs(60), seen).await;
        seen.expect("every change is told");
    };
    see(NodeStatus::Active).await;
    manager.stop_node(&alice, "alice").await.unwrap();
    see(NodeStatus::Stopped).await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_told_once_that_something_changed() {
    let (fakes, alice) = fakes().await;
    fakes.node(&alice, "alice").await.unwrap();
    let mut changes = fakes.manager.changes(&alice);
    // More than are kept for anybody.
    for _ in 0..300 {
        fakes.manager.start_node(&alice, "alice").await.unwrap();
    }
    assert!(is_told(&mut changes).await);
    assert!(!is_told(&mut changes).await, "many are one");
}

#[tokio::test(start_paused = true)]
async fn the_host_going_down_ends_it() {
    let (fakes, alice) = fakes().await;
    let mut changes = fakes.manager.changes(&alice);
    let down = fakes.manager.shutdown(Duration::from_secs(5));
    let (told, down) = tokio::join!(changes.next(), down);
    assert_eq!((told, down), (None, true));
    assert_eq!(changes.next().await, None);
}
