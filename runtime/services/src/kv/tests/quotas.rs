//! Databases within the node's disk quota and write rate.

use std::time::Duration;

use super::bench::*;
use crate::quota::{DiskQuota, Store, WriteRate};

#[tokio::test(flavor = "multi_thread")]
async fn over_quota_writes_are_refused_in_each_dialect_and_reads_and_deletes_go_on() {
    let mut bench = Bench::new(10_000);
    bench.ask(OLD, r#""Open""#).await;
    bench.ask(NEW, r#""Open""#).await;
    assert_eq!(bench.set(NEW, b"k", &[1; 9_000]).await, r#""Ok""#);
    let used = bench.quota.used();
    assert!((9_000..9_200).contains(&used), "{used}");
    assert_eq!(bench.quota.used_by(Store::KeyValue), used);

    for (process, wanted) in [
        (
            OLD,
            r#"{"Err":{"error":{"RocksDBError":{"action":"Set","error":"disk limit reached"#,
        ),
        (NEW, r#"{"Err":{"RocksDBError":"disk limit reached"#),
    ] {
        let answer = bench.set(process, b"more", &[1; 2_000]).await;
        assert!(answer.starts_with(wanted), "{answer}");
    }
    let tx = bench.begin(NEW).await;
    for key in [b"a", b"b"] {
        let in_tx = body("db", &set(key, Some(tx)));
        bench.ask_with(NEW, in_tx, Some(&[1; 600])).await;
    }
    let answer = bench.ask(NEW, &commit(tx)).await;
    assert!(answer.contains("disk limit reached"), "{answer}");
    assert_eq!(bench.value(NEW, b"a").await, None, "all or nothing");
    assert_eq!(bench.quota.used(), used);

    assert_eq!(bench.value(OLD, b"k").await.unwrap().len(), 9_000);
    assert_eq!(bench.set(NEW, b"k", &[2; 9_000]).await, r#""Ok""#);
    assert_eq!(bench.ask(OLD, &delete(b"k", None)).await, r#""Ok""#);
    assert!(bench.quota.used() < 200);
    assert_eq!(bench.set(NEW, b"more", &[1; 2_000]).await, r#""Ok""#);
    assert_eq!(bench.ask(NEW, r#""RemoveDb""#).await, r#""Ok""#);
    assert!(bench.quota.used() < 50, "{}", bench.quota.used());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_node_opens_what_it_has_and_nothing_new() {
    let mut bench = Bench::new(300);
    bench.ask(NEW, r#""Open""#).await;
    bench.quota.add_existing(300);
    assert_eq!(bench.ask(NEW, r#""Open""#).await, r#""Ok""#);
    let open = body("second", r#""Open""#);
    let (answer, _) = bench.ask_with(NEW, open, None).await;
    let wanted = r#"{"Err":{"RocksDBError":"disk limit reached"#;
    assert!(answer.starts_with(wanted), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_earlier_lives_left_is_counted_again_by_store() {
    let mut bench = Bench::new(1 << 20);
    bench.ask(APP, r#""Open""#).await;
    bench.set(APP, b"k", &[1; 5_000]).await;
    let used = bench.quota.used();
    let bench = bench.reopen().await;
    bench.kv.stored.count().await.unwrap();
    assert_eq!(bench.quota.used(), used);
    assert_eq!(bench.quota.used_by(Store::KeyValue), used);
    assert_eq!(bench.quota.used_by(Store::State), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_wait_for_the_rate_of_the_plan_and_reads_do_not() {
    let rate = WriteRate::per_second(10_000);
    let start = tokio::time::Instant::now();
    let mut bench = Bench::with_quota(DiskQuota::with_rate(1 << 20, rate));
    bench.ask(APP, r#""Open""#).await;
    bench.ask(NEW, r#""Open""#).await;
    bench.set(APP, b"k", &[1; 39_000]).await;
    let set = body("db", &set(b"l", None));
    let write = bench.port.request(APP, KV, set, Some(&[2; 10_000]));
    let id = write.id;
    bench.send(write);
    // Another's read is answered while that write waits.
    assert!(bench.value(NEW, b"k").await.is_some());
    let answer = bench.next().await;
    assert_eq!(answer.id, id);
    assert!(start.elapsed() >= Duration::from_millis(900));
    assert_eq!(bench.quota.slowed(), 1);
    assert_eq!(bench.value(APP, b"l").await.unwrap().len(), 10_000);
}
