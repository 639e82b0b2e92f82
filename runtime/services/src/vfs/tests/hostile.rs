//! Ways out of the node's directory that must not work.

use std::os::unix::fs::symlink;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use super::super::*;
use super::bench::{Bench, DRIVE};

const MIB: u64 = 1 << 20;

/// Every action, with paths of `new_path` for those that have two.
fn actions(new_path: &str) -> Vec<Action> {
    let new_path = || new_path.to_owned();
    vec![
        Action::CreateDir,
        Action::CreateDirAll,
        Action::CreateFile,
        Action::OpenFile { create: true },
        Action::Write,
        Action::WriteAll,
        Action::Append,
        Action::SyncAll,
        Action::Read,
        Action::ReadDir,
        Action::ReadToEnd,
        Action::ReadExact(1),
        Action::ReadToString,
        Action::Seek(Seek::Start(0)),
        Action::RemoveDir,
        Action::Rename {
            new_path: new_path(),
        },
        Action::CopyFile {
            new_path: new_path(),
        },
        Action::Len,
        Action::SetLen(1),
        Action::Hash,
        Action::AddZip,
        Action::RemoveDirAll,
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planted_link_is_never_followed() {
    let bench = Bench::new(MIB).await;
    let outside = bench.dir.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("secret"), "secret").unwrap();
    bench.write("inside", b"inside").await;
    symlink(&outside, bench.on_host("abs")).unwrap();
    symlink("../../../outside", bench.on_host("rel")).unwrap();
    symlink(outside.join("secret"), bench.on_host("file")).unwrap();
    symlink("inside", bench.on_host("near")).unwrap();
    for name in [
        "abs/secret",
        "rel/secret",
        "file",
        "near",
        "abs/new",
        "rel/new",
    ] {
        for action in actions(&format!("{DRIVE}/elsewhere")) {
            if name == "near" && action == Action::RemoveDirAll {
                continue;
            }
            let moved = matches!(action, Action::Rename { .. } | Action::Write);
            if moved && !name.contains('/') {
                // Moves or replaces the link itself, which is harmless.
                continue;
            }
            let text = action.name();
            let done = bench.app(name, action, Some(b"evil")).await;
            assert!(done.is_err(), "{text} {name}: {done:?}");
        }
    }
    let into = Action::CopyFile {
        new_path: format!("{DRIVE}/rel/copy"),
    };
    assert!(bench.app("inside", into, None).await.is_err());
    let kept: Vec<_> = std::fs::read_dir(&outside).unwrap().collect();
    assert_eq!(kept.len(), 1);
    let secret = std::fs::read_to_string(outside.join("secret")).unwrap();
    assert_eq!(secret, "secret");
    let metadata = bench.app("abs", Action::Metadata, None).await.unwrap();
    assert!(matches!(
        metadata,
        Outcome::Metadata {
            file_type: FileType::Symlink,
            ..
        }
    ));
    // Removing a tree with links in it removes the links.
    bench.app("", Action::RemoveDirAll, None).await.unwrap();
    assert!(outside.join("secret").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planted_pipe_does_not_hang_the_module() {
    let bench = Bench::new(MIB).await;
    let made = std::process::Command::new("mkfifo")
        .arg(bench.on_host("pipe"))
        .status()
        .unwrap();
    assert!(made.success());
    for action in [
        Action::Read,
        Action::OpenFile { create: true },
        Action::Hash,
    ] {
        let done = bench.app("pipe", action, None);
        let done = tokio::time::timeout(std::time::Duration::from_secs(10), done);
        assert!(done.await.unwrap().is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_path_touches_anything_outside() {
    let bench = Bench::new(64 * MIB).await;
    let witness = bench.dir.path().join("witness");
    std::fs::write(&witness, "untouched").unwrap();
    let path = r"/?pkg:me\.dev(/|//|/\./|/\.\./)(d|\.\.|witness|vfs|\x00|terminal|é|\.staging){0,1}(/(\.\.|\.|d|witness|vfs|\\\.\.|%2e%2e|.)){0,6}/?";
    let path = proptest::string::string_regex(path).unwrap();
    let mut runner = TestRunner::deterministic();
    for _ in 0..400 {
        let from = path.new_tree(&mut runner).unwrap().current();
        let to = path.new_tree(&mut runner).unwrap().current();
        for action in actions(&to) {
            // The kernel may touch every drive: only the jail is left.
            let _ = bench
                .act("kernel:distro:sys", &from, action, Some(b"evil"))
                .await;
        }
    }
    let mut outside: Vec<_> = std::fs::read_dir(bench.dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    outside.sort_unstable();
    assert_eq!(outside, ["terminal", "vfs", "witness"]);
    assert_eq!(std::fs::read_to_string(witness).unwrap(), "untouched");
    assert_eq!(bench.quota.used(), bench.weighed());
    assert_eq!(bench.staged(), 0);
}
