//! The store as its users see it.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use lifecycle::Tasks;
use node_store::{HostStore, Space, StoreError};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

fn tasks() -> Tasks {
    Tasks::new(Handle::current(), &CancellationToken::new())
}

fn open(path: &Path) -> HostStore {
    HostStore::open(path, &tasks()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_incarnations_and_spaces_are_apart() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let one = store.keyspace(1, 0);
    let again = store.keyspace(1, 1);
    let two = store.keyspace(2, 0);
    one.put(Space::State, b"k", Bytes::from_static(b"mine"))
        .await
        .unwrap();
    assert_eq!(one.get(Space::State, b"k").await.unwrap().unwrap(), "mine");
    assert_eq!(one.get(Space::Kernel, b"k").await.unwrap(), None);
    assert_eq!(again.get(Space::State, b"k").await.unwrap(), None);
    assert_eq!(two.get(Space::State, b"k").await.unwrap(), None);

    two.put(Space::State, b"k", Bytes::from_static(b"theirs"))
        .await
        .unwrap();
    again
        .put(Space::Kernel, b"map", Bytes::from_static(b"x"))
        .await
        .unwrap();
    store.purge_incarnation(1, 0).await.unwrap();
    assert_eq!(one.get(Space::State, b"k").await.unwrap(), None);
    assert_eq!(one.bytes_used().await.unwrap(), 0);
    assert!(again.get(Space::Kernel, b"map").await.unwrap().is_some());
    store.purge(1).await.unwrap();
    assert_eq!(again.get(Space::Kernel, b"map").await.unwrap(), None);
    assert_eq!(
        two.get(Space::State, b"k").await.unwrap().unwrap(),
        "theirs"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_byte_count_is_exact_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let keys = store.keyspace(7, 3);
    let overhead = 21 + 1;
    keys.put(Space::State, b"a", vec![0; 100].into())
        .await
        .unwrap();
    keys.put(Space::State, b"a", vec![0; 3_000_000].into())
        .await
        .unwrap();
    keys.put(Space::Kernel, b"b", vec![0; 10].into())
        .await
        .unwrap();
    assert_eq!(keys.bytes_used().await.unwrap(), 3_000_010 + 2 * overhead);
    assert_eq!(
        keys.delete(Space::State, b"a").await.unwrap(),
        3_000_000 + overhead
    );
    assert_eq!(keys.delete(Space::State, b"a").await.unwrap(), 0);
    store.close().await.unwrap();

    let store = open(dir.path());
    let keys = store.keyspace(7, 3);
    assert_eq!(keys.bytes_used().await.unwrap(), 10 + overhead);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_writers_of_a_keyspace_keep_the_count_exact() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let tasks = tasks();
    for writer in 0..8_usize {
        let keys = store.keyspace(1, 0);
        tasks.spawn(lifecycle::TaskKind::graceful("writer"), async move {
            for round in 0..200 {
                let size = (round * 37 + writer * 911) % 40_000;
                let key = [(round % 5) as u8];
                keys.put(Space::State, &key, vec![1; size].into())
                    .await
                    .unwrap();
            }
        });
    }
    assert!(tasks.shutdown(Duration::from_secs(60)).await);
    let keys = store.keyspace(1, 0);
    let all = keys.scan(Space::State, b"", None, 100).await.unwrap();
    let sum: usize = all.entries.iter().map(|(_, value)| value.len() + 22).sum();
    assert_eq!(all.entries.len(), 5);
    assert_eq!(keys.bytes_used().await.unwrap(), sum as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_write_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let keys = store.keyspace(1, 0);
    keys.put(Space::State, b"k", Bytes::from_static(b"12345"))
        .await
        .unwrap();
    let refuse = |growth: i64| (growth < 0).then_some(growth);
    for (value, wanted) in [(&b"123456"[..], None), (b"1", Some(-4)), (b"22", None)] {
        let value = Bytes::from_static(value);
        let got = keys.put_if(Space::State, b"k", value, refuse).await;
        assert_eq!(got.unwrap(), wanted);
    }
    assert_eq!(keys.get(Space::State, b"k").await.unwrap().unwrap(), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn scans_are_in_order_bounded_and_can_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let keys = store.keyspace(1, 0);
    for number in 0..50_u8 {
        let key = [b'p', number];
        keys.put(Space::Kernel, &key, Bytes::from_static(b"v"))
            .await
            .unwrap();
    }
    keys.put(Space::Kernel, b"q", Bytes::new()).await.unwrap();
    let first = keys.scan(Space::Kernel, b"p", None, 30).await.unwrap();
    assert!(first.more && first.entries.len() == 30);
    let last = first.entries.last().unwrap().0.clone();
    let rest = keys
        .scan(Space::Kernel, b"p", Some(&last), 30)
        .await
        .unwrap();
    assert!(!rest.more && rest.entries.len() == 20);
    assert_eq!(&rest.entries[0].0[..], [b'p', 30]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_opener_is_told_and_a_closed_store_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let second = HostStore::open(dir.path(), &tasks());
    assert!(matches!(second, Err(StoreError::Locked(_))), "{second:?}");
    let keys = store.keyspace(1, 0);
    store.close().await.unwrap();
    store.close().await.unwrap();
    assert_eq!(keys.get(Space::State, b"k").await, Err(StoreError::Closed));
    let put = keys.put(Space::State, b"k", Bytes::new()).await;
    assert_eq!(put, Err(StoreError::Closed));
    open(dir.path());
}
