//! What actions do to files, cursors and the quota.

use sha2::{Digest, Sha256};

use super::super::*;
use super::bench::{APP, Bench, DRIVE, MAX_BLOB};

const MIB: u64 = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_written_read_copied_moved_and_removed() {
    let bench = Bench::new(MIB).await;
    bench.write("a.txt", b"hello").await;
    assert_eq!(bench.read("a.txt").await, b"hello");
    bench.write("a.txt", b"bye").await;
    assert_eq!(bench.read("a.txt").await, b"bye");
    let to = |name: &str| format!("{DRIVE}/{name}");
    let copy = Action::CopyFile {
        new_path: to("b.txt"),
    };
    bench.app("a.txt", copy, None).await.unwrap();
    let rename = Action::Rename {
        new_path: to("c.txt"),
    };
    bench.app("b.txt", rename, None).await.unwrap();
    assert_eq!(bench.read("c.txt").await, b"bye");
    assert!(matches!(
        bench.app("b.txt", Action::Read, None).await,
        Err(VfsError::NotFound)
    ));
    assert_eq!(
        bench.app("c.txt", Action::Metadata, None).await.unwrap(),
        Outcome::Metadata {
            file_type: FileType::File,
            len: 3
        }
    );
    bench.app("c.txt", Action::SyncAll, None).await.unwrap();
    bench.app("c.txt", Action::RemoveFile, None).await.unwrap();
    let Outcome::Entries(entries) = bench.app("", Action::ReadDir, None).await.unwrap() else {
        panic!("no entries");
    };
    let paths: Vec<_> = entries.iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(paths, ["pkg:me.dev/d/a.txt"]);
    assert_eq!(bench.staged(), 0);
    assert_eq!(bench.quota.used(), bench.weighed());
    assert!(matches!(
        bench.app("a.txt", Action::Write, None).await,
        Err(VfsError::NoBlob)
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_one_cursor_per_path() {
    let bench = Bench::new(MIB).await;
    let app = |action, blob| bench.app("f", action, blob);
    app(Action::OpenFile { create: true }, None).await.unwrap();
    app(Action::WriteAll, Some(b"0123456789")).await.unwrap();
    let at = |outcome: Outcome| match outcome {
        Outcome::Bytes(bytes) => bytes.to_vec(),
        other => panic!("{other:?}"),
    };
    assert_eq!(at(app(Action::ReadToEnd, None).await.unwrap()), b"");
    let seek = |seek| app(Action::Seek(seek), None);
    assert_eq!(seek(Seek::Start(2)).await.unwrap(), Outcome::Offset(2));
    assert_eq!(at(app(Action::ReadExact(3), None).await.unwrap()), b"234");
    // A read of the whole and another opener's view do not move it.
    assert_eq!(bench.read("f").await, b"0123456789");
    app(Action::WriteAll, Some(b"XY")).await.unwrap();
    assert_eq!(seek(Seek::Current(-1)).await.unwrap(), Outcome::Offset(6));
    assert_eq!(
        app(Action::ReadToString, None).await.unwrap(),
        Outcome::Text("Y789".to_owned())
    );
    assert_eq!(seek(Seek::End(-2)).await.unwrap(), Outcome::Offset(8));
    assert!(app(Action::ReadExact(3), None).await.is_err());
    assert_eq!(at(app(Action::ReadExact(2), None).await.unwrap()), b"89");
    assert!(seek(Seek::Current(-11)).await.is_err());
    assert!(seek(Seek::Start(u64::MAX)).await.is_err());
    assert!(seek(Seek::End(i64::MIN)).await.is_err());
    app(Action::Append, Some(b"!")).await.unwrap();
    assert_eq!(bench.read("f").await, b"01234XY789!");

    let hash: [u8; 32] = Sha256::digest(b"01234XY789!").into();
    assert_eq!(app(Action::Hash, None).await.unwrap(), Outcome::Hash(hash));
    assert_eq!(seek(Seek::Current(0)).await.unwrap(), Outcome::Offset(11));
    // Opening again goes to the start; so does closing.
    app(Action::OpenFile { create: false }, None).await.unwrap();
    assert_eq!(seek(Seek::Current(0)).await.unwrap(), Outcome::Offset(0));
    seek(Seek::Start(4)).await.unwrap();
    app(Action::CloseFile, None).await.unwrap();
    assert_eq!(seek(Seek::Current(0)).await.unwrap(), Outcome::Offset(0));
    // Replacing the content is seen by the open file.
    app(Action::Write, Some(b"new")).await.unwrap();
    assert_eq!(at(app(Action::ReadToEnd, None).await.unwrap()), b"new");
    app(Action::CreateFile, None).await.unwrap();
    assert_eq!(app(Action::Len, None).await.unwrap(), Outcome::Len(0));
    assert_eq!(bench.quota.used(), bench.weighed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_file_is_made_only_when_asked() {
    let bench = Bench::new(MIB).await;
    for action in [
        Action::OpenFile { create: false },
        Action::WriteAll,
        Action::Append,
        Action::ReadToEnd,
        Action::Len,
        Action::SetLen(3),
        Action::RemoveFile,
        Action::RemoveDir,
        Action::RemoveDirAll,
        Action::ReadDir,
    ] {
        let name = action.name();
        let done = bench.app("none", action, Some(b"x")).await;
        assert!(matches!(done, Err(VfsError::NotFound)), "{name}: {done:?}");
    }
    bench.write("file", b"x").await;
    for action in [Action::ReadDir, Action::RemoveDirAll, Action::CreateDir] {
        assert!(bench.app("file", action, None).await.is_err());
    }
    bench.app("dir", Action::CreateDir, None).await.unwrap();
    for action in [Action::Read, Action::Write, Action::CreateFile] {
        assert!(bench.app("dir", action, Some(b"x")).await.is_err());
    }
    assert_eq!(bench.quota.used(), bench.weighed());
}

#[tokio::test(flavor = "multi_thread")]
async fn directories_are_made_moved_and_removed_with_what_is_in_them() {
    let bench = Bench::new(MIB).await;
    let empty = bench.quota.used();
    bench
        .ok(&format!("{DRIVE}/x/y/z"), Action::CreateDirAll)
        .await;
    bench
        .ok(&format!("{DRIVE}/x/y/z"), Action::CreateDirAll)
        .await;
    bench.write("x/y/f", &[1; 1000]).await;
    bench.write("x/y/z/g", &[1; 500]).await;
    assert_eq!(bench.quota.used(), bench.weighed());
    assert!(bench.app("x", Action::RemoveDir, None).await.is_err());
    // A file open beneath a directory that moves is found at its new place.
    let open = Action::OpenFile { create: false };
    bench.app("x/y/f", open, None).await.unwrap();
    let new_path = format!("{DRIVE}/w");
    let rename = Action::Rename { new_path };
    bench.app("x/y", rename, None).await.unwrap();
    assert!(bench.app("x/y/f", Action::ReadToEnd, None).await.is_err());
    assert_eq!(bench.read("w/f").await, [1; 1000]);
    let into_itself = Action::Rename {
        new_path: format!("{DRIVE}/w/z/w"),
    };
    assert!(bench.app("w", into_itself, None).await.is_err());
    bench.app("x", Action::RemoveDir, None).await.unwrap();
    bench.app("w", Action::RemoveDirAll, None).await.unwrap();
    assert_eq!(bench.quota.used(), empty);
    assert_eq!(bench.staged(), 0);
    bench.ok(DRIVE, Action::RemoveDirAll).await;
    assert!(bench.app("x", Action::CreateFile, None).await.is_err());
    bench.ok(DRIVE, Action::CreateDrive).await;
    assert_eq!(bench.quota.used(), empty);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_quota_stops_writes_and_reads_go_on() {
    let bench = Bench::new(136_000).await;
    bench.write("f", &[7; 50_000]).await;
    let used = bench.quota.used();
    for action in [
        Action::WriteAll,
        Action::Append,
        Action::SetLen(1 << 40),
        Action::CopyFile {
            new_path: format!("{DRIVE}/g"),
        },
    ] {
        let name = action.name();
        let done = bench.app("f", action, Some(&[1; 90_000])).await;
        assert!(matches!(done, Err(VfsError::Quota(_))), "{name}: {done:?}");
        assert_eq!(bench.quota.used(), used, "{name}");
    }
    let write = bench.app("h", Action::Write, Some(&[1; 60_000])).await;
    let error = write.unwrap_err().to_string();
    assert!(error.contains("quota") && error.contains("left"), "{error}");
    assert_eq!(bench.read("f").await, [7; 50_000]);
    // Empty files count as well.
    let mut made = 0;
    while bench
        .app(&format!("e{made}"), Action::CreateFile, None)
        .await
        .is_ok()
    {
        made += 1;
    }
    assert_eq!(made, 2);
    // Replacing by as much is fine when full, and shrinking makes room.
    bench.write("f", &[8; 50_000]).await;
    bench.app("f", Action::SetLen(10), None).await.unwrap();
    bench.write("h", &[1; 30_000]).await;
    assert_eq!(bench.quota.used(), bench.weighed());
    assert_eq!(bench.staged(), 0);
    assert_eq!(bench.vfs.used_bytes().await.unwrap(), bench.quota.used());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_life_is_counted_and_its_leavings_cleared() {
    let bench = Bench::new(MIB).await;
    bench.write("f", &[1; 5000]).await;
    let used = bench.quota.used();
    let staging = bench.dir.path().join("vfs").join(disk::STAGING);
    std::fs::create_dir_all(staging.join("7/a/b")).unwrap();
    std::fs::write(staging.join("7/a/f"), "half").unwrap();
    std::fs::write(staging.join("0"), "half").unwrap();
    let again = Bench::reopen(bench.dir, MIB);
    assert_eq!(again.vfs.used_bytes().await.unwrap(), used);
    assert_eq!(again.staged(), 0);
    assert_eq!(again.read("f").await, [1; 5000]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_carries_a_bounded_part_of_a_file() {
    let bench = Bench::new(64 * MIB).await;
    bench.write("f", b"x").await;
    bench
        .app("f", Action::SetLen(MAX_BLOB + 1), None)
        .await
        .unwrap();
    let whole = bench.app("f", Action::Read, None).await;
    assert!(matches!(whole, Err(VfsError::TooLarge { .. })), "{whole:?}");
    let huge = bench.app("f", Action::ReadExact(u64::MAX), None).await;
    assert!(huge.is_err());
    let part = bench.app("f", Action::ReadExact(MAX_BLOB), None).await;
    assert!(matches!(part, Ok(Outcome::Bytes(bytes)) if bytes.len() as u64 == MAX_BLOB));
}

#[tokio::test(flavor = "multi_thread")]
async fn drives_of_the_host_are_read_only_and_the_same_for_all() {
    let bench = Bench::new(MIB).await;
    let terminal = "terminal:terminal:sys";
    let act = |path, action| bench.act(terminal, path, action, Some(b"x"));
    let manifest = "/terminal:sys/pkg/manifest.json";
    let read = act(manifest, Action::Read).await.unwrap();
    assert_eq!(read, Outcome::Bytes("[]".into()));
    let listed = act("/terminal:sys/pkg", Action::ReadDir).await.unwrap();
    assert!(matches!(&listed, Outcome::Entries(entries)
        if entries[0].path == "terminal:sys/pkg/manifest.json" && entries.len() == 2));
    act("/terminal:sys/pkg", Action::CreateDrive).await.unwrap();
    act(manifest, Action::OpenFile { create: false })
        .await
        .unwrap();
    act(manifest, Action::ReadToEnd).await.unwrap();
    let new_path = || "/terminal:sys/own".to_owned();
    for action in [
        Action::Write,
        Action::WriteAll,
        Action::Append,
        Action::CreateFile,
        Action::SetLen(0),
        Action::RemoveFile,
        Action::RemoveDirAll,
        Action::CreateDir,
        Action::AddZip,
        Action::Rename {
            new_path: new_path(),
        },
    ] {
        let name = action.name();
        let done = act(manifest, action).await;
        assert!(matches!(done, Err(VfsError::ReadOnly)), "{name}: {done:?}");
    }
    // Another drive of the same package is the node's own.
    let own = new_path();
    act(&own, Action::CreateDrive).await.unwrap();
    let copy = Action::CopyFile {
        new_path: "/terminal:sys/own/m".to_owned(),
    };
    act(manifest, copy).await.unwrap();
    assert_eq!(bench.quota.used(), bench.weighed());
    let root = bench
        .act("kernel:distro:sys", "/", Action::ReadDir, None)
        .await;
    let Outcome::Entries(packages) = root.unwrap() else {
        panic!("no entries");
    };
    let names: Vec<_> = packages.iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(names, ["pkg:me.dev", "terminal:sys"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_cannot_be_moved_out_of_reach_of_paths() {
    let bench = Bench::new(8 * MIB).await;
    let deep = vec!["d"; 40].join("/");
    bench
        .ok(&format!("{DRIVE}/a/{deep}"), Action::CreateDirAll)
        .await;
    bench
        .ok(&format!("{DRIVE}/b/{deep}"), Action::CreateDirAll)
        .await;
    let rename = Action::Rename {
        new_path: format!("{DRIVE}/b/{deep}/a"),
    };
    let error = bench.app("a", rename, None).await.unwrap_err();
    assert!(error.to_string().contains("too deep"), "{error}");
    bench
        .act(APP, DRIVE, Action::RemoveDirAll, None)
        .await
        .unwrap();
    assert_eq!(bench.quota.used(), bench.weighed());
}
