//! Databases come, are used by many, are closed for others, and go.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests; a failure ends the test"
)]

mod common;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{ENDLESS, Node, bytes_below, id, node, node_with, sql, with};
use node_sql::{DbId, Limits, Param, SqlError};

/// Descriptors of this process for files below a directory.
fn descriptors(below: &Path) -> usize {
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    let targets = open.filter_map(|fd| std::fs::read_link(fd.unwrap().path()).ok());
    targets.filter(|target| target.starts_with(below)).count()
}

#[test]
fn nothing_is_made_before_the_first_open() {
    let node = node();
    node.databases.measure().unwrap();
    assert!(!node.databases.exists(&id("a")).unwrap());
    assert!(matches!(node.read("SELECT 1"), Err(SqlError::NoDb)));
    assert!(matches!(
        node.write("CREATE TABLE t(a)"),
        Err(SqlError::NoDb)
    ));
    assert!(matches!(
        node.databases.remove(&id("a")),
        Err(SqlError::NoDb)
    ));
    assert_eq!(bytes_below(node.dir.path()), 0);
    assert_eq!(std::fs::read_dir(node.dir.path()).unwrap().count(), 0);
    node.databases.open(&id("a")).unwrap();
    assert!(node.databases.exists(&id("a")).unwrap());
}

#[test]
fn names_stay_below_the_root_and_apart() {
    let node = node();
    let long = "\u{1f980}".repeat(32);
    let names = [
        "..",
        ".",
        "",
        "/etc/passwd",
        "../../x",
        "a\0b",
        "a/b",
        "%2E",
        "CON",
        &long,
    ];
    for package in [names[0], names[3], "app:alice.os"] {
        for name in names {
            let id = DbId {
                package: package.to_owned(),
                name: name.to_owned(),
            };
            node.databases.open(&id).unwrap();
            let create = with(
                "CREATE TABLE t AS SELECT ? AS a, ? AS b",
                vec![
                    Param::Text(package.to_owned()),
                    Param::Text(name.to_owned()),
                ],
            );
            node.databases.write(&id, &[create]).unwrap();
        }
    }
    node.databases.close_idle(Duration::ZERO);
    for package in [names[0], names[3], "app:alice.os"] {
        for name in names {
            let id = DbId {
                package: package.to_owned(),
                name: name.to_owned(),
            };
            let answer = node.databases.read(&id, &sql("SELECT * FROM t")).unwrap();
            let rows: serde_json::Value = serde_json::from_slice(&answer).unwrap();
            assert_eq!(rows, serde_json::json!([{"a": package, "b": name}]));
        }
    }
    // All of it is two directories below the root.
    let root = node.dir.path().join("sqlite");
    assert_eq!(std::fs::read_dir(node.dir.path()).unwrap().count(), 1);
    let packages: Vec<_> = std::fs::read_dir(&root)
        .unwrap()
        .map(|p| p.unwrap().path())
        .collect();
    assert_eq!(packages.len(), 3);
    for package in packages {
        assert_eq!(std::fs::read_dir(package).unwrap().count(), names.len());
    }
}

#[test]
fn readers_do_not_wait_for_a_writer_nor_it_for_them() {
    let node = Node::prepared(&["CREATE TABLE t(a)", "INSERT INTO t VALUES (1)"]);
    std::thread::scope(|scope| {
        let endless = format!("INSERT INTO t {}", ENDLESS.replace("max(n)", "n"));
        let node = &node;
        let writer = scope.spawn(move || node.write(&endless));
        let log = node.dir.path().join("sqlite/app:alice.os/a/a.db-wal");
        // The writer is at work once its pages no longer fit into its cache.
        while std::fs::metadata(&log).unwrap().len() < 1 << 20 {
            std::thread::yield_now();
        }
        assert_eq!(node.read("SELECT a FROM t").unwrap(), r#"[{"a":1}]"#);
        assert!(!writer.is_finished());
        node.databases.interrupt_all();
        assert!(matches!(writer.join().unwrap(), Err(SqlError::Interrupted)));
        let reader = scope.spawn(|| node.read(ENDLESS));
        node.write("INSERT INTO t VALUES (2)").unwrap();
        let answer = r#"[{"a":1},{"a":2}]"#;
        assert_eq!(node.read("SELECT a FROM t").unwrap(), answer);
        while !reader.is_finished() {
            node.databases.interrupt_all();
            std::thread::yield_now();
        }
    });
}

#[test]
fn many_threads_use_one_database() {
    let node = Node::prepared(&["CREATE TABLE t(thread, n)"]);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let node = &node;
            scope.spawn(move || {
                for number in 0..50 {
                    let values = vec![Param::Integer(thread), Param::Integer(number)];
                    let insert = with("INSERT INTO t VALUES (?, ?)", values);
                    node.databases.write(&id("a"), &[insert]).unwrap();
                    let own = format!("SELECT count(*) AS n FROM t WHERE thread = {thread}");
                    let expected = format!("[{{\"n\":{}}}]", number + 1);
                    assert_eq!(node.read(&own).unwrap(), expected);
                }
            });
        }
    });
    let all = node
        .read("SELECT count(*) AS n, sum(n) AS s FROM t")
        .unwrap();
    assert_eq!(all, r#"[{"n":400,"s":9800}]"#);
}

