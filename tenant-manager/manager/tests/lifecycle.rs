//! The life of nodes, on a fake launcher and a clock that moves by hand.

mod common;

use std::time::Duration;

use common::{fakes, password, shows, with};
use lifecycle::Clock;
use node_api::{Secret, StopReason};
use tenant_manager::testing::FakeOptions;
use tenant_manager::{
    AccessError, AcquireError, CreateError, ManagerLimits, NodeOpError, Reason, SshPasswordError,
};
use tenant_model::NodeStatus;

#[tokio::test(start_paused = true)]
async fn a_node_is_provisioned_booted_and_in_use() {
    let (fakes, alice) = fakes().await;
    fakes.launcher.hold();
    let view = fakes
        .manager
        .create_node(&alice, "alice", password())
        .await
        .unwrap();
    assert_eq!(view.status, NodeStatus::Provisioning);
    assert_eq!(
        (view.name.as_str(), view.plan.as_str()),
        ("alice.dev", "default")
    );
    shows(&fakes, &alice, "alice", NodeStatus::Booting).await;
    fakes.launcher.release();
    shows(&fakes, &alice, "alice", NodeStatus::Active).await;
    let view = fakes.manager.node(&alice, "alice").await.unwrap();
    assert_eq!(view.last_started_at, Some(fakes.clock.now()));
    assert!(view.usage.memory_bytes > 0 && view.usage.disk.total() > 0);

    let spec = fakes.launcher.specs().remove(0);
    assert_eq!((spec.generation, spec.key.incarnation), (1, 1));
    assert_ne!(
        spec.secrets.networking_key.expose(),
        spec.secrets.jwt_secret.expose()
    );
    assert!(spec.vfs_root.starts_with("no-such-directory/nodes"));
}

#[tokio::test(start_paused = true)]
async fn bad_wishes_are_refused_with_a_reason() {
    let (fakes, alice) = fakes().await;
    let manager = &fakes.manager;
    let create = |label, text: &str| manager.create_node(&alice, label, Secret::new(text.into()));
    assert!(matches!(
        create("Alice", "long enough").await,
        Err(CreateError::BadLabel(_))
    ));
    assert!(matches!(
        create("www", "long enough").await,
        Err(CreateError::BadLabel(_))
    ));
    assert!(matches!(
        create("alice", "short").await,
        Err(CreateError::WeakPassword(_))
    ));
    fakes.node(&alice, "alice").await.unwrap();
    assert_eq!(
        create("alice", "long enough").await,
        Err(CreateError::Taken)
    );

    let bob = fakes.account("bob@example.org").await.unwrap();
    let foreign = manager.node(&bob, "alice").await;
    assert_eq!(foreign, Err(NodeOpError::NotFound));
    assert_eq!(
        manager.stop_node(&bob, "alice").await,
        Err(NodeOpError::NotFound)
    );
    let revealed = manager.ssh_password(&bob, "alice").await;
    assert!(matches!(revealed, Err(SshPasswordError::NotFound)));
    assert!(manager.nodes(&bob).await.unwrap().is_empty());

    let reason = |label| async move { manager.availability(label).await.unwrap().reason };
    assert_eq!(reason("alice").await, Some(Reason::Taken));
    assert_eq!(reason("root").await, Some(Reason::Reserved));
    assert_eq!(reason("a--b").await, Some(Reason::Invalid));
    assert_eq!(reason("bob").await, None);
    assert_eq!(
        manager.visitor("bob").unwrap_err(),
        AccessError::UnknownLabel
    );
}

