//! Directories that are swapped with a link to the outside all the time, as
//! nothing in the module itself can do.

use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use tokio::time::Instant;

use super::super::zip::tests::raw;
use super::super::*;
use super::bench::{Bench, DRIVE};
use super::canary::{Outside, leaks};

/// What is in the files of the node.
const OURS: &[u8] = b"ours ours ours";

/// The two names that take turns in being the directory and the link.
const NAMES: [&str; 2] = ["here", "there"];

#[derive(Default)]
struct Tally {
    /// How often each kind of thing was done.
    done: [AtomicUsize; KINDS],
    /// How often the link was met.
    links: AtomicUsize,
}

/// Kinds of things that are done.
const KINDS: usize = 10;

/// What to do in `name` the `round`th time.
fn actions(kind: usize, name: &str, round: usize) -> Vec<(String, Action)> {
    let at = |rest: &str| format!("{name}/{rest}");
    let to = |path: &str| format!("{DRIVE}/{path}");
    let seek = Action::Seek(Seek::Start(0));
    match kind {
        0 => vec![(at("f"), Action::Read), (at("sub/f"), Action::Read)],
        1 => vec![(at("f"), Action::Write)],
        2 => vec![
            (at(&format!("new{}", round % 20)), Action::Write),
            (at(&format!("new{}", round % 20)), Action::RemoveFile),
        ],
        3 => vec![(name.to_owned(), Action::ReadDir)],
        4 => vec![
            (at("f"), Action::Hash),
            (at("f"), Action::Len),
            (at("f"), Action::Metadata),
        ],
        5 => vec![
            (name.to_owned(), Action::AddZip),
            (at(&format!("zip{}", round % 20)), Action::AddZip),
            (at(&format!("zip{}", round % 20)), Action::RemoveDirAll),
        ],
        6 => vec![
            (
                at("f"),
                Action::CopyFile {
                    new_path: to("copy"),
                },
            ),
            ("copy".to_owned(), Action::Read),
            (
                "copy".to_owned(),
                Action::CopyFile {
                    new_path: to(&at("copied")),
                },
            ),
        ],
        7 => vec![
            (
                at("g"),
                Action::Rename {
                    new_path: to(&at("h")),
                },
            ),
            (
                at("h"),
                Action::Rename {
                    new_path: to(&at("g")),
                },
            ),
            (at("g"), Action::OpenFile { create: true }),
        ],
        8 => vec![
            (at("x/y"), Action::CreateDirAll),
            (at("x/y/f"), Action::CreateFile),
            (at("x"), Action::RemoveDirAll),
        ],
        _ => vec![
            (at("log"), Action::OpenFile { create: true }),
            (at("log"), Action::Append),
            (at("log"), seek),
            (at("log"), Action::ReadToEnd),
            (at("log"), Action::SetLen(3)),
            (at("log"), Action::CloseFile),
        ],
    }
}

/// Does one kind of thing until `end`.
async fn work(bench: &Bench, kind: usize, tally: &Tally, end: Instant) {
    let zip = raw::archive(&[
        raw::Entry::stored("f", OURS),
        raw::Entry::stored("sub/z", OURS),
    ]);
    for round in 0.. {
        if Instant::now() >= end {
            return;
        }
        let name = NAMES[round % 2];
        for (path, action) in actions(kind, name, round) {
            let blob: &[u8] = if action == Action::AddZip { &zip } else { OURS };
            match bench.app(&path, action.clone(), Some(blob)).await {
                Ok(outcome) => {
                    assert!(!leaks(&outcome), "{action:?} {path}: {outcome:?}");
                    tally.done[kind].fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => {
                    if error.to_string().contains("links are not followed") {
                        tally.links.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        }
    }
}

async fn race(duration: Duration) {
    let bench = Bench::new(1 << 40).await;
    let outside = Outside::new(bench.dir.path());
    bench.ok(&format!("{DRIVE}/here"), Action::CreateDir).await;
    bench.write("here/f", OURS).await;
    // To a directory that has the same names in it.
    let link = bench.on_host("there");
    symlink("../../../outside", &link).unwrap();
    assert!(link.join("secret").exists(), "the link leads outside");
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let [here, there] = NAMES.map(|name| bench.on_host(name));
    let swapper = std::thread::spawn(move || {
        let mut swaps = 0;
        while !stopped.load(Ordering::Relaxed) {
            renameat_with(CWD, &here, CWD, &there, RenameFlags::EXCHANGE).unwrap();
            swaps += 1;
        }
        swaps
    });
    let tally = Tally::default();
    let end = Instant::now() + duration;
    join_all((0..KINDS).map(|kind| work(&bench, kind, &tally, end))).await;
    stop.store(true, Ordering::Relaxed);
    let swaps = swapper.join().unwrap();
    outside.check();
    let links = tally.links.into_inner();
    let done = tally.done.map(AtomicUsize::into_inner);
    assert!(swaps > 100 && links > 100, "{swaps} swaps, {links} links");
    assert!(done.iter().all(|done| *done > 0), "{done:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_racing_renamer_gains_nothing() {
    race(Duration::from_secs(3)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a long proof: make soak"]
async fn soak_a_renamer_that_races_for_a_minute_gains_nothing() {
    race(Duration::from_secs(60)).await;
}