#[test]
fn few_databases_are_open_at_a_time() {
    let limits = Limits {
        open_databases: 3,
        ..Limits::default()
    };
    let node = node_with(limits, 1 << 40);
    let names: Vec<_> = (0..10).map(|number| id(&number.to_string())).collect();
    for name in &names {
        node.databases.open(name).unwrap();
        node.databases
            .write(name, &[sql("CREATE TABLE t(a)")])
            .unwrap();
    }
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let (node, names) = (&node, &names);
            scope.spawn(move || {
                for step in 0..60 {
                    let name = &names[(thread * 7 + step * 3) % names.len()];
                    let insert = sql("INSERT INTO t VALUES (1)");
                    node.databases.write(name, &[insert]).unwrap();
                    node.databases
                        .read(name, &sql("SELECT sum(a) FROM t"))
                        .unwrap();
                    assert!(descriptors(node.dir.path()) <= 3 * Limits::DESCRIPTORS);
                }
            });
        }
    });
    let mut rows = 0;
    for name in &names {
        let answer = node
            .databases
            .read(name, &sql("SELECT count(*) AS n FROM t"))
            .unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
        rows += answer[0]["n"].as_u64().unwrap();
    }
    assert_eq!(rows, 360);
    node.databases.close_idle(Duration::ZERO);
    assert_eq!(descriptors(node.dir.path()), 0);
    assert_eq!(node.budget.used(), node.on_disk(10));
}

#[test]
fn a_removed_database_is_gone_and_may_be_made_again() {
    let node = Node::prepared(&["CREATE TABLE t(a)", "INSERT INTO t VALUES (1)"]);
    std::thread::scope(|scope| {
        let under_way = scope.spawn(|| node.read(ENDLESS));
        node.databases.remove(&id("a")).unwrap();
        // It may not even have begun.
        let ended = under_way.join().unwrap();
        assert!(
            matches!(ended, Err(SqlError::Interrupted | SqlError::NoDb)),
            "{ended:?}"
        );
    });
    assert!(!node.databases.exists(&id("a")).unwrap());
    assert!(matches!(node.read("SELECT 1"), Err(SqlError::NoDb)));
    assert!(matches!(
        node.databases.remove(&id("a")),
        Err(SqlError::NoDb)
    ));
    assert_eq!(
        (bytes_below(node.dir.path()), descriptors(node.dir.path())),
        (0, 0)
    );
    node.databases.open(&id("a")).unwrap();
    assert_eq!(node.read("SELECT * FROM sqlite_master").unwrap(), "[]");
}

#[test]
fn making_and_removing_race_without_losing_count() {
    let node = node();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    let ended = node
                        .databases
                        .open(&id("a"))
                        .and_then(|()| node.write("CREATE TABLE IF NOT EXISTS t(a)"))
                        .and_then(|()| node.write("INSERT INTO t VALUES (1)"));
                    match ended {
                        Ok(()) | Err(SqlError::NoDb | SqlError::Interrupted) => {}
                        Err(SqlError::Sql(text)) if text.contains("no such table") => {}
                        Err(error) => panic!("{error:?}"),
                    }
                }
            });
        }
        for _ in 0..100 {
            match node.databases.remove(&id("a")) {
                Ok(()) | Err(SqlError::NoDb) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
        stop.store(true, Ordering::SeqCst);
    });
    let _ = node.databases.remove(&id("a"));
    assert_eq!((node.budget.used(), bytes_below(node.dir.path())), (0, 0));
}

#[test]
fn closing_ends_what_is_under_way_and_refuses_what_comes() {
    let node = Node::prepared(&["CREATE TABLE t(a)", "INSERT INTO t VALUES (1)"]);
    std::thread::scope(|scope| {
        let under_way: Vec<_> = (0..4).map(|_| scope.spawn(|| node.read(ENDLESS))).collect();
        node.databases.close();
        for read in under_way {
            let ended = read.join().unwrap();
            let expected = matches!(ended, Err(SqlError::Interrupted | SqlError::Closed));
            assert!(expected, "{ended:?}");
        }
    });
    assert!(matches!(
        node.databases.open(&id("b")),
        Err(SqlError::Closed)
    ));
    assert!(matches!(node.write("DELETE FROM t"), Err(SqlError::Closed)));
    assert_eq!(descriptors(node.dir.path()), 0);
    assert!(
        !node
            .dir
            .path()
            .join("sqlite/app:alice.os/a/a.db-wal")
            .exists()
    );
    assert_eq!(node.budget.used(), node.on_disk(1));
}

#[test]
fn only_what_changed_is_synced() {
    let node = node();
    assert!(!node.databases.sync().unwrap());
    node.databases.open(&id("a")).unwrap();
    assert!(node.databases.sync().unwrap());
    assert!(!node.databases.sync().unwrap());
    node.write("CREATE TABLE t(a)").unwrap();
    assert!(node.databases.sync().unwrap());
    node.read("SELECT * FROM t").unwrap();
    assert!(!node.databases.sync().unwrap());
    node.read("PRAGMA user_version = 1").unwrap();
    node.databases.close_idle(Duration::ZERO);
    assert!(node.databases.sync().unwrap());
    node.databases.remove(&id("a")).unwrap();
    assert!(node.databases.sync().unwrap());
    assert!(!node.databases.sync().unwrap());
}
