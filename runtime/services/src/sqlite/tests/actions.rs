//! Every action, as processes of both kinds of generation meet it.

use serde_json::{Value, json};

use super::super::*;
use super::bench::{APP, Bench, MIB, OLD, OTHER, body, write, write_in};
use crate::NodeEvent;
use crate::database::Kind;

async fn begin(bench: &mut Bench, who: &str) -> u64 {
    let begun = bench.ask(who, json!("BeginTx"), None).await;
    begun["BeginTx"]["tx_id"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_action_is_done_for_every_generation() {
    for who in [OLD, APP] {
        let mut bench = Bench::new();
        bench.ok(who, json!("Open"), None).await;
        bench.ok(who, json!("Open"), None).await;
        let create = "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)";
        bench.ok(who, write(create), None).await;
        let insert = "INSERT INTO t (name) VALUES (?)";
        bench.ok(who, write(insert), Some(r#"["Zoë"]"#)).await;
        let names = "SELECT id, name FROM t ORDER BY id";
        let zoe = json!({"id": 1, "name": "Zoë"});
        assert_eq!(bench.rows(who, names).await, json!([zoe]));

        let tx = begin(&mut bench, who).await;
        bench
            .ok(who, write_in(tx, insert), Some(r#"["Bo!"]"#))
            .await;
        let delete = "DELETE FROM t WHERE id = 1";
        bench.ok(who, write_in(tx, delete), None).await;
        assert_eq!(bench.rows(who, names).await, json!([zoe]));
        bench.ok(who, json!({"Commit": {"tx_id": tx}}), None).await;
        let bo = json!({"id": 2, "name": "Bo!"});
        assert_eq!(bench.rows(who, names).await, json!([bo]));
        bench.ok(who, json!("Backup"), None).await;

        bench.ok(who, json!("RemoveDb"), None).await;
        let gone = bench.ask(who, write(create), None).await;
        assert!(gone.to_string().contains("NoDb"), "{gone}");
        bench.ok(who, json!("Open"), None).await;
        bench.ok(who, write(create), None).await;
        assert_eq!(bench.rows(who, names).await, json!([]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_become_the_values_that_apps_rely_on() {
    let mut bench = Bench::new();
    bench.ok(APP, json!("Open"), None).await;
    bench.ok(APP, write("CREATE TABLE t (v)"), None).await;
    let table = [
        (json!("Dave"), "blob", json!("Dave")),
        (json!("test"), "blob", json!("test")),
        (json!("hello"), "text", json!("hello")),
        (json!(""), "blob", json!("")),
        (json!("AAAA"), "blob", json!("AAAA")),
        (json!("a b"), "text", json!("a b")),
        (json!(true), "integer", json!(1)),
        (json!(null), "null", json!(null)),
        (json!(i64::MIN), "integer", json!(i64::MIN)),
        (json!(1.5), "real", json!(1.5)),
    ];
    for (param, ..) in &table {
        let params = json!([param]).to_string();
        let insert = write("INSERT INTO t VALUES (?)");
        bench.ok(APP, insert, Some(&params)).await;
    }
    let large = Some("[18446744073709551615]");
    bench
        .ok(APP, write("INSERT INTO t VALUES (?)"), large)
        .await;
    let rows = "SELECT typeof(v) AS kind, v FROM t ORDER BY rowid";
    let rows = bench.rows(APP, rows).await;
    for (at, (param, kind, value)) in table.iter().enumerate() {
        let row = json!({"kind": kind, "v": value});
        assert_eq!(rows[at], row, "{param}");
    }
    assert_eq!(rows[table.len()]["kind"], "real");
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_are_taken_by_queries_too() {
    let mut bench = Bench::new();
    bench.ok(APP, json!("Open"), None).await;
    let query = json!({"Query": "SELECT ? + ? AS sum"});
    let request = bench.request(APP, &query, Some("[40, 2]"));
    bench.send(request);
    let answer = bench.next().await;
    let rows = answer.lazy_load_blob.unwrap().bytes;
    assert_eq!(rows, r#"[{"sum":42}]"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_fails_changes_nothing_and_says_where() {
    let mut bench = Bench::new();
    bench.ok(APP, json!("Open"), None).await;
    bench
        .ok(APP, write("CREATE TABLE t (v UNIQUE)"), None)
        .await;
    let tx = begin(&mut bench, APP).await;
    for value in ["1", "2", "2"] {
        let insert = write_in(tx, &format!("INSERT INTO t VALUES ({value})"));
        bench.ok(APP, insert, None).await;
    }
    let commit = json!({"Commit": {"tx_id": tx}});
    let failed = bench.ask(APP, commit.clone(), None).await;
    let text = failed["Err"]["RusqliteError"].as_str().unwrap();
    assert!(text.contains("statement 3 of 3"), "{text}");
    assert_eq!(bench.rows(APP, "SELECT * FROM t").await, json!([]));
    let gone = bench.ask(APP, commit, None).await;
    assert_eq!(gone, json!({"Err": {"NoTx": tx}}));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_transaction_commits() {
    let mut bench = Bench::new();
    bench.ok(APP, json!("Open"), None).await;
    let tx = begin(&mut bench, APP).await;
    bench.ok(APP, json!({"Commit": {"tx_id": tx}}), None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_end_with_their_process_or_their_database() {
    let mut bench = Bench::new();
    bench.ok(APP, json!("Open"), None).await;
    bench.ok(APP, write("CREATE TABLE t (v)"), None).await;
    let tx = begin(&mut bench, APP).await;
    let insert = write_in(tx, "INSERT INTO t VALUES (1)");
    bench.ok(APP, insert.clone(), None).await;
    bench.port.emit(NodeEvent::Exited {
        process: APP.parse().unwrap(),
        exit: crate::ProcessExit::Killed,
    });
    let no_tx = json!({"Err": {"NoTx": tx}});
    let ended = async {
        while bench.ask(APP, insert.clone(), None).await != no_tx {
            tokio::task::yield_now().await;
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(20), ended).await;
    assert!(ended.is_ok());

    let tx = begin(&mut bench, APP).await;
    bench.ok(APP, json!("RemoveDb"), None).await;
    bench.ok(APP, json!("Open"), None).await;
    let gone = bench.ask(APP, json!({"Commit": {"tx_id": tx}}), None).await;
    assert_eq!(gone, json!({"Err": {"NoTx": tx}}));
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_and_data_outlive_the_node() {
    let mut bench = Bench::new();
    bench.ok(APP, json!("Open"), None).await;
    bench.ok(APP, write("CREATE TABLE t (v)"), None).await;
    bench.ok(APP, write("INSERT INTO t VALUES (7)"), None).await;
    assert!(bench.tasks.shutdown(Duration::from_secs(20)).await);
    let Bench { dir, .. } = bench;

    for who in [OLD, APP] {
        let dir = dir.path().to_owned();
        let copy = tempfile::tempdir().unwrap();
        copy_tree(&dir, copy.path());
        let mut bench = Bench::with(copy, 256 * MIB, Limits::default());
        for kind in [Kind::Read, Kind::Write] {
            bench.give(who, kind);
        }
        assert_eq!(bench.rows(who, "SELECT v FROM t").await, json!([{"v": 7}]));
        assert!(bench.quota.used() > 4096, "counted");
        bench.ok(who, write("INSERT INTO t VALUES (8)"), None).await;
        assert!(bench.tasks.shutdown(Duration::from_secs(20)).await);
    }
}

fn copy_tree(from: &std::path::Path, to: &std::path::Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&to).unwrap();
            copy_tree(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_go_where_they_are_wanted_and_echo_metadata() {
    let mut bench = Bench::new();
    bench.ok(APP, json!("Open"), None).await;
    let silent = |who: &str, action: &Value| {
        let mut message = bench.request(who, action, None);
        if let Message::Request(request) = &mut message.message {
            request.expects_response = None;
            request.metadata = Some("mine".to_owned());
        }
        message
    };
    let create = silent(APP, &write("CREATE TABLE t (v)"));
    let mut stranger = silent(APP, &json!("RemoveDb"));
    stranger.source.node = "you.dev".parse().unwrap();
    let fails = silent(APP, &write("INSERT INTO nothing VALUES (1)"));
    let mut for_another = silent(APP, &json!({"Query": "SELECT * FROM t"}));
    for_another.rsvp = Some(bench.port.address(OTHER));
    let ids = [fails.id, for_another.id];
    for message in [create, stranger, fails, for_another] {
        bench.send(message);
    }
    let failed = bench.next().await;
    assert!(body(&failed)["Err"]["RusqliteError"].is_string());
    assert_eq!(failed.target, bench.port.address(APP));
    let answer = bench.next().await;
    assert_eq!(answer.target, bench.port.address(OTHER));
    assert_eq!([failed.id, answer.id], ids);
    for answer in [&failed, &answer] {
        let Message::Response(response, _) = &answer.message else {
            panic!("not a response");
        };
        assert_eq!(response.metadata.as_deref(), Some("mine"));
        assert!(!response.inherit);
    }
    assert!(bench.tasks.shutdown(Duration::from_secs(20)).await);
    assert!(bench.sent.try_recv().is_err());
}
