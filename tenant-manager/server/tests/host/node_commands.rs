//! `berth node` over the REST API, as the account whose token it is given, or as
//! operator where it has the data directory.

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::support::{Api, Host, eventually, fetch};

/// Nobody listens there.
const DEAD_PROXY: &str = "http://127.0.0.1:9";

/// `berth node …` as `api`'s account, to its end, with a password on standard
/// input.
async fn node(host: &Host, api: &Api, words: &[&str]) -> Output {
    let port = host.http().rsplit(':').next().unwrap().to_owned();
    let mut command = Command::new(env!("CARGO_BIN_EXE_berth"));
    command
        .arg("node")
        .args(words)
        .env("BERTH_API", format!("http://localhost:{port}"))
        .env("BERTH_TOKEN", api.token())
        .env("http_proxy", DEAD_PROXY)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let run = move || {
        let mut child = command.spawn().unwrap();
        // Most commands read nothing.
        let _ = child.stdin.take().unwrap().write_all(b"node password\n");
        child.wait_with_output().unwrap()
    };
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
    assert!(logs.lines().count() > 0, "a boot is told");
    for line in logs.lines() {
        assert!(line.starts_with("20") && line.contains("Z "), "{line}");
    }

    // The API's own sentence.
    let errors = refused(&node(&host, &bob, &["show", "alice"]).await);
    assert!(errors.contains("no node with this label"), "{errors}");
    refused(&node(&host, &bob, &["logs", "alice"]).await);
}

#[tokio::test]
async fn an_account_makes_a_node_and_puts_it_away() {
    let host = Host::start();
    let alice = host.api().sign_up("alice@example.org").await;
    let told = said(&node(&host, &alice, &["create", "alice"]).await);
    assert!(told.starts_with("alice is "), "{told}");
    alice.wait_for_status("alice", "active").await;
    let errors = refused(&node(&host, &alice, &["create", "alice"]).await);
    assert!(errors.contains("taken"), "{errors}");
    let errors = refused(&local(&host, &["archive", "alice"]));
    assert!(errors.contains("token"), "{errors}");
    said(&node(&host, &alice, &["archive", "alice"]).await);
    alice.wait_for_status("alice", "archived").await;
}

/// `berth node …` on the host's data, without a token.
fn local(host: &Host, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_berth"))
        .arg("node")
        .args(words)
        .arg("--data-dir")
        .arg(host.data())
        .env("http_proxy", DEAD_PROXY)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[tokio::test]
async fn whoever_has_the_data_directory_is_operator_without_a_token() {
    let host = Host::start();
    let alice = host.api().sign_up("alice@example.org").await;
    alice.create_node("alice").await;
    let listed = said(&local(&host, &["list"]));
    let rows: Vec<&str> = listed.lines().collect();
    assert!(rows[0].contains("OWNER") && rows.len() == 2, "{listed}");
    let listed = said(&local(&host, &["list", "--status", "suspended"]));
    assert_eq!(listed.lines().count(), 1, "{listed}");
    let wrong = local(&host, &["list", "--status", "asleep"]);
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
    let errors = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(errors.contains("hibernated"), "{errors}");

    let errors = refused(&local(&host, &["suspend", "alice", "--reason", " "]));
    assert!(errors.contains("at most 500 characters"), "{errors}");
    said(&local(
        &host,
        &["suspend", "alice", "--reason", "it sends spam"],
    ));
    alice.wait_for_status("alice", "suspended").await;
    let shown = said(&local(&host, &["show", "alice"]));
    assert!(shown.contains("it sends spam"), "{shown}");
    let errors = refused(&local(&host, &["start", "alice"]));
    assert!(errors.contains("it sends spam"), "{errors}");
    said(&local(&host, &["resume", "alice"]));
    said(&local(&host, &["start", "alice"]));
    alice.wait_for_status("alice", "active").await;
    let shown = said(&local(&host, &["show", "alice", "--json"]));
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(
        (&shown["label"], &shown["status"]),
        (&"alice".into(), &"active".into())
    );

    // From the files of the host, and by its API.
    for more in [None, Some("--operator")] {
        let words = ["logs", "alice", "--verbosity", "3"];
        let words: Vec<&str> = words.into_iter().chain(more).collect();
        let logs = said(&local(&host, &words));
        assert!(logs.lines().count() > 0, "{more:?}");
        assert!(logs.starts_with("20"), "{logs}");
    }
    let errors = refused(&local(&host, &["show", "nobody"]));
    assert!(errors.contains("no node with this label"), "{errors}");
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
        let answer = fetch(url).await.unwrap();
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
