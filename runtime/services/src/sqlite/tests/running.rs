//! Many at once, and the end.

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::*;
use super::bench::{APP, Bench, MIB, OTHER, body, write};
use crate::database::{Kind, Rights};

/// A query that would never end.
const ENDLESS: &str = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) \
                       SELECT count(*) AS n FROM c";

/// Waits until a statement is under way.
async fn busy(bench: &Bench) {
    while bench.sqlite.slots.available_permits() == CONCURRENT {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_process_is_served_in_order() {
    let mut bench = Bench::new();
    bench.ok(APP, json!("Open"), None).await;
    let create = write("CREATE TABLE log (who INTEGER, n INTEGER)");
    bench.ok(APP, create, None).await;
    let rights = |process: &str| {
        let us = bench.port.address(super::bench::SQLITE);
        Rights {
            us: &us,
            port: &*bench.port,
        }
        .grant(&process.parse().unwrap(), &bench.key());
    };
    let mut expected: HashMap<String, Vec<_>> = HashMap::new();
    for who in 0..4 {
        let process = format!("p{who}:pkg:me.dev");
        rights(&process);
        for n in 0..50 {
            let insert = write(&format!("INSERT INTO log VALUES ({who}, {n})"));
            let request = bench.request(&process, &insert, None);
            expected
                .entry(process.clone())
                .or_default()
                .push(request.id);
            bench.send(request);
        }
    }
    let mut got: HashMap<String, Vec<_>> = HashMap::new();
    for _ in 0..4 * 50 {
        let answer = bench.next().await;
        assert_eq!(body(&answer), "Ok");
        let process = answer.target.process.to_string();
        got.entry(process).or_default().push(answer.id);
    }
    assert_eq!(got, expected);
    for who in 0..4 {
        let sql = format!("SELECT n FROM log WHERE who = {who} ORDER BY rowid");
        let rows = bench.rows(APP, &sql).await;
        let inserted: Vec<Value> = (0..50).map(|n| json!({ "n": n })).collect();
        assert_eq!(rows, json!(inserted));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_query_holds_up_nobody_else_and_is_cut() {
    let limits = Limits {
        statement: Duration::from_secs(2),
        ..Limits::default()
    };
    let mut bench = Bench::with(tempfile::tempdir().unwrap(), 256 * MIB, limits);
    bench.ok(APP, json!("Open"), None).await;
    bench.give(OTHER, Kind::Write);
    let endless = bench.request(APP, &json!({ "Query": ENDLESS }), None);
    let after = bench.request(APP, &write("CREATE TABLE late (v)"), None);
    let ids = [endless.id, after.id];
    bench.send(endless);
    bench.send(after);
    busy(&bench).await;
    let quick = bench.ask(OTHER, write("CREATE TABLE t (v)"), None).await;
    assert_eq!(quick, "Ok");
    let cut = bench.next().await;
    let text = body(&cut)["Err"]["RusqliteError"].to_string();
    assert!(text.contains("did not finish in the time"), "{text}");
    let after = bench.next().await;
    assert_eq!(body(&after), "Ok");
    assert_eq!([cut.id, after.id], ids);
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_interrupts_what_runs_and_keeps_what_was_acknowledged() {
    let mut bench = Bench::new();
    bench.ok(APP, json!("Open"), None).await;
    bench.ok(APP, write("CREATE TABLE t (v)"), None).await;
    bench.ok(APP, write("INSERT INTO t VALUES (7)"), None).await;
    let endless = bench.request(APP, &json!({ "Query": ENDLESS }), None);
    let never = bench.request(APP, &write("DELETE FROM t"), None);
    bench.send(endless);
    bench.send(never);
    busy(&bench).await;
    let start = Instant::now();
    assert!(bench.tasks.shutdown(Duration::from_secs(20)).await);
    assert!(start.elapsed() < Duration::from_secs(5));
    let answer = bench.sent.try_recv().unwrap();
    let text = body(&answer)["Err"]["RusqliteError"].to_string();
    assert!(text.contains("interrupted"), "{text}");
    assert!(bench.sent.try_recv().is_err(), "the rest is dropped");

    let mut bench = Bench::with(bench.dir, 256 * MIB, Limits::default());
    bench.give(APP, Kind::Read);
    assert_eq!(bench.rows(APP, "SELECT v FROM t").await, json!([{"v": 7}]));
}

/// Descriptors of this process on files below `dir`.
fn descriptors(dir: &Path) -> usize {
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    let targets = open.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
    targets.filter(|target| target.starts_with(dir)).count()
}

#[tokio::test(start_paused = true)]
async fn databases_that_nobody_uses_hold_no_descriptors() {
    let mut bench = Bench::new();
    let dir = bench.dir.path().canonicalize().unwrap();
    bench.ok(APP, json!("Open"), None).await;
    bench.ok(APP, write("CREATE TABLE t (v)"), None).await;
    bench.rows(APP, "SELECT v FROM t").await;
    assert!(descriptors(&dir) > 0);
    tokio::time::sleep(CLOSE_IDLE * 3).await;
    assert_eq!(descriptors(&dir), 0);
    assert_eq!(bench.rows(APP, "SELECT v FROM t").await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_databases_has_no_files() {
    let mut bench = Bench::new();
    let answer = bench.ask(APP, json!({"Query": "SELECT 1"}), None).await;
    assert_eq!(answer, json!({"Err": "NoReadCap"}));
    bench.give(APP, Kind::Read);
    let answer = bench.ask(APP, json!({"Query": "SELECT 1"}), None).await;
    assert!(answer["Err"]["NoDb"].is_array(), "{answer}");
    assert!(bench.tasks.shutdown(Duration::from_secs(20)).await);
    assert!(!bench.dir.path().join("sqlite").exists());
    assert_eq!(bench.quota.used(), 0);
}
