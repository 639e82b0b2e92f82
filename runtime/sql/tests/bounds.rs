//! Statements end in time, keep within their memory and can be interrupted.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "helpers of tests; what is measured is the machine's time"
)]

mod common;

use std::time::{Duration, Instant};

use common::{ENDLESS, MIB, Node, count_to, id, node, node_with, with};
use node_sql::{Limits, Param, SqlError};

fn quick() -> Limits {
    Limits {
        statement: Duration::from_millis(300),
        ..Limits::default()
    }
}

fn prepared(limits: Limits) -> Node {
    node_with(limits, 1 << 40).and(&["CREATE TABLE t(a, b)"])
}

#[test]
fn an_endless_statement_ends_at_the_deadline() {
    let node = prepared(quick());
    let insert = format!("INSERT INTO t(a) {}", ENDLESS.replace("max(n)", "n"));
    let start = Instant::now();
    assert!(matches!(node.read(ENDLESS), Err(SqlError::Deadline)));
    assert!(matches!(node.write(&insert), Err(SqlError::Deadline)));
    let took = start.elapsed();
    assert!(
        took > Duration::from_millis(500) && took < Duration::from_secs(5),
        "{took:?}"
    );
    assert_eq!(
        node.read("SELECT count(*) AS n FROM t").unwrap(),
        r#"[{"n":0}]"#
    );
    node.write("INSERT INTO t(a) VALUES (1)").unwrap();
}

#[test]
fn one_call_of_a_function_ends_at_the_deadline() {
    let node = prepared(quick());
    let long = "CAST(zeroblob(10000000) AS TEXT)";
    let letters = "replace(hex(zeroblob(4000000)), '0', 'a')";
    for call in [
        format!("instr({long}, CAST(zeroblob(5000000) AS TEXT) || 'x')"),
        format!("length(replace({letters}, substr({letters}, 1, 4000000) || 'b', ''))"),
        format!("length(trim({letters}, 'b' || replace(hex(zeroblob(2000000)), '0', 'c') || 'a'))"),
        format!("{letters} LIKE '%' || substr({letters}, 1, 40000) || 'b'"),
        format!("{letters} GLOB '*' || substr({letters}, 1, 40000) || 'b'"),
    ] {
        let start = Instant::now();
        let refused = node.read(&format!("SELECT {call} AS a"));
        assert!(
            matches!(refused, Err(SqlError::Deadline)),
            "{call}: {refused:?}"
        );
        let took = start.elapsed();
        assert!(took < Duration::from_secs(10), "{call}: {took:?}");
    }
}

