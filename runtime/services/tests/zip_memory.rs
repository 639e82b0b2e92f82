//! What archives cost the host in memory. A program of its own, because it
//! measures all of its process.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use lifecycle::{Entropy, SeededEntropy, Tasks};
use node_services::vfs::{Action, Caller, Options, Overlays, Vfs};
use node_services::{
    Delivery, DiskQuota, KernelPort, NodeEvent, Sending, Share, Traffic, TrafficWatch,
};
use node_types::{Capability, Edition, KernelMessage, MessageId, NodeName, ProcessId};
use tokio::sync::broadcast;

#[path = "../src/vfs/zip/tests/raw.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod raw;

use raw::Entry;

/// Most that the process may grow.
const MOST: u64 = 16 << 20;
const MIB: usize = 1 << 20;

/// A kernel without processes.
#[derive(Debug)]
struct Nobody {
    our: NodeName,
    events: broadcast::Sender<NodeEvent>,
    traffic: Traffic,
}

impl KernelPort for Nobody {
    fn our(&self) -> &NodeName {
        &self.our
    }

    fn send(&self, _message: KernelMessage) -> Delivery {
        Delivery::Refused
    }

    fn send_when_room(&self, _message: KernelMessage, _share: Share) -> Sending {
        Sending::Done(Delivery::Refused)
    }

    fn new_message_id(&self) -> MessageId {
        MessageId(0)
    }

    fn holds(&self, _process: &ProcessId, _capability: &Capability) -> bool {
        false
    }

    fn grant(&self, _process: &ProcessId, _capability: Capability) {}

    fn edition(&self, _process: &ProcessId) -> Option<Edition> {
        None
    }

    fn print(&self, _source: &ProcessId, _verbosity: u8, _text: &str) {}

    fn events(&self) -> broadcast::Receiver<NodeEvent> {
        self.events.subscribe()
    }

    fn watch_traffic(&self) -> TrafficWatch {
        self.traffic.watch()
    }
}

fn vfs(root: &Path) -> Arc<Vfs> {
    let options = Options {
        root: root.to_owned(),
        overlays: Overlays::open(&HashMap::new()).unwrap(),
        quota: DiskQuota::new(1 << 40),
        max_blob_bytes: 8 << 20,
    };
    let port = Nobody {
        our: "me.dev".parse().unwrap(),
        events: broadcast::channel(1).0,
        traffic: Traffic::default(),
    };
    let tasks = Tasks::new(
        tokio::runtime::Handle::current(),
        &tokio_util::sync::CancellationToken::new(),
    );
    Vfs::new(options, Arc::new(port), tasks).unwrap()
}

/// Bytes of this process that are in memory.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * rustix::param::page_size() as u64
}

/// Bytes that no method packs.
fn noise(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    SeededEntropy::new(7).fill(&mut bytes);
    bytes
}

fn many(count: usize, name: impl Fn(usize) -> String) -> Vec<u8> {
    let entries: Vec<_> = (0..count).map(|at| Entry::empty(name(at))).collect();
    raw::archive(&entries)
}

/// Archives that are unpacked.
fn fine() -> Vec<(&'static str, Vec<u8>)> {
    let one = [
        Entry::stored("noise", &noise(MIB)),
        Entry::zeros("zeros", 64 * MIB),
    ];
    let mut files: Vec<_> = (0..64)
        .map(|at| Entry::zeros(format!("zeros {at}"), MIB))
        .collect();
    files.push(Entry::stored("noise", &noise(MIB)));
    vec![
        ("one large file", raw::archive(&one)),
        ("large files", raw::archive(&files)),
        (
            "10,000 files",
            many(10_000, |at| format!("dir {}/{at}", at % 100)),
        ),
    ]
}

/// Archives that are refused.
fn evil() -> Vec<(&'static str, Vec<u8>)> {
    let bomb = Entry::zeros("", 10 * MIB);
    let bombs: Vec<_> = (0..100)
        .map(|at: u32| Entry {
            name: at.to_string().into_bytes(),
            ..bomb.clone()
        })
        .collect();
    let mut lies = Entry::zeros("zeros", 100 * MIB);
    lies.size = 1000;
    let talkative: Vec<_> = (0..63)
        .map(|at| {
            let mut entry = Entry::empty(format!("../{at}"));
            entry.extra = [&[0xfe, 0xca, 0xfb, 0xff][..], &[0; 0xfffb]].concat();
            entry
        })
        .collect();
    let mut claims = many(10, |at| at.to_string());
    let count = claims.len() - 22 + 8;
    claims[count..count + 4].fill(0xff);
    let deep = "d/".repeat(50);
    let long = "dir dir dir dir/".repeat(50);
    vec![
        ("bombs", raw::archive(&bombs)),
        ("a bomb that says that it is small", raw::archive(&[lies])),
        ("a shared kernel", raw::overlapping(1000, 10 * MIB)),
        (
            "a kernel shared by extra fields",
            raw::overlapping_by_extra_fields(1000, 10 * MIB),
        ),
        ("20,000 entries", many(20_000, |at| at.to_string())),
        ("60,000 entries", many(60_000, |at| at.to_string())),
        ("entries that are not there", claims),
        (
            "many directories",
            many(10_000, |at| format!("{at}/{deep}f")),
        ),
        (
            "long directories",
            many(5_000, |at| format!("{at}/{long}f")),
        ),
        ("large extra fields", raw::archive(&talkative)),
        ("many ends", raw::many_ends(20_000, 100_000)),
    ]
}

/// Ends the watching thread whatever happens.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// How far the process is above `base` at most while `work` is done.
fn peak<T>(base: u64, work: impl FnOnce() -> T) -> (u64, T) {
    let (stop, most) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                most.fetch_max(resident(), Ordering::Relaxed);
                std::thread::yield_now();
            }
        });
        let _stop = Stop(&stop);
        let done = work();
        most.fetch_max(resident(), Ordering::Relaxed);
        (most.load(Ordering::Relaxed).saturating_sub(base), done)
    })
}

#[test]
fn no_archive_takes_more_than_a_few_mebibytes() {
    // One thread does all the work, so that there is one heap to measure.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let vfs = runtime.block_on(async { vfs(&dir.path().join("vfs")) });
    let act = |action, blob| {
        let acting = vfs.perform(&Caller::Kernel, "/p:q/d/zip", action, blob);
        runtime.block_on(acting)
    };
    let add = |bytes: &Bytes| {
        let done = act(Action::AddZip, Some(bytes.clone())).is_ok();
        if done {
            act(Action::RemoveDirAll, None).unwrap();
        }
        done
    };
    let keep = |(name, bytes)| (name, Bytes::from(bytes));
    let fine: Vec<(&str, Bytes)> = fine().into_iter().map(keep).collect();
    let evil: Vec<(&str, Bytes)> = evil().into_iter().map(keep).collect();
    // What the first archive of all brings along.
    assert!(add(&Bytes::from(many(10, |at| at.to_string()))));

    // The measure works: what is held shows.
    let base = resident();
    let (held, _) = peak(base, || std::hint::black_box(noise(24 * MIB)).len());
    assert!(held > MOST, "{held}");
    let base = resident();
    for (archives, taken) in [(&fine, true), (&evil, false)] {
        for (name, bytes) in archives {
            let (rise, done) = peak(base, || add(bytes));
            assert_eq!(done, taken, "{name}");
            assert!(rise <= MOST, "{name}: {} KiB", rise >> 10);
        }
    }
}
