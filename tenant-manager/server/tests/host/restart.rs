//! Starting anew in place: no request fails, everybody else is told, and what
//! cannot be done is not begun.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use reqwest::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::sockets::Socket;
use super::support::{Api, Host, Kit, Load, Ssh, eventually, test_package};

/// The user of tests that must not be root.
const NOBODY: u32 = 65_534;
const LIMIT: Duration = Duration::from_secs(60);
/// Answers over which none may fail.
const ANSWERS: u64 = 100_000;
/// As many there are at least on a slow machine.
const LEAST: u64 = 3_000;
/// How long answers are waited for before the next new start.
const ROUND: Duration = Duration::from_secs(40);
/// Most new starts until there were enough.
const MOST_ROUNDS: usize = 30;
const COUNT: &str = "/counter:counter:tester.dev/api";

fn am_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// A directory that every user reaches.
fn open_directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    directory
}

/// A host of an ordinary user, with a binary of its own.
pub(super) fn start() -> Host {
    let home = open_directory();
    let user = am_root().then_some(NOBODY);
    if user.is_some() {
        chown(home.path(), user, user).unwrap();
    }
    let copy = home.path().join("bin");
    Host::start_copy(home, user, copy)
}

fn pid(host: &Host) -> u64 {
    host.ready()["pid"].as_u64().unwrap()
}

/// The process of the private database.
fn database(host: &Host) -> Option<String> {
    let file = host.data().join("postgres/data/postmaster.pid");
    let text = std::fs::read_to_string(file).ok()?;
    text.lines().next().map(str::to_owned)
}

/// Puts `bytes` in place of the host's binary, as an upgrade does.
fn replace(program: &Path, bytes: &[u8]) {
    let beside = program.with_extension("new");
    std::fs::write(&beside, bytes).unwrap();
    std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::rename(&beside, program).unwrap();
}