#[test]
fn statements_under_way_are_interrupted() {
    let node = prepared(Limits::default());
    std::thread::scope(|scope| {
        let insert = format!("INSERT INTO t(a) {}", ENDLESS.replace("max(n)", "n"));
        let node = &node;
        let reads = [0, 1].map(|_| scope.spawn(|| node.read(ENDLESS)));
        let write = scope.spawn(move || node.write(&insert));
        let waiting = scope.spawn(|| node.read(ENDLESS));
        // Rung until all have ended, since nothing tells that all have begun.
        let start = Instant::now();
        while !(reads.iter().all(|read| read.is_finished())
            && write.is_finished()
            && waiting.is_finished())
        {
            node.databases.interrupt_all();
            std::thread::yield_now();
            assert!(start.elapsed() < Duration::from_secs(8));
        }
        for read in reads.into_iter().chain([waiting]) {
            assert!(matches!(read.join().unwrap(), Err(SqlError::Interrupted)));
        }
        assert!(matches!(write.join().unwrap(), Err(SqlError::Interrupted)));
    });
    node.write("INSERT INTO t(a) VALUES (1)").unwrap();
    assert_eq!(node.read("SELECT a FROM t").unwrap(), r#"[{"a":1}]"#);
}

#[test]
fn a_schema_that_grows_does_not_stay_in_memory() {
    let limits = Limits {
        memory: 8 * MIB,
        ..Limits::default()
    };
    let node = prepared(limits);
    let body = "SELECT 1;".repeat(4_000);
    let mut refused = 0;
    for number in 0..30 {
        let create = format!("CREATE TRIGGER g{number} AFTER DELETE ON t BEGIN {body} END");
        match node.write(&create) {
            Ok(()) => {}
            Err(SqlError::Memory) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(refused > 0);
    node.databases.remove(&id("a")).unwrap();
}

#[test]
fn a_search_of_many_words_ends_at_the_deadline() {
    let node = prepared(quick());
    node.write("CREATE VIRTUAL TABLE f USING fts5(body)")
        .unwrap();
    node.write("INSERT INTO f VALUES ('a b c')").unwrap();
    let words = Param::Text("a OR ".repeat(100_000) + "b");
    let search = with("SELECT rowid FROM f WHERE f MATCH ?", vec![words]);
    let start = Instant::now();
    let refused = node.databases.read(&id("a"), &search);
    assert!(matches!(refused, Err(SqlError::Deadline)), "{refused:?}");
    assert!(start.elapsed() < Duration::from_secs(5));
    let search = with(
        "SELECT rowid FROM f WHERE f MATCH ?",
        vec![Param::Text("c".to_owned())],
    );
    assert_eq!(
        node.databases.read(&id("a"), &search).unwrap(),
        br#"[{"rowid":1}]"#
    );
}

#[test]
fn an_answer_has_a_bound() {
    let limits = Limits {
        result_bytes: 1000,
        ..Limits::default()
    };
    let node = prepared(limits);
    let text = format!("{} SELECT n FROM c", count_to(1000));
    let refused = node.read(&text);
    assert!(
        matches!(refused, Err(SqlError::TooLarge { limit: 1000 })),
        "{refused:?}"
    );
    assert_eq!(node.read("SELECT 1 AS a").unwrap(), r#"[{"a":1}]"#);
}

#[test]
fn large_or_deep_sql_is_refused() {
    let node = node().and(&["CREATE TABLE t(a)"]);
    let deep = format!("SELECT {}1{}", "(1+".repeat(5000), ")".repeat(5000));
    let long = format!("SELECT '{}'", "x".repeat(2 << 20));
    let wide = format!("SELECT {}", vec!["1"; 1500].join(","));
    let compound = vec!["SELECT 1"; 200].join(" UNION ALL ");
    let views: Vec<_> = (1..40)
        .map(|n| format!("v{n} AS (SELECT x.a FROM v{} x, v{} y)", n - 1, n - 1))
        .collect();
    let exponential = format!(
        "WITH v0(a) AS (SELECT 1), {} SELECT * FROM v39",
        views.join(",")
    );
    let nested = format!(
        "{}t{}",
        "SELECT * FROM (".repeat(20_000),
        ")".repeat(20_000)
    );
    let joined = format!(
        "SELECT * FROM {}t{}",
        "(t JOIN ".repeat(20_000),
        ")".repeat(20_000)
    );
    let hidden = format!("SELECT $a(') , ({nested}), $b(')");
    let links: Vec<_> = (1..20_000)
        .map(|n| format!("v{n} AS (SELECT a FROM v{})", n - 1))
        .collect();
    let chain = format!(
        "WITH v0(a) AS (SELECT 1), {} SELECT * FROM v19999",
        links.join(",")
    );
    let many = [
        deep,
        long,
        wide,
        compound,
        exponential,
        nested,
        joined,
        hidden,
        chain,
    ];
    for text in many {
        let refused = node.read(&text);
        assert!(
            matches!(
                refused,
                Err(SqlError::Sql(_) | SqlError::Memory | SqlError::Deadline)
            ),
            "{:.40}: {refused:?}",
            text
        );
    }
    let many = format!("INSERT INTO t VALUES {}", vec!["(1)"; 20_000].join(","));
    node.write(&many).unwrap();
    let chain = format!(
        "SELECT a FROM t WHERE {} LIMIT 1",
        vec!["a=1"; 400].join(" OR ")
    );
    assert_eq!(node.read(&chain).unwrap(), r#"[{"a":1}]"#);
}
