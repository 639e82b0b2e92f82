//! Archives made to do harm, by kind of harm.

use std::collections::BTreeMap;
use std::path::Path;

use super::raw::{self, Entry};
use super::*;

/// Every file beneath `dir` by its path there; directories end in a slash.
fn tree(dir: &Path) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let entry = entry.unwrap();
            let metadata = std::fs::symlink_metadata(entry.path()).unwrap();
            let path = entry.path();
            let path = path.strip_prefix(dir).unwrap();
            let mut path = path.to_str().unwrap().to_owned();
            if metadata.is_dir() {
                dirs.push(entry.path());
                path.push('/');
                found.insert(path, 0);
            } else {
                found.insert(path, metadata.len());
            }
        }
    }
    found
}

/// Adds an archive that must be refused without a trace in the whole
/// directory of the test; `why` is part of the reason.
async fn refused_for(bench: &Bench, bytes: &[u8], why: &str) {
    let before = tree(bench.dir.path());
    let error = refused(bench, bytes).await;
    assert!(error.contains(why), "{why}: {error}");
    assert_eq!(tree(bench.dir.path()), before, "{error}");
}

/// Adds an archive that is fine, to a directory that is not there; what is in
/// it then. Nothing else may change.
async fn unpacked(bench: &Bench, bytes: &[u8]) -> BTreeMap<String, u64> {
    let before = tree(bench.dir.path());
    add(bench, "pkg", bytes).await.unwrap();
    let inside = tree(&bench.on_host("pkg"));
    assert_eq!(bench.quota.used(), bench.weighed());
    let all = Action::RemoveDirAll;
    bench.app("pkg", all, None).await.unwrap();
    assert_eq!(tree(bench.dir.path()), before);
    inside
}

