//! A write that was acknowledged is there after the process was killed, and a
//! transaction is there as a whole or not at all.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use bytes::Bytes;
use lifecycle::Tasks;
use node_store::{Databases, HostStore, Op, Space};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// Tells the re-executed test binary that it is the one to be killed.
const DIRECTORY: &str = "NODE_STORE_KILL_TEST_DIRECTORY";

/// Small values and, every fourth time, one that takes the blocking path.
fn value(number: u64) -> Bytes {
    let size = if number.is_multiple_of(4) {
        200_000
    } else {
        32
    };
    let mut value = number.to_be_bytes().to_vec();
    value.resize(size, 7);
    value.into()
}

/// A transaction about `number`: its entry, the last number, and the entry of
/// its predecessor removed.
async fn commit(databases: &Databases, number: u64) {
    let key = |number: u64| Bytes::copy_from_slice(&number.to_be_bytes());
    let ops = vec![
        Op::Put(key(number), value(number)),
        Op::Put(Bytes::from_static(b"last"), key(number)),
        Op::Delete(key(number - 1)),
    ];
    let done = databases.commit(b"numbers", ops, |_| Some(())).await;
    assert_eq!(done, Ok(Some(())));
}

/// Whether the database is as one of the transactions from `acknowledged` on
/// left it.
async fn check(databases: &Databases, acknowledged: u64) {
    let last = databases.get(b"numbers", b"last").await.unwrap().unwrap();
    let last = u64::from_be_bytes(last[..].try_into().unwrap());
    assert!(last >= acknowledged, "{last} of {acknowledged}");
    let entry = async |number: u64| databases.get(b"numbers", &number.to_be_bytes()).await;
    assert_eq!(entry(last).await, Ok(Some(value(last))));
    assert_eq!(entry(last - 1).await, Ok(None));
    let bytes = 22 + 7 + 17 + (29 + 8 + value(last).len() as u64) + (29 + 4 + 8);
    assert_eq!(databases.list().await.unwrap()[0].bytes, bytes);
}

/// Writes numbers for ever and prints each once it is acknowledged. Does
/// nothing unless started by the test below.
#[tokio::test(flavor = "multi_thread")]
async fn writer() {
    let Ok(directory) = std::env::var(DIRECTORY) else {
        return;
    };
    let tasks = Tasks::new(Handle::current(), &CancellationToken::new());
    let store = HostStore::open(directory.as_ref(), &tasks).unwrap();
    let keys = store.keyspace(1, 0);
    let start = keys.get(Space::State, b"last").await.unwrap();
    let start = start.map_or(0, |bytes| {
        u64::from_be_bytes(bytes[..8].try_into().unwrap())
    });
    let databases = keys.databases();
    // The last life may have been killed before its last transaction.
    databases.remove(b"numbers").await.unwrap();
    databases.open(b"numbers", |_| Some(())).await.unwrap();
    for number in start + 1.. {
        keys.put(Space::State, &number.to_be_bytes(), value(number))
            .await
            .unwrap();
        keys.put(Space::State, b"last", value(number))
            .await
            .unwrap();
        commit(&databases, number).await;
        println!("\nacknowledged {number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_writes_survive_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut reached = 0;
    for round in 1..=5_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writer", "--nocapture"])
            .env(DIRECTORY, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let wanted = reached + 40 * round;
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged = 0;
        while acknowledged < wanted {
            let line = lines.next().expect("the writer ended early").unwrap();
            if let Some(number) = line.strip_prefix("acknowledged ") {
                acknowledged = number.parse().unwrap();
            }
        }
        child.kill().unwrap();
        for line in lines.map_while(Result::ok) {
            if let Some(number) = line.strip_prefix("acknowledged ") {
                acknowledged = number.parse().unwrap_or(acknowledged);
            }
        }
        child.wait().unwrap();

        let tasks = Tasks::new(Handle::current(), &CancellationToken::new());
        let store = HostStore::open(dir.path(), &tasks).unwrap();
        let keys = store.keyspace(1, 0);
        for number in reached + 1..=acknowledged {
            let found = keys.get(Space::State, &number.to_be_bytes()).await.unwrap();
            assert_eq!(found, Some(value(number)), "{number} of {acknowledged}");
        }
        check(&keys.databases(), acknowledged).await;
        let all = keys.bytes_used().await.unwrap();
        let expected: u64 = (1..=acknowledged)
            .map(|number| value(number).len() as u64 + 29)
            .sum();
        assert!(all >= expected, "the count kept up: {all} of {expected}");
        store.close().await.unwrap();
        reached = acknowledged;
    }
}
