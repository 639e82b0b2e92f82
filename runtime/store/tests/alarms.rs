//! The table of alarms, beside everything that tenants write and remove.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use lifecycle::Tasks;
use node_store::{Alarm, Due, HostStore, Space};
use proptest::prelude::*;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

fn open(path: &Path) -> HostStore {
    let tasks = Tasks::new(Handle::current(), &CancellationToken::new());
    HostStore::open(path, &tasks).unwrap()
}

fn alarm(tenant: u128, incarnation: u32, due: Due) -> Alarm {
    Alarm {
        tenant,
        incarnation,
        due,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_word_about_a_tenant_stands_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let alarms = store.alarms();
    assert_eq!(alarms.all().await.unwrap(), []);
    alarms.set(1, 0, Due::Running).await.unwrap();
    alarms.set(1, 0, Due::At(-5)).await.unwrap();
    alarms.set(1, 7, Due::At(i64::MAX)).await.unwrap();
    alarms.set(2, 0, Due::At(9)).await.unwrap();
    alarms.set(2, 0, Due::Running).await.unwrap();
    alarms.set(3, 0, Due::Running).await.unwrap();
    alarms.clear(3, 0).await.unwrap();
    alarms.clear(4, 0).await.unwrap();
    let expected = [
        alarm(1, 0, Due::At(-5)),
        alarm(1, 7, Due::At(i64::MAX)),
        alarm(2, 0, Due::Running),
    ];
    assert_eq!(alarms.all().await.unwrap(), expected);
    store.close().await.unwrap();

    let store = open(dir.path());
    assert_eq!(store.alarms().all().await.unwrap(), expected);
    store.purge_incarnation(1, 7).await.unwrap();
    store.purge(2).await.unwrap();
    assert_eq!(store.alarms().all().await.unwrap(), expected[..1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_from_before_there_were_alarms_gets_the_table() {
    let dir = tempfile::tempdir().unwrap();
    let old = rocksdb::DB::open_default(dir.path()).unwrap();
    drop(old);
    let store = open(dir.path());
    store.alarms().set(1, 0, Due::At(1)).await.unwrap();
    assert_eq!(
        store.alarms().all().await.unwrap(),
        [alarm(1, 0, Due::At(1))]
    );
}

/// Ends of ranges are where mistakes are, so they come often.
fn tenants() -> impl Strategy<Value = u128> {
    prop_oneof![
        Just(0),
        Just(u128::MAX),
        Just(u128::MAX - 1),
        Just(255),
        any::<u128>()
    ]
}

#[derive(Debug, Clone)]
enum Step {
    Set(u128, u32, i64),
    Write(u128, u32, Vec<u8>),
    Purge(u128),
    PurgeLife(u128, u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let lives = || prop_oneof![Just(0), Just(u32::MAX), any::<u32>()];
    let step = prop_oneof![
        (tenants(), lives(), any::<i64>()).prop_map(|(a, b, c)| Step::Set(a, b, c)),
        (
            tenants(),
            lives(),
            proptest::collection::vec(any::<u8>(), 0..40)
        )
            .prop_map(|(a, b, c)| Step::Write(a, b, c)),
        tenants().prop_map(Step::Purge),
        (tenants(), lives()).prop_map(|(a, b)| Step::PurgeLife(a, b)),
    ];
    proptest::collection::vec(step, 1..24)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever tenants write is never in the table, and nothing but the
    /// removal of its tenant takes an entry away.
    #[test]
    fn tenants_and_the_table_do_not_reach_each_other(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let store = open(dir.path());
            let mut alarms = BTreeMap::new();
            let mut keys = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Set(tenant, life, at) => {
                        store.alarms().set(tenant, life, Due::At(at)).await.unwrap();
                        alarms.insert((tenant, life), at);
                    }
                    Step::Write(tenant, life, key) => {
                        let value = Bytes::from_static(b"x");
                        let keyspace = store.keyspace(tenant, life);
                        keyspace.put(Space::Wake, &key, value).await.unwrap();
                        keys.insert((tenant, life, key), ());
                    }
                    Step::Purge(tenant) => {
                        store.purge(tenant).await.unwrap();
                        alarms.retain(|(of, _), _| *of != tenant);
                        keys.retain(|(of, _, _), ()| *of != tenant);
                    }
                    Step::PurgeLife(tenant, life) => {
                        store.purge_incarnation(tenant, life).await.unwrap();
                        alarms.retain(|of, _| *of != (tenant, life));
                        keys.retain(|(of, its, _), ()| (*of, *its) != (tenant, life));
                    }
                }
            }
            let expected: Vec<_> = alarms
                .iter()
                .map(|((tenant, life), at)| alarm(*tenant, *life, Due::At(*at)))
                .collect();
            assert_eq!(store.alarms().all().await.unwrap(), expected);
            for (tenant, life, key) in keys.into_keys() {
                let keyspace = store.keyspace(tenant, life);
                assert!(keyspace.get(Space::Wake, &key).await.unwrap().is_some());
            }
            store.close().await.unwrap();
        });
    }
}
