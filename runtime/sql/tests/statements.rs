//! What statements do, and what they may not.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests; a failure ends the test"
)]

mod common;

use common::{Node, id, sql, with};
use node_sql::{Param, SqlError};
use proptest::prelude::*;

#[test]
fn a_write_is_read_back() {
    let node = Node::prepared(&["CREATE TABLE t(a INTEGER, b TEXT)"]);
    let insert = with(
        "INSERT INTO t VALUES (?, ?), (?, ?);",
        vec![
            Param::Integer(1),
            Param::Text("one".to_owned()),
            Param::Null,
            Param::Blob(vec![0, 255]),
        ],
    );
    node.databases.write(&id("a"), &[insert]).unwrap();
    assert_eq!(
        node.read("-- all of it\nSELECT * FROM t ORDER BY a DESC;")
            .unwrap(),
        r#"[{"a":1,"b":"one"},{"a":null,"b":"AP8="}]"#
    );
}

#[test]
fn the_first_word_tells_reads_from_writes() {
    let node = Node::prepared(&["CREATE TABLE t(a)"]);
    for text in [
        "CREATE TABLE u(a)",
        "INSERT INTO t VALUES (1)",
        "COMMIT",
        "nonsense",
        "",
    ] {
        assert!(matches!(node.read(text), Err(SqlError::NotARead)), "{text}");
    }
    for text in [
        "SELECT 1",
        "PRAGMA user_version",
        "EXPLAIN SELECT 1",
        "nonsense",
        "",
    ] {
        assert!(
            matches!(node.write(text), Err(SqlError::NotAWrite)),
            "{text}"
        );
    }
}

