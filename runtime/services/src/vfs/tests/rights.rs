//! Who may do what.

use node_types::Capability;

use super::super::*;
use super::bench::{APP, Bench, DRIVE, OTHER, VFS};

const MIB: u64 = 1 << 20;

fn reads() -> Vec<Action> {
    vec![
        Action::Read,
        Action::ReadExact(0),
        Action::ReadToEnd,
        Action::ReadToString,
        Action::Seek(Seek::Start(0)),
        Action::Hash,
        Action::Metadata,
        Action::Len,
    ]
}

fn writes() -> Vec<Action> {
    vec![
        Action::CreateFile,
        Action::OpenFile { create: false },
        Action::CloseFile,
        Action::Write,
        Action::WriteAll,
        Action::Append,
        Action::SyncAll,
        Action::SetLen(0),
    ]
}

async fn allowed(bench: &Bench, caller: &str, action: Action) -> bool {
    let path = format!("{DRIVE}/f");
    match bench.act(caller, &path, action, Some(b"x")).await {
        Ok(_) => true,
        Err(VfsError::NoReadCap | VfsError::NoWriteCap) => false,
        Err(error) => panic!("{error:?}"),
    }
}

/// What `caller` may do of all reads and all writes; the same within each.
async fn may(bench: &Bench, caller: &str) -> (bool, bool) {
    let mut answers = Vec::new();
    for kind in [reads(), writes()] {
        let mut all = Vec::new();
        for action in kind {
            all.push(allowed(bench, caller, action).await);
        }
        assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "{all:?}");
        answers.push(all[0]);
    }
    (answers[0], answers[1])
}

fn give(bench: &Bench, holder: &str, issuer: &str, params: &str) {
    let capability = Capability::new(issuer.parse().unwrap(), params);
    bench.port.grant(&holder.parse().unwrap(), capability);
}

#[tokio::test(flavor = "multi_thread")]
async fn own_packages_others_capabilities_root_and_kernel() {
    let bench = Bench::new(MIB).await;
    bench.write("f", b"").await;
    let us = format!("me.dev@{VFS}");
    assert_eq!(may(&bench, APP).await, (true, true));
    assert_eq!(may(&bench, "second:pkg:me.dev").await, (true, true));
    assert_eq!(may(&bench, "kernel:distro:sys").await, (true, true));
    // The same package name of another publisher is another package.
    assert_eq!(may(&bench, "app:pkg:you.dev").await, (false, false));
    assert_eq!(may(&bench, OTHER).await, (false, false));

    for (holder, issuer, params, wanted) in [
        (
            "a:a:a",
            us.as_str(),
            r#"{"kind":"read","drive":"/pkg:me.dev/d"}"#,
            (true, false),
        ),
        (
            "b:b:b",
            &us,
            r#"{ "drive": "/pkg:me.dev/d", "kind": "write" }"#,
            (false, true),
        ),
        ("c:c:c", &us, r#"{"root":true}"#, (true, true)),
        (
            "d:d:d",
            &us,
            r#"{"kind":"read","drive":"/pkg:me.dev/e"}"#,
            (false, false),
        ),
        (
            "e:e:e",
            "me.dev@app:pkg:me.dev",
            r#"{"root":true}"#,
            (false, false),
        ),
        (
            "f:f:f",
            "you.dev@vfs:distro:sys",
            r#"{"root":true}"#,
            (false, false),
        ),
        (
            "g:g:g",
            &us,
            r#"{"kind":"read","drive":"/pkg:me.dev"}"#,
            (false, false),
        ),
    ] {
        give(&bench, holder, issuer, params);
        assert_eq!(may(&bench, holder).await, wanted, "{holder} {params}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drive_is_made_by_its_package_or_root_and_rights_come_with_it() {
    let bench = Bench::new(MIB).await;
    let us = format!("me.dev@{VFS}");
    let path = "/other:you.dev/mine";
    let made = bench.act(APP, path, Action::CreateDrive, None).await;
    assert!(matches!(made, Err(VfsError::NoWriteCap)), "{made:?}");
    let write = format!(r#"{{"kind":"write","drive":"{path}"}}"#);
    give(&bench, APP, &us, &write);
    let made = bench.act(APP, path, Action::CreateDrive, None).await;
    assert!(made.is_err(), "a write capability is not enough");
    let installer = "main:app-store:sys";
    give(&bench, installer, &us, r#"{"root":true}"#);
    let made = bench.act(installer, path, Action::CreateDrive, None).await;
    made.unwrap();
    let holder = installer.parse().unwrap();
    for kind in ["read", "write"] {
        let drive = format!(r#"{{"kind":"{kind}","drive":"{path}"}}"#);
        let capability = Capability::new(us.parse().unwrap(), drive);
        assert!(bench.port.holds(&holder, &capability), "{kind}");
    }
    let file = format!("{path}/f");
    let own = bench.act(OTHER, &file, Action::CreateFile, None).await;
    own.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn both_ends_of_a_move_are_checked() {
    let bench = Bench::new(MIB).await;
    bench.write("f", b"x").await;
    let theirs = "/other:you.dev/d";
    let made = bench.act(OTHER, theirs, Action::CreateDrive, None).await;
    made.unwrap();
    let there = || format!("{theirs}/f");
    for action in [
        Action::Rename { new_path: there() },
        Action::CopyFile { new_path: there() },
    ] {
        let done = bench.app("f", action.clone(), None).await;
        assert!(matches!(done, Err(VfsError::NoWriteCap)), "{done:?}");
        let from = format!("{DRIVE}/f");
        let done = bench.act(OTHER, &from, action, None).await;
        assert!(matches!(done, Err(VfsError::NoWriteCap)), "{done:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dots_do_not_borrow_another_packages_rights() {
    let bench = Bench::new(MIB).await;
    bench.write("f", b"x").await;
    let path = "/other:you.dev/d/../../pkg:me.dev/d/f";
    let done = bench.act(OTHER, path, Action::Read, None).await;
    assert!(matches!(done, Err(VfsError::NoReadCap)), "{done:?}");
    let done = bench.act(OTHER, "/", Action::ReadDir, None).await;
    assert!(matches!(done, Err(VfsError::NoReadCap)), "{done:?}");
    let done = bench.act(OTHER, "/", Action::Read, None).await;
    assert!(matches!(done, Err(VfsError::Path(_))), "{done:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_package_name_is_the_same_drive() {
    let bench = Bench::new(MIB).await;
    let us = format!("me.dev@{VFS}");
    let store = "main:app-store:sys";
    for path in ["/app_store:sys/data", "/app-store:sys/data"] {
        let made = bench.act(store, path, Action::CreateDrive, None).await;
        made.unwrap();
    }
    let write = Action::Write;
    let old = "/app_store:sys/data/f";
    bench.act(store, old, write, Some(b"x")).await.unwrap();
    give(
        &bench,
        OTHER,
        &us,
        r#"{"kind":"read","drive":"/app_store:sys/data"}"#,
    );
    let read = bench.act(OTHER, old, Action::Read, None).await;
    assert_eq!(read.unwrap(), Outcome::Bytes("x".into()));
    give(
        &bench,
        "x:y:z",
        &us,
        r#"{"kind":"read","drive":"/app-store:sys/data"}"#,
    );
    let read = bench.act("x:y:z", old, Action::Read, None).await;
    read.unwrap();
}
