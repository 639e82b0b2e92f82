//! Who may use which database.

use node_types::{Capability, ProcessId};
use serde_json::json;

use super::bench::*;
use crate::KernelPort;

/// Gives `process` a right to the database `db` of `package`.
fn give(bench: &Bench, process: &str, kind: &str, package: &str) {
    let params = json!({
        "kind": kind,
        "db_key": [{"package_name": package, "publisher_node": "me.dev"}, "db"],
    });
    let process: ProcessId = process.parse().unwrap();
    let capability = Capability::new(bench.port.address(KV), params.to_string());
    bench.port.grant(&process, capability);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_must_open_first_and_its_rights_outlive_the_node() {
    let mut bench = Bench::new(1 << 20);
    let refused = r#"{"Err":"NoWriteCap"}"#;
    assert_eq!(bench.set(NEW, b"k", b"1").await, refused);
    for process in [NEW, OLD] {
        assert_eq!(bench.ask(process, r#""Open""#).await, r#""Ok""#);
        assert_eq!(bench.set(process, b"k", b"1").await, r#""Ok""#);
    }
    let mut bench = bench.reopen().await;
    for process in [NEW, OLD] {
        let kept = bench.value(process, b"k").await;
        assert_eq!(kept.unwrap(), "1", "{process} need not open it again");
    }
    assert_eq!(bench.ask(OLD, r#""RemoveDb""#).await, r#""Ok""#);
    let mut bench = bench.reopen().await;
    let gone = bench.ask(OLD, &get(b"k")).await;
    assert_eq!(gone, r#"{"Err":{"error":"NoDb"}}"#);
    assert_eq!(bench.ask(OLD, r#""Open""#).await, r#""Ok""#);
    assert_eq!(bench.value(OLD, b"k").await, None, "it is a new one");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_package_does_what_it_was_given_the_right_to() {
    let mut bench = Bench::new(1 << 20);
    bench.ask(APP, r#""Open""#).await;
    bench.set(APP, b"k", b"ours").await;
    give(&bench, OTHER, "read", "theirs");
    give(&bench, OTHER, "write", "theirs");
    let denied = r#"{"Err":"NoReadCap"}"#;
    assert_eq!(bench.ask(OTHER, &get(b"k")).await, denied);
    give(&bench, OTHER, "read", "pkg");
    assert_eq!(bench.value(OTHER, b"k").await.unwrap(), "ours");
    let denied = r#"{"Err":"NoWriteCap"}"#;
    assert_eq!(bench.set(OTHER, b"k", b"theirs").await, denied);
    assert_eq!(bench.ask(OTHER, r#""BeginTx""#).await, denied);
    assert_eq!(bench.ask(OTHER, r#""Backup""#).await, r#""Ok""#);
    give(&bench, OTHER, "write", "pkg");
    assert_eq!(bench.set(OTHER, b"k", b"theirs").await, r#""Ok""#);
    assert_eq!(bench.value(APP, b"k").await.unwrap(), "theirs");
    let denied = r#"{"Err":"MismatchingPackageId"}"#;
    assert_eq!(bench.ask(OTHER, r#""RemoveDb""#).await, denied);
    assert_eq!(bench.value(APP, b"k").await.unwrap(), "theirs");
}

#[tokio::test(flavor = "multi_thread")]
async fn databases_of_one_name_in_two_packages_are_two() {
    let mut bench = Bench::new(1 << 20);
    bench.ask(APP, r#""Open""#).await;
    bench.set(APP, b"k", b"ours").await;
    let theirs = |action: &str| {
        body("db", action)
            .replace("pkg", "other")
            .replace("me.", "you.")
    };
    for (action, blob) in [
        (r#""Open""#.to_owned(), None),
        (set(b"k", None), Some(&b"theirs"[..])),
    ] {
        let (answer, _) = bench.ask_with(OTHER, theirs(&action), blob).await;
        assert_eq!(answer, r#""Ok""#);
    }
    assert_eq!(bench.value(APP, b"k").await.unwrap(), "ours");
    let (_, blob) = bench.ask_with(OTHER, theirs(&get(b"k")), None).await;
    assert_eq!(blob.unwrap().bytes, "theirs");
    let (answer, _) = bench.ask_with(OTHER, theirs(r#""RemoveDb""#), None).await;
    assert_eq!(answer, r#""Ok""#);
    assert_eq!(bench.value(APP, b"k").await.unwrap(), "ours");
}