#[tokio::test(start_paused = true)]
async fn many_visitors_wake_a_node_once_and_without_the_database() {
    let (fakes, alice) = fakes().await;
    fakes.node(&alice, "alice").await.unwrap();
    fakes.manager.hibernate_node(&alice, "alice").await.unwrap();
    shows(&fakes, &alice, "alice", NodeStatus::Hibernated).await;
    tokio::time::sleep(Duration::from_secs(1)).await;

    fakes.repositories.set_away(true);
    let launches = fakes.launcher.launches();
    fakes.launcher.hold();
    let access = fakes.manager.visitor("alice").unwrap();
    let visitors = (0..50).map(|_| fakes.manager.acquire(&access));
    let visitors = futures::future::join_all(visitors);
    tokio::pin!(visitors);
    assert!(futures::poll!(visitors.as_mut()).is_pending());
    fakes.launcher.release();
    let leases = visitors.await;
    assert!(leases.iter().all(Result::is_ok));
    assert_eq!(fakes.launcher.launches(), launches + 1);
    assert_eq!(
        leases[0].as_ref().unwrap().node().name().as_str(),
        "alice.dev"
    );
}

#[tokio::test(start_paused = true)]
async fn a_visitor_who_gives_up_does_not_stop_the_boot() {
    let (fakes, alice) = fakes().await;
    fakes.launcher.hold();
    fakes
        .manager
        .create_node(&alice, "alice", password())
        .await
        .unwrap();
    let access = fakes.manager.visitor("alice").unwrap();
    let waited = fakes.manager.acquire(&access).await.unwrap_err();
    assert!(
        matches!(waited, AcquireError::TimedOut { .. }),
        "{waited:?}"
    );
    fakes.launcher.release();
    assert!(fakes.manager.acquire(&access).await.is_ok());
    assert_eq!(fakes.launcher.launches(), 1);
}

#[tokio::test(start_paused = true)]
async fn stop_during_boot_ends_stopped_and_start_brings_it_back() {
    let (fakes, alice) = fakes().await;
    fakes.launcher.hold();
    fakes
        .manager
        .create_node(&alice, "alice", password())
        .await
        .unwrap();
    shows(&fakes, &alice, "alice", NodeStatus::Booting).await;
    let view = fakes.manager.stop_node(&alice, "alice").await.unwrap();
    assert_eq!(view.status, NodeStatus::Stopping);
    let access = fakes.manager.visitor("alice").unwrap();
    let refused = fakes.manager.acquire(&access).await.unwrap_err();
    assert_eq!(refused, AcquireError::Stopped);
    fakes.launcher.release();
    shows(&fakes, &alice, "alice", NodeStatus::Stopped).await;
    assert!(fakes.launcher.running().is_empty());
    assert_eq!(
        fakes.manager.acquire(&access).await.unwrap_err(),
        AcquireError::Stopped
    );
    let hibernated = fakes.manager.hibernate_node(&alice, "alice").await;
    assert!(matches!(hibernated, Err(NodeOpError::Conflict(_))));

    fakes.manager.start_node(&alice, "alice").await.unwrap();
    shows(&fakes, &alice, "alice", NodeStatus::Active).await;
    // Started while it runs, it must not wake by itself after hibernating.
    fakes.manager.start_node(&alice, "alice").await.unwrap();
    fakes.manager.hibernate_node(&alice, "alice").await.unwrap();
    shows(&fakes, &alice, "alice", NodeStatus::Hibernated).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(fakes.launcher.running().is_empty());
}

