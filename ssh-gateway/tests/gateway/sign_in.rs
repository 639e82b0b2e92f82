//! Who gets in.

use std::time::Duration;

use tokio::time::Instant;

use crate::client::ran;
use crate::host::Host;

#[tokio::test(flavor = "multi_thread")]
async fn the_password_opens_by_both_methods_and_after_keys() {
    let host = Host::start().await;
    let password = host.node("alice").await;
    for method in ["password", "keyboard-interactive"] {
        let preferred = format!("PreferredAuthentications={method}");
        let answer = ran(host
            .ssh(&password)
            .args(["-o", &preferred, "alice@127.0.0.1", "top"]))
        .await;
        assert_eq!(answer.status, Some(0), "{method}: {answer:?}");
    }
    let key = host.directory().join("id");
    let made = tokio::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key)
        .status()
        .await
        .unwrap();
    assert!(made.success());
    let answer = ran(host.ssh(&password).arg("-i").arg(&key).args([
        "-o",
        "PreferredAuthentications=publickey,password",
        "alice@127.0.0.1",
        "top",
    ]))
    .await;
    assert_eq!(answer.status, Some(0), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_and_an_unknown_node_look_the_same_and_are_slow() {
    let host = Host::start().await;
    let password = host.node("alice").await;
    let mut answers = Vec::new();
    for (user, password) in [
        ("alice", "wrong"),
        ("nobody", password.as_str()),
        ("NOT-a-label!", "wrong"),
        ("alice", ""),
    ] {
        let began = Instant::now();
        let target = format!("{user}@127.0.0.1");
        let answer = ran(host.ssh(password).args([
            "-o",
            "NumberOfPasswordPrompts=1",
            "-o",
            "PreferredAuthentications=password",
            &target,
            "top",
        ]))
        .await;
        assert_eq!((answer.status, answer.stdout.as_str()), (Some(255), ""));
        assert!(began.elapsed() >= Duration::from_millis(50));
        let last = answer.stderr.lines().last().unwrap_or_default();
        answers.push(last.replace(user, "USER"));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert!(answers[0].contains("Permission denied"), "{answers:?}");
    let right = host.exec("alice", &password, "top").await;
    assert_eq!(right.status, Some(0), "{right:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_ends_with_the_connection_and_then_with_a_lock() {
    let host = Host::start().await;
    let password = host.node("carol").await;
    let guess = || async {
        let mut command = host.ssh("wrong");
        command.args(["-o", "NumberOfPasswordPrompts=9", "carol@127.0.0.1", "top"]);
        ran(&mut command).await
    };
    let first = guess().await;
    assert_eq!(first.status, Some(255));
    assert!(first.stderr.contains("too many attempts"), "{first:?}");
    assert_eq!(crate::audit_log::about("carol", "wrong").len(), 6);
    let second = guess().await;
    assert!(second.stderr.contains("try again in"), "{second:?}");
    assert_eq!(crate::audit_log::about("carol", "wrong").len(), 10);
    // Locked out means that even the right password does not help.
    let right = host.exec("carol", &password, "top").await;
    assert_eq!(right.status, Some(255), "{right:?}");
    // Nobody else is.
    let other = host.node("dave").await;
    assert_eq!(host.exec("dave", &other, "top").await.status, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_nodes_password_does_not_open_another() {
    let host = Host::start().await;
    let alice = host.node("alice").await;
    let bob = host.node("bob").await;
    assert_eq!(host.exec("bob", &alice, "top").await.status, Some(255));
    let own = host.exec("bob", &bob, "top").await;
    assert_eq!(own.stdout, "bob.dev: top\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_current_algorithms_are_spoken() {
    let host = Host::start().await;
    let password = host.node("alice").await;
    let with = |options: &'static [&'static str]| {
        let mut command = host.ssh(&password);
        command.args(options).args(["alice@127.0.0.1", "top"]);
        async move { ran(&mut command).await }
    };
    for fine in [
        &["-o", "Compression=yes"][..],
        &["-c", "aes256-gcm@openssh.com"],
        &["-c", "chacha20-poly1305@openssh.com"],
        &["-c", "aes256-ctr", "-m", "hmac-sha2-256-etm@openssh.com"],
        &["-o", "KexAlgorithms=curve25519-sha256"],
    ] {
        let answer = with(fine).await;
        assert_eq!(answer.status, Some(0), "{fine:?}: {answer:?}");
    }
    for old in [
        &["-c", "aes128-cbc"][..],
        &["-c", "aes256-ctr", "-m", "hmac-sha1"],
        &["-o", "KexAlgorithms=diffie-hellman-group14-sha1"],
        &["-o", "HostKeyAlgorithms=ssh-rsa"],
    ] {
        let answer = with(old).await;
        assert_eq!(answer.status, Some(255), "{old:?}: {answer:?}");
        assert!(answer.stderr.contains("no matching"), "{old:?}: {answer:?}");
    }
    let said = with(&["-v", "-o", "Compression=yes"]).await.stderr;
    assert!(said.contains("compression: none"), "{said}");
    assert!(said.contains(&host.fingerprint), "{said}");
}
