//! Key-value databases as their users see them.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use lifecycle::Tasks;
use node_store::{
    DatabaseError, Databases, HostStore, MAX_DATABASES, MAX_KEY_BYTES, MAX_VALUE_BYTES, Op, Opened,
    Space, StoreError,
};
use proptest::prelude::*;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// Bytes of an entry beside its key and value.
const ENTRY: u64 = 21 + 8;
/// Bytes of the record of a database beside its name.
const RECORD: u64 = 22 + 17;
/// Bytes of what is stored once there is a database.
const HEAD: u64 = 22 + 13;

fn tasks() -> Tasks {
    Tasks::new(Handle::current(), &CancellationToken::new())
}

fn open(path: &Path) -> HostStore {
    HostStore::open(path, &tasks()).unwrap()
}

fn put(key: &[u8], value: &[u8]) -> Op {
    let copy = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
    Op::Put(copy(key), copy(value))
}

fn delete(key: &[u8]) -> Op {
    Op::Delete(Bytes::copy_from_slice(key))
}

/// Agrees to everything and tells what it was asked.
fn agree(growth: i64) -> Option<i64> {
    Some(growth)
}

async fn commit(databases: &Databases, name: &[u8], ops: Vec<Op>) -> i64 {
    databases.commit(name, ops, agree).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_made_once_used_and_really_removed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let keys = store.keyspace(1, 0);
    let databases = keys.databases();
    let missing = Err(DatabaseError::Missing);
    assert_eq!(databases.get(b"a", b"k").await, missing);
    let set = databases.commit(b"a", vec![put(b"k", b"v")], agree).await;
    assert_eq!(set, Err(DatabaseError::Missing));
    assert_eq!(databases.remove(b"a").await, Ok(None));
    assert_eq!(databases.bytes_used().await, Ok(0));

    let made = (HEAD + RECORD + 1) as i64;
    assert_eq!(databases.open(b"a", agree).await, Ok(Opened::Created(made)));
    assert_eq!(databases.open(b"a", agree).await, Ok(Opened::Existed));
    let refused = databases.open(b"b", |_| None::<()>).await;
    assert_eq!(refused, Ok(Opened::Refused));
    assert_eq!(databases.exists(b"b").await, Ok(false));

    assert_eq!(databases.get(b"a", b"k").await, Ok(None));
    let growth = commit(&databases, b"a", vec![put(b"k", b"one")]).await;
    assert_eq!(growth, (ENTRY + 4) as i64);
    let value = databases.get(b"a", b"k").await.unwrap();
    assert_eq!(value.unwrap(), "one");
    databases.open(b"b", agree).await.unwrap();
    assert_eq!(databases.get(b"b", b"k").await, Ok(None));

    let freed = databases.remove(b"a").await.unwrap();
    assert_eq!(freed, Some(RECORD + 1 + ENTRY + 4));
    assert_eq!(databases.get(b"a", b"k").await, Err(DatabaseError::Missing));
    databases.open(b"a", agree).await.unwrap();
    assert_eq!(databases.get(b"a", b"k").await, Ok(None));
    let names: Vec<_> = databases.list().await.unwrap();
    let names: Vec<_> = names.iter().map(|database| &database.name[..]).collect();
    assert_eq!(names, [b"a", b"b"]);
    assert_eq!(
        databases.bytes_used().await,
        keys.bytes_used().await.map_err(DatabaseError::Store)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_all_or_nothing_and_the_last_word_on_a_key_counts() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let databases = store.keyspace(1, 0).databases();
    databases.open(b"db", agree).await.unwrap();
    let ops = vec![
        put(b"a", b"first"),
        delete(b"b"),
        put(b"a", b"22"),
        put(b"c", b"x"),
        delete(b"c"),
    ];
    assert_eq!(commit(&databases, b"db", ops).await, (ENTRY + 3) as i64);
    assert_eq!(databases.get(b"db", b"a").await.unwrap().unwrap(), "22");
    assert_eq!(databases.get(b"db", b"c").await, Ok(None));

    let ops = vec![delete(b"a"), put(b"d", b"long value")];
    let refused = databases.commit(b"db", ops, |_| None::<()>).await;
    assert_eq!(refused, Ok(None));
    assert_eq!(databases.get(b"db", b"a").await.unwrap().unwrap(), "22");
    assert_eq!(databases.get(b"db", b"d").await, Ok(None));

    let long = vec![1; MAX_KEY_BYTES + 1];
    let ops = vec![put(b"e", b""), put(&long, b"")];
    let too_long = Err(DatabaseError::Store(StoreError::KeyTooLong(long.len())));
    assert_eq!(databases.commit(b"db", ops, agree).await, too_long);
    assert_eq!(databases.get(b"db", b"e").await, Ok(None));
    let too_long = Err(DatabaseError::Store(StoreError::KeyTooLong(long.len())));
    assert_eq!(databases.get(b"db", &long).await, too_long);
    let large = vec![Op::Put(Bytes::new(), vec![0; MAX_VALUE_BYTES + 1].into())];
    let too_large = Err(DatabaseError::ValueTooLarge(MAX_VALUE_BYTES + 1));
    assert_eq!(databases.commit(b"db", large, agree).await, too_large);
    assert_eq!(
        commit(&databases, b"db", vec![delete(b"a")]).await,
        -(ENTRY as i64 + 3)
    );
    assert_eq!(commit(&databases, b"db", vec![delete(b"a")]).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_memory_can_do_is_done_in_place_and_the_rest_is_not_begun() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let databases = store.keyspace(1, 0).databases();
    databases.open(b"db", agree).await.unwrap();
    let set = databases.try_commit(b"db", vec![put(b"k", b"v")], agree);
    assert_eq!(set, Some(Ok(Some((ENTRY + 2) as i64))));
    let value = databases.try_get(b"db", b"k").unwrap().unwrap();
    assert_eq!(value.unwrap(), "v");
    assert_eq!(databases.try_exists(b"none"), Some(Ok(false)));
    let missing = databases.try_commit(b"none", vec![put(b"k", b"v")], agree);
    assert_eq!(missing, Some(Err(DatabaseError::Missing)));
    assert_eq!(
        databases.try_commit(b"db", vec![delete(b"k")], |_| None::<()>),
        Some(Ok(None))
    );

    let large = vec![0; 300_000];
    assert_eq!(
        databases.try_commit(b"db", vec![put(b"k", &large)], agree),
        None
    );
    commit(&databases, b"db", vec![put(b"k", &large)]).await;
    assert_eq!(databases.try_get(b"db", b"k"), None);
    assert_eq!(databases.get(b"db", b"k").await.unwrap().unwrap(), large);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_done_in_place_while_another_writes() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let databases = store.keyspace(1, 0).databases();
    databases.open(b"db", agree).await.unwrap();
    let (asked, was_asked) = std::sync::mpsc::channel();
    let (go_on, goes_on) = std::sync::mpsc::channel::<()>();
    let other = databases.clone();
    let tasks = tasks();
    tasks.spawn(lifecycle::TaskKind::graceful("writer"), async move {
        // Large, so that it is in the blocking pool where it may be held up.
        let ops = vec![put(b"large", &[7; 100_000])];
        let slow = move |growth| {
            asked.send(()).unwrap();
            goes_on.recv().unwrap();
            Some(growth)
        };
        other.commit(b"db", ops, slow).await.unwrap();
    });
    was_asked.recv().unwrap();
    assert_eq!(
        databases.try_commit(b"db", vec![put(b"k", b"v")], agree),
        None
    );
    assert_eq!(
        databases.try_get(b"db", b"large"),
        Some(Ok(None)),
        "reads go on"
    );
    go_on.send(()).unwrap();
    assert_eq!(
        commit(&databases, b"db", vec![put(b"k", b"v")]).await,
        (ENTRY + 2) as i64
    );
    assert!(tasks.shutdown(Duration::from_secs(20)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_database_goes_as_a_whole_and_does_not_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let keys = store.keyspace(1, 0);
    let databases = keys.databases();
    for name in [b"gone", b"kept"] {
        databases.open(name, agree).await.unwrap();
        for part in 0..3_u8 {
            let entry = |number: u16| {
                let [high, low] = number.to_be_bytes();
                put(&[part, high, low], b"x")
            };
            commit(&databases, name, (0..1_000).map(entry).collect()).await;
        }
    }
    let all = keys.bytes_used().await.unwrap();
    let freed = databases.remove(b"gone").await.unwrap().unwrap();
    assert_eq!(freed, RECORD + 4 + 3_000 * (ENTRY + 4));
    assert_eq!(keys.bytes_used().await, Ok(all - freed));
    databases.open(b"gone", agree).await.unwrap();
    store.close().await.unwrap();

    let databases = open(dir.path()).keyspace(1, 0).databases();
    for part in 0..3_u8 {
        let key = [part, 0, 9];
        assert_eq!(databases.get(b"gone", &key).await, Ok(None));
        assert!(databases.get(b"kept", &key).await.unwrap().is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_has_only_so_many_databases() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let databases = store.keyspace(1, 0).databases();
    for number in 0..MAX_DATABASES {
        let opened = databases.open(&number.to_be_bytes(), agree).await;
        assert!(matches!(opened, Ok(Opened::Created(_))), "{opened:?}");
    }
    let more = databases.open(b"more", agree).await;
    assert_eq!(more, Err(DatabaseError::TooMany));
    assert_eq!(
        databases.list().await.unwrap().len(),
        MAX_DATABASES as usize
    );
    databases.remove(&7_u32.to_be_bytes()).await.unwrap();
    assert!(databases.open(b"more", agree).await.is_ok());
    let others = store.keyspace(1, 1).databases();
    assert!(others.open(b"more", agree).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn purging_a_tenant_takes_its_databases_and_no_others() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for tenant in [1, 2] {
        let databases = store.keyspace(tenant, 0).databases();
        databases.open(b"db", agree).await.unwrap();
        commit(&databases, b"db", vec![put(b"k", b"v")]).await;
    }
    store.purge(1).await.unwrap();
    let gone = store.keyspace(1, 0).databases();
    assert_eq!(gone.get(b"db", b"k").await, Err(DatabaseError::Missing));
    assert_eq!(gone.list().await, Ok(Vec::new()));
    let kept = store.keyspace(2, 0).databases();
    assert!(kept.get(b"db", b"k").await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn syncing_ends_also_when_the_host_does() {
    let dir = tempfile::tempdir().unwrap();
    let token = CancellationToken::new();
    let tasks = Tasks::new(Handle::current(), &token);
    let store = HostStore::open(dir.path(), &tasks).unwrap();
    let keys = store.keyspace(1, 0);
    keys.put(Space::State, b"k", Bytes::new()).await.unwrap();
    keys.sync().await.unwrap();
    token.cancel();
    keys.sync().await.unwrap();
    store.close().await.unwrap();
    assert_eq!(keys.sync().await, Err(StoreError::Closed));
}

#[derive(Debug, Clone)]
enum Step {
    Open(u8),
    Commit(u8, Vec<(u8, Option<usize>)>),
    Remove(u8),
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<(u128, Step)>> {
    // Sizes on both sides of what is written in place.
    let value = prop_oneof![3 => 0..40_usize, 1 => 20_000..20_100_usize];
    let op = (0..6_u8, proptest::option::of(value));
    let step = prop_oneof![
        3 => (0..3_u8).prop_map(Step::Open),
        8 => (0..3_u8, proptest::collection::vec(op, 0..8)).prop_map(|(a, b)| Step::Commit(a, b)),
        2 => (0..3_u8).prop_map(Step::Remove),
        1 => Just(Step::Reopen),
    ];
    // Neighbours, so that a range that is too long would show.
    proptest::collection::vec((0..2_u128, step), 1..40)
}

type Model = BTreeMap<(u128, u8), BTreeMap<u8, usize>>;

fn expected_bytes(entries: &BTreeMap<u8, usize>) -> u64 {
    let of_each = |size: &usize| ENTRY + 1 + *size as u64;
    RECORD + 1 + entries.values().map(of_each).sum::<u64>()
}

async fn step(store: &HostStore, model: &mut Model, tenant: u128, step: Step) {
    let databases = store.keyspace(tenant, 0).databases();
    match step {
        Step::Open(name) => {
            databases.open(&[name], agree).await.unwrap();
            model.entry((tenant, name)).or_default();
        }
        Step::Commit(name, ops) => {
            let op = |(key, size): &(u8, Option<usize>)| match size {
                Some(size) => put(&[*key], &vec![*key; *size]),
                None => delete(&[*key]),
            };
            let names = [name];
            let done = databases.commit(&names, ops.iter().map(op).collect(), agree);
            let done = done.await;
            let Some(entries) = model.get_mut(&(tenant, name)) else {
                assert_eq!(done, Err(DatabaseError::Missing));
                return;
            };
            let before = expected_bytes(entries) as i64;
            for (key, size) in ops {
                match size {
                    Some(size) => entries.insert(key, size),
                    None => entries.remove(&key),
                };
            }
            assert_eq!(done, Ok(Some(expected_bytes(entries) as i64 - before)));
        }
        Step::Remove(name) => {
            let freed = databases.remove(&[name]).await;
            let removed = model.remove(&(tenant, name));
            assert_eq!(freed, Ok(removed.as_ref().map(expected_bytes)));
        }
        Step::Reopen => {}
    }
}

async fn check(store: &HostStore, model: &Model, used: [bool; 2]) {
    for tenant in 0..2_u128 {
        let keys = store.keyspace(tenant, 0);
        let databases = keys.databases();
        let ours = || model.iter().filter(move |((of, _), _)| *of == tenant);
        let listed = databases.list().await.unwrap();
        let listed: Vec<_> = listed.iter().map(|d| (d.name[0], d.bytes)).collect();
        let wanted: Vec<_> = ours()
            .map(|((_, name), entries)| (*name, expected_bytes(entries)))
            .collect();
        assert_eq!(listed, wanted);
        let head = if used[tenant as usize] { HEAD } else { 0 };
        let sum = head + wanted.iter().map(|(_, bytes)| bytes).sum::<u64>();
        assert_eq!(keys.bytes_used().await, Ok(sum));
        assert_eq!(databases.bytes_used().await, Ok(sum));
        for ((_, name), entries) in ours() {
            for key in 0..6_u8 {
                let value = databases.get(&[*name], &[key]).await.unwrap();
                let wanted = entries.get(&key).map(|size| vec![key; *size]);
                assert_eq!(value.map(Vec::from), wanted);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Two keyspaces with databases of the same names do exactly what two sets
    /// of maps do, bytes and restarts included.
    #[test]
    fn databases_are_maps(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let mut store = open(dir.path());
            let mut model = Model::new();
            let mut used = [false; 2];
            for (tenant, next) in steps {
                if matches!(next, Step::Reopen) {
                    store.close().await.unwrap();
                    store = open(dir.path());
                }
                used[tenant as usize] |= matches!(next, Step::Open(_));
                step(&store, &mut model, tenant, next).await;
            }
            check(&store, &model, used).await;
            store.close().await.unwrap();
            let store = open(dir.path());
            check(&store, &model, used).await;
            store.close().await.unwrap();
        });
    }
}
