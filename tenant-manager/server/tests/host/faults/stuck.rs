//! Apps that do not let go: one that computes for ever, one that does not
//! listen.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::support;
use super::{Api, Host, Kit, PATIENCE, Ssh, eventually, test_package};

const HOG: &str = "hog:hostile:tester.dev";
const SLEEPER: &str = "sleeper:sleeper:tester.dev";
/// Longer than any test waits.
const DEAF_MILLIS: u64 = 600_000;

async fn node(host: &Host, label: &str) -> (Api, Ssh) {
    let api = host.api().sign_up(&format!("{label}@example.org")).await;
    api.create_node(label).await;
    let ssh = Ssh::new(host.ssh_port(), label, &api.ssh_password(label).await);
    (api, ssh)
}

/// Has an app compute for ever, and one not listen.
async fn stick(ssh: &Ssh) {
    let tunnel = ssh.tunnel();
    let kit = Kit::new(tunnel.port);
    kit.install(&test_package("hostile:tester.dev")).await;
    kit.install(&test_package("sleeper:tester.dev")).await;
    // It may have to be compiled first.
    let spinning = eventually("the app", PATIENCE, async || {
        let told = kit.inject(HOG, r#"{"Spawn":4}"#).await;
        (told.status == StatusCode::OK).then_some(told.body)
    })
    .await;
    let spinning: Value = serde_json::from_str(&spinning).unwrap();
    assert_eq!(spinning["spawned"].as_array().unwrap().len(), 4);
    kit.rpc(HOG, "\"Spin\"", None, None).await;
    let deaf = json!({ "Deaf": DEAF_MILLIS }).to_string();
    assert_eq!(kit.inject(SLEEPER, &deaf).await.status, StatusCode::OK);
    // It is not told apart from one that is slow.
    let silent = kit.rpc(SLEEPER, "\"Get\"", None, Some(1)).await;
    assert_eq!(silent.status, StatusCode::REQUEST_TIMEOUT);
}

#[tokio::test]
async fn a_node_whose_apps_are_stuck_sleeps_stops_and_wakes_as_others_do() {
    let host = Host::start_with(&["--idle-after", "0"]);
    let (alice, ssh) = node(&host, "alice").await;
    let (bob, _) = node(&host, "bob").await;
    stick(&ssh).await;
    alice.hibernate("alice").await;
    assert_eq!(
        bob.node_get("bob.localhost", "/login").await.0,
        StatusCode::OK
    );
    let (status, page) = alice.node_get("alice.localhost", "/login").await;
    assert_eq!(status, StatusCode::OK, "{page}");
    // Awake again, the app listens.
    let tunnel = ssh.tunnel();
    let kit = Kit::new(tunnel.port);
    eventually("the app", PATIENCE, async || {
        let told = kit.inject(SLEEPER, "\"Get\"").await;
        (told.status == StatusCode::OK).then_some(())
    })
    .await;
    kit.rpc(HOG, "\"Spin\"", None, None).await;
    let stopped = alice.act("/nodes/alice/stop").await;
    assert_eq!(stopped.status(), StatusCode::ACCEPTED);
    alice.wait_for_status("alice", "stopped").await;
}

#[tokio::test]
async fn a_node_whose_apps_are_stuck_is_idle_all_the_same() {
    let host = Host::start_with(&["--idle-after", "1s"]);
    let (alice, ssh) = node(&host, "alice").await;
    // Whoever computes is not in use.
    stick(&ssh).await;
    alice.wait_for_status("alice", "hibernated").await;
}

#[tokio::test]
async fn a_host_whose_apps_are_stuck_ends_in_time_and_loses_nobody() {
    let mut host = Host::start_with(&["--idle-after", "0"]);
    let (alice, ssh) = node(&host, "alice").await;
    stick(&ssh).await;
    // The sum of what its parts may take.
    let status = host.terminate(Duration::from_secs(30));
    assert_eq!(status.code(), Some(0), "{}", host.tail());
    host.start_again();
    let alice = alice.again(&host);
    let nodes = support::json(alice.get("/nodes").await).await;
    assert_eq!(nodes["items"][0]["label"], "alice");
    let (status, page) = alice.node_get("alice.localhost", "/login").await;
    assert_eq!(status, StatusCode::OK, "{page}");
}
