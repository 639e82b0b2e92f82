//! Paths made to lead out, by the hundred thousand, from a fixed seed.

use std::path::{Component, Path};

use lifecycle::{Entropy, SeededEntropy};

use super::super::zip::tests::raw;
use super::super::*;
use super::bench::{Bench, OTHER};
use super::canary::{Outside, has_canary, leaks};

/// Parts of paths.
const PIECES: &[&str] = &[
    "..",
    "..",
    "..",
    ".",
    "",
    "a",
    "b",
    "f",
    "d",
    "vfs",
    "other",
    "outside",
    "secret",
    "witness",
    "pkg:me.dev",
    "other:you.dev",
    ".staging",
    "0",
    "1",
    "...",
    "....",
    "..\\",
    "\\",
    "..\\..",
    "%2e%2e",
    "%2e%2e%2f",
    "..%2f",
    "..%c0%af",
    "%00",
    "\0",
    "..\0",
    "f\0.txt",
    "é",
    "e\u{301}",
    "\u{2024}\u{2024}",
    "\u{ff0e}\u{ff0e}",
    "\u{2215}",
    "\u{202e}",
    "\u{200b}..",
    " ",
    ".. ",
    ". .",
    "..;",
    "~",
    "$HOME",
    "-rf",
    "\n",
    "..\r\n",
    "CON",
    ":",
    "etc",
    "passwd",
    "proc",
    "self",
    "root",
    "cwd",
];
/// What paths begin with.
const STARTS: &[&str] = &[
    "",
    "/",
    "//",
    "/pkg:me.dev/d",
    "/pkg:me.dev/d",
    "pkg:me.dev/d",
    "pkg:me.dev//d/",
    "/./pkg:me.dev/d",
    "/pkg:me.dev",
    "/PKG:ME.DEV/d",
    "/pkg:me.dev./d",
    "/pkg:me.dev /d",
    "/pkg:me.dev:x/d",
    "/pkg:../d",
    "/..:me.dev/d",
    "/other:you.dev/d",
    "/terminal:sys/pkg",
    "/app_store:sys/d",
];
/// Spellings of the way up.
const UP: &[&str] = &[
    "..",
    "./..",
    "../.",
    "..//",
    "a/../..",
    "../",
    ".././/.",
    "..\\../..",
];
/// Where it may lead.
const AIMS: &[&str] = &[
    "outside/secret",
    "witness",
    "other/pkg:me.dev/d/secret",
    "other/pkg:me.dev/d",
    "vfs/pkg:me.dev/d/f",
    "outside",
];

struct Maker {
    entropy: SeededEntropy,
    /// Where the test's directory is on the host.
    top: String,
}

impl Maker {
    fn new(seed: u64, top: &Path) -> Self {
        Self {
            entropy: SeededEntropy::new(seed),
            top: top.to_str().unwrap().to_owned(),
        }
    }

    fn below(&self, bound: usize) -> usize {
        (self.entropy.next_u64() % bound as u64) as usize
    }

    fn one<'a>(&self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn path(&self) -> String {
        match self.below(16) {
            0..4 => self.aimed(),
            4 => format!("/pkg:me.dev/d/{}{}", "../".repeat(self.below(40)), self.top),
            5 => format!("{}/outside/secret", self.top),
            6 => self.long(),
            _ => self.random(),
        }
    }

    /// From a drive up and to a canary.
    fn aimed(&self) -> String {
        let mut path = String::from("/pkg:me.dev/d/");
        for _ in 0..self.below(6) {
            path.push_str(self.one(UP));
            path.push('/');
        }
        path + self.one(AIMS)
    }

    fn random(&self) -> String {
        let mut path = self.one(STARTS).to_owned();
        for _ in 0..self.below(9) {
            path.push_str(self.one(&["/", "/", "/", "//", "/./", "\\", ""]));
            path.push_str(self.one(PIECES));
        }
        if self.below(4) == 0 {
            path.push_str(self.one(&["/", "/.", "/..", "//"]));
        }
        path
    }

    fn long(&self) -> String {
        let piece = self.one(PIECES);
        let count = [10, 60, 64, 300, 3000][self.below(5)];
        let piece = match self.below(3) {
            0 => piece.repeat(count),
            1 => format!("{piece}/").repeat(count),
            _ => "../".repeat(count) + piece,
        };
        format!("/pkg:me.dev/d/{piece}")
    }
}

