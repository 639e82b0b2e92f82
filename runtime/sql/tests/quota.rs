//! What databases cost, and what goes on when nothing is left.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests; a failure ends the test"
)]

mod common;

use std::sync::atomic::Ordering;
use std::time::Duration;

use common::{MIB, Node, bytes_below, count_to, databases, id, node_with, sql, with};
use node_sql::{Limits, Param, SqlError};

/// A node whose budget is `bytes` and which has the table `t`.
fn limited(bytes: u64) -> Node {
    node_with(Limits::default(), bytes).and(&["CREATE TABLE t(a)"])
}

/// Inserts a blob of so many bytes.
fn insert(node: &Node, bytes: usize) -> Result<(), SqlError> {
    let insert = with(
        "INSERT INTO t VALUES (?)",
        vec![Param::Blob(vec![7; bytes])],
    );
    node.databases.write(&id("a"), &[insert])
}

fn count(node: &Node) -> String {
    node.read("SELECT count(*) AS n FROM t").unwrap()
}

#[test]
fn what_is_charged_is_what_is_on_disk() {
    let node = limited(1 << 40);
    // Pages that are only in the log yet are charged as well.
    assert!(node.budget.used() >= node.on_disk(1));
    for bytes in [10, 100_000, 3_000_000, 100] {
        insert(&node, bytes).unwrap();
        assert!(node.budget.used() >= node.on_disk(1), "{bytes}");
    }
    node.databases.open(&id("b")).unwrap();
    node.databases.close_idle(Duration::ZERO);
    assert_eq!(node.budget.used(), node.on_disk(2));
    assert_eq!(count(&node), r#"[{"n":4}]"#);
    node.databases.remove(&id("b")).unwrap();
    assert!(node.budget.used() >= node.on_disk(1));
    node.databases.remove(&id("a")).unwrap();
    assert_eq!((node.budget.used(), bytes_below(node.dir.path())), (0, 0));
}

#[test]
fn the_budget_bounds_what_is_on_disk() {
    let limit = 8 * MIB;
    let node = limited(limit);
    let mut inserted = 0;
    let error = loop {
        match insert(&node, 100_000) {
            Ok(()) => inserted += 1,
            Err(error) => break error,
        }
        assert!(node.on_disk(1) <= limit + Limits::CREDIT, "{inserted}");
    };
    assert!(matches!(error, SqlError::NoRoom(_)), "{error:?}");
    assert!(
        error.to_string().starts_with("disk limit reached: "),
        "{error}"
    );
    // Most of the budget can be used: the log is copied back in time.
    assert!(inserted >= 60, "{inserted}");
    assert!(node.on_disk(1) <= limit + Limits::CREDIT);
    // Reads go on; so does what needs no new page, and in the end deleting.
    assert_eq!(count(&node), format!("[{{\"n\":{inserted}}}]"));
    node.write("UPDATE t SET a = zeroblob(100000) WHERE rowid = 1")
        .unwrap();
    for row in 1..=inserted / 2 {
        node.write(&format!("DELETE FROM t WHERE rowid = {row}"))
            .unwrap();
    }
    let left = limit - node.budget.used();
    assert!(left > 2 * MIB, "{left}");
    insert(&node, 100_000).unwrap();
    node.databases.remove(&id("a")).unwrap();
    assert_eq!(node.budget.used(), 0);
}

#[test]
fn one_statement_cannot_exceed_the_budget() {
    let limit = 16 * MIB;
    let node = limited(limit);
    let writes = [
        format!(
            "INSERT INTO t {} SELECT randomblob(1000) FROM c",
            count_to(1_000_000)
        ),
        "INSERT INTO t VALUES (zeroblob(20000000))".to_owned(),
        format!(
            "CREATE TABLE u AS {} SELECT randomblob(1000) FROM c",
            count_to(1_000_000)
        ),
    ];
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for write in &writes {
                let refused = node.write(write);
                assert!(matches!(refused, Err(SqlError::NoRoom(_))), "{refused:?}");
            }
        });
        let mut most = 0;
        while !writer.is_finished() {
            most = most.max(node.on_disk(1));
            std::thread::yield_now();
        }
        assert!(most <= limit + Limits::CREDIT, "{most}");
        writer.join().unwrap();
    });
    assert_eq!(count(&node), r#"[{"n":0}]"#);
    // A large one that fits is done, in several attempts.
    let fits = format!(
        "INSERT INTO t {} SELECT randomblob(1000) FROM c",
        count_to(3_000)
    );
    node.write(&fits).unwrap();
    assert_eq!(count(&node), r#"[{"n":3000}]"#);
    assert!(node.on_disk(1) <= limit + Limits::CREDIT);
}

#[test]
fn a_budget_that_is_used_up_makes_no_database() {
    let node = node_with(Limits::default(), 32 << 10);
    let refused = node.databases.open(&id("a"));
    assert!(matches!(refused, Err(SqlError::NoRoom(_))), "{refused:?}");
    assert!(!node.databases.exists(&id("a")).unwrap());
    assert_eq!(node.budget.used(), 0);
    // Bytes of others count as well; a database that is there is still read.
    let node = limited(MIB);
    node.budget.used.fetch_add(MIB, Ordering::SeqCst);
    node.databases.close_idle(Duration::ZERO);
    assert_eq!(count(&node), r#"[{"n":0}]"#);
    assert!(matches!(insert(&node, 1_000_000), Err(SqlError::NoRoom(_))));
}

#[test]
fn deleting_gives_bytes_back() {
    let node = limited(1 << 40);
    for _ in 0..40 {
        insert(&node, 100_000).unwrap();
    }
    let full = node.budget.used();
    node.write("DELETE FROM t WHERE rowid > 2").unwrap();
    let left = node.budget.used();
    assert!(left < full / 4, "{left} of {full}");
    assert!(node.on_disk(1) <= left);
    node.write("VACUUM").unwrap();
    assert!(node.budget.used() <= left);
    assert_eq!(count(&node), r#"[{"n":2}]"#);
}

#[test]
fn a_database_of_another_host_can_be_vacuumed() {
    // SQLite's allocator is wrapped before anything else uses it.
    let node = limited(1 << 40);
    node.databases.remove(&id("a")).unwrap();
    let dir = node.dir.path().join("sqlite/app:alice.os/a");
    std::fs::create_dir_all(&dir).unwrap();
    let other = rusqlite::Connection::open(dir.join("a.db")).unwrap();
    let fill = format!(
        "CREATE TABLE t(a); INSERT INTO t {} SELECT randomblob(1000) FROM c; DELETE FROM t WHERE rowid > 10",
        count_to(4000)
    );
    other.execute_batch(&fill).unwrap();
    drop(other);
    node.databases.measure().unwrap();
    let before = node.budget.used();
    assert_eq!(before, node.on_disk(1));
    node.write("VACUUM main;").unwrap();
    node.databases.close_idle(Duration::ZERO);
    assert!(node.budget.used() < before / 10, "{}", node.budget.used());
    assert_eq!(node.budget.used(), node.on_disk(1));
    assert_eq!(count(&node), r#"[{"n":10}]"#);
}

#[test]
fn what_is_on_disk_is_charged_once() {
    let node = limited(1 << 40);
    insert(&node, 1_000_000).unwrap();
    node.databases.open(&id("b")).unwrap();
    let charged = node.budget.used();
    node.databases.measure().unwrap();
    assert_eq!(node.budget.used(), charged);
    node.databases.close();
    let on_disk = node.on_disk(2);
    // What a kill leaves of a database half made or half removed.
    let root = node.dir.path().join("sqlite");
    std::fs::create_dir_all(root.join("app:alice.os/half")).unwrap();
    std::fs::create_dir_all(root.join(".removed/7")).unwrap();
    std::fs::write(root.join(".removed/7/c.db"), [0; 5000]).unwrap();
    let budget = common::Counted::new(1 << 40);
    let again = databases(node.dir.path(), Limits::default(), &budget);
    again.read(&id("a"), &sql("SELECT 1")).unwrap();
    again.measure().unwrap();
    again.close_idle(Duration::ZERO);
    assert_eq!(budget.used(), on_disk);
    assert!(!root.join(".removed").exists() && !root.join("app:alice.os/half").exists());
    assert_eq!(bytes_below(node.dir.path()) + 2 * Limits::FLAT, on_disk);
}

#[test]
fn a_long_log_is_copied_back_although_readers_come_and_go() {
    let node = limited(1 << 40);
    let log = node.dir.path().join("sqlite/app:alice.os/a/a.db-wal");
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (node, stop) = (&node, &stop);
        for _ in 0..2 {
            scope.spawn(move || {
                let long = format!("{} SELECT max(n) FROM c, t", count_to(30_000));
                while !stop.load(Ordering::SeqCst) {
                    node.read(&long).unwrap();
                }
            });
        }
        let mut most = 0;
        for _ in 0..60 {
            insert(node, 1_000_000).unwrap();
            most = most.max(std::fs::metadata(&log).unwrap().len());
        }
        stop.store(true, Ordering::SeqCst);
        assert!(most <= 40 * MIB, "{most}");
    });
}
