//! SQL that is not allowed, in all its disguises.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests; a failure ends the test"
)]

mod common;

use common::Node;
use node_sql::SqlError;

#[test]
fn a_read_that_writes_is_refused() {
    let node = Node::prepared(&["CREATE TABLE t(a)", "INSERT INTO t VALUES (1)"]);
    for text in [
        "WITH x AS (SELECT 1) DELETE FROM t",
        "WITH x(a) AS (VALUES (2)) INSERT INTO t SELECT a FROM x RETURNING a",
        "ANALYZE",
    ] {
        assert!(matches!(node.read(text), Err(SqlError::NotARead)), "{text}");
    }
    assert_eq!(node.read("SELECT a FROM t").unwrap(), r#"[{"a":1}]"#);
    node.read("EXPLAIN DELETE FROM t").unwrap();
    assert_eq!(node.read("SELECT a FROM t").unwrap(), r#"[{"a":1}]"#);
    node.write("WITH x AS (SELECT 1) DELETE FROM t").unwrap();
    assert_eq!(node.read("SELECT a FROM t").unwrap(), "[]");
    let text = "WITH x AS (SELECT 1) SELECT * FROM x";
    assert!(matches!(node.write(text), Err(SqlError::NotAWrite)));
    node.write("ANALYZE").unwrap();
}

#[test]
fn sql_does_not_reach_outside_its_database() {
    let node = Node::prepared(&["CREATE TABLE t(a)", "INSERT INTO t VALUES (1)"]);
    let target = node.dir.path().join("stolen.db");
    let target = target.to_str().unwrap();
    let attach = format!("ATTACH '{target}' AS x");
    let into = format!("VACUUM INTO '{target}'");
    for text in [
        attach.as_str(),
        "ATTACH '/etc/passwd' AS x",
        "ATTACH ':memory:' AS x",
        "EXPLAIN ATTACH 'x' AS y",
        "BEGIN",
        "BEGIN IMMEDIATE",
        "EXPLAIN BEGIN",
        "SELECT load_extension('x')",
        "SELECT fts3_tokenizer('simple')",
        "PRAGMA writable_schema=1",
        "PRAGMA writable_schema",
        "EXPLAIN PRAGMA foreign_keys=OFF",
        "EXPLAIN PRAGMA user_version=9",
        "PRAGMA temp_store_directory='/tmp'",
        "PRAGMA data_store_directory='/tmp'",
        "PRAGMA trusted_schema=1",
        "PRAGMA cell_size_check=0",
        "PRAGMA hard_heap_limit=1",
        "PRAGMA soft_heap_limit=1",
        "PRAGMA incremental_vacuum(10)",
        "PRAGMA max_page_count=10",
        "PRAGMA query_only=0",
        "PRAGMA ignore_check_constraints=1",
        "PRAGMA schema_version=7",
        "PRAGMA encoding='UTF-16'",
        "PRAGMA nonsense",
        "SELECT * FROM pragma_database_list",
        "SELECT * FROM pragma_journal_mode",
    ] {
        let refused = node.read(text);
        assert!(
            matches!(refused, Err(SqlError::Denied(_))),
            "{text}: {refused:?}"
        );
    }
    for text in [
        into.as_str(),
        "VACUUM main INTO 'x'",
        "DETACH main",
        "COMMIT",
        "END",
        "ROLLBACK",
        "SAVEPOINT a",
        "RELEASE a",
        "CREATE TEMP TABLE u(a)",
        "CREATE TABLE temp.u(a)",
        "CREATE VIEW temp.v AS SELECT 1",
        "CREATE TABLE \"TEMP\".u AS SELECT 1",
        "CREATE VIRTUAL TABLE temp.v USING fts5(a)",
        "CREATE TEMP VIEW v AS SELECT 1",
        "CREATE TEMP TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END",
        "CREATE VIRTUAL TABLE v USING dbstat",
        "CREATE VIRTUAL TABLE v USING fts3(a)",
        "INSERT INTO t SELECT load_extension('x')",
    ] {
        let refused = node.write(text);
        assert!(
            matches!(refused, Err(SqlError::Denied(_))),
            "{text}: {refused:?}"
        );
    }
    for text in [
        "INSERT INTO sqlite_master VALUES ('table', 'x', 'x', 1, 'CREATE TABLE x(a)')",
        "UPDATE sqlite_master SET sql = 'x'",
        "DELETE FROM sqlite_schema",
        "DROP TABLE sqlite_master",
    ] {
        assert!(matches!(node.write(text), Err(SqlError::Sql(_))), "{text}");
    }
    assert!(!std::path::Path::new(target).exists());
    let list = node.read("PRAGMA database_list").unwrap();
    assert_eq!(list, r#"[{"seq":0,"name":"main","file":""}]"#);
    assert_eq!(node.read("SELECT a FROM t").unwrap(), r#"[{"a":1}]"#);
}

#[test]
fn shadow_tables_are_not_written() {
    let node = Node::prepared(&[
        "CREATE VIRTUAL TABLE f USING fts5(body)",
        "INSERT INTO f VALUES ('a hare and a tortoise')",
        "CREATE VIRTUAL TABLE r USING rtree(id, x, y)",
    ]);
    let hits = node.read("SELECT rowid FROM f WHERE f MATCH 'tortoise'");
    assert_eq!(hits.unwrap(), r#"[{"rowid":1}]"#);
    let write = node.write("DELETE FROM f_data");
    assert!(matches!(write, Err(SqlError::Sql(_))), "{write:?}");
}

#[test]
fn one_statement_at_a_time() {
    let node = Node::prepared(&["CREATE TABLE t(a)"]);
    let many = "SELECT 1;".repeat(100_000);
    for text in ["SELECT 1; SELECT 2", "SELECT 1; nonsense", many.as_str()] {
        let refused = node.read(text);
        assert!(matches!(refused, Err(SqlError::Sql(_))), "{refused:?}");
    }
    let write = node.write("INSERT INTO t VALUES (1); DELETE FROM t");
    assert!(matches!(write, Err(SqlError::Sql(_))), "{write:?}");
    assert_eq!(node.read("SELECT a FROM t").unwrap(), "[]");
    node.write("INSERT INTO t VALUES (';') ; /* the end; */ -- of it")
        .unwrap();
    node.write("CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; SELECT 2; END;")
        .unwrap();
    assert_eq!(
        node.read("SELECT a FROM t WHERE a = ';'").unwrap(),
        r#"[{"a":";"}]"#
    );
    assert!(matches!(node.read("SELECT 1\0; x"), Err(SqlError::Sql(_))));
}
