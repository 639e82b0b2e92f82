//! The terminal, single lines and kit's discovery, with OpenSSH's own client.

use std::time::Duration;

use super::support::{Host, Ssh};

async fn alice(host: &Host) -> Ssh {
    let api = host.api().sign_up("alice@example.org").await;
    api.create_node("alice").await;
    Ssh::new(host.ssh_port(), "alice", &api.ssh_password("alice").await)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn an_interactive_session_runs_scripts_keeps_history_and_resizes() {
    let host = Host::start();
    let ssh = alice(&host).await;
    let mut shell = ssh.shell();
    shell.expect("alice.dev > ");

    shell.type_keys("echo hi there\r");
    shell.expect("hi there");
    shell.expect("alice.dev > ");

    shell.type_keys("top\r");
    let listing = shell.expect("running processes");
    for process in [
        "terminal:terminal:sys",
        "main:app-store:sys",
        "vfs:distro:sys",
    ] {
        assert!(listing.contains(process), "{process} is not in {listing}");
    }

    shell.type_keys("m -a 5 our@main:app-store:sys '\"Apis\"'\r");
    shell.expect("ApisResponse");

    // Arrow up twice: `top`, then `echo`; edited before it is sent again.
    shell.type_keys("\x1b[A\x1b[A\x1b[A\x05 again\r");
    shell.expect("hi there again");

    shell.type_keys("nonsense\r");
    shell.expect("not found");
    shell.type_keys("exit\r");
    let (code, _, errors) = shell.finish(Duration::from_secs(10));
    assert_eq!(code, 0, "{errors}");

    // History is the node's: a new session has it.
    let mut again = ssh.shell();
    again.expect("alice.dev > ");
    again.type_keys("\x1b[A\x1b[A\r");
    again.expect("hi there again");
    again.type_keys("\x04");
    assert_eq!(again.finish(Duration::from_secs(10)).0, 0);
}

#[tokio::test]
async fn single_lines_print_and_tell_how_they_ended() {
    let host = Host::start();
    let ssh = alice(&host).await;

    let top = ssh.exec("top");
    assert_eq!(top.status.code(), Some(0), "{}", text(&top.stderr));
    assert!(
        text(&top.stdout).contains("terminal:terminal:sys"),
        "{}",
        text(&top.stdout)
    );

    let echo = ssh.exec("echo hi there");
    assert_eq!(
        (echo.status.code(), text(&echo.stdout).trim()),
        (Some(0), "hi there")
    );

    let unknown = ssh.exec("frobnicate now");
    assert_eq!(unknown.status.code(), Some(1));
    assert!(
        text(&unknown.stdout).contains("frobnicate"),
        "{}",
        text(&unknown.stdout)
    );

    let help = ssh.exec("help");
    for script in ["hi", "m", "top", "cat", "echo", "alias", "kill", "kfetch"] {
        assert!(
            text(&help.stdout).contains(script),
            "{script}: {}",
            text(&help.stdout)
        );
    }
    let fetched = ssh.exec("kfetch");
    assert!(
        text(&fetched.stdout).contains("alice.dev"),
        "{}",
        text(&fetched.stdout)
    );
    let manifest = ssh.exec("cat /terminal:sys/pkg/manifest.json");
    assert!(
        text(&manifest.stdout).contains("process_name"),
        "{}",
        text(&manifest.stdout)
    );
    let asked = ssh.exec("m -a 5 our@main:app-store:sys '\"Apis\"'");
    assert!(
        text(&asked.stdout).contains("ApisResponse"),
        "{}",
        text(&asked.stdout)
    );

    assert_eq!(
        ssh.exec("alias say echo:terminal:sys").status.code(),
        Some(0)
    );
    assert_eq!(text(&ssh.exec("say it").stdout).trim(), "it");
}

/// kit's rule: of all words, with leading `*:` removed, exactly one is a port
/// in 8080..=8999.
#[tokio::test]
async fn kit_finds_exactly_one_port() {
    let host = Host::start();
    let ssh = alice(&host).await;
    let found = ssh.exec("lsof -i -P -n");
    assert_eq!(found.status.code(), Some(0), "{}", text(&found.stderr));
    let ports: Vec<u16> = text(&found.stdout)
        .split_whitespace()
        .filter_map(|word| word.trim_start_matches("*:").parse().ok())
        .filter(|port| (8080..=8999).contains(port))
        .collect();
    assert_eq!(ports, [8080], "{}", text(&found.stdout));
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_rate_limited() {
    let host = Host::start();
    let ssh = alice(&host).await;
    let wrong = Ssh::new(host.ssh_port(), "alice", "not the password");
    let nobody = Ssh::new(host.ssh_port(), "nobody", "not the password");
    assert!(!nobody.exec("top").status.success());
    for _ in 0..12 {
        assert!(!wrong.exec("top").status.success());
    }
    assert!(
        !ssh.exec("echo hi").status.success(),
        "the right password is locked out for a while"
    );
}
