//! What the whole process uses for statements. One test, so that nothing else
//! runs in it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "helpers of tests; what is measured is the machine's time"
)]

mod common;

use std::time::{Duration, Instant};

use common::{ENDLESS, MIB, count_to, id, node_with, sql};
use node_sql::{Limits, SqlError};

/// Processor time of this process.
fn worked() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split(' ').collect();
    let ticks: u64 = fields[12].parse::<u64>().unwrap() + fields[13].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

/// Bytes of memory this process has at the most so far.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib << 10
}

#[test]
fn statements_keep_within_their_memory_and_half_a_core() {
    a_statement_keeps_within_its_memory();
    a_long_statement_takes_half_a_core();
}

fn a_statement_keeps_within_its_memory() {
    let limits = Limits {
        memory: 8 * MIB,
        ..Limits::default()
    };
    let node = node_with(limits, 1 << 40).and(&["CREATE TABLE t(a)"]);
    node.databases.open(&id("other")).unwrap();
    let rows = count_to(1_200_000);
    let before = peak();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            for number in 0..20 {
                let select = format!("{} SELECT sum(n) + {number} AS s FROM c", count_to(1000));
                node.databases.read(&id("other"), &sql(&select)).unwrap();
            }
        });
        for text in [
            format!("{rows} SELECT group_concat(n) AS a FROM c"),
            format!("{rows} SELECT n FROM c ORDER BY -n LIMIT 1100000, 1"),
            format!("{rows} SELECT count(DISTINCT n) AS a FROM c"),
            format!("{rows} SELECT json_group_array(n) AS a FROM c"),
            "SELECT length(randomblob(7000000) || randomblob(7000000) || randomblob(7000000)) AS a"
                .to_owned(),
            "SELECT hex(randomblob(8000000)) AS a".to_owned(),
        ] {
            let refused = node.read(&text);
            let said = matches!(refused, Err(SqlError::Memory | SqlError::Sql(_)));
            assert!(said, "{text}: {:?}", refused.map(|answer| answer.len()));
        }
        let insert = format!("INSERT INTO t(a) {rows} SELECT n FROM c ORDER BY -n");
        assert!(matches!(node.write(&insert), Err(SqlError::Memory)));
        other.join().unwrap();
    });
    let grown = peak() - before;
    assert!(grown < 96 * MIB, "{grown}");
    assert_eq!(
        node.read("SELECT count(*) AS n FROM t").unwrap(),
        r#"[{"n":0}]"#
    );
    node.write("INSERT INTO t(a) VALUES (1)").unwrap();
}

fn a_long_statement_takes_half_a_core() {
    let limits = Limits {
        statement: Duration::from_secs(2),
        ..Limits::default()
    };
    let node = node_with(limits, 1 << 40).and(&["CREATE TABLE t(a)"]);
    let before = worked();
    let start = Instant::now();
    assert!(matches!(node.read(ENDLESS), Err(SqlError::Deadline)));
    let (took, worked) = (start.elapsed(), worked() - before);
    assert!(took >= Duration::from_secs(2), "{took:?}");
    assert!(worked < took * 3 / 4, "{worked:?} of {took:?}");
}