/// What `text` means by another way of reading paths; `None` if it leads out.
fn read_otherwise(text: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    for part in Path::new(text).components() {
        match part {
            Component::Normal(name) => parts.push(name.to_str().unwrap().to_owned()),
            Component::ParentDir => {
                parts.pop()?;
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    Some(parts)
}

#[test]
fn every_text_is_normal_or_refused() {
    let maker = Maker::new(1, Path::new("/tmp/top"));
    let (mut fine, mut roots) = (0, 0);
    for _ in 0..200_000 {
        let text = maker.path();
        let otherwise = read_otherwise(&text);
        match Target::parse(&text) {
            Err(_) => {}
            Ok(Target::Root) => {
                roots += 1;
                assert_eq!(otherwise, Some(Vec::new()), "{text:?}");
            }
            Ok(Target::Inside(path)) => {
                fine += 1;
                let parts: Vec<_> = path.as_str().split('/').collect();
                let otherwise = otherwise.unwrap_or_else(|| panic!("{text:?} leads out"));
                assert_eq!(parts[1..], otherwise[1..], "{text:?}");
                assert_eq!(parts[0], path.package().to_string());
                assert!(
                    parts.len() >= 2 && parts.iter().all(|part| path::check_name(part).is_ok())
                );
                assert!(path.as_str().len() <= path::MAX_PATH_BYTES);
            }
        }
    }
    assert!(fine > 30_000 && roots > 100, "{fine} {roots}");
}

/// The maker finds what it is to find where nothing keeps it from it.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_paths_lead_out_of_a_plain_directory() {
    let bench = Bench::new(1 << 40).await;
    let _outside = Outside::new(bench.dir.path());
    bench.write("f", b"evil").await;
    let maker = Maker::new(2, bench.dir.path());
    let root = bench.dir.path().join("vfs");
    let out = (0..20_000).filter(|_| {
        let path = root.join(maker.path().trim_start_matches('/'));
        std::fs::read(path).is_ok_and(|bytes| has_canary(&bytes))
    });
    assert!(out.count() > 50);
}

/// What is done with a path.
fn actions(maker: &Maker) -> Vec<Action> {
    let new_path = maker.path();
    let rare = match maker.below(24) {
        0 => Action::RemoveDirAll,
        1 => Action::RemoveDir,
        2 => Action::RemoveFile,
        3..6 => Action::Rename { new_path },
        6..9 => Action::CopyFile { new_path },
        9..12 => Action::CreateDirAll,
        12..15 => Action::Write,
        15..17 => Action::AddZip,
        17 => Action::CreateFile,
        18 => Action::OpenFile { create: true },
        19 => Action::Append,
        20 => Action::SetLen(3),
        21 => Action::SyncAll,
        22 => Action::CreateDrive,
        _ => Action::CreateDir,
    };
    let read = match maker.below(5) {
        0 => Action::Hash,
        1 => Action::ReadToEnd,
        2 => Action::ReadToString,
        3 => Action::ReadAt { offset: 0, len: 99 },
        _ => Action::Len,
    };
    vec![Action::Read, Action::Metadata, Action::ReadDir, read, rare]
}

/// Does `cases` hostile things to the files of `bench`; how many were done.
fn strike(bench: &Bench, seed: u64, cases: usize) -> usize {
    let maker = Maker::new(seed, bench.dir.path());
    let disk = &bench.vfs.disk;
    let mut done = 0;
    for case in 0..cases {
        let text = maker.path();
        let all = actions(&maker);
        let zip = raw::archive(&[raw::Entry::stored(maker.path(), b"evil")]);
        let Ok(Target::Inside(path)) = Target::parse(&text) else {
            continue;
        };
        for action in all {
            let new_path = match action.new_path().map(Target::parse) {
                Some(Ok(Target::Inside(new_path))) => Some(new_path),
                _ => None,
            };
            let blob = if action == Action::AddZip {
                Bytes::from(zip.clone())
            } else {
                Bytes::from_static(b"evil")
            };
            // As the kernel, whom only the jail holds back.
            if let Ok(outcome) = disk.perform(&path, &action, new_path.as_ref(), Some(&blob)) {
                assert!(!leaks(&outcome), "{text:?} {action:?}: {outcome:?}");
                done += 1;
            }
        }
        if case % 1000 == 999 {
            clear(bench);
        }
    }
    done
}

/// Removes what was made, so that directories stay small.
fn clear(bench: &Bench) {
    let root = bench.dir.path().join("vfs");
    for package in std::fs::read_dir(root).unwrap() {
        let package = package.unwrap();
        let name = package.file_name().into_string().unwrap();
        if name == disk::STAGING {
            continue;
        }
        for drive in std::fs::read_dir(package.path()).unwrap() {
            let drive = drive.unwrap().file_name().into_string().unwrap();
            let Ok(Target::Inside(path)) = Target::parse(&format!("{name}/{drive}")) else {
                panic!("{name}/{drive}");
            };
            // What a rename left there may be a file.
            if bench.vfs.disk.remove_dir_all(&path).is_err() {
                bench.vfs.disk.remove_file(&path).unwrap();
            }
        }
    }
    let Ok(Target::Inside(drive)) = Target::parse("/pkg:me.dev/d") else {
        panic!("not a path");
    };
    bench.vfs.disk.create_drive(&drive).unwrap();
}

/// `cases` of them against real files, with nothing outside touched.
async fn nothing_outside_is_reached(seed: u64, cases: usize) {
    let bench = Bench::new(1 << 40).await;
    bench.vfs.used_bytes().await.unwrap();
    let outside = Outside::new(bench.dir.path());
    let done = strike(&bench, seed, cases);
    outside.check();
    assert!(done > cases / 20, "only {done} of {cases} did anything");
    assert_eq!(bench.staged(), 0);
    assert_eq!(bench.quota.used(), bench.weighed());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_path_reaches_anything_outside() {
    nothing_outside_is_reached(3, 20_000).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a long proof: make soak"]
async fn soak_no_path_of_a_million_reaches_anything_outside() {
    for seed in 0..10 {
        nothing_outside_is_reached(100 + seed, 100_000).await;
    }
}

/// What a process without capabilities can do with any path, it does to the
/// drives of its own package.
#[tokio::test(flavor = "multi_thread")]
async fn no_path_borrows_rights() {
    let bench = Bench::new(1 << 40).await;
    let outside = Outside::new(bench.dir.path());
    bench.write("f", b"mine").await;
    let drive = "/other:you.dev/d";
    let made = bench.act(OTHER, drive, Action::CreateDrive, None).await;
    made.unwrap();
    let maker = Maker::new(4, bench.dir.path());
    let owner = |text: &str| match Target::parse(text) {
        Ok(Target::Inside(path)) => path.package().to_string(),
        _ => String::new(),
    };
    let mut done = 0;
    for _ in 0..4_000 {
        let text = maker.path();
        for action in actions(&maker) {
            let outcome = bench.act(OTHER, &text, action.clone(), Some(b"evil")).await;
            if let Ok(outcome) = outcome {
                assert!(!leaks(&outcome), "{text:?} {action:?}");
                assert_eq!(owner(&text), "other:you.dev", "{action:?} {text:?}");
                if let Some(new_path) = action.new_path() {
                    assert_eq!(owner(new_path), "other:you.dev", "{new_path:?}");
                }
                done += 1;
            }
        }
    }
    assert!(done > 20, "{done}");
    assert_eq!(bench.read("f").await, b"mine");
    outside.check();
}
