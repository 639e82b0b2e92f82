//! What is refused, to whom and in which words.

use serde_json::{Value, json};

use super::super::*;
use super::bench::{APP, Bench, MIB, OLD, OTHER, SQLITE, body, write, write_in};
use crate::database::Kind;
use crate::quota::Store;

/// What `Err` holds in an answer to a process of either generation.
fn reason(who: &str, answer: &Value) -> Value {
    let reason = match who {
        OLD => &answer["Err"]["error"],
        _ => &answer["Err"],
    };
    assert!(!reason.is_null(), "{answer}");
    reason.clone()
}

/// The text of a reason that has one.
fn text(who: &str, reason: &Value, variant: &str) -> String {
    let text = match who {
        OLD => &reason[variant]["error"],
        _ => &reason[variant],
    };
    text.as_str()
        .unwrap_or_else(|| panic!("{reason}"))
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_statements_are_refused_in_both_dialects() {
    for who in [OLD, APP] {
        let mut bench = Bench::new();
        bench.ok(who, json!("Open"), None).await;
        bench.ok(who, write("CREATE TABLE t (v)"), None).await;
        let query = |sql: &str| match who {
            OLD => json!({"Read": {"query": sql}}),
            _ => json!({ "Query": sql }),
        };
        for (action, params, expected) in [
            (query("DELETE FROM t"), None, "NotAReadKeyword"),
            (query(""), None, "NotAReadKeyword"),
            (
                query("WITH a AS (SELECT 1) DELETE FROM t"),
                None,
                "NotAReadKeyword",
            ),
            (write("SELECT 1"), None, "NotAWriteKeyword"),
            (write("PRAGMA user_version = 1"), None, "NotAWriteKeyword"),
            (
                write("INSERT INTO t VALUES (?)"),
                Some("[[1]]"),
                "InvalidParameters",
            ),
            (
                write("INSERT INTO t VALUES (?)"),
                Some("7"),
                "InvalidParameters",
            ),
            (
                write("INSERT INTO t VALUES (?)"),
                Some("[1, 2]"),
                "InvalidParameters",
            ),
            (query("SELECT ?"), Some("nonsense"), "InvalidParameters"),
        ] {
            let answer = bench.ask(who, action.clone(), params).await;
            assert_eq!(reason(who, &answer), expected, "{action}");
        }
        for (action, part) in [
            (query("SELECT * FROM absent"), "no such table"),
            (query("SELECT 1; SELECT 2"), "one statement"),
            (query("ATTACH '/etc/passwd' AS p"), "ATTACH"),
            (write("COMMIT"), "BeginTx"),
            (write("INSERT INTO absent VALUES (1)"), "no such table"),
        ] {
            let answer = bench.ask(who, action.clone(), None).await;
            let text = text(who, &reason(who, &answer), "RusqliteError");
            assert!(text.contains(part), "{action}: {text}");
        }
        assert_eq!(bench.rows(who, "SELECT * FROM t").await, json!([]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_are_refused_in_both_dialects() {
    let package = json!({"package_name": "pkg", "publisher_node": "me.dev"});
    for (who, no_db, no_tx, malformed, bad_name, mismatching) in [
        (
            OLD,
            json!("NoDb"),
            json!("NoTx"),
            "InputError",
            "InputError",
            "NoCap",
        ),
        (
            APP,
            json!({"NoDb": [package, "notes"]}),
            json!({"NoTx": 99}),
            "MalformedRequest",
            "IOError",
            "MismatchingPackageId",
        ),
    ] {
        let mut bench = Bench::new();
        let answer = bench.ask(who, json!("RemoveDb"), None).await;
        assert_eq!(reason(who, &answer), no_db);
        bench.ok(who, json!("Open"), None).await;
        for action in [
            json!({"Commit": {"tx_id": 99}}),
            write_in(99, "DELETE FROM t"),
        ] {
            let answer = bench.ask(who, action, None).await;
            assert_eq!(reason(who, &answer), no_tx);
        }
        let tx = bench.ask(who, json!("BeginTx"), None).await;
        let tx = tx["BeginTx"]["tx_id"].as_u64().unwrap();
        let answer = bench.ask(who, write_in(tx, "SELECT 1"), None).await;
        assert_eq!(reason(who, &answer), "NotAWriteKeyword");
        bench.ok(who, json!("RemoveDb"), None).await;
        for action in [json!("BeginTx"), json!({"Query": "SELECT 1"})] {
            let answer = bench.ask(who, action, None).await;
            assert_eq!(reason(who, &answer), no_db);
        }
        let answer = bench.ask(who, json!("Fly"), None).await;
        assert!(reason(who, &answer).to_string().contains(malformed));

        let open = |package: Value, db: &str| {
            let body = json!({"package_id": package, "db": db, "action": "Open"});
            let request = bench.port.request(who, SQLITE, body.to_string(), None);
            bench.inbox.try_send(request, 0).unwrap();
        };
        open(package.clone(), "es/../caped");
        let other = json!({"package_name": "other", "publisher_node": "me.dev"});
        open(other, "notes");
        let answer = body(&bench.next().await);
        assert!(text(who, &reason(who, &answer), bad_name).contains("slashes"));
        let answer = body(&bench.next().await);
        assert!(reason(who, &answer).to_string().contains(mismatching));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_need_the_right_they_use() {
    let mut bench = Bench::new();
    bench.ok(APP, json!("Open"), None).await;
    bench.ok(APP, write("CREATE TABLE t (v)"), None).await;
    let query = json!({"Query": "SELECT * FROM t"});
    let insert = write("INSERT INTO t VALUES (1)");
    let no = |right: &str| json!({ "Err": right });
    for action in ["Open", "RemoveDb"] {
        let answer = bench.ask(OTHER, json!(action), None).await;
        assert_eq!(answer, no("MismatchingPackageId"), "{action}");
    }
    let answer = bench.ask(OTHER, query.clone(), None).await;
    assert_eq!(answer, no("NoReadCap"));

    bench.give(OTHER, Kind::Read);
    bench.rows(OTHER, "SELECT * FROM t").await;
    let tx = bench.ask(APP, json!("BeginTx"), None).await;
    let tx = tx["BeginTx"]["tx_id"].as_u64().unwrap();
    let writes = [
        insert.clone(),
        write_in(tx, "INSERT INTO t VALUES (1)"),
        json!("BeginTx"),
        json!({"Commit": {"tx_id": tx}}),
        json!({"Query": "PRAGMA user_version = 3"}),
        json!({"Query": "PRAGMA foreign_keys(1)"}),
    ];
    for action in writes {
        let answer = bench.ask(OTHER, action.clone(), None).await;
        assert_eq!(answer, no("NoWriteCap"), "{action}");
    }

    bench.give(OTHER, Kind::Write);
    bench.ok(OTHER, insert, None).await;
    let foreign = json!({"Commit": {"tx_id": tx}});
    let answer = bench.ask(OTHER, foreign, None).await;
    assert_eq!(answer, json!({"Err": {"NoTx": tx}}));
    bench.ok(APP, json!({"Commit": {"tx_id": tx}}), None).await;
    assert_eq!(bench.rows(APP, "SELECT * FROM t").await, json!([{"v": 1}]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_needs_its_rights_too_and_reading_is_not_writing() {
    let mut bench = Bench::new();
    bench.ok(APP, json!("Open"), None).await;
    // A process of the same package that has not opened it.
    let sibling = "sibling:pkg:me.dev";
    let query = json!({"Query": "SELECT 1 AS one"});
    let answer = bench.ask(sibling, query.clone(), None).await;
    assert_eq!(answer, json!({"Err": "NoReadCap"}));
    bench.give(sibling, Kind::Write);
    let create = write("CREATE TABLE t (v)");
    bench.ok(sibling, create, None).await;
    let answer = bench.ask(sibling, query, None).await;
    assert_eq!(answer, json!({"Err": "NoReadCap"}));
    let answer = bench
        .ask(OLD, json!({"Read": {"query": "SELECT 1"}}), None)
        .await;
    assert!(answer["Err"]["error"]["NoCap"]["error"].is_string());
    bench.ok(sibling, json!("Open"), None).await;
    bench.rows(sibling, "SELECT * FROM t").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_quota_writes_are_refused_and_reads_and_removal_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let limit = 8 * MIB;
    let mut bench = Bench::with(dir, limit, Limits::default());
    for who in [OLD, APP] {
        bench.ok(who, json!("Open"), None).await;
        bench.ok(who, write("CREATE TABLE t (v)"), None).await;
        let insert = write("INSERT INTO t VALUES (randomblob(500000))");
        let mut rows = 0;
        let refused = loop {
            let answer = bench.ask(who, insert.clone(), None).await;
            if answer != "Ok" {
                break reason(who, &answer);
            }
            rows += 1;
            assert!(rows < 100, "the quota has no end");
        };
        let text = text(who, &refused, "RusqliteError");
        assert!(text.contains("disk limit reached"), "{text}");
        assert!(rows > 3, "{rows}");
        let count = bench.rows(who, "SELECT count(*) AS n FROM t").await;
        assert_eq!(count, json!([{ "n": rows }]));
        let used = bench.quota.used();
        assert!(used <= limit + Limits::CREDIT, "{used}");
        bench.ok(who, json!("RemoveDb"), None).await;
        assert_eq!(bench.quota.used_by(Store::Sqlite), 0);
    }
}
