//! How a host ends: soon, politely, and with nothing lost.

use std::time::Duration;

use super::support::{Host, Ssh};

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