#[test]
fn parameters_must_fit_the_statement() {
    let node = Node::prepared(&["CREATE TABLE t(a)"]);
    for (text, params) in [("SELECT ?", 0), ("SELECT ?", 2), ("SELECT 1", 1)] {
        let statement = with(text, vec![Param::Integer(7); params]);
        let refused = node.databases.read(&id("a"), &statement);
        assert!(
            matches!(refused, Err(SqlError::Params(_))),
            "{text} {params}"
        );
    }
    // The next use of the same statement finds nothing bound from before.
    let statement = with("SELECT ? AS a", vec![Param::Integer(7)]);
    let answer = node.databases.read(&id("a"), &statement).unwrap();
    assert_eq!(answer, br#"[{"a":7}]"#);
}

#[test]
fn a_write_that_returns_rows_is_carried_out_to_its_end() {
    let node = Node::prepared(&["CREATE TABLE t(a)"]);
    node.write("INSERT INTO t VALUES (1), (2), (3) RETURNING a")
        .unwrap();
    assert_eq!(
        node.read("SELECT count(*) AS n FROM t").unwrap(),
        r#"[{"n":3}]"#
    );
}

#[test]
fn several_writes_are_all_done_or_none() {
    let node = Node::prepared(&["CREATE TABLE t(a UNIQUE)"]);
    let insert = |number: i64| with("INSERT INTO t VALUES (?)", vec![Param::Integer(number)]);
    node.databases
        .write(&id("a"), &[insert(1), insert(2)])
        .unwrap();
    let error = node
        .databases
        .write(&id("a"), &[insert(3), insert(4), insert(1), insert(5)])
        .unwrap_err();
    assert!(
        error.to_string().starts_with("statement 3 of 4: "),
        "{error}"
    );
    for failing in [
        "INSERT OR ROLLBACK INTO t VALUES (1)",
        "ROLLBACK",
        "nonsense",
        "SELECT 1",
    ] {
        let writes = [insert(6), sql(failing), insert(7)];
        node.databases.write(&id("a"), &writes).unwrap_err();
    }
    assert_eq!(
        node.read("SELECT a FROM t").unwrap(),
        r#"[{"a":1},{"a":2}]"#
    );
    node.databases.write(&id("a"), &[insert(3)]).unwrap();
}

#[test]
fn settings_are_those_of_all_connections() {
    let node = Node::prepared(&[
        "CREATE TABLE p(id INTEGER PRIMARY KEY)",
        "CREATE TABLE c(p REFERENCES p)",
    ]);
    let orphan = "INSERT INTO c VALUES (7)";
    for (on, setting) in [
        ("1", "PRAGMA foreign_keys = ON"),
        ("0", "PRAGMA foreign_keys(off)"),
    ] {
        assert_eq!(node.read(setting).unwrap(), "[]");
        assert_eq!(node.write(orphan).is_err(), on == "1", "{setting}");
        let answer = node.read("PRAGMA foreign_keys").unwrap();
        assert_eq!(answer, format!(r#"[{{"foreign_keys":{on}}}]"#));
    }
    let like = "SELECT 'A' LIKE 'a' AS like";
    assert_eq!(node.read(like).unwrap(), r#"[{"like":1}]"#);
    node.read("PRAGMA case_sensitive_like = 1").unwrap();
    node.databases.close_idle(std::time::Duration::ZERO);
    assert_eq!(node.read(like).unwrap(), r#"[{"like":0}]"#);
    assert_eq!(
        node.read("PRAGMA foreign_keys").unwrap(),
        r#"[{"foreign_keys":0}]"#
    );
    node.read("PRAGMA recursive_triggers=on").unwrap();
    let answer = node.read("PRAGMA recursive_triggers").unwrap();
    assert_eq!(answer, r#"[{"recursive_triggers":1}]"#);
}

#[test]
fn versions_of_the_app_are_kept_in_the_file() {
    let node = Node::prepared(&["CREATE TABLE t(a, b)"]);
    assert_eq!(node.read("PRAGMA user_version = 42").unwrap(), "[]");
    node.read("PRAGMA application_id = -7").unwrap();
    node.databases.close_idle(std::time::Duration::ZERO);
    assert_eq!(
        node.read("PRAGMA user_version").unwrap(),
        r#"[{"user_version":42}]"#
    );
    assert_eq!(
        node.read("PRAGMA application_id").unwrap(),
        r#"[{"application_id":-7}]"#
    );
    assert_eq!(
        node.read("PRAGMA journal_mode = DELETE").unwrap(),
        r#"[{"journal_mode":"wal"}]"#
    );
    assert_eq!(node.read("PRAGMA synchronous = OFF").unwrap(), "[]");
    for text in [
        "PRAGMA table_info(t)",
        "PRAGMA table_list('t')",
        "PRAGMA integrity_check",
        "PRAGMA compile_options",
        "PRAGMA page_count",
        "SELECT name FROM pragma_table_info('t')",
        "SELECT * FROM sqlite_master",
        "SELECT * FROM json_each('[1]')",
    ] {
        assert_ne!(node.read(text).unwrap(), "[]", "{text}");
    }
}

#[test]
fn ordinary_sql_goes_through() {
    let node = Node::prepared(&[
        "CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT DEFAULT \"x\", b AS (a || '!'))",
        "CREATE INDEX i ON t(a) WHERE a LIKE 'x%'",
        "CREATE VIEW v AS SELECT a FROM t WHERE instr(a, 'x') > 0",
        "CREATE TRIGGER g AFTER INSERT ON t BEGIN UPDATE t SET a = trim(a) WHERE id = new.id; END",
        "INSERT INTO t DEFAULT VALUES",
        "INSERT INTO t(id, a) VALUES (1, 'y') ON CONFLICT DO UPDATE SET a = excluded.a",
        "REPLACE INTO t(id, a) VALUES (2, '  xx  ')",
        "ALTER TABLE t ADD COLUMN c",
        "ALTER TABLE t RENAME COLUMN c TO d",
        "ALTER TABLE t RENAME TO u",
        "CREATE TABLE w AS SELECT * FROM u",
        "REINDEX",
        "VACUUM",
        "DROP TABLE w",
    ]);
    assert_eq!(node.read("SELECT * FROM v").unwrap(), r#"[{"a":"xx"}]"#);
    let rows = node.read("SELECT id, row_number() OVER (ORDER BY a) AS n, b FROM u ORDER BY id");
    assert_eq!(
        rows.unwrap(),
        r#"[{"id":1,"n":2,"b":"y!"},{"id":2,"n":1,"b":"xx!"}]"#
    );
}

#[test]
fn a_table_that_changed_is_seen_by_readers() {
    let node = Node::prepared(&["CREATE TABLE t(a)", "INSERT INTO t VALUES (1)"]);
    let all = "SELECT * FROM t";
    assert_eq!(node.read(all).unwrap(), r#"[{"a":1}]"#);
    node.write("ALTER TABLE t ADD COLUMN b DEFAULT 2").unwrap();
    assert_eq!(node.read(all).unwrap(), r#"[{"a":1,"b":2}]"#);
    node.write("DROP TABLE t").unwrap();
    let error = node.read(all).unwrap_err();
    assert!(error.to_string().contains("no such table: t"), "{error}");
}

fn param() -> impl Strategy<Value = Param> {
    prop_oneof![
        Just(Param::Null),
        any::<i64>().prop_map(Param::Integer),
        any::<f64>().prop_map(Param::Real),
        any::<String>().prop_map(Param::Text),
        proptest::collection::vec(any::<u8>(), 0..50).prop_map(Param::Blob),
    ]
}

/// The SQL of a value that equals the bound one.
fn comparable(param: &Param) -> Param {
    match param {
        Param::Real(number) if number.is_nan() => Param::Null,
        other => other.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn values_come_back_as_they_were(params in proptest::collection::vec(param(), 1..40)) {
        let node = Node::prepared(&["CREATE TABLE t(n INTEGER PRIMARY KEY, a)"]);
        for (number, value) in params.iter().enumerate() {
            let number = i64::try_from(number).unwrap();
            let values = vec![Param::Integer(number), value.clone()];
            let insert = with("INSERT INTO t VALUES (?, ?)", values);
            node.databases.write(&id("a"), &[insert]).unwrap();
            let select = with("SELECT a FROM t WHERE n = ?", vec![Param::Integer(number)]);
            let answer = node.databases.read(&id("a"), &select).unwrap();
            let answer = String::from_utf8(answer).unwrap();
            let expected: serde_json::Value = match value {
                Param::Null => serde_json::Value::Null,
                Param::Integer(number) => (*number).into(),
                Param::Real(number) => (*number).into(),
                Param::Text(text) => text.as_str().into(),
                Param::Blob(bytes) => {
                    use base64::Engine as _;
                    base64::engine::general_purpose::STANDARD.encode(bytes).into()
                }
            };
            prop_assert_eq!(answer, format!("[{{\"a\":{expected}}}]"));
            // Types are kept too: equal to the bound value and of its type.
            let same = with(
                "SELECT n FROM t WHERE n = ?1 AND a IS ?2 AND typeof(a) = typeof(?2)",
                vec![Param::Integer(number), comparable(value)],
            );
            let answer = node.databases.read(&id("a"), &same).unwrap();
            prop_assert_eq!(String::from_utf8(answer).unwrap(), format!("[{{\"n\":{number}}}]"));
        }
    }
}