/// `berth restart` for this host, by a binary that works.
async fn berth_restart(host: &Host) -> Output {
    let data = host.data().to_owned();
    let run = move || {
        Command::new(env!("CARGO_BIN_EXE_berth"))
            .args(["restart", "--data-dir"])
            .arg(data)
            .output()
            .unwrap()
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// Installs the apps of these tests on alice's node; her shell.
async fn alice(host: &Host) -> (Api, Ssh) {
    let api = host.api().sign_up("alice@example.org").await;
    api.create_node("alice").await;
    let ssh = Ssh::new(host.ssh_port(), "alice", &api.ssh_password("alice").await);
    let tunnel = ssh.tunnel();
    let kit = Kit::new(tunnel.port);
    for package in ["counter:tester.dev", "live:test.dev"] {
        kit.install(&test_package(package)).await;
    }
    eventually("the apps", LIMIT, async || {
        let (status, _) = api.node_get("alice.localhost", COUNT).await;
        (status == StatusCode::OK).then_some(())
    })
    .await;
    (api, ssh)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_start_under_load_fails_no_request_and_tells_who_is_connected() {
    starts_anew_under_load(LEAST, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a long proof: make soak"]
async fn soak_new_starts_under_load_fail_no_request() {
    starts_anew_under_load(ANSWERS, MOST_ROUNDS).await;
}

/// New starts while visitors ask: two, and more until there were `wanted`
/// answers, but at most `most`.
async fn starts_anew_under_load(wanted: u64, most: usize) {
    let mut host = start();
    let (api, ssh) = alice(&host).await;
    let mut shell = ssh.shell();
    shell.expect("alice.dev > ");
    let (address, ready) = (host.http(), host.ready().clone());
    let authority = format!("alice.localhost:{}", address.rsplit(':').next().unwrap());
    let path = "/live:live:test.dev/echo";
    let (before, server) = (pid(&host), database(&host));
    let load = Load::start(&address, &["/our.js", COUNT]);
    load.more(ANSWERS / 10, ROUND).await;

    let mut round = 0;
    while round < 2 || (round < most && load.answered() < wanted) {
        // An app that was just installed takes a moment.
        let mut echo = eventually("the echo", LIMIT, async || {
            Socket::open(&address, &authority, path, &[]).await.ok()
        })
        .await;
        // A new binary is in place of the one that runs.
        let bytes = std::fs::read(host.program()).unwrap();
        replace(&host.program(), &bytes);
        if round % 2 == 0 {
            host.signal("USR2");
        } else {
            let done = berth_restart(&host).await;
            let errors = String::from_utf8_lossy(&done.stderr).into_owned();
            assert!(done.status.success(), "{errors} {}", host.tail());
            let said = String::from_utf8_lossy(&done.stdout).into_owned();
            assert!(said.contains(&before.to_string()), "{said}");
        }
        assert_eq!(echo.close_code().await, 1012);
        host.ready_again(LIMIT).await;
        assert_eq!(host.ready(), &ready, "the same process and addresses");
        let more = load.more(ANSWERS / 2, ROUND).await;
        assert!(more > 0, "nobody is answered any more; {}", host.tail());
        round += 1;
    }
    let answered = load.answered();
    println!("{answered} requests over {round} new starts");
    assert!(answered >= wanted, "{answered} answers");
    let failures = load.end().await;
    assert!(
        failures.is_empty(),
        "{} of {answered} failed: {:?}; {}",
        failures.len(),
        &failures[..failures.len().min(5)],
        host.tail()
    );
    assert_eq!(database(&host), server, "the database ran on");
    // A host hides its memory, and this with it, from all but root.
    let program = std::fs::read_link(format!("/proc/{before}/exe"));
    if am_root() {
        assert_eq!(program.unwrap(), host.program().canonicalize().unwrap());
    }
    let (_, rest, errors) = shell.finish(Duration::from_secs(10));
    let told = format!("{rest}{errors}");
    assert!(told.contains("starts anew"), "{told}");
    // Accounts and sessions are those of before; so is the end.
    assert_eq!(api.get("/nodes/alice").await.status(), StatusCode::OK);
    assert_eq!(ssh.exec("echo back").status.code(), Some(0));
    let status = host.terminate(LIMIT);
    assert_eq!(status.code(), Some(0), "{}", host.tail());
    assert_eq!(database(&host), None, "the database has ended");
}

#[tokio::test]
async fn told_to_end_while_it_starts_anew_it_ends() {
    let mut host = start();
    alice(&host).await;
    // A request that is not over keeps the host from getting on.
    let mut slow = TcpStream::connect(host.http()).await.unwrap();
    let head = format!(
        "POST {COUNT} HTTP/1.1\r\nHost: alice.localhost\r\nContent-Length: 10\r\n\
         Expect: 100-continue\r\n\r\n"
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    // It is being answered once its body is asked for.
    let mut go_on = [0; 25];
    slow.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    slow.write_all(b"hello").await.unwrap();
    host.signal("USR2");
    eventually("a new start", LIMIT, async || {
        host.tail().contains("starting anew").then_some(())
    })
    .await;
    host.signal("TERM");
    eventually("the change of mind", LIMIT, async || {
        host.tail().contains("told to end").then_some(())
    })
    .await;
    slow.write_all(b"world").await.unwrap();
    let mut answer = Vec::new();
    slow.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 "), "it was answered");
    let status = host.wait(LIMIT);
    assert_eq!(status.code(), Some(0), "{}", host.tail());
    assert!(!host.was_ready_again());
    assert_eq!(database(&host), None);
    host.start_again();
}

#[tokio::test]
async fn a_binary_that_does_not_run_is_refused_and_the_host_goes_on() {
    let mut host = start();
    let api = host.api().sign_up("alice@example.org").await;
    api.create_node("alice").await;
    let good = std::fs::read(host.program()).unwrap();
    replace(&host.program(), b"#!/bin/sh\necho not today >&2\nexit 3\n");
    host.signal("USR2");
    eventually("the refusal", LIMIT, async || {
        host.tail().contains("not starting anew").then_some(())
    })
    .await;
    let refused = berth_restart(&host).await;
    assert_eq!(refused.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(errors.contains("not today"), "{errors}");
    let (status, _) = api.node_get("alice.localhost", "/our.js").await;
    assert_eq!(status, StatusCode::OK);
    assert!(!host.was_ready_again());

    replace(&host.program(), &good);
    let done = berth_restart(&host).await;
    assert!(done.status.success(), "{}", host.tail());
    host.ready_again(LIMIT).await;
    let (status, _) = api.node_get("alice.localhost", "/our.js").await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn a_host_that_root_started_below_a_closed_directory_starts_anew_too() {
    if !am_root() {
        // There is nothing that it had to give up.
        return;
    }
    let home = tempfile::tempdir().unwrap();
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let programs = open_directory();
    let mut host = Host::start_copy(home, None, programs.path().join("bin"));
    let api = host.api().sign_up("alice@example.org").await;
    api.create_node("alice").await;
    let ready = host.ready().clone();
    // The second time settings come from a program that had them handed over.
    for _ in 0..2 {
        host.signal("USR2");
        host.ready_again(LIMIT).await;
        assert_eq!(host.ready(), &ready);
        let process = std::fs::metadata(format!("/proc/{}", pid(&host))).unwrap();
        assert_ne!(process.uid(), 0);
        let (status, _) = api.node_get("alice.localhost", "/our.js").await;
        assert_eq!(status, StatusCode::OK);
    }
    let elsewhere = std::fs::read_to_string(host.data().join("postgres-elsewhere")).unwrap();
    assert_eq!(host.terminate(LIMIT).code(), Some(0), "{}", host.tail());
    std::fs::remove_dir_all(elsewhere.trim()).unwrap();
}
