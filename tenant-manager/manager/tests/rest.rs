//! What wakes nodes that nobody uses, what keeps them awake, and who makes
//! room when the host is full.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test may"
)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{fakes, shows, with};
use lifecycle::Clock;
use node_api::{Alarm, AlarmTime, Secret, StopReason};
use tenant_manager::testing::{self, FakeGauge, FakeLauncher, FakeOptions, Fakes};
use tenant_manager::{
    AcquireError, HostUse, ManagerLimits, NodeOpError, NodeQuery, Principal, Share,
};
use tenant_model::{DesiredState, NodeStatus, Plan};
use tokio::time::Instant;

const MINUTE: Duration = Duration::from_secs(60);

async fn operator(fakes: &Fakes) -> Principal {
    let email = "operator@example.org";
    fakes.account(email).await.unwrap();
    fakes.manager.promote_operator(email).await.unwrap();
    let password = Secret::new("long enough".to_owned());
    let session = fakes.manager.sign_in(email, password).await.unwrap();
    let token = session.token.expose();
    fakes.manager.authenticate(token).await.unwrap()
}

/// A host that has plenty of everything.
fn roomy() -> HostUse {
    let share = Share {
        used: 1,
        limit: 1 << 40,
    };
    HostUse {
        mappings: share,
        descriptors: share,
        memory: share,
    }
}

#[tokio::test(start_paused = true)]
async fn a_timer_wakes_its_node_at_its_time_and_an_owners_stop_ends_it() {
    let (fakes, alice) = fakes().await;
    fakes.node(&alice, "alice").await.unwrap();
    let running = || fakes.launcher.running_node("alice.dev");
    running().unwrap().set_wake_in(Some(10 * MINUTE));
    let slept = Instant::now();
    fakes.manager.hibernate_node(&alice, "alice").await.unwrap();
    shows(&fakes, &alice, "alice", NodeStatus::Hibernated).await;
    // The machine's clock may jump as it likes meanwhile.
    fakes.clock.advance(-100_000);
    tokio::time::sleep(9 * MINUTE).await;
    assert!(running().is_none());
    shows(&fakes, &alice, "alice", NodeStatus::Active).await;
    let woken = slept.elapsed();
    assert!(woken >= 10 * MINUTE && woken < 11 * MINUTE, "{woken:?}");

    running().unwrap().set_wake_in(Some(MINUTE));
    fakes.manager.stop_node(&alice, "alice").await.unwrap();
    shows(&fakes, &alice, "alice", NodeStatus::Stopped).await;
    tokio::time::sleep(10 * MINUTE).await;
    assert!(running().is_none(), "stopped is stopped");
}

#[tokio::test(start_paused = true)]
async fn a_new_host_wakes_whom_the_old_one_would_have() {
    let options = FakeOptions::default();
    let launcher = Arc::new(FakeLauncher::default());
    let first = testing::start(options.clone(), launcher.clone(), Arc::default());
    let first = first.await.unwrap();
    let alice = first.account("alice@example.org").await.unwrap();
    for label in ["timed", "cut-off", "calm"] {
        first.node(&alice, label).await.unwrap();
    }
    let key = |at: usize| launcher.specs()[at].key;
    assert!(first.manager.shutdown(MINUTE).await);
    let at = |seconds| first.clock.now() + Duration::from_secs(seconds);
    let mut of_another_life = key(2);
    of_another_life.incarnation += 1;
    let alarm = |key, due| Alarm { key, due };
    launcher.set_alarms(vec![
        alarm(key(0), AlarmTime::At(at(600))),
        alarm(key(1), AlarmTime::Interrupted),
        alarm(of_another_life, AlarmTime::Interrupted),
    ]);
    let second = testing::start(options, launcher.clone(), first.repositories.clone());
    let second = second.await.unwrap();
    let awake = || {
        let running = launcher.running();
        let mut names: Vec<_> = running.iter().map(|node| name(node)).collect();
        names.sort();
        names
    };
    assert!(awake().is_empty(), "visitors come first");
    tokio::time::sleep(MINUTE).await;
    assert_eq!(awake(), ["cut-off.dev"]);
    tokio::time::sleep(10 * MINUTE).await;
    assert_eq!(awake(), ["cut-off.dev", "timed.dev"]);
    drop(second);
}

fn name(node: &testing::FakeNode) -> String {
    use node_api::NodeHandle;
    node.name().to_string()
}

