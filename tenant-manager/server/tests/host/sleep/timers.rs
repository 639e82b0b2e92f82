//! Timers and bound paths outlast their node's sleep.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::support::{Host, Metrics, eventually};
use super::{Node, PATIENCE};

/// A timer that does not elapse before its node is asleep, also on a slow machine,
/// milliseconds.
const LATER: u64 = 15_000;
const SLEEPER: &str = "/sleeper:sleeper:tester.dev";

/// Alice's node with the app.
async fn sleeper(host: &Host) -> Node {
    let alice = Node::create(host, "alice").await;
    alice.install(host, "sleeper:tester.dev").await;
    alice.serves(&format!("{SLEEPER}/set")).await;
    alice
}

/// Tells the app something; what it keeps then.
async fn tell(node: &Node, command: Value) -> Value {
    let path = format!("{SLEEPER}/set");
    let body = command.to_string();
    let answer = node
        .api
        .node(Method::POST, &node.name(), &path, &body)
        .await;
    assert_eq!(answer.status(), StatusCode::OK, "{command}");
    super::support::json(answer).await
}

/// What the app keeps; asking wakes it.
async fn kept(node: &Node) -> Value {
    let (status, text) = node.page(&format!("{SLEEPER}/count")).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// Waits until timers have woken `times` nodes of this host.
async fn woken(host: &Host, times: f64) {
    eventually("a timer", PATIENCE, async || {
        let metrics = Metrics::of(host).await;
        (metrics.wakes("timer") >= times).then_some(())
    })
    .await;
}

/// Waits until the app has heard of `count` timers.
async fn heard(node: &Node, count: u64) -> Value {
    eventually("the app's answer", PATIENCE, async || {
        let kept = kept(node).await;
        (kept["count"] == count).then_some(kept)
    })
    .await
}

#[tokio::test]
async fn a_timer_wakes_its_node_also_after_a_restart_of_the_host() {
    // Nobody hibernates by itself here.
    let mut host = Host::start_with(&["--idle-after", "0"]);
    let alice = sleeper(&host).await;
    let before = tell(&alice, json!({"Arm": LATER})).await;
    assert_eq!(before["count"], 0);
    let lives = before["lives"].as_u64().unwrap();
    alice.sleep().await;
    // Nobody asks the node: it is woken, by its timer alone.
    woken(&host, 1.0).await;
    alice.is("active").await;
    let after = heard(&alice, 1).await;
    assert_eq!(after["context"], "1", "with the context it gave");
    assert_eq!(
        (&after["lives"], &after["armed"]),
        (&json!(lives + 1), &json!(1))
    );

    tell(&alice, json!({"Arm": LATER})).await;
    host.restart();
    let alice = alice.again(&host);
    woken(&host, 1.0).await;
    alice.is("active").await;
    let after = heard(&alice, 2).await;
    assert_eq!(after["context"], "2");
    assert_eq!(
        (&after["lives"], &after["armed"]),
        (&json!(lives + 2), &json!(2))
    );

    // Each elapses once: a sleep later nothing of them is left.
    alice.sleep().await;
    alice.serves("/login").await;
    assert_eq!(kept(&alice).await["count"], 2);
    let metrics = Metrics::of(&host).await;
    assert_eq!(metrics.wakes("timer"), 1.0, "of this start of the host");
}

#[tokio::test]
async fn an_app_that_lives_by_its_timer_goes_on_while_its_node_sleeps_between() {
    let host = Host::start_with(&["--idle-after", "300ms"]);
    let alice = sleeper(&host).await;
    let before = tell(&alice, json!({"Every": 1500})).await;
    woken(&host, 3.0).await;
    let after = kept(&alice).await;
    let gained = |name: &str| after[name].as_u64().unwrap() - before[name].as_u64().unwrap();
    assert!(gained("count") >= 2, "{after}");
    assert!(gained("lives") >= 3, "{after}");
    // Sleep makes no timer elapse twice: the one that elapsed last is the one
    // whose turn it was.
    assert_eq!(after["context"], after["count"].to_string(), "{after}");

    // A node that is stopped does not go on, and is not woken.
    alice.act("stop", "stopped").await;
    let bob = Node::create(&host, "bob").await;
    let metrics = Metrics::of(&host).await;
    for _ in 0..6 {
        bob.doze().await;
    }
    assert_eq!(alice.status().await, "stopped");
    let now = Metrics::of(&host).await;
    assert_eq!(now.wakes("timer"), metrics.wakes("timer"));
}

#[tokio::test]
async fn an_app_that_sets_its_timer_at_each_start_has_one_of_them() {
    let host = Host::start_with(&["--idle-after", "300ms"]);
    let alice = sleeper(&host).await;
    tell(&alice, json!({"AtStart": 1500})).await;
    woken(&host, 4.0).await;
    let count = kept(&alice).await["count"].as_u64().unwrap() as f64;
    // If sleeping made more of them, more would elapse than wake the node.
    let woken = Metrics::of(&host).await.wakes("timer");
    assert!(count >= 3.0 && count <= woken + 1.0, "{count} of {woken}");
}

#[tokio::test]
async fn a_path_bound_long_ago_answers_the_first_request_after_a_sleep() {
    let mut host = Host::start();
    let alice = sleeper(&host).await;
    let late = format!("{SLEEPER}/late");
    assert_eq!(alice.page(&late).await.0, StatusCode::NOT_FOUND);
    // The app binds this one because it is told to, not when it starts.
    let first = tell(&alice, json!({"Bind": "/late"})).await;
    assert_eq!(alice.page(&late).await.0, StatusCode::OK);
    for round in 1..=3 {
        if round < 3 {
            alice.again(&host).sleep().await;
        } else {
            host.restart();
        }
        let alice = alice.again(&host);
        let (status, text) = alice.page(&late).await;
        assert_eq!(status, StatusCode::OK, "sleep {round}: {text}");
        let kept: Value = serde_json::from_str(&text).unwrap();
        let lives = first["lives"].as_u64().unwrap() + round;
        assert_eq!(kept["lives"], lives, "it was started anew");
        let nowhere = alice.page(&format!("{SLEEPER}/never-bound")).await;
        assert_eq!(nowhere.0, StatusCode::NOT_FOUND);
    }
    // A package that is removed takes its paths with it, asleep or not.
    let alice = alice.again(&host);
    let package = super::test_package("sleeper:tester.dev");
    {
        let (_tunnel, kit) = alice.kit(&host);
        kit.remove_package(&package).await;
    }
    alice.sleep().await;
    assert_eq!(alice.page(&late).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn who_ran_when_the_host_died_is_woken_and_who_slept_sleeps_on() {
    let mut host = Host::start_with(&["--idle-after", "0"]);
    let alice = sleeper(&host).await;
    let bob = Node::create(&host, "bob").await;
    bob.sleep().await;
    let lives = kept(&alice).await["lives"].as_u64().unwrap();
    host.crash_and_restart();
    let (alice, bob) = (alice.again(&host), bob.again(&host));
    alice.is("active").await;
    assert_eq!(kept(&alice).await["lives"], lives + 1);
    assert_eq!(bob.status().await, "hibernated");
    assert_eq!(Metrics::of(&host).await.boots(), 1.0);
}