#[tokio::test(start_paused = true)]
async fn stop_and_start_while_booting_ends_active() {
    let (fakes, alice) = fakes().await;
    fakes.launcher.hold();
    fakes
        .manager
        .create_node(&alice, "alice", password())
        .await
        .unwrap();
    shows(&fakes, &alice, "alice", NodeStatus::Booting).await;
    fakes.manager.stop_node(&alice, "alice").await.unwrap();
    fakes.manager.start_node(&alice, "alice").await.unwrap();
    fakes.launcher.release();
    shows(&fakes, &alice, "alice", NodeStatus::Active).await;
    assert_eq!(fakes.launcher.running().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn restart_is_a_stop_and_a_start() {
    let (fakes, alice) = fakes().await;
    fakes.node(&alice, "alice").await.unwrap();
    let first = fakes.launcher.running().remove(0);
    let view = fakes.manager.restart_node(&alice, "alice").await.unwrap();
    assert_eq!(view.status, NodeStatus::Stopping);
    let access = fakes.manager.visitor("alice").unwrap();
    let lease = fakes.manager.acquire(&access).await.unwrap();
    assert_eq!(first.stopped_for(), Some(StopReason::Owner));
    assert_eq!(fakes.launcher.launches(), 2);
    drop(lease);
    // A stopped node is started by it.
    fakes.manager.stop_node(&alice, "alice").await.unwrap();
    shows(&fakes, &alice, "alice", NodeStatus::Stopped).await;
    fakes.manager.restart_node(&alice, "alice").await.unwrap();
    shows(&fakes, &alice, "alice", NodeStatus::Active).await;
    assert_eq!(fakes.launcher.launches(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_failing_node_is_tried_again_ever_later_then_left_alone() {
    let (fakes, alice) = fakes().await;
    fakes.launcher.fail_next(2);
    fakes
        .manager
        .create_node(&alice, "alice", password())
        .await
        .unwrap();
    let access = fakes.manager.visitor("alice").unwrap();
    let error = fakes.manager.acquire(&access).await.unwrap_err();
    assert!(matches!(&error, AcquireError::Broken { reason } if reason.contains("patience")));
    let view = fakes.manager.node(&alice, "alice").await.unwrap();
    assert_eq!(view.status, NodeStatus::Broken);
    assert!(view.status_reason.unwrap().contains("patience"));
    // The first boot is retried without anyone asking.
    shows(&fakes, &alice, "alice", NodeStatus::Active).await;
    assert_eq!(fakes.launcher.launches(), 3);

    fakes.manager.stop_node(&alice, "alice").await.unwrap();
    shows(&fakes, &alice, "alice", NodeStatus::Stopped).await;
    fakes.launcher.fail_next(100);
    fakes.manager.start_node(&alice, "alice").await.unwrap();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(fakes.launcher.launches(), 3 + 5, "it gives up");
    fakes.launcher.fail_next(0);
    fakes.manager.start_node(&alice, "alice").await.unwrap();
    shows(&fakes, &alice, "alice", NodeStatus::Active).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_fails_by_itself_is_cleared_away_and_wakes_again() {
    let (fakes, alice) = fakes().await;
    fakes.node(&alice, "alice").await.unwrap();
    fakes.launcher.running()[0].break_down("out of luck");
    let broken = async {
        while !fakes.launcher.running().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    broken.await;
    shows(&fakes, &alice, "alice", NodeStatus::Broken).await;
    let view = fakes.manager.node(&alice, "alice").await.unwrap();
    assert_eq!(view.status_reason.as_deref(), Some("out of luck"));
    tokio::time::sleep(Duration::from_secs(2)).await;
    let access = fakes.manager.visitor("alice").unwrap();
    assert!(fakes.manager.acquire(&access).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn nobody_enters_a_stopping_node_and_no_lease_outlives_it_quietly() {
    let (fakes, alice) = fakes().await;
    fakes.node(&alice, "alice").await.unwrap();
    let node = fakes.launcher.running().remove(0);
    let access = fakes.manager.visitor("alice").unwrap();
    let lease = fakes.manager.acquire(&access).await.unwrap();
    fakes.manager.restart_node(&alice, "alice").await.unwrap();
    let next = fakes.manager.acquire(&access);
    tokio::pin!(next);
    assert!(futures::poll!(next.as_mut()).is_pending());
    let stopped = async {
        while node.is_running() {
            tokio::task::yield_now().await;
        }
    };
    stopped.await;
    assert_eq!(fakes.launcher.launches(), 1, "the old lease is waited for");
    drop(lease);
    next.await.unwrap();
    assert_eq!(fakes.launcher.launches(), 2);
    assert_eq!(fakes.launcher.running().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_idle_node_hibernates_and_a_used_one_does_not() {
    let (fakes, alice) = with(FakeOptions {
        idle_after: Duration::from_secs(300),
        ..FakeOptions::default()
    })
    .await;
    fakes.node(&alice, "alice").await.unwrap();
    let access = fakes.manager.visitor("alice").unwrap();
    let lease = fakes.manager.acquire(&access).await.unwrap();
    tokio::time::sleep(Duration::from_secs(10_000)).await;
    assert_eq!(fakes.launcher.running().len(), 1, "a lease is use");
    drop(lease);
    // What the machine's clock says has nothing to do with it.
    fakes.clock.advance(100_000);
    tokio::time::sleep(Duration::from_secs(200)).await;
    fakes.launcher.running()[0].touch();
    tokio::time::sleep(Duration::from_secs(200)).await;
    assert_eq!(
        fakes.launcher.running().len(),
        1,
        "what the node says is use too"
    );
    let node = fakes.launcher.running().remove(0);
    tokio::time::sleep(Duration::from_secs(120)).await;
    shows(&fakes, &alice, "alice", NodeStatus::Hibernated).await;
    assert_eq!(node.stopped_for(), Some(StopReason::Idle));
    let view = fakes.manager.node(&alice, "alice").await.unwrap();
    let usage = view.usage;
    assert_eq!((usage.memory_bytes, usage.disk.total()), (0, 4096));
    // Looking at it does not wake it; visiting it does.
    assert!(fakes.launcher.running().is_empty());
    assert!(fakes.manager.acquire(&access).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn shutdown_stops_every_node_and_refuses_visitors() {
    let (fakes, alice) = fakes().await;
    for label in ["one", "two", "three"] {
        fakes.node(&alice, label).await.unwrap();
    }
    let nodes = fakes.launcher.running();
    let access = fakes.manager.visitor("one").unwrap();
    let lease = fakes.manager.acquire(&access).await.unwrap();
    let manager = fakes.manager.clone();
    let shutdown = manager.shutdown(Duration::from_secs(60));
    tokio::pin!(shutdown);
    assert!(futures::poll!(shutdown.as_mut()).is_pending());
    let refused = fakes.manager.acquire(&access).await.unwrap_err();
    assert_eq!(refused, AcquireError::ShuttingDown);
    assert_eq!(
        fakes.manager.visitor("one").unwrap_err(),
        AccessError::NotReady
    );
    drop(lease);
    assert!(shutdown.await);
    for node in nodes {
        assert_eq!(node.stopped_for(), Some(StopReason::HostShutdown));
        assert!(!node.is_running());
    }
}

#[tokio::test(start_paused = true)]
async fn shutdown_is_not_held_up_by_one_stuck_node_or_a_boot() {
    let (fakes, alice) = fakes().await;
    fakes.node(&alice, "one").await.unwrap();
    fakes.launcher.running()[0].hold_stop(true);
    fakes.launcher.hold();
    fakes
        .manager
        .create_node(&alice, "two", password())
        .await
        .unwrap();
    shows(&fakes, &alice, "two", NodeStatus::Booting).await;
    let began = tokio::time::Instant::now();
    assert!(!fakes.manager.shutdown(Duration::from_secs(5)).await);
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn every_account_boots_while_one_is_stuck() {
    let limits = ManagerLimits {
        boots_at_once: 1,
        boot_deadline: Duration::from_secs(20),
        ..ManagerLimits::default()
    };
    let (fakes, alice) = with(FakeOptions {
        limits,
        ..FakeOptions::default()
    })
    .await;
    fakes.launcher.hold_only("stuck.dev");
    fakes
        .manager
        .create_node(&alice, "stuck", password())
        .await
        .unwrap();
    shows(&fakes, &alice, "stuck", NodeStatus::Booting).await;
    let bob = fakes.account("bob@example.org").await.unwrap();
    fakes.node(&bob, "bob").await.unwrap();
    assert_eq!(fakes.launcher.running().len(), 1);
}
