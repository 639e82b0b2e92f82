//! The disk is full: what is there can be read, what cannot be written says so,
//! nothing that was acknowledged is lost, and once there is room it goes on by
//! itself.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::support::SmallDisk;
use super::{Api, Host, Kit, PATIENCE, Postgres, Ssh, eventually, test_package};

const COUNT: &str = "/counter:counter:tester.dev/api";

/// What the app says: the count, or the status.
async fn count(api: &Api, method: Method, label: &str) -> Result<u64, StatusCode> {
    let answer = api
        .node(method, &format!("{label}.localhost"), COUNT, "")
        .await;
    if answer.status() != StatusCode::OK {
        return Err(answer.status());
    }
    let told: Value = super::support::json(answer).await;
    Ok(told["count"].as_u64().unwrap())
}

async fn counts(api: &Api, label: &str) -> u64 {
    eventually(label, PATIENCE, async || {
        count(api, Method::POST, label).await.ok()
    })
    .await
}

/// Makes two nodes with an app, of which one sleeps.
async fn settle(host: &Host) -> (Api, Ssh) {
    let alice = host.api().sign_up("alice@example.org").await;
    let mut ssh = Vec::new();
    for label in ["warm", "asleep"] {
        alice.create_node(label).await;
        let found = Ssh::new(host.ssh_port(), label, &alice.ssh_password(label).await);
        {
            let tunnel = found.tunnel();
            let kit = Kit::new(tunnel.port);
            kit.install(&test_package("counter:tester.dev")).await;
        }
        assert_eq!(counts(&alice, label).await, 1);
        ssh.push(found);
    }
    alice.hibernate("asleep").await;
    (alice, ssh.swap_remove(0))
}

/// What a full disk must not keep from working; how far the warm node counted.
async fn goes_on_without_room(host: &Host, alice: &Api, warm: &Ssh) -> u64 {
    // Reads by every door, of what the nodes have.
    assert_eq!(count(alice, Method::GET, "warm").await, Ok(1));
    let files = warm.exec("cat /terminal:sys/pkg/manifest.json");
    let files = String::from_utf8_lossy(&files.stdout).into_owned();
    assert!(files.contains("process_name"), "{files}");
    // A write is refused to the app alone: it may end, and is there again.
    let mut counted = 1;
    for _ in 0..3 {
        if let Ok(count) = count(alice, Method::POST, "warm").await {
            assert!(count > counted, "{count} after {counted}");
            counted = count;
        }
    }
    assert_eq!(alice.status("warm").await, "active");
    // A node sleeps, and wakes or says why not.
    let slept = alice.act("/nodes/warm/hibernate").await;
    assert_eq!(slept.status(), StatusCode::ACCEPTED);
    alice.wait_for_status("warm", "hibernated").await;
    for label in ["warm", "asleep"] {
        let name = format!("{label}.localhost");
        let (status, page) = alice.node_get(&name, "/login").await;
        match status {
            StatusCode::OK => {}
            StatusCode::SERVICE_UNAVAILABLE => {
                let node = super::support::json(alice.get(&format!("/nodes/{label}")).await);
                let reason = node.await["status_reason"].clone();
                assert!(!reason.as_str().unwrap_or_default().is_empty(), "{page}");
            }
            other => panic!("{label}: {other}: {page}"),
        }
    }
    // Nothing new is made that cannot be kept.
    let new = json!({"label": "fresh", "password": "node password"});
    let made = alice.post("/nodes", &new).await;
    match made.status() {
        StatusCode::ACCEPTED => {
            eventually("the new node's reason", PATIENCE, async || {
                let node = super::support::json(alice.get("/nodes/fresh").await).await;
                let reason = node["status_reason"].as_str().unwrap_or_default();
                (node["status"] == "broken" && !reason.is_empty()).then_some(())
            })
            .await;
        }
        status => {
            assert!(status.is_server_error(), "{status}");
            let kind = &made.headers()["content-type"];
            assert_eq!(kind, "application/problem+json");
        }
    }
    let health = super::support::fetch(format!("http://{}/healthz", host.metrics()));
    assert_eq!(health.await.unwrap().status(), StatusCode::OK);
    counted
}

#[tokio::test]
async fn a_full_disk_is_told_and_forgotten_once_there_is_room() {
    let home = tempfile::tempdir().unwrap();
    // Unmounted after the host has ended: what is declared first goes last.
    let Some(disk) = SmallDisk::mount(home.path()) else {
        println!("not run: nothing can be mounted here");
        return;
    };
    // The database is elsewhere: this is about the nodes' own disk.
    let postgres = Postgres::start().await;
    let flags = postgres.flags();
    let mut flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    flags.extend(["--idle-after", "0"]);
    let host = Host::start_in_with(home, &flags);
    let (alice, warm) = settle(&host).await;

    disk.fill();
    let counted = goes_on_without_room(&host, &alice, &warm).await;

    disk.clear();
    let mut acknowledged = Vec::new();
    for (label, counted) in [("warm", counted), ("asleep", 1)] {
        // What was told was kept; of three that may have been refused some may
        // have been kept all the same.
        let found = counts(&alice, label).await;
        assert!(found > counted && found <= 5, "{label}: {found}");
        acknowledged.push(found);
    }
    if alice.status("fresh").await == "absent" {
        alice.create_node("fresh").await;
    } else {
        let started = alice.act("/nodes/fresh/start").await;
        assert_eq!(started.status(), StatusCode::ACCEPTED);
    }
    eventually("the new node", PATIENCE, async || {
        let (status, _) = alice.node_get("fresh.localhost", "/login").await;
        (status == StatusCode::OK).then_some(())
    })
    .await;
    survives(host, &alice, &acknowledged).await;
}

/// What was acknowledged is there at the next start too.
async fn survives(mut host: Host, alice: &Api, acknowledged: &[u64]) {
    host.crash_and_restart();
    let alice = alice.again(&host);
    for (label, count) in ["warm", "asleep"].iter().zip(acknowledged) {
        assert_eq!(counts(&alice, label).await, count + 1, "{label}");
    }
}
