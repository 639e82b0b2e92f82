//! How a host ends: soon, politely, and with nothing lost.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::support::{Host, Load, Ssh, eventually, process};

const SIGTERM: u32 = 15;

#[tokio::test]
async fn sigterm_with_open_sessions_tells_them_and_exits_0() {
    let mut host = Host::start();
    let alice = host.api().sign_up("alice@example.org").await;
    alice.create_node("alice").await;
    let ssh = Ssh::new(host.ssh_port(), "alice", &alice.ssh_password("alice").await);
    let mut shell = ssh.shell();
    shell.expect("alice.dev > ");
    let tunnel = ssh.tunnel();

    // What it may take is the sum of what each part may; usually a second.
    let status = host.terminate(Duration::from_secs(60));
    assert_eq!(status.code(), Some(0), "{}", host.tail());
    let (code, rest, errors) = shell.finish(Duration::from_secs(10));
    let told = format!("{rest}{errors}").to_lowercase();
    let log = host.tail();
    assert!(
        told.contains("host") && told.contains("down"),
        "ssh ended with {code} and {told:?}; {log}"
    );
    drop(tunnel);
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let mut host = Host::start();
    let alice = host.api().sign_up("alice@example.org").await;
    alice.create_node("alice").await;
    host.signal("TERM");
    host.signal("TERM");
    host.wait(Duration::from_secs(10));
    host.start_again();
    assert!(host.api().get("/names/alice").await.status().is_success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_under_load_answers_whoever_is_in() {
    let mut host = Host::start();
    let alice = host.api().sign_up("alice@example.org").await;
    alice.create_node("alice").await;
    let load = Load::start(&host.http(), &["/our.js"]);
    assert!(load.more(2_000, Duration::from_secs(20)).await > 100);
    load.expect_end();
    host.signal("TERM");
    let ended = tokio::task::spawn_blocking(move || {
        let status = host.wait(Duration::from_secs(60));
        (status, host)
    });
    let (status, host) = ended.await.unwrap();
    assert_eq!(status.code(), Some(0), "{}", host.tail());
    let answered = load.answered();
    let failures = load.end().await;
    assert!(
        failures.is_empty(),
        "{} beside {answered} answers: {:?}; {}",
        failures.len(),
        &failures[..failures.len().min(5)],
        host.tail()
    );
}

/// Whether the process would not just die of SIGTERM.
fn hears(child: &Child) -> Option<()> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let has = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let mask = u64::from_str_radix(line.trim(), 16).ok()?;
        (mask & (1 << (SIGTERM - 1)) != 0).then_some(())
    };
    has("SigBlk:").or_else(|| has("SigCgt:"))
}

fn terminate(child: &Child) {
    let pid = child.id().to_string();
    let done = Command::new("kill").args(["-s", "TERM", &pid]).status();
    assert!(done.unwrap().success());
}

async fn ended(child: &mut Child) -> ExitStatus {
    let looked = || std::future::ready(child.try_wait().unwrap());
    eventually("the end", Duration::from_secs(60), looked).await
}

#[tokio::test]
async fn told_to_end_before_it_is_ready_it_cleans_up_and_exits_0() {
    let mut host = Host::start();
    assert_eq!(host.terminate(Duration::from_secs(60)).code(), Some(0));
    let server = host.data().join("postgres/data/postmaster.pid");
    for wait in [0, 50, 150, 400] {
        let mut child = process::command(host.data(), &[])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        eventually("the process", Duration::from_secs(10), async || {
            hears(&child)
        })
        .await;
        tokio::time::sleep(Duration::from_millis(wait)).await;
        terminate(&child);
        let status = ended(&mut child).await;
        assert_eq!(status.code(), Some(0), "after {wait} ms");
        // One that had hardly started is not waited for.
        eventually("the database's end", Duration::from_secs(10), async || {
            (!server.exists()).then_some(())
        })
        .await;
    }
    host.start_again();
}

#[tokio::test]
async fn a_host_to_which_nobody_listens_ends_at_first_and_later_goes_on() {
    let mut host = super::restart::start();
    assert_eq!(host.terminate(Duration::from_secs(60)).code(), Some(0));
    let server = host.data().join("postgres/data/postmaster.pid");
    let start = || {
        let mut command = host.command();
        command.stdout(Stdio::piped()).spawn().unwrap()
    };
    let mut child = start();
    drop(child.stdout.take());
    assert_eq!(ended(&mut child).await.code(), Some(1));
    assert!(!server.exists(), "the database has ended");

    let mut child = start();
    let mut line = String::new();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    said.read_line(&mut line).unwrap();
    assert!(line.starts_with("berth ready "), "{line}");
    drop(said);
    let again = host.berth(&["restart"]);
    assert!(again.status.success(), "{again:?}");
    assert!(child.try_wait().unwrap().is_none(), "it goes on");
    terminate(&child);
    assert_eq!(ended(&mut child).await.code(), Some(0));
    assert!(!server.exists(), "the database has ended");
}
