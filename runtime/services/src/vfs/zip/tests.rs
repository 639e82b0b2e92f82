use std::io::{Cursor, Write as _};

use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

use super::super::Action;
use super::super::tests::bench::{Bench, DRIVE};
use super::plan::{MAX_ENTRIES, MAX_RATIO};
use super::*;

mod corpus;
pub(crate) mod raw;

const MIB: u64 = 1 << 20;

fn options() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Deflated)
}

/// An archive of files; a name that ends in a slash is a directory.
fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        if name.ends_with('/') {
            writer.add_directory(*name, options()).unwrap();
        } else {
            writer.start_file(*name, options()).unwrap();
            writer.write_all(content).unwrap();
        }
    }
    writer.finish().unwrap().into_inner()
}

async fn add(bench: &Bench, name: &str, bytes: &[u8]) -> Result<Outcome, VfsError> {
    bench.app(name, Action::AddZip, Some(bytes)).await
}

/// Adds an archive that must be refused without a trace; gives the reason.
async fn refused(bench: &Bench, bytes: &[u8]) -> String {
    let before = bench.weighed();
    let error = add(bench, "pkg", bytes).await.unwrap_err().to_string();
    assert_eq!(bench.weighed(), before, "{error}");
    assert_eq!(bench.quota.used(), before, "{error}");
    assert_eq!(bench.staged(), 0, "{error}");
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_without_entries_for_its_directories_is_unpacked() {
    let bench = Bench::new(8 * MIB).await;
    let large = vec![b'x'; 300_000];
    let bytes = archive(&[
        ("manifest.json", b"[]"),
        ("ui/assets/deep/app.js", &large),
        ("ui/", b""),
        ("empty/", b""),
        ("api\\old.wit", b"w"),
    ]);
    add(&bench, "new/pkg", &bytes).await.unwrap();
    assert_eq!(bench.read("new/pkg/manifest.json").await, b"[]");
    assert_eq!(bench.read("new/pkg/ui/assets/deep/app.js").await, large);
    assert_eq!(bench.read("new/pkg/api/old.wit").await, b"w");
    assert!(bench.on_host("new/pkg/empty").is_dir());
    assert_eq!(bench.quota.used(), bench.weighed());
    assert_eq!(bench.staged(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_is_merged_into_what_is_there() {
    let bench = Bench::new(8 * MIB).await;
    bench.write("keep", b"kept").await;
    bench.write("a", &[1; 9000]).await;
    let bytes = archive(&[("a", b"new"), ("sub/b", b"b")]);
    for _ in 0..2 {
        add(&bench, "", &bytes).await.unwrap();
        assert_eq!(bench.read("a").await, b"new");
        assert_eq!(bench.read("keep").await, b"kept");
        assert_eq!(bench.read("sub/b").await, b"b");
        assert_eq!(bench.quota.used(), bench.weighed());
    }
    // A clash changes nothing, not even the files before it.
    let clash = archive(&[("a", b"newer"), ("sub", b"file")]);
    let error = add(&bench, "", &clash).await.unwrap_err();
    assert!(matches!(error, VfsError::Zip(_)), "{error:?}");
    let clash = archive(&[("a", b"newer"), ("keep/x", b"x")]);
    assert!(add(&bench, "", &clash).await.is_err());
    assert!(add(&bench, "keep", &bytes).await.is_err());
    assert_eq!(bench.read("a").await, b"new");
    assert_eq!(bench.quota.used(), bench.weighed());
    assert_eq!(bench.staged(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_lead_out_are_refused() {
    let bench = Bench::new(8 * MIB).await;
    for name in [
        "../evil",
        "a/../../evil",
        "/etc/evil",
        "..\\evil",
        "\\evil",
        "a/..",
        "..",
        "a\0b",
    ] {
        let error = refused(&bench, &archive(&[("fine", b"x"), (name, b"evil")])).await;
        assert!(error.contains("leads out"), "{name:?}: {error}");
    }
    let long = "x".repeat(300);
    refused(&bench, &archive(&[(&long, b"")])).await;
    let deep = "d/".repeat(70) + "f";
    let error = refused(&bench, &archive(&[(&deep, b"")])).await;
    assert!(error.contains("deep"), "{error}");
    assert!(!bench.dir.path().join("vfs/evil").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn links_twins_and_file_directories_are_refused() {
    let bench = Bench::new(8 * MIB).await;
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.add_symlink("link", "/etc", options()).unwrap();
    let bytes = writer.finish().unwrap().into_inner();
    let error = refused(&bench, &bytes).await;
    assert!(error.contains("symbolic link"), "{error}");
    for twins in [
        ["a/b", "a//b"],
        ["a/b", "./a/b"],
        ["a", "a/b"],
        ["a/b", "a"],
    ] {
        let error = refused(&bench, &archive(&[(twins[0], b"1"), (twins[1], b"2")])).await;
        assert!(
            error.contains("twice") || error.contains("and a directory"),
            "{error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bombs_are_refused_before_they_are_unpacked() {
    let bench = Bench::new(512 * MIB).await;
    let zeros = vec![0; 64 << 20];
    let bomb = archive(&[("zeros", &zeros)]);
    assert!((bomb.len() as u64) * MAX_RATIO < zeros.len() as u64);
    let error = refused(&bench, &bomb).await;
    assert!(error.contains("times its size"), "{error}");

    // The quota is asked before the first byte.
    let noise: Vec<u8> = (0..2_000_000_u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    let small = Bench::new(MIB).await;
    let before = small.quota.used();
    let error = add(&small, "pkg", &archive(&[("noise", &noise)])).await;
    assert!(matches!(error, Err(VfsError::Quota(_))), "{error:?}");
    assert_eq!((small.quota.used(), small.staged()), (before, 0));
    assert!(
        matches!(small.app("", Action::ReadDir, None).await, Ok(Outcome::Entries(entries)) if entries.is_empty())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_entries_are_refused() {
    let bench = Bench::new(512 * MIB).await;
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for number in 0..=MAX_ENTRIES {
        writer.start_file(number.to_string(), options()).unwrap();
    }
    let bytes = writer.finish().unwrap().into_inner();
    let error = refused(&bench, &bytes).await;
    assert!(error.contains("entries"), "{error}");
    // So is a mere claim of millions.
    let claims = b"PK\x01\x02".repeat(2 * MAX_ENTRIES + 1);
    assert!(refused(&bench, &claims).await.contains("entries"));
}

/// Where the directory of a plain archive starts.
fn directory(bytes: &[u8]) -> usize {
    let end = bytes.len() - 22;
    u32::from_le_bytes(bytes[end + 16..end + 20].try_into().unwrap()) as usize
}

#[tokio::test(flavor = "multi_thread")]
async fn overlapping_and_lying_entries_are_refused() {
    let bench = Bench::new(64 * MIB).await;
    let noise: Vec<u8> = (0..50_000_u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();

    // Both entries of the directory point at the first file's data.
    let mut overlapping = archive(&[("a", &noise), ("b", &noise)]);
    let start = directory(&overlapping);
    let second = start + 46 + 1;
    assert_eq!(&overlapping[second..second + 4], b"PK\x01\x02");
    overlapping[second + 42..second + 46].copy_from_slice(&0_u32.to_le_bytes());
    let error = refused(&bench, &overlapping).await;
    assert!(error.contains("overlap"), "{error}");

    // Says that it is smaller, or larger, than it is.
    for claimed in [10_u32, 1 << 20] {
        let mut lying = archive(&[("a", &noise)]);
        let start = directory(&lying);
        lying[start + 24..start + 28].copy_from_slice(&claimed.to_le_bytes());
        let error = refused(&bench, &lying).await;
        assert!(
            error.contains("than it says") || error.contains("a:"),
            "{error}"
        );
    }

    // A flipped byte fails the checksum.
    let mut damaged = archive(&[("first", b"fine"), ("a", &noise)]);
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    refused(&bench, &damaged).await;

    let whole = archive(&[("a", &noise)]);
    for cut in [0, 1, whole.len() / 2, whole.len() - 1] {
        refused(&bench, &whole[..cut]).await;
    }
    add(&bench, "pkg", &whole).await.unwrap();
    assert_eq!(bench.read("pkg/a").await, noise);
    assert!(
        bench.on_host("pkg").starts_with(bench.dir.path()),
        "{DRIVE}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn random_damage_never_leaves_anything_half_made() {
    use proptest::strategy::{Strategy, ValueTree};
    let bench = Bench::new(64 * MIB).await;
    let whole = archive(&[("a", &[7; 5000]), ("d/b", b"hello"), ("d/e/", b"")]);
    let damage = proptest::collection::vec((0..whole.len(), proptest::num::u8::ANY), 1..6);
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..500 {
        let mut bytes = whole.clone();
        for (at, byte) in damage.new_tree(&mut runner).unwrap().current() {
            bytes[at] = byte;
        }
        match add(&bench, "pkg", &bytes).await {
            Ok(_) => {
                let remove = bench.app("pkg", Action::RemoveDirAll, None).await;
                remove.unwrap();
            }
            Err(_) => assert!(!bench.on_host("pkg").exists()),
        }
        assert_eq!(bench.quota.used(), bench.weighed());
        assert_eq!(bench.staged(), 0);
    }
}
