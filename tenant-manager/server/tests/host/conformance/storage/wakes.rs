//! What outlives the node: files and databases, and the rights to them, with
//! those whom they were given to as well; transactions do not.

use serde_json::{Value, json};

use super::super::subject::matches;
use super::called::{
    OURS, done, err, expect, expect_of, give, no_cap, no_db, no_tx, ok, right, stranger,
    to_database,
};
use super::vfs::{drive, file, fresh, handle, no_write, place};
use super::{Cell, Row, Subject, Verdict, kv, rows, sqlite};

rows! {
    "stores: before the node hibernates" => before,
}

/// Looked at after the node hibernated and was woken.
pub const ROWS_AFTER_A_WAKE: &[Row] = &[
    ("vfs: files and drives outlive the node", |subject| {
        Box::pin(files(subject))
    }),
    ("kv: databases outlive the node, opened or not", |subject| {
        Box::pin(key_values(subject))
    }),
    (
        "sqlite: databases outlive the node, opened or not",
        |subject| Box::pin(tables(subject)),
    ),
    (
        "stores: rights that were given outlive the node",
        |subject| Box::pin(rights(subject)),
    ),
    ("stores: transactions do not outlive the node", |subject| {
        Box::pin(transactions(subject))
    }),
    ("stores: what was removed stays so", |subject| {
        Box::pin(removed(subject))
    }),
];

fn kept(subject: &Subject) -> (String, String, String) {
    (
        place(subject, "kept.txt"),
        kv::db(subject, "kept"),
        kv::db(subject, "kept-not"),
    )
}

fn get(db: &str, key: &str) -> Value {
    kv::on(db, "Kv::get", json!({ "key": key }))
}

fn set(db: &str, key: &str, tx: Value) -> (Value, Value) {
    let options = json!({"key": key, "value": "kept", "tx": tx});
    (kv::on(db, "Kv::set", options), done())
}

fn insert(db: &str, text: &str, tx: Value) -> (Value, Value) {
    let options = json!({"sql": "INSERT INTO t (v) VALUES (?)", "params": [text], "tx": tx});
    (sqlite::on(db, "Sqlite::write", options), done())
}

fn select(db: &str) -> Value {
    sqlite::reading(db, "SELECT v FROM t", json!([]))
}

async fn before(subject: &Subject) -> Verdict {
    let (path, db, not) = kept(subject);
    let one = |step: (Value, Value)| vec![step];
    let steps = [
        fresh(&path, "kept"),
        one(kv::opened(&db)),
        one(set(&db, "k", Value::Null)),
        sqlite::with_table(&db),
        one(insert(&db, "kept too", Value::Null)),
        // Removed as it stands.
        one(kv::opened(&not)),
        one(set(&not, "k", Value::Null)),
        one((kv::on(&not, "remove_db", json!({})), done())),
        sqlite::with_table(&not),
        one((sqlite::on(&not, "remove_db", json!({})), done())),
    ];
    expect(subject, steps.concat()).await?;
    let of_kv = kv::begin(subject, kv::on(&db, "Kv::begin_tx", json!({}))).await?;
    let of_sqlite = sqlite::on(&db, "Sqlite::begin_tx", json!({}));
    let of_sqlite = kv::begin(subject, of_sqlite).await?;
    let steps = vec![
        set(&db, "of the transaction", json!(of_kv)),
        insert(&db, "of the transaction", json!(of_sqlite)),
        (json!({"set_state": [of_kv, of_sqlite]}), Value::Null),
    ];
    expect(subject, steps).await?;
    let path = format!("/{OURS}/{}", drive(subject));
    give(
        subject,
        &[
            right(subject, "vfs", json!({"kind": "read", "drive": path})),
            to_database(subject, "kv", "read", &db),
            to_database(subject, "sqlite", "read", &db),
        ],
    )
    .await?;
    Ok(Cell::Conforms)
}

async fn files(subject: &Subject) -> Verdict {
    let (path, ..) = kept(subject);
    let results = subject.run(json!(["begun"])).await?;
    // Another life: it is the first that is asked.
    matches(&results[0], json!(1))?;
    let steps = vec![
        (handle(&path), done()),
        (file("read", json!({})), ok("kept")),
        // A cursor is of one life.
        (file("read_to_end", json!({})), ok("kept")),
        (file("append", json!({"text": "!"})), done()),
        (file("read", json!({})), ok("kept!")),
    ];
    expect(subject, steps).await
}

/// Published runtimes up to 0.9 say that there is none, until it is opened.
async fn key_values(subject: &Subject) -> Verdict {
    let (_, db, _) = kept(subject);
    let steps = vec![
        (get(&db, "k"), ok("kept")),
        set(&db, "l", Value::Null),
        kv::opened(&db),
        (get(&db, "k"), ok("kept")),
        (get(&db, "l"), ok("kept")),
    ];
    expect(subject, steps).await
}

async fn tables(subject: &Subject) -> Verdict {
    let (_, db, _) = kept(subject);
    let steps = vec![
        (select(&db), ok(json!([{"v": "kept too"}]))),
        insert(&db, "and this", Value::Null),
        sqlite::opened(&db),
        (
            select(&db),
            ok(json!([{"v": "kept too"}, {"v": "and this"}])),
        ),
    ];
    expect(subject, steps).await
}

/// To read, and no more.
async fn rights(subject: &Subject) -> Verdict {
    let (path, db, _) = kept(subject);
    let no_write_cap = || err(no_cap(subject, "NoWriteCap"));
    let (set, _) = set(&db, "k", Value::Null);
    let (insert, _) = insert(&db, "by a stranger", Value::Null);
    let steps = vec![
        (handle(&path), done()),
        (file("read", json!({})), ok("kept!")),
        (
            file("write", json!({"text": "x"})),
            err(no_write(subject, "Write", &path)),
        ),
        (get(&db, "k"), ok("kept")),
        (set, no_write_cap()),
        (
            select(&db),
            ok(json!([{"v": "kept too"}, {"v": "and this"}])),
        ),
        (insert, no_write_cap()),
    ];
    expect_of(subject, &stranger(subject), steps).await
}

async fn transactions(subject: &Subject) -> Verdict {
    let (_, db, _) = kept(subject);
    let results = subject.run(json!(["state"])).await?;
    let begun = |at: usize| {
        results[0][at]
            .as_u64()
            .ok_or_else(|| results[0].to_string())
    };
    let (of_kv, of_sqlite) = (begun(0)?, begun(1)?);
    let commit = json!({ "tx": of_kv });
    let commit_sqlite = json!({ "tx": of_sqlite });
    let steps = vec![
        (
            kv::on(&db, "Kv::commit_tx", commit),
            err(no_tx(subject, of_kv)),
        ),
        (get(&db, "of the transaction"), err(json!("KeyNotFound"))),
        (
            sqlite::on(&db, "Sqlite::commit_tx", commit_sqlite),
            err(no_tx(subject, of_sqlite)),
        ),
        (
            select(&db),
            ok(json!([{"v": "kept too"}, {"v": "and this"}])),
        ),
    ];
    expect(subject, steps).await
}

async fn removed(subject: &Subject) -> Verdict {
    let (_, _, not) = kept(subject);
    let steps = vec![
        (get(&not, "k"), err(no_db(subject, &not))),
        (select(&not), err(no_db(subject, &not))),
    ];
    expect(subject, steps).await
}