#[tokio::test(start_paused = true)]
async fn a_plan_keeps_nodes_on() {
    let options = FakeOptions {
        plan: Plan {
            always_on: true,
            ..Plan::default()
        },
        idle_after: MINUTE,
        ..FakeOptions::default()
    };
    let (fakes, alice) = with(options.clone()).await;
    fakes.node(&alice, "alice").await.unwrap();
    tokio::time::sleep(10 * MINUTE).await;
    let node = fakes.launcher.running_node("alice.dev").unwrap();
    let refused = fakes.manager.hibernate_node(&alice, "alice").await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("keeps this node running"), "{refused}");
    // Whatever ends it but its owner, it comes back.
    node.break_down("luck");
    tokio::time::sleep(MINUTE).await;
    shows(&fakes, &alice, "alice", NodeStatus::Active).await;
    assert!(fakes.manager.shutdown(MINUTE).await);
    let second = testing::start(options, Arc::default(), fakes.repositories.clone());
    let second = second.await.unwrap();
    tokio::time::sleep(MINUTE).await;
    assert!(second.launcher.running_node("alice.dev").is_some());
    second.manager.stop_node(&alice, "alice").await.unwrap();
    tokio::time::sleep(10 * MINUTE).await;
    assert!(second.launcher.running().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_longest_idle_node_makes_room_and_nodes_in_use_do_not() {
    let limits = ManagerLimits {
        max_awake: 2,
        ..ManagerLimits::default()
    };
    let (fakes, alice) = with(FakeOptions {
        limits,
        ..FakeOptions::default()
    })
    .await;
    fakes.node(&alice, "one").await.unwrap();
    tokio::time::sleep(MINUTE).await;
    fakes.node(&alice, "two").await.unwrap();
    tokio::time::sleep(MINUTE).await;
    let one = fakes.launcher.running_node("one.dev").unwrap();
    let two = fakes.launcher.running_node("two.dev").unwrap();
    // The older one was used since.
    one.touch();
    tokio::time::sleep(MINUTE / 2).await;
    fakes.node(&alice, "three").await.unwrap();
    assert_eq!(two.stopped_for(), Some(StopReason::Idle));
    assert!(one.is_running());

    let lease = |label: &str| {
        let access = fakes.manager.visitor(label).unwrap();
        let manager = fakes.manager.clone();
        async move { manager.acquire(&access).await }
    };
    let (used, also) = (lease("one").await.unwrap(), lease("three").await.unwrap());
    let refused = lease("two").await.unwrap_err();
    assert!(matches!(refused, AcquireError::Full { .. }), "{refused:?}");
    let view = fakes.manager.node(&alice, "two").await.unwrap();
    assert_eq!(view.status, NodeStatus::Hibernated, "no fault of its own");
    // Whoever waits while one becomes free gets in.
    let waiting = lease("two");
    tokio::pin!(waiting);
    assert!(futures::poll!(waiting.as_mut()).is_pending());
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(used);
    assert!(waiting.await.is_ok());
    drop(also);
}

#[tokio::test(start_paused = true)]
async fn a_host_short_of_something_takes_one_node_after_the_other() {
    let gauge = Arc::new(FakeGauge::default());
    let roomy = roomy();
    gauge.set(HostUse {
        descriptors: Share {
            used: 1000,
            limit: 1024,
        },
        ..roomy
    });
    let (fakes, alice) = with(FakeOptions {
        gauge: gauge.clone(),
        ..FakeOptions::default()
    })
    .await;
    fakes.node(&alice, "one").await.unwrap();
    tokio::time::sleep(MINUTE).await;
    fakes.node(&alice, "two").await.unwrap();
    assert_eq!(fakes.launcher.running().len(), 1);
    gauge.set(roomy);
    tokio::time::sleep(MINUTE).await;
    fakes.node(&alice, "three").await.unwrap();
    assert_eq!(fakes.launcher.running().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_an_operator_holds_stays_down_until_it_is_let_go() {
    let limits = ManagerLimits {
        purge_grace: Duration::from_secs(1000),
        ..ManagerLimits::default()
    };
    let (fakes, alice) = with(FakeOptions {
        limits,
        ..FakeOptions::default()
    })
    .await;
    let manager = &fakes.manager;
    fakes.node(&alice, "alice").await.unwrap();
    assert!(manager.operator(&alice).is_none(), "users are no operators");
    let rita = operator(&fakes).await;
    let desk = manager.operator(&rita).unwrap();
    let refused = desk.suspend_node("alice", "  ").await;
    assert!(matches!(refused, Err(NodeOpError::Conflict(_))));
    desk.suspend_node("alice", "sends spam").await.unwrap();
    shows(&fakes, &alice, "alice", NodeStatus::Suspended).await;
    let view = manager.node(&alice, "alice").await.unwrap();
    assert_eq!(view.status_reason.as_deref(), Some("sends spam"));
    let access = manager.visitor("alice").unwrap();
    let refused = manager.acquire(&access).await.unwrap_err();
    assert_eq!(refused, AcquireError::Suspended);
    let refused = manager.start_node(&alice, "alice").await.unwrap_err();
    assert!(refused.to_string().contains("sends spam"), "{refused}");

    // Its owner may put it away, but nothing of it is removed meanwhile.
    manager.delete_node(&alice, "alice", true).await.unwrap();
    fakes.clock.advance(2000);
    tokio::time::sleep(MINUTE).await;
    assert!(fakes.launcher.purged().is_empty());
    desk.resume_node("alice").await.unwrap();
    tokio::time::sleep(MINUTE).await;
    assert_eq!(fakes.launcher.purged().len(), 1);
    let audited: Vec<_> = fakes.repositories.audited();
    assert!(audited.is_empty(), "what changes a row is audited with it");
}

#[tokio::test(start_paused = true)]
async fn operators_see_everybodys_nodes_and_bring_back_what_was_given_up() {
    let (fakes, alice) = fakes().await;
    let manager = &fakes.manager;
    let bob = fakes.account("bob@example.org").await.unwrap();
    fakes.node(&alice, "alice").await.unwrap();
    fakes.node(&bob, "bob").await.unwrap();
    fakes.launcher.fail_next(100);
    fakes
        .launcher
        .running_node("bob.dev")
        .unwrap()
        .break_down("luck");
    manager.start_node(&bob, "bob").await.unwrap();
    tokio::time::sleep(100 * MINUTE).await;
    let view = manager.node(&bob, "bob").await.unwrap();
    assert_eq!(view.status, NodeStatus::Broken, "given up");

    let token = manager.local_operator_token();
    let local = manager.authenticate(token.expose()).await.unwrap();
    let desk = manager.operator(&local).unwrap();
    let mut query = NodeQuery {
        status: None,
        after: None,
        limit: 1,
    };
    let page = desk.nodes(&query).await.unwrap();
    assert_eq!(page.nodes[0].node.label.as_str(), "alice");
    assert_eq!(page.nodes[0].owner, alice.account());
    query.after = page.next;
    let page = desk.nodes(&query).await.unwrap();
    assert_eq!(page.nodes[0].node.label.as_str(), "bob");
    assert_eq!(page.nodes[0].desired, DesiredState::Running);
    assert_eq!(page.next, None);
    query.after = None;
    query.status = Some(NodeStatus::Broken);
    let page = desk.nodes(&query).await.unwrap();
    assert_eq!((page.nodes.len(), page.next), (1, None));

    fakes.launcher.fail_next(0);
    desk.start_node("bob").await.unwrap();
    shows(&fakes, &bob, "bob", NodeStatus::Active).await;
    desk.hibernate_node("bob").await.unwrap();
    shows(&fakes, &bob, "bob", NodeStatus::Hibernated).await;
    let audited = fakes.repositories.audited();
    let actions: Vec<_> = audited.iter().map(|deed| deed.action).collect();
    let looks = ["nodes.list"; 3];
    assert_eq!(actions[..3], looks);
    assert_eq!(actions[3..], ["node.start", "node.hibernate"]);
    assert!(audited.iter().all(|deed| deed.actor.is_none()));
    let unknown = desk.stop_node("nobody").await;
    assert_eq!(unknown.unwrap_err(), NodeOpError::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_host_short_of_memory_puts_few_to_sleep_for_one_that_comes() {
    let gauge = Arc::new(FakeGauge::default());
    let roomy = roomy();
    gauge.set(roomy);
    let (fakes, alice) = with(FakeOptions {
        gauge: gauge.clone(),
        plan: Plan {
            nodes: 20,
            ..Plan::default()
        },
        ..FakeOptions::default()
    })
    .await;
    for number in 0..12 {
        fakes.node(&alice, &format!("n{number}")).await.unwrap();
    }
    tokio::time::sleep(MINUTE).await;
    // Memory that does not come back when nodes sleep.
    gauge.set(HostUse {
        memory: Share {
            used: 1 << 40,
            limit: 1 << 40,
        },
        ..roomy
    });
    tokio::time::sleep(MINUTE).await;
    fakes.manager.hibernate_node(&alice, "n0").await.unwrap();
    shows(&fakes, &alice, "n0", NodeStatus::Hibernated).await;
    let before = fakes.launcher.running().len();
    let access = fakes.manager.visitor("n0").unwrap();
    let refused = fakes.manager.acquire(&access).await.unwrap_err();
    assert!(matches!(refused, AcquireError::Full { .. }), "{refused:?}");
    let after = fakes.launcher.running().len();
    assert_eq!(after, before - 3, "some made room, in vain");
    gauge.set(roomy);
    tokio::time::sleep(MINUTE).await;
    assert!(fakes.manager.acquire(&access).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_node_without_room_is_tried_now_and_then_and_not_all_the_time() {
    let options = FakeOptions {
        limits: ManagerLimits {
            max_awake: 1,
            ..ManagerLimits::default()
        },
        plan: Plan {
            always_on: true,
            ..Plan::default()
        },
        ..FakeOptions::default()
    };
    let (fakes, alice) = with(options).await;
    fakes.node(&alice, "one").await.unwrap();
    let create = fakes.manager.create_node(&alice, "two", common::password());
    create.await.unwrap();
    let mut changes = fakes.manager.changes(&alice);
    let mut turns = 0;
    let end = Instant::now() + 10 * MINUTE;
    while tokio::time::timeout_at(end, changes.next()).await.is_ok() && turns < 10_000 {
        turns += 1;
    }
    assert!(
        (50..1000).contains(&turns),
        "{turns} changes in ten minutes"
    );
    fakes.manager.stop_node(&alice, "one").await.unwrap();
    shows(&fakes, &alice, "two", NodeStatus::Active).await;
}

#[tokio::test(start_paused = true)]
async fn timers_are_kept_over_a_suspension_and_forgotten_by_an_owners_stop() {
    let (fakes, alice) = fakes().await;
    fakes.node(&alice, "alice").await.unwrap();
    let rita = operator(&fakes).await;
    let desk = fakes.manager.operator(&rita).unwrap();
    let node = fakes.launcher.running_node("alice.dev").unwrap();
    node.set_wake_in(Some(MINUTE));
    desk.suspend_node("alice", "to look").await.unwrap();
    shows(&fakes, &alice, "alice", NodeStatus::Suspended).await;
    assert_eq!(node.stopped_for(), Some(StopReason::Suspended));
    tokio::time::sleep(10 * MINUTE).await;
    assert!(fakes.launcher.running().is_empty());
    desk.resume_node("alice").await.unwrap();
    shows(&fakes, &alice, "alice", NodeStatus::Active).await;

    let node = fakes.launcher.running_node("alice.dev").unwrap();
    node.set_wake_in(Some(MINUTE));
    fakes.manager.hibernate_node(&alice, "alice").await.unwrap();
    shows(&fakes, &alice, "alice", NodeStatus::Hibernated).await;
    fakes.manager.stop_node(&alice, "alice").await.unwrap();
    assert_eq!(fakes.launcher.forgotten(), [fakes.launcher.specs()[0].key]);
    fakes.manager.start_node(&alice, "alice").await.unwrap();
    shows(&fakes, &alice, "alice", NodeStatus::Active).await;
}

#[tokio::test(start_paused = true)]
async fn a_timer_is_not_lost_by_a_boot_that_failed() {
    let (fakes, alice) = fakes().await;
    fakes.node(&alice, "alice").await.unwrap();
    let node = fakes.launcher.running_node("alice.dev").unwrap();
    node.set_wake_in(Some(10 * MINUTE));
    fakes.manager.hibernate_node(&alice, "alice").await.unwrap();
    shows(&fakes, &alice, "alice", NodeStatus::Hibernated).await;
    fakes.launcher.fail_next(1);
    let access = fakes.manager.visitor("alice").unwrap();
    assert!(fakes.manager.acquire(&access).await.is_err());
    assert!(fakes.launcher.running().is_empty());
    tokio::time::sleep(12 * MINUTE).await;
    assert!(fakes.launcher.running_node("alice.dev").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_purge_whose_answer_was_lost_comes_to_its_end() {
    let limits = ManagerLimits {
        purge_grace: Duration::from_secs(10),
        ..ManagerLimits::default()
    };
    let (fakes, alice) = with(FakeOptions {
        limits,
        ..FakeOptions::default()
    })
    .await;
    fakes.node(&alice, "alice").await.unwrap();
    fakes
        .manager
        .delete_node(&alice, "alice", true)
        .await
        .unwrap();
    shows(&fakes, &alice, "alice", NodeStatus::Archived).await;
    fakes.repositories.remove("alice");
    fakes.clock.advance(20);
    tokio::time::sleep(10 * MINUTE).await;
    let gone = fakes.manager.node(&alice, "alice").await;
    assert_eq!(gone, Err(NodeOpError::NotFound));
}
