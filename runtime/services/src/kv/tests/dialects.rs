//! Every action and every failure as each generation is told of it.

use node_store::{MAX_DATABASES, MAX_KEY_BYTES};

use super::bench::*;

const MIB: u64 = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn every_action_is_answered_in_the_dialect_of_whoever_asks() {
    let mut bench = Bench::new(MIB);
    for (process, get, answer) in [
        (OLD, old_get(b"k"), r#"{"Get":{"key":[107]}}"#),
        (NEW, get(b"k"), r#"{"Get":[107]}"#),
        // No edition: the answer has the shape of the request.
        (APP, old_get(b"k"), r#"{"Get":{"key":[107]}}"#),
        (APP, get(b"k"), r#"{"Get":[107]}"#),
        // An old process that asks as new ones do.
        (OLD, get(b"k"), r#"{"Get":{"key":[107]}}"#),
    ] {
        assert_eq!(bench.ask(process, r#""Open""#).await, r#""Ok""#);
        assert_eq!(bench.set(process, b"k", b"value").await, r#""Ok""#);
        let (got, blob) = bench.ask_with(process, body("db", &get), None).await;
        assert_eq!(got, answer, "{process} {get}");
        let blob = blob.unwrap();
        assert_eq!(blob.mime.as_deref(), Some("application/octet-stream"));
        assert_eq!(blob.bytes, "value");

        let tx = bench.begin(process).await;
        let in_tx = body("db", &set(b"l", Some(tx)));
        let (answer, _) = bench.ask_with(process, in_tx, Some(b"2")).await;
        assert_eq!(answer, r#""Ok""#);
        for action in [
            delete(b"k", Some(tx)),
            commit(tx),
            delete(b"l", None),
            delete(b"l", None),
            r#""Backup""#.to_owned(),
            r#""RemoveDb""#.to_owned(),
        ] {
            let answer = bench.ask(process, &action).await;
            assert_eq!(answer, r#""Ok""#, "{process} {action}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_failure_is_told_in_the_words_of_each_generation() {
    let mut bench = Bench::new(MIB);
    let no_db = r#"{"Err":{"NoDb":[{"package_name":"pkg","publisher_node":"me.dev"},"db"]}}"#;
    for process in [OLD, NEW] {
        bench.ask(process, r#""Open""#).await;
    }
    bench.ask(NEW, r#""RemoveDb""#).await;
    for action in [
        get(b"k"),
        delete(b"k", None),
        delete(b"k", Some(1)),
        commit(1),
        r#""BeginTx""#.to_owned(),
        r#""RemoveDb""#.to_owned(),
    ] {
        let old = bench.ask(OLD, &action).await;
        assert_eq!(old, r#"{"Err":{"error":"NoDb"}}"#, "{action}");
        assert_eq!(bench.ask(NEW, &action).await, no_db, "{action}");
    }

    bench.ask(NEW, r#""Open""#).await;
    let long = get(&[1; MAX_KEY_BYTES + 1]);
    for (action, old, new) in [
        (
            get(b"none"),
            r#"{"Err":{"error":"KeyNotFound"}}"#,
            r#"{"Err":"KeyNotFound"}"#,
        ),
        (
            commit(12),
            r#"{"Err":{"error":"NoTx"}}"#,
            r#"{"Err":{"NoTx":12}}"#,
        ),
        (
            delete(b"k", Some(12)),
            r#"{"Err":{"error":"NoTx"}}"#,
            r#"{"Err":{"NoTx":12}}"#,
        ),
        (
            set(b"k", None),
            r#"{"Err":{"error":{"InputError":{"error":"the value"#,
            r#"{"Err":"MalformedRequest"}"#,
        ),
        (
            r#""Fly""#.to_owned(),
            r#"{"Err":{"error":{"InputError":{"error":"request not"#,
            r#"{"Err":"MalformedRequest"}"#,
        ),
        (
            long,
            r#"{"Err":{"error":{"RocksDBError":{"action":"Get","error":"a key has 1025 bytes"#,
            r#"{"Err":{"RocksDBError":"a key has 1025 bytes"#,
        ),
    ] {
        let answer = bench.ask(OLD, &action).await;
        assert!(answer.starts_with(old), "{action}: {answer}");
        let answer = bench.ask(NEW, &action).await;
        assert!(answer.starts_with(new), "{action}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_not_and_names_that_are_none_are_refused_in_each_dialect() {
    use node_types::Edition::{Hyperware, V0_7};
    let mut bench = Bench::new(MIB);
    bench.ask(APP, r#""Open""#).await;
    let (old, new) = ("a:other:you.dev", "b:other:you.dev");
    bench.port.set_edition(old, V0_7);
    bench.port.set_edition(new, Hyperware);
    let no_cap = r#"{"Err":{"error":{"NoCap":{"error":""#;
    for (action, name) in [
        (r#""Open""#.to_owned(), "MismatchingPackageId"),
        (r#""RemoveDb""#.to_owned(), "MismatchingPackageId"),
        (get(b"k"), "NoReadCap"),
        (r#""Backup""#.to_owned(), "NoReadCap"),
        (delete(b"k", None), "NoWriteCap"),
        (set(b"k", Some(1)), "NoWriteCap"),
        (r#""BeginTx""#.to_owned(), "NoWriteCap"),
        (commit(1), "NoWriteCap"),
    ] {
        let answer = bench.ask(old, &action).await;
        assert!(answer.starts_with(no_cap), "{action}: {answer}");
        let answer = bench.ask(new, &action).await;
        if action.contains("Backup") {
            // A request of the book, whoever sends it.
            assert!(answer.starts_with(no_cap), "{action}: {answer}");
        } else {
            assert_eq!(answer, format!(r#"{{"Err":"{name}"}}"#), "{action}");
        }
    }

    for name in ["", "../db", "a/b", ".hidden", "a\u{0}b"] {
        let (answer, _) = bench.ask_with(OLD, body(name, r#""Open""#), None).await;
        let wanted = r#"{"Err":{"error":{"InputError":{"error":"the database name"#;
        assert!(answer.starts_with(wanted), "{name:?}: {answer}");
        let (answer, _) = bench.ask_with(NEW, body(name, r#""Open""#), None).await;
        let wanted = r#"{"Err":{"IOError":"the database name"#;
        assert!(answer.starts_with(wanted), "{name:?}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_database_too_many_is_an_io_error() {
    let mut bench = Bench::new(64 * MIB);
    for number in 0..MAX_DATABASES {
        let open = body(&number.to_string(), r#""Open""#);
        assert_eq!(bench.ask_with(APP, open, None).await.0, r#""Ok""#);
    }
    for (process, wanted) in [
        (
            OLD,
            r#"{"Err":{"error":{"IOError":{"error":"the node has 1024"#,
        ),
        (NEW, r#"{"Err":{"IOError":"the node has 1024"#),
    ] {
        let answer = bench.ask(process, r#""Open""#).await;
        assert!(answer.starts_with(wanted), "{answer}");
    }
    let again = body("0", r#""Open""#);
    assert_eq!(bench.ask_with(OLD, again, None).await.0, r#""Ok""#);
}
