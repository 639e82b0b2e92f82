//! The commands that end by themselves, and how the binary fails.

use std::process::{Command, Output};
use std::time::Duration;

use super::support::{self, Host, process};

fn berth(arguments: &[&str]) -> Output {
    let scratch = tempfile::tempdir().unwrap();
    Command::new(env!("CARGO_BIN_EXE_berth"))
        .args(arguments)
        .current_dir(scratch.path())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn version_help_and_bad_usage() {
    let version = berth(&["version"]);
    assert!(version.status.success());
    assert!(text(&version.stdout).starts_with("berth 0."));
    let help = berth(&["serve", "--help"]);
    for flag in [
        "--data-dir",
        "--http",
        "--ssh",
        "--metrics",
        "--domain",
        "--node-suffix",
        "--idle-after",
        "--plan-egress-allow",
        "--egress-dns",
    ] {
        assert!(text(&help.stdout).contains(flag), "{flag}");
    }
    assert_eq!(berth(&["serve", "--no-such-flag"]).status.code(), Some(2));
    assert_eq!(berth(&[]).status.code(), Some(2));
}

#[test]
fn check_config_reads_what_its_own_host_would_hand_over_and_nobody_elses() {
    let check = |pid: u32, settings: serde_json::Value| {
        let handed = serde_json::json!({"pid": pid, "inside": false, "settings": settings});
        let scratch = tempfile::tempdir().unwrap();
        Command::new(env!("CARGO_BIN_EXE_berth"))
            .arg("check-config")
            .current_dir(scratch.path())
            .env("BERTH_HANDED_OVER", handed.to_string())
            .output()
            .unwrap()
    };
    let ours = std::process::id();
    let good = check(
        ours,
        serde_json::json!({"domain": "handed.example", "node-domain": "n.example"}),
    );
    assert!(good.status.success(), "{good:?}");
    assert!(text(&good.stdout).contains("handed.example"));
    let unknown = serde_json::json!({"htpp": "127.0.0.1:1"});
    let refused = check(ours, unknown.clone());
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(check(ours + 1, unknown).status.success());
}

#[test]
fn check_config_accepts_defaults_and_names_what_is_wrong() {
    let defaults = berth(&["check-config"]);
    assert!(defaults.status.success());
    let told = text(&defaults.stdout);
    assert!(told.contains("written at 256 MiB a second"), "{told}");
    let unbounded = berth(&["check-config", "--plan-disk-rate", "0"]);
    let told = text(&unbounded.stdout);
    assert!(told.contains("written as fast as it likes"), "{told}");
    assert!(told.contains("the public internet\n"), "{told}");
    let private = berth(&[
        "check-config",
        "--plan-egress-allow",
        "10.1.0.0/16,fd00:1::/32",
        "--egress-dns",
        "192.0.2.53,[::1]:5353",
    ]);
    let told = text(&private.stdout);
    for words in [
        "the public internet, 10.1.0.0/16, fd00:1::/32",
        "192.0.2.53:53, [::1]:5353",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let refused = berth(&["check-config", "--plan-egress-allow", "10.1.0.1/16"]);
    assert_eq!(refused.status.code(), Some(2));
    let errors = text(&refused.stderr);
    assert!(errors.contains("write 10.1.0.0/16"), "{errors}");
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("berth.toml");
    std::fs::write(&file, "htpp = \"127.0.0.1:1\"\n").unwrap();
    let refused = berth(&["--config", file.to_str().unwrap(), "check-config"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        text(&refused.stderr).contains("htpp"),
        "{}",
        text(&refused.stderr)
    );
    let shared = berth(&["check-config", "--domain", "berth.example"]);
    assert_eq!(shared.status.code(), Some(2));
    assert!(text(&shared.stderr).contains("--allow-shared-domain"));
}

#[test]
fn a_port_in_use_is_one_clear_sentence() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let scratch = tempfile::tempdir().unwrap();
    let extra = ["--http".to_owned(), address.clone()];
    let failed = process::command(&scratch.path().join("data"), &extra)
        .output()
        .unwrap();
    assert_eq!(failed.status.code(), Some(1));
    assert!(
        text(&failed.stderr).contains(&address),
        "{}",
        text(&failed.stderr)
    );
    assert!(failed.stdout.is_empty(), "no ready line");
}

#[tokio::test]
async fn operator_create_promotes_through_the_data_directory_of_a_running_host() {
    let host = Host::start();
    let alice = host.api().sign_up("alice@example.org").await;
    let data = host.data().to_str().unwrap();
    let done = berth(&[
        "operator",
        "create",
        "alice@example.org",
        "--data-dir",
        data,
    ]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let account = support::json(alice.get("/account").await).await;
    assert_eq!(account["role"], "operator");
}

#[tokio::test]
async fn migrate_works_alone_and_may_be_repeated() {
    let mut host = Host::start();
    let alice = host.api().sign_up("alice@example.org").await;
    assert_eq!(host.terminate(Duration::from_secs(20)).code(), Some(0));
    let data = host.data().to_str().unwrap().to_owned();
    for _ in 0..2 {
        let done = berth(&["migrate", "--data-dir", &data]);
        assert!(done.status.success(), "{}", text(&done.stderr));
    }
    host.start_again();
    let address = host.http();
    let again = support::Api::new(&address);
    let session = again
        .post(
            "/sessions",
            &serde_json::json!({"email": "alice@example.org", "password": "correct horse"}),
        )
        .await;
    assert!(session.status().is_success());
    drop(alice);
}
