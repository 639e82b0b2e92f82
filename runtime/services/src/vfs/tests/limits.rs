//! What a node can use up, and what is promised to outlast a power cut.

use super::super::zip::tests::raw::{self, Entry};
use super::super::*;
use super::bench::{APP, Bench, DRIVE};

const MIB: u64 = 1 << 20;

/// Descriptors of this process that are of the files of `bench`.
fn descriptors(bench: &Bench) -> usize {
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    let targets = open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    targets
        .filter(|target| target.starts_with(bench.dir.path()))
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_open_files_take_few_descriptors() {
    let bench = Bench::new(1 << 40).await;
    // The node's directory, the staging directory and a drive of the host.
    let most = handles::MAX_OPEN + 3;
    for number in 0..10_000 {
        let open = Action::OpenFile { create: true };
        let name = format!("f{number}");
        bench.app(&name, open, None).await.unwrap();
        if number % 500 == 0 {
            let open = descriptors(&bench);
            assert!(open <= most, "{open} after {number} files");
        }
    }
    let open = descriptors(&bench);
    assert!((4..=most).contains(&open), "{open}");
    // They are open all the same.
    for name in ["f0", "f5000", "f9999"] {
        let write = bench.app(name, Action::WriteAll, Some(b"x")).await;
        write.unwrap();
        assert_eq!(bench.read(name).await, b"x");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_bound_the_number_of_files_and_directories() {
    let share = (MIB / (16 << 10)) as usize;
    for action in [
        Action::CreateFile,
        Action::Write,
        Action::OpenFile { create: true },
        Action::CreateDir,
        Action::CreateDirAll,
    ] {
        let bench = Bench::new(MIB).await;
        let mut made = 0;
        let error = loop {
            let name = format!("{made}");
            match bench.app(&name, action.clone(), Some(b"")).await {
                Ok(_) => made += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, VfsError::Quota(_)), "{error:?}");
        // Beside the directories of package and drive.
        assert_eq!(made, share - 2, "{action:?}");
    }
    let bench = Bench::new(MIB).await;
    let many: Vec<_> = (0..share)
        .map(|number| Entry::empty(number.to_string()))
        .collect();
    let zip = raw::archive(&many);
    let added = bench.app("zip", Action::AddZip, Some(&zip)).await;
    assert!(matches!(added, Err(VfsError::Quota(_))), "{added:?}");
    assert_eq!(bench.quota.used(), bench.weighed());
    assert_eq!(bench.staged(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn holes_count_like_bytes() {
    let bench = Bench::new(MIB).await;
    bench.write("f", b"x").await;
    let used = bench.quota.used();
    let far = Action::Seek(Seek::Start(1 << 40));
    for action in [Action::SetLen(1 << 40), Action::SetLen(u64::MAX)] {
        let done = bench.app("f", action, None).await;
        assert!(matches!(done, Err(VfsError::Quota(_))), "{done:?}");
    }
    bench.app("f", far, None).await.unwrap();
    let done = bench.app("f", Action::WriteAll, Some(b"y")).await;
    assert!(matches!(done, Err(VfsError::Quota(_))), "{done:?}");
    assert_eq!(bench.quota.used(), used);
    let near = Action::Seek(Seek::Start(100_001));
    bench.app("f", near, None).await.unwrap();
    let done = bench.app("f", Action::WriteAll, Some(b"y")).await;
    done.unwrap();
    assert_eq!(bench.quota.used(), used + 100_001);
    assert_eq!(bench.quota.used(), bench.weighed());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_file_is_what_its_path_leads_to() {
    let bench = Bench::new(8 * MIB).await;
    let to = |name: &str| Action::Rename {
        new_path: format!("{DRIVE}/{name}"),
    };
    let end = async |name: &str| match bench.app(name, Action::ReadToEnd, None).await {
        Ok(Outcome::Bytes(bytes)) => bytes.to_vec(),
        other => panic!("{name}: {other:?}"),
    };
    let open = || Action::OpenFile { create: true };
    let missing = async |name: &str| {
        for action in [Action::Append, Action::WriteAll, Action::ReadToEnd] {
            let done = bench.app(name, action, Some(b"lost")).await;
            assert!(matches!(done, Err(VfsError::NotFound)), "{name}: {done:?}");
        }
    };
    // Another file takes its place.
    bench.write("f", b"old").await;
    bench.app("f", open(), None).await.unwrap();
    bench.write("g", b"moved here").await;
    bench.app("g", to("f"), None).await.unwrap();
    assert_eq!(end("f").await, b"moved here");
    bench.write("f", b"longer: written").await;
    assert_eq!(end("f").await, b"itten");
    let zip = raw::archive(&[Entry::stored("f", b"unpacked")]);
    bench.app("", Action::AddZip, Some(&zip)).await.unwrap();
    assert_eq!(end("f").await, b"unpacked");
    // It goes.
    bench.app("f", Action::RemoveFile, None).await.unwrap();
    missing("f").await;
    assert_eq!(bench.quota.used(), bench.weighed());
    // What it is in goes, and comes back with another.
    bench.app("d", Action::CreateDir, None).await.unwrap();
    bench.app("d/f", open(), None).await.unwrap();
    bench.app("d", Action::RemoveDirAll, None).await.unwrap();
    missing("d/f").await;
    bench.app("d", Action::CreateDir, None).await.unwrap();
    bench.write("d/f", b"new").await;
    bench.app("d/f", Action::Append, Some(b"er")).await.unwrap();
    assert_eq!(bench.read("d/f").await, b"newer");
    assert_eq!(bench.quota.used(), bench.weighed());
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_are_paced_by_what_they_put_on_the_disk() {
    let bench = Bench::new(64 * MIB).await;
    let before = bench.quota.written();
    let written = || bench.quota.written() - before;
    bench.write("f", &[1; 5000]).await;
    assert_eq!(written(), 5000);
    let copy = Action::CopyFile {
        new_path: format!("{DRIVE}/g"),
    };
    bench.app("f", copy, None).await.unwrap();
    assert_eq!(written(), 10_000);
    let zip = raw::archive(&[Entry::zeros("z", 500_000), Entry::stored("s", b"s")]);
    assert!(zip.len() < 10_000);
    bench.app("zip", Action::AddZip, Some(&zip)).await.unwrap();
    assert_eq!(written(), 510_001);
    // What is refused was not written; a small change and a sync are a block.
    let refused = bench.app("absent", Action::Append, Some(b"lost")).await;
    assert!(refused.is_err());
    assert_eq!(written(), 510_001);
    bench.write("f", b"small").await;
    bench.app("f", Action::SyncAll, None).await.unwrap();
    assert_eq!(written(), 510_001 + 2 * 4096);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drive_is_made_without_what_the_path_names_in_it() {
    let bench = Bench::new(MIB).await;
    let deep = "/pkg:me.dev/new/a/b";
    bench.ok(deep, Action::CreateDrive).await;
    let listed = bench
        .act(APP, "/pkg:me.dev/new", Action::ReadDir, None)
        .await;
    assert_eq!(listed.unwrap(), Outcome::Entries(Vec::new()));
}

/// Directories above `relative` that a sync would not pass over.
fn unsynced(bench: &Bench, relative: &str) -> Vec<String> {
    let mut found = Vec::new();
    let above = synced::above(relative);
    let done = bench.vfs.disk.synced.ensure(above, |dir| {
        found.push(dir.to_owned());
        // Looks only.
        Err(io::Error::other("not synced"))
    });
    assert_eq!(done.is_err(), !found.is_empty());
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_reaches_every_directory_that_changed_since_the_last() {
    let bench = Bench::new(64 * MIB).await;
    let file = "pkg:me.dev/d/x/y/f";
    let dirs = format!("{DRIVE}/x/y");
    bench.ok(&dirs, Action::CreateDirAll).await;
    bench.write("x/y/f", b"1").await;
    let zip = raw::archive(&[Entry::stored("n", b"n")]);
    let to = |name: &str| format!("{DRIVE}/{name}");
    let moved = Action::Rename {
        new_path: to("x/y/moved"),
    };
    let dir_moved = Action::Rename {
        new_path: to("x/dir"),
    };
    let copied = Action::CopyFile {
        new_path: to("x/copy"),
    };
    for (name, action, wanted) in [
        ("x/y/f", Action::Write, "pkg:me.dev/d/x/y"),
        ("x/y/f", Action::WriteAll, ""),
        ("x/y/f", Action::Append, ""),
        ("x/g", Action::CreateFile, "pkg:me.dev/d/x"),
        ("x/h", Action::OpenFile { create: true }, "pkg:me.dev/d/x"),
        ("x/y/f", copied, "pkg:me.dev/d/x"),
        ("m", Action::Write, "pkg:me.dev/d"),
        ("m", moved, "pkg:me.dev/d/x/y"),
        ("n", Action::CreateDir, "pkg:me.dev/d"),
        ("n", dir_moved, "pkg:me.dev/d/x/y"),
        ("x/p/q", Action::CreateDirAll, "pkg:me.dev/d/x"),
        ("x/y/zip", Action::AddZip, "pkg:me.dev/d/x/y"),
        ("x/y", Action::AddZip, "pkg:me.dev/d/x/y"),
        ("../e", Action::CreateDrive, "pkg:me.dev"),
    ] {
        bench.app("x/y/f", Action::SyncAll, None).await.unwrap();
        assert!(unsynced(&bench, file).is_empty(), "after the sync");
        let text = format!("{action:?} {name}");
        bench.app(name, action, Some(&zip)).await.unwrap();
        let first = unsynced(&bench, file).pop().unwrap_or_default();
        assert_eq!(first, wanted, "{text}");
    }
    // Nothing of an earlier life is known.
    let again = Bench::reopen(bench.dir, 64 * MIB);
    assert_eq!(unsynced(&again, file), ["pkg:me.dev/d/x/y"]);
}
