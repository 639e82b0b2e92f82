//! `ssh label@host line`.

use std::time::Duration;

use tokio::io::AsyncReadExt;

use crate::client::ran;
use crate::host::{Host, limits};

#[tokio::test(flavor = "multi_thread")]
async fn kits_question_gets_exactly_one_port_and_wakes_the_node() {
    let host = Host::start().await;
    let password = host.node("alice").await;
    let answer = host.exec("alice", &password, "lsof -i -P -n").await;
    assert_eq!(answer.status, Some(0), "{answer:?}");
    assert_eq!(
        answer.stdout,
        "berth alice.dev node 3u IPv4 - 0t0 TCP *:8080 (LISTEN)\n"
    );
    // kit passes the command as separate words, with standard input closed.
    let again = ran(host
        .ssh(&password)
        .args(["alice@127.0.0.1", "lsof", "-i", "-P", "-n"]))
    .await;
    assert_eq!((again.status, again.stdout), (Some(0), answer.stdout));
    assert_eq!(host.launcher.launches.lock().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_prints_its_output_and_says_how_it_ended() {
    let host = Host::start().await;
    let password = host.node("alice").await;
    let top = host.exec("alice", &password, "top").await;
    assert_eq!(
        (top.status, top.stdout.as_str()),
        (Some(0), "alice.dev: top\n")
    );
    let bad = host.exec("alice", &password, "nonsense").await;
    assert_eq!(bad.status, Some(1));
    assert_eq!(bad.stdout, "no script is called nonsense\n");
    let refused = host.exec("alice", &password, "refused").await;
    assert_eq!((refused.status, refused.stdout.as_str()), (Some(1), ""));
    assert!(
        refused.stderr.contains("too many lines at once"),
        "{refused:?}"
    );
    let flood = host.exec("alice", &password, "flood").await;
    assert_eq!((flood.status, flood.stdout.len()), (Some(0), 10_000_000));
    for hopeless in ["a\nb", &"x".repeat(16_385)] {
        let answer = host.exec("alice", &password, hopeless).await;
        assert_eq!((answer.status, answer.stdout.as_str()), (Some(1), ""));
        assert!(answer.stderr.contains("this"), "{}", answer.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_cannot_start_says_why_on_standard_error() {
    let host = Host::start().await;
    *host.launcher.fails.lock() = Some("luck".to_owned());
    let password = host.node("alice").await;
    for line in ["lsof -i -P -n", "top"] {
        let answer = host.exec("alice", &password, line).await;
        assert_eq!((answer.status, answer.stdout.as_str()), (Some(1), ""));
        assert!(answer.stderr.contains("out of luck"), "{answer:?}");
    }
    host.stop_node("alice").await;
    let answer = host.exec("alice", &password, "lsof -i -P -n").await;
    assert_eq!((answer.status, answer.stdout.as_str()), (Some(1), ""));
    assert!(answer.stderr.contains("stopped"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_node_says_so_on_standard_error() {
    let host = Host::start().await;
    let password = host.node("alice").await;
    host.suspend_node("alice").await;
    for line in ["lsof -i -P -n", "top"] {
        let answer = host.exec("alice", &password, line).await;
        assert_eq!((answer.status, answer.stdout.as_str()), (Some(1), ""));
        assert!(answer.stderr.contains("suspended"), "{answer:?}");
        // Whoever knows the SSH password need not be the owner.
        assert!(!answer.stderr.contains("a secret"), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_has_a_time_limit_and_ends_with_its_client() {
    let host = Host::with(ssh_gateway::Limits {
        line_limit: Duration::from_millis(300),
        ..limits()
    })
    .await;
    let password = host.node("alice").await;
    let late = host.exec("alice", &password, "endless").await;
    assert_eq!(late.status, Some(1));
    assert_eq!(late.stdout, "begun\nout of time\n");

    let patient = Host::start().await;
    let password = patient.node("alice").await;
    let mut child = patient
        .ssh(&password)
        .args(["alice@127.0.0.1", "endless"])
        .spawn()
        .unwrap();
    let mut begun = [0; 6];
    let stdout = child.stdout.as_mut().unwrap();
    stdout.read_exact(&mut begun).await.unwrap();
    child.kill().await.unwrap();
    // The lease of the dropped line is back, so a stop does not wait.
    patient.stop_node("alice").await;
    let answer = patient.exec("alice", &password, "top").await;
    assert!(answer.stderr.contains("stopped"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_a_line_is_refused_at_once() {
    let host = Host::start().await;
    let password = host.node("bob").await;
    let sftp = ran(host.ssh(&password).args(["-s", "bob@127.0.0.1", "sftp"])).await;
    assert_ne!(sftp.status, Some(0));
    assert!(sftp.stderr.contains("subsystem request failed"), "{sftp:?}");
    assert_eq!(crate::audit_log::about("bob", "subsystem").len(), 1);
}
