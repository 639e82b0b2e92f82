//! Two tenants: neither reaches the other's files, apps or terminals.

use std::time::Duration;

use reqwest::StatusCode;

use super::support::{self, Host, Kit, Ssh, test_package};

#[tokio::test]
async fn two_tenants_cannot_reach_each_other() {
    let host = Host::start();
    let alice = host.api().sign_up("alice@example.org").await;
    let bob = host.api().sign_up("bob@example.org").await;
    alice.create_node("alice").await;
    bob.create_node("bob").await;

    // By the API: another's node does not exist.
    assert_eq!(
        bob.get("/nodes/alice").await.status(),
        StatusCode::NOT_FOUND
    );
    for action in ["start", "stop", "restart"] {
        assert_eq!(
            bob.act(&format!("/nodes/alice/{action}")).await.status(),
            StatusCode::NOT_FOUND
        );
    }
    assert_eq!(
        bob.delete("/nodes/alice").await.status(),
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        bob.get("/nodes/alice/ssh-password").await.status(),
        StatusCode::NOT_FOUND
    );
    let listed = support::json(bob.get("/nodes").await).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);

    // By SSH: one's password opens one's own node only.
    let bobs_password = bob.ssh_password("bob").await;
    let wrong = Ssh::new(host.ssh_port(), "alice", &bobs_password);
    assert!(!wrong.exec("top").status.success());

    // Apps: installed at one, unknown at the other.
    let ssh_a = Ssh::new(host.ssh_port(), "alice", &alice.ssh_password("alice").await);
    let ssh_b = Ssh::new(host.ssh_port(), "bob", &bobs_password);
    let (tunnel_a, tunnel_b) = (ssh_a.tunnel(), ssh_b.tunnel());
    let (kit_a, kit_b) = (Kit::new(tunnel_a.port), Kit::new(tunnel_b.port));
    kit_a.install(&test_package("counter:tester.dev")).await;
    assert_eq!(
        kit_b
            .inject("counter:counter:tester.dev", "\"Get\"")
            .await
            .status,
        StatusCode::REQUEST_TIMEOUT
    );
    let (status, _) = bob
        .node_get("bob.localhost", "/counter:counter:tester.dev")
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);

    // Terminals: what one prints is not seen at the other.
    let mut at_bob = ssh_b.shell();
    at_bob.expect("bob.dev > ");
    assert!(ssh_a.exec("echo a secret of alice").status.success());
    at_bob.type_keys("echo done\r");
    at_bob.expect("echo done");
    let seen = at_bob.expect("bob.dev > ");
    assert!(!seen.contains("secret"), "{seen}");
    at_bob.type_keys("exit\r");
    at_bob.finish(Duration::from_secs(10));

    // Files: no spelling of a path leads out of one's own node.
    for path in [
        "/counter:tester.dev/pkg/manifest.json",
        "/../alice/counter:tester.dev/pkg/manifest.json",
        "/terminal:sys/../../../kek",
        "/terminal:sys/pkg/../../../../kek",
        "//etc/passwd",
        "/terminal:sys/pkg/../../../../../../../../etc/passwd",
    ] {
        let read = ssh_b.exec(&format!("cat {path}"));
        let text = String::from_utf8_lossy(&read.stdout).into_owned();
        assert!(
            !text.contains("root:") && !text.contains("process_wasm_path"),
            "{path}: {text}"
        );
    }
}
