//! `berth node` over the REST API, as the account whose token it is given.

use std::process::{Command, Output};

use serde_json::Value;

use super::support::{Api, Host, eventually};
use std::time::Duration;

/// `berth node …` as `api`'s account, to its end.
async fn node(host: &Host, api: &Api, words: &[&str]) -> Output {
    let port = host.http().rsplit(':').next().unwrap().to_owned();
    let mut command = Command::new(env!("CARGO_BIN_EXE_berth"));
    command
        .arg("node")
        .args(words)
        .env("BERTH_API", format!("http://localhost:{port}"))
        .env("BERTH_TOKEN", api.token());
    let run = move || command.output().unwrap();
    tokio::task::spawn_blocking(run).await.unwrap()
}

fn said(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[tokio::test]
async fn an_account_looks_after_its_nodes_and_no_others() {
    let host = Host::start();
    let alice = host.api().sign_up("alice@example.org").await;
    let bob = host.api().sign_up("bob@example.org").await;
    alice.create_node("alice").await;

    let listed = said(&node(&host, &alice, &["list"]).await);
    let rows: Vec<&str> = listed.lines().collect();
    assert!(rows[0].starts_with("LABEL") && rows.len() == 2, "{listed}");
    assert!(rows[1].starts_with("alice  active"), "{listed}");
    let listed = said(&node(&host, &alice, &["list", "--json", "--status", "active"]).await);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["items"][0]["label"], "alice");
    assert!(listed["next_cursor"].is_null());
    assert_eq!(said(&node(&host, &bob, &["list"]).await).lines().count(), 1);

    said(&node(&host, &alice, &["stop", "alice"]).await);
    alice.wait_for_status("alice", "stopped").await;
    let shown = said(&node(&host, &alice, &["show", "alice", "--json"]).await);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["status"], "stopped");
    for (words, status) in [
        (["start", "alice"], "active"),
        (["hibernate", "alice"], "hibernated"),
        (["restart", "alice"], "active"),
    ] {
        let told = said(&node(&host, &alice, &words).await);
        assert!(told.starts_with("alice is "), "{told}");
        alice.wait_for_status("alice", status).await;
    }
    let logs = said(&node(&host, &alice, &["logs", "alice", "--verbosity", "3"]).await);
    for line in logs.lines() {
        assert!(line.starts_with("20") && line.contains("Z "), "{line}");
    }

    // The API's own sentence.
    let errors = refused(&node(&host, &bob, &["show", "alice"]).await);
    assert!(errors.contains("no node with this label"), "{errors}");
    refused(&node(&host, &bob, &["logs", "alice"]).await);
}

#[tokio::test]
async fn whoever_cannot_be_reached_is_named() {
    let port = super::support::ssh::free_port();
    let address = format!("http://localhost:{port}");
    let run = |words: &'static [&'static str], address: String| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_berth"));
        command
            .args(["node", "list", "--api", &address])
            .args(words);
        tokio::task::spawn_blocking(move || command.output().unwrap())
    };
    let errors = refused(&run(&["--token", "x"], address.clone()).await.unwrap());
    assert!(
        errors.contains(&address) && errors.contains("--api"),
        "{errors}"
    );
    let errors = refused(&run(&[], address).await.unwrap());
    assert!(errors.contains("--token"), "{errors}");
}

#[tokio::test]
async fn the_operations_port_tells_of_the_process_and_of_no_tenant() {
    let host = Host::start();
    let alice = host.api().sign_up("alice@example.org").await;
    alice.create_node("alicesnode").await;
    let get = async |path: &str| {
        let url = format!("http://{}{path}", host.metrics());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = client.get(url).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(get("/readyz").await, (200, "ready\n".to_owned()));
    let metrics = eventually("a boot", Duration::from_secs(10), async || {
        let (_, text) = get("/metrics").await;
        text.contains("berth_node_boots_total").then_some(text)
    })
    .await;
    for name in [
        "process_open_fds",
        "process_max_fds",
        "process_resident_memory_bytes",
        "berth_process_mappings",
        "berth_process_threads",
        "berth_allocator_allocated_bytes",
        "berth_allocator_resident_bytes",
    ] {
        let value = metrics.lines().find_map(|line| line.strip_prefix(name));
        let value: Option<f64> = value.and_then(|rest| rest.trim().parse().ok());
        assert!(
            value.is_some_and(|value| value > 0.0),
            "{name} in {metrics}"
        );
    }
    assert!(!metrics.contains("alice"), "{metrics}");
}