#[tokio::test(flavor = "multi_thread")]
async fn every_spelling_of_a_way_out_is_refused() {
    let bench = Bench::new(8 * MIB).await;
    for name in [
        "..",
        "../",
        "../evil",
        "./../evil",
        "a/../evil",
        "a/../../evil",
        "a/b/../../../evil",
        "a//../..//evil",
        "../../../../../../../../../../etc/evil",
        "/evil",
        "//evil",
        "/./evil",
        "..\\evil",
        "a\\..\\evil",
        "a\\..\\..\\evil",
        "a/..\\evil",
        "..\\/evil",
        "\\evil",
        "\\\\host\\share\\evil",
        "..\\",
        "evil\0.txt",
        "../evil\0.txt",
        "\0",
        "",
    ] {
        for flags in [raw::UTF8, 0] {
            let mut evil = Entry::stored(name, b"evil");
            evil.flags = flags;
            let bytes = raw::archive(&[Entry::stored("fine", b"x"), evil]);
            refused_for(&bench, &bytes, "leads out").await;
        }
    }
    // A second name for the same entry, which readers that know it prefer.
    let mut renamed = Entry::stored("fine", b"evil");
    let second = b"../evil";
    renamed.extra = [&0x7075_u16.to_le_bytes()[..], &[5 + 7, 0, 1]].concat();
    renamed.extra.extend(raw::crc32(b"fine").to_le_bytes());
    renamed.extra.extend(second);
    refused_for(&bench, &raw::archive(&[renamed]), "leads out").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_only_look_like_a_way_out_stay_inside() {
    let bench = Bench::new(8 * MIB).await;
    for (name, path) in [
        ("%2e%2e/evil", "%2e%2e/evil"),
        ("..%2fevil", "..%2fevil"),
        (".../evil", ".../evil"),
        ("....//evil", "..../evil"),
        (".. /evil", ".. /evil"),
        ("..;/evil", "..;/evil"),
        ("\u{ff0e}\u{ff0e}/evil", "\u{ff0e}\u{ff0e}/evil"),
        (
            "\u{2024}\u{2024}\u{2215}evil",
            "\u{2024}\u{2024}\u{2215}evil",
        ),
        ("C:\\evil", "C:/evil"),
        ("C:evil", "C:evil"),
        ("~/evil", "~/evil"),
        ("$HOME/evil", "$HOME/evil"),
        ("./a/./evil", "a/evil"),
        ("CON", "CON"),
        ("aux.txt", "aux.txt"),
        ("nul:", "nul:"),
        (".staging/0", ".staging/0"),
        ("e\u{301}vil", "e\u{301}vil"),
    ] {
        let bytes = raw::archive(&[Entry::stored(name, b"evil")]);
        let inside = unpacked(&bench, &bytes).await;
        assert_eq!(inside.get(path), Some(&4), "{name:?}: {inside:?}");
    }
    // Dots and a slash in more bytes than they need are no dots.
    let long = b"\xc0\xae\xc0\xae\xc0\xafevil";
    let inside = unpacked(&bench, &raw::archive(&[Entry::stored(long, b"evil")])).await;
    assert_eq!(inside.len(), 1, "{inside:?}");
    // The directory's name counts, not the entry's own.
    let mut two = Entry::stored("fine", b"x");
    two.local_name = Some(b"../evil".to_vec());
    let inside = unpacked(&bench, &raw::archive(&[two])).await;
    assert_eq!(inside, BTreeMap::from([("fine".to_owned(), 1)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_plain_files_and_directories_are_made() {
    let bench = Bench::new(8 * MIB).await;
    for (mode, name, why) in [
        (0o120_777, "link", "link or a device"),
        (0o120_777, "link/", "link or a device"),
        (0o060_600, "disk", "link or a device"),
        (0o020_600, "tty", "link or a device"),
        (0o010_600, "pipe", "link or a device"),
        (0o140_600, "socket", "link or a device"),
        (0o100_600, "file/", "or the reverse"),
        (0o040_700, "dir", "or the reverse"),
    ] {
        let mut entry = Entry::stored(name, b"/etc/passwd");
        entry.mode = mode;
        refused_for(&bench, &raw::archive(&[entry]), why).await;
    }
    // Bits for another's rights are not taken over.
    let mut entry = Entry::stored("tool", b"x");
    entry.mode = 0o104_777;
    add(&bench, "pkg", &raw::archive(&[entry])).await.unwrap();
    let metadata = std::fs::metadata(bench.on_host("pkg/tool")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions());
    assert_eq!(mode & 0o7777, 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_name_twice_is_refused() {
    let bench = Bench::new(8 * MIB).await;
    for names in [
        ["a", "a"],
        ["a", "./a"],
        ["d/a", "d\\a"],
        ["d/a", "d//a"],
        ["\u{fffd}", "\u{fffd}"],
    ] {
        let twins = names.map(|name| Entry::stored(name, name.as_bytes()));
        refused_for(&bench, &raw::archive(&twins), "twice").await;
    }
    // Two names that are not text are shown as one.
    let twins = [b"\xff", b"\xfe"].map(|name| Entry::stored(name, b"x"));
    refused_for(&bench, &raw::archive(&twins), "twice").await;
    // A directory of which only the first entry is spoken of.
    let entries = [Entry::stored("a", b"a"), Entry::stored("b", b"b")];
    let mut hidden = raw::archive(&entries);
    let count = hidden.len() - 22 + 8;
    hidden[count..count + 4].copy_from_slice(&[1, 0, 1, 0]);
    refused_for(&bench, &hidden, "longer than it says").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_directories_may_come_in_any_order_but_not_in_one_place() {
    let bench = Bench::new(8 * MIB).await;
    let late = raw::archive(&[
        Entry::stored("d/e/f", b"xyz"),
        Entry::empty("d/e/"),
        Entry::empty("d/"),
    ]);
    assert_eq!(
        unpacked(&bench, &late).await,
        BTreeMap::from([
            ("d/".to_owned(), 0),
            ("d/e/".to_owned(), 0),
            ("d/e/f".to_owned(), 3),
        ])
    );
    let itself = raw::archive(&[Entry::empty("./"), Entry::stored("f", b"x")]);
    assert_eq!(unpacked(&bench, &itself).await.len(), 1);
    assert!(unpacked(&bench, &raw::archive(&[])).await.is_empty());
    for names in [["a", "a/"], ["a/b", "a"], ["a", "a/b/c"], ["a/b/", "a"]] {
        let both = raw::archive(&names.map(Entry::empty));
        refused_for(&bench, &both, "a file and a directory").await;
    }
    bench.write("file", b"x").await;
    for place in ["file", "file/pkg"] {
        let bytes = raw::archive(&[Entry::stored("f", b"x")]);
        let before = tree(bench.dir.path());
        assert!(add(&bench, place, &bytes).await.is_err(), "{place}");
        assert_eq!(tree(bench.dir.path()), before);
        assert_eq!(bench.quota.used(), bench.weighed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_share_bytes_are_refused() {
    let bench = Bench::new(512 * MIB).await;
    let quoted = raw::overlapping(200, 10 << 20);
    assert!(quoted.len() < 100_000);
    refused_for(&bench, &quoted, "overlap").await;
    let by_extra = raw::overlapping_by_extra_fields(200, 10 << 20);
    refused_for(&bench, &by_extra, "overlap").await;
    let mut same = [Entry::stored("a", &[7; 500]), Entry::stored("b", b"")];
    same[1].offset = Some(0);
    refused_for(&bench, &raw::archive(&same), "overlap").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bombs_are_measured_by_what_they_say() {
    let bench = Bench::new(1 << 40).await;
    let mib = 10 << 20;
    let many: Vec<_> = (0..40)
        .map(|number| Entry {
            name: format!("{number}").into_bytes(),
            ..Entry::zeros("", mib)
        })
        .collect();
    refused_for(&bench, &raw::archive(&many), "times its size").await;
    for claim in [u32::MAX, 1 << 30] {
        let mut claims = Entry::stored("a", b"x");
        claims.size = claim;
        refused_for(&bench, &raw::archive(&[claims]), "times its size").await;
    }
    // Says less than it is, so that the sum looks harmless.
    let mut lies = Entry::zeros("a", mib);
    lies.size = 1000;
    refused_for(&bench, &raw::archive(&[lies]), "a: ").await;
    // Archives in archives are files like others.
    let bomb = raw::archive(&[Entry::zeros("zeros", mib)]);
    let nest: Vec<_> = (0..16)
        .map(|number| Entry::stored(format!("lib {number}.zip"), &bomb))
        .collect();
    let inside = unpacked(&bench, &raw::archive(&nest)).await;
    assert_eq!(inside.len(), 16);
    assert!(inside.values().all(|len| *len == bomb.len() as u64));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_work_for_names_is_bounded() {
    let bench = Bench::new(1 << 40).await;
    let many: Vec<_> = (0..=MAX_ENTRIES)
        .map(|number| Entry::empty(number.to_string()))
        .collect();
    refused_for(&bench, &raw::archive(&many), "entries").await;
    let most = raw::archive(&many[1..]);
    assert_eq!(unpacked(&bench, &most).await.len(), MAX_ENTRIES);
    // Few entries, each in many directories of its own.
    let deep: Vec<_> = (0..500)
        .map(|number| Entry::empty(format!("{number}/{}f", "d/".repeat(50))))
        .collect();
    refused_for(&bench, &raw::archive(&deep), "too many directories").await;
    // Fewer of them, with longer names.
    let long: Vec<_> = (0..300)
        .map(|number| Entry::empty(format!("{number}/{}f", "dir dir dir dir/".repeat(50))))
        .collect();
    refused_for(&bench, &raw::archive(&long), "too many directories").await;
    // Much beside the names.
    let talkative: Vec<_> = (0..100)
        .map(|number| {
            let mut entry = Entry::empty(number.to_string());
            entry.extra = [&[0xfe, 0xca, 0xfb, 0xff][..], &[0; 0xfffb]].concat();
            entry
        })
        .collect();
    refused_for(&bench, &raw::archive(&talkative), "names and comments").await;
    // Many directories, each right but for its last entry.
    let ends = raw::many_ends(5_000, 20_000);
    refused_for(&bench, &ends, "too many ends").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_refused() {
    let bench = Bench::new(8 * MIB).await;
    let fine = || Entry::stored("a", &[7; 3000]);
    let mut encrypted = fine();
    encrypted.flags |= raw::ENCRYPTED;
    refused_for(&bench, &raw::archive(&[encrypted]), "is encrypted").await;
    for method in [1, 2, 6, 9, 12, 14, 19, 93, 95, 96, 97, 98, 99, u16::MAX] {
        let mut entry = fine();
        entry.method = method;
        let first = Entry::stored("first", b"fine");
        let error = refused(&bench, &raw::archive(&[first, entry])).await;
        assert!(!error.is_empty(), "{method}");
    }
    for wrong in [0, 1, u32::MAX] {
        let mut entry = fine();
        entry.crc = wrong;
        refused_for(&bench, &raw::archive(&[entry]), "a: ").await;
    }
    for (packed, size) in [(2999, 3000), (3000, 2999), (3000, 3001), (100_000, 3000)] {
        let mut entry = fine();
        (entry.packed_size, entry.size) = (packed, size);
        refused_for(&bench, &raw::archive(&[entry]), "").await;
    }
    for offset in [1, 30, u32::MAX] {
        let mut entry = fine();
        entry.offset = Some(offset);
        refused_for(&bench, &raw::archive(&[entry]), "").await;
    }
    let whole = raw::archive(&[fine(), Entry::zeros("b", 5000)]);
    for cut in (0..whole.len()).step_by(37) {
        refused_for(&bench, &whole[..cut], "").await;
    }
    let inside = unpacked(&bench, &whole).await;
    assert_eq!(inside.values().copied().collect::<Vec<_>>(), [3000, 5000]);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_archives_numbers_are_read_and_not_believed() {
    let bench = Bench::new(8 * MIB).await;
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let large = options().large_file(true);
    writer.start_file("a", large).unwrap();
    writer.write_all(&[7; 3000]).unwrap();
    let bytes = writer.finish().unwrap().into_inner();
    let inside = unpacked(&bench, &bytes).await;
    assert_eq!(inside, BTreeMap::from([("a".to_owned(), 3000)]));
    // Sizes, and where its header is, in 64 bits.
    for numbers in [
        [1 << 60, 3000, 0],
        [3000, 1 << 60, 0],
        [3000, 3000, 1 << 60],
        [u64::MAX, u64::MAX, u64::MAX],
        [u64::MAX - 1, 3000, u64::MAX - 29],
    ] {
        let mut entry = Entry::stored("a", &[7; 3000]);
        (entry.size, entry.packed_size) = (u32::MAX, u32::MAX);
        entry.offset = Some(u32::MAX);
        entry.extra = vec![1, 0, 24, 0];
        for number in numbers {
            entry.extra.extend(u64::to_le_bytes(number));
        }
        refused_for(&bench, &raw::archive(&[entry]), "").await;
    }
}

/// What the builder makes is what the others read.
#[test]
fn the_archives_of_these_tests_are_made_right() {
    let bytes = raw::archive(&[
        Entry::stored("a", b"hello"),
        Entry::zeros("zeros", 1_000_000),
        Entry::empty("d/"),
    ]);
    let mut archive = ::zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut content = String::new();
    let mut read = |index: usize| {
        content.clear();
        let mut file = archive.by_index(index).unwrap();
        file.read_to_string(&mut content).unwrap();
        (file.name().to_owned(), content.clone())
    };
    assert_eq!(read(0), ("a".to_owned(), "hello".to_owned()));
    assert_eq!(read(1).1, "\0".repeat(1_000_000));
    assert_eq!(read(2), ("d/".to_owned(), String::new()));
    // The shared kernel can be reached, so only the check refuses it.
    let quoted = raw::overlapping(20, 100_000);
    let mut archive = ::zip::ZipArchive::new(Cursor::new(quoted)).unwrap();
    let options = ::zip::ZipReadOptions::new().ignore_crc32(true);
    let mut file = archive.by_index_with_options(0, options).unwrap();
    let mut content = Vec::new();
    file.read_to_end(&mut content).unwrap();
    assert_eq!(content.len(), 100_000 + 19 * 35);
}
