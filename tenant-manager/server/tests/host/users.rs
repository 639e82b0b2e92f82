//! Who a host runs as: root steps down, also where the data directory is out
//! of the unprivileged user's reach; an ordinary user stays who he is.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::time::Duration;

use super::support::{Host, Ssh};

/// The user of tests that must not be root.
const NOBODY: u32 = 65_534;

fn am_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Effective user of the host's process.
fn user_of(host: &Host) -> u32 {
    let pid = host.ready()["pid"].as_u64().unwrap();
    std::fs::metadata(format!("/proc/{pid}")).unwrap().uid()
}

/// The whole path on one host: account, node, terminal, crash, and again.
async fn works(mut host: Host) {
    let api = host.api().sign_up("alice@example.org").await;
    api.create_node("alice").await;
    let password = api.ssh_password("alice").await;
    for _ in 0..2 {
        let top = Ssh::new(host.ssh_port(), "alice", &password).exec("top");
        assert!(
            String::from_utf8_lossy(&top.stdout).contains("running processes"),
            "{top:?}"
        );
        host.crash_and_restart();
    }
    assert_eq!(
        host.terminate(Duration::from_secs(20)).code(),
        Some(0),
        "{}",
        host.tail()
    );
}

#[tokio::test]
async fn root_steps_down_also_below_a_closed_directory() {
    if !am_root() {
        // Nothing to step down from; the ordinary user has a test of his own.
        return;
    }
    let home = tempfile::tempdir().unwrap();
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let host = Host::start_in(home, None);
    assert_ne!(user_of(&host), 0);
    let elsewhere = std::fs::read_to_string(host.data().join("postgres-elsewhere")).unwrap();
    works(host).await;
    std::fs::remove_dir_all(elsewhere.trim()).unwrap();
}

#[tokio::test]
async fn an_ordinary_user_runs_a_host_of_his_own() {
    let home = tempfile::tempdir().unwrap();
    let user = am_root().then_some(NOBODY);
    if let Some(user) = user {
        chown(home.path(), Some(user), Some(user)).unwrap();
    }
    works(Host::start_in(home, user)).await;
}
