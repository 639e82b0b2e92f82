//! What a key-value database of a node costs beside the bare library, on the
//! same volume in the same run (`make bench`). The same through a process: see
//! the tests of the host.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "these measure and print, and their helpers fail like tests"
)]

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use lifecycle::Tasks;
use node_store::{HostStore, Op, Space};
use rocksdb::{DB, WriteBatch};
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const NAME: &[u8] = b"bench";
/// Calls of each measurement.
const ROUNDS: u32 = 50_000;
/// Keys that are set and read.
const KEYS: u32 = 10_000;
/// Changes of one transaction.
const IN_TX: u32 = 100;
/// Transactions.
const TXS: u32 = ROUNDS / IN_TX;

/// Median time of an operation, where each call does `each` of them.
async fn median(rounds: u32, each: u32, mut call: impl AsyncFnMut(u32)) -> Duration {
    let mut times = Vec::with_capacity(rounds as usize);
    for round in 0..rounds {
        let start = Instant::now();
        call(round).await;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    times[times.len() / 2] / each
}

/// Times of setting a key, getting one, setting one in a transaction, and
/// saving the state of a process.
type Figures = [Duration; 4];

/// Any key, not in order.
fn key(number: u32) -> Bytes {
    format!("key {:08}", u64::from(number) * 7919 % u64::from(KEYS)).into()
}

fn value() -> Bytes {
    Bytes::from_static(&[7; 100])
}

fn state() -> Bytes {
    Bytes::from_static(&[7; 4096])
}

fn puts(round: u32) -> impl Iterator<Item = (Bytes, Bytes)> {
    (round * IN_TX..(round + 1) * IN_TX).map(|number| (key(number), value()))
}

async fn of_a_node(path: &Path) -> Figures {
    let tasks = Tasks::new(Handle::current(), &CancellationToken::new());
    let store = HostStore::open(path, &tasks).unwrap();
    let keys = store.keyspace(1, 0);
    let databases = keys.databases();
    databases.open(NAME, |_| Some(())).await.unwrap();
    let commit = async |ops: Vec<Op>| {
        let admitted = databases.commit(NAME, ops, |_| Some(())).await;
        assert!(admitted.unwrap().is_some());
    };
    let set = median(ROUNDS, 1, async |round| {
        commit(vec![Op::Put(key(round), value())]).await;
    });
    let set = set.await;
    let get = median(ROUNDS, 1, async |round| {
        let found = databases.get(NAME, &key(round)).await.unwrap();
        assert_eq!(found.unwrap().len(), 100);
    });
    let get = get.await;
    let in_tx = median(TXS, IN_TX, async |round| {
        let ops = puts(round).map(|(key, value)| Op::Put(key, value));
        commit(ops.collect()).await;
    });
    let in_tx = in_tx.await;
    let save = median(ROUNDS, 1, async |_| {
        keys.put(Space::State, b"process", state()).await.unwrap();
    });
    let save = save.await;
    store.close().await.unwrap();
    [set, get, in_tx, save]
}

/// RocksDB as a program of its own would use it, which syncs as little.
async fn bare(path: &Path) -> Figures {
    let db = DB::open_default(path).unwrap();
    let set = median(ROUNDS, 1, async |round| {
        db.put(key(round), value()).unwrap()
    })
    .await;
    let get = median(ROUNDS, 1, async |round| {
        let found = db.get(key(round)).unwrap();
        assert_eq!(found.unwrap().len(), 100);
    });
    let get = get.await;
    let in_tx = median(TXS, IN_TX, async |round| {
        let mut batch = WriteBatch::default();
        for (key, value) in puts(round) {
            batch.put(key, value);
        }
        db.write(batch).unwrap();
    });
    let in_tx = in_tx.await;
    let save = median(ROUNDS, 1, async |_| db.put(b"process", state()).unwrap()).await;
    [set, get, in_tx, save]
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: make bench"]
async fn bench_a_database_of_a_node_beside_bare_rocksdb() {
    let dir = tempfile::tempdir().unwrap();
    let ours = of_a_node(&dir.path().join("node")).await;
    let bare = bare(&dir.path().join("bare")).await;
    let names = [
        "kv set of 100 B",
        "kv get of 100 B",
        "kv set in a transaction",
        "state of 4 KiB",
    ];
    for (at, what) in names.into_iter().enumerate() {
        print_beside(what, ours[at], bare[at]);
    }
}

fn print_beside(what: &str, ours: Duration, bare: Duration) {
    println!(
        "{what}: p50 {ours:?}, bare {bare:?}, ratio {:.2}",
        ours.as_secs_f64() / bare.as_secs_f64()
    );
}
