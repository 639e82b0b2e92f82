//! Transactions as processes meet them.

use bytes::Bytes;
use node_store::{MAX_KEY_BYTES, Op};

use super::bench::*;
use crate::database::{DbKey, MAX_OF_PROCESS};
use crate::kv::action::KvError;
use crate::{NodeEvent, ProcessExit};

const MIB: u64 = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_transaction_is_seen_before_its_commit_and_all_of_it_after() {
    let mut bench = Bench::new(MIB);
    bench.ask(APP, r#""Open""#).await;
    bench.set(APP, b"gone", b"old").await;
    let tx = bench.begin(APP).await;
    for (action, blob) in [
        (set(b"a", Some(tx)), Some(&b"first"[..])),
        (set(b"a", Some(tx)), Some(b"last")),
        (delete(b"gone", Some(tx)), None),
        (set(b"b", Some(tx)), Some(b"2")),
    ] {
        let (answer, _) = bench.ask_with(APP, body("db", &action), blob).await;
        assert_eq!(answer, r#""Ok""#);
    }
    assert_eq!(bench.value(APP, b"a").await, None);
    assert_eq!(bench.value(APP, b"gone").await.unwrap(), "old");
    assert_eq!(bench.ask(APP, &commit(tx)).await, r#""Ok""#);
    assert_eq!(bench.value(APP, b"a").await.unwrap(), "last");
    assert_eq!(bench.value(APP, b"b").await.unwrap(), "2");
    assert_eq!(bench.value(APP, b"gone").await, None);
    let over = format!(r#"{{"Err":{{"NoTx":{tx}}}}}"#);
    assert_eq!(bench.ask(APP, &commit(tx)).await, over);
    let empty = bench.begin(APP).await;
    assert_eq!(bench.ask(APP, &commit(empty)).await, r#""Ok""#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_is_its_processs_and_its_databases_only() {
    let mut bench = Bench::new(MIB);
    for name in ["db", "db2"] {
        for process in [APP, NEW] {
            bench.ask_with(process, body(name, r#""Open""#), None).await;
        }
    }
    let tx = bench.begin(APP).await;
    let in_tx = body("db", &set(b"k", Some(tx)));
    bench.ask_with(APP, in_tx, Some(b"v")).await;
    let no_tx = format!(r#"{{"Err":{{"NoTx":{tx}}}}}"#);
    assert_eq!(bench.ask(NEW, &commit(tx)).await, no_tx);
    assert_eq!(bench.ask(NEW, &delete(b"k", Some(tx))).await, no_tx);
    let elsewhere = body("db2", &commit(tx));
    assert_eq!(bench.ask_with(APP, elsewhere, None).await.0, no_tx);
    assert_eq!(bench.ask(APP, &commit(tx)).await, r#""Ok""#);
    assert_eq!(bench.value(NEW, b"k").await.unwrap(), "v");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_cannot_be_is_refused_at_once_and_is_not_in_the_transaction() {
    let mut bench = Bench::new(MIB);
    bench.ask(NEW, r#""Open""#).await;
    let tx = bench.begin(NEW).await;
    let no_blob = bench.ask(NEW, &set(b"k", Some(tx))).await;
    assert_eq!(no_blob, r#"{"Err":"MalformedRequest"}"#);
    let long = body("db", &set(&[1; MAX_KEY_BYTES + 1], Some(tx)));
    let (answer, _) = bench.ask_with(NEW, long, Some(b"v")).await;
    assert!(answer.contains("a key has 1025 bytes"), "{answer}");
    assert_eq!(bench.ask(NEW, &commit(tx)).await, r#""Ok""#);
    assert_eq!(bench.value(NEW, b"k").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_end_with_their_process_and_with_their_database() {
    let mut bench = Bench::new(MIB);
    bench.ask(APP, r#""Open""#).await;
    bench.ask(NEW, r#""Open""#).await;
    let tx = bench.begin(APP).await;
    bench.begin(NEW).await;
    bench.port.emit(NodeEvent::Exited {
        process: NEW.parse().unwrap(),
        exit: ProcessExit::Killed,
    });
    while bench.kv.transactions.held().0 == 2 {
        tokio::task::yield_now().await;
    }
    let in_tx = body("db", &set(b"k", Some(tx)));
    assert_eq!(bench.ask_with(APP, in_tx, Some(b"v")).await.0, r#""Ok""#);
    bench.ask(APP, r#""RemoveDb""#).await;
    assert_eq!(bench.kv.transactions.held(), (0, 0));
    bench.ask(APP, r#""Open""#).await;
    let no_tx = format!(r#"{{"Err":{{"NoTx":{tx}}}}}"#);
    assert_eq!(bench.ask(APP, &commit(tx)).await, no_tx);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_or_too_large_transactions_are_refused_in_each_dialect() {
    let mut bench = Bench::new(MIB);
    for (process, many, full) in [
        (
            OLD,
            r#"{"Err":{"error":{"RocksDBError":{"action":"BeginTx","error":"too many"#,
            r#"{"Err":{"error":{"RocksDBError":{"action":"Set","error":"the open transactions"#,
        ),
        (
            NEW,
            r#"{"Err":{"RocksDBError":"too many"#,
            r#"{"Err":{"RocksDBError":"the open transactions"#,
        ),
    ] {
        bench.ask(process, r#""Open""#).await;
        let mut last = 0;
        for _ in 0..MAX_OF_PROCESS {
            last = bench.begin(process).await;
        }
        let answer = bench.ask(process, r#""BeginTx""#).await;
        assert!(answer.starts_with(many), "{answer}");

        let id = process.parse().unwrap();
        let db = DbKey::parse(&"pkg:me.dev".parse().unwrap(), "db").unwrap();
        let key = Bytes::from_static(b"k");
        let large = Bytes::from(vec![0; 16 << 20]);
        let mut pushed = 0;
        while bench
            .kv
            .transactions
            .add::<KvError>(
                last,
                &id,
                &db,
                (Op::Put(key.clone(), large.clone()), large.len()),
            )
            .is_ok()
        {
            pushed += 1;
        }
        assert_eq!(pushed, 3);
        let in_tx = body("db", &set(b"k", Some(last)));
        let (answer, _) = bench.ask_with(process, in_tx, Some(&large)).await;
        assert!(answer.starts_with(full), "{answer}");
        bench.kv.transactions.take(last, &id, &db).unwrap();
    }
}
