//! The functions of the libraries' module `sqlite`.

use futures::future::join_all;
use serde_json::{Value, json};

use super::called::{
    ANY, NUMBER, TEXT, THEIRS, call, done, either, err, expect, expect_of, has, no_db, no_tx, ok,
    other_package, same, to_database,
};
use super::kv::{begin, db};
use super::{Cell, Subject, Verdict, rows};

rows! {
    "sqlite::open" => open,
    "sqlite::Sqlite::write" => write,
    "sqlite::Sqlite::read" => read,
    "sqlite::Sqlite::begin_tx" => begin_tx,
    "sqlite::Sqlite::commit_tx" => commit_tx,
    "sqlite::remove_db" => remove_db,
    "sqlite: what is bound has the kind of its JSON" => kinds,
    "sqlite: a string that is base64 is bound as a blob" => base64,
    "sqlite: a transaction is done as a whole or not at all" => as_a_whole,
    "sqlite: a transaction is of its process and its database" => transaction_of_another,
    "sqlite: several processes write at once" => at_once,
    "sqlite: a read changes nothing" => reads_only,
    "sqlite: no statement reaches another file" => confined,
}

/// A function of a database.
pub fn on(db: &str, function: &str, mut options: Value) -> Value {
    options["db"] = json!(db);
    call("sqlite", function, options)
}

pub fn opened(db: &str) -> (Value, Value) {
    (on(db, "open", json!({})), done())
}

/// A write that goes well.
pub fn wrote(db: &str, sql: &str, params: Value) -> (Value, Value) {
    (writing(db, sql, params, Value::Null), done())
}

fn writing(db: &str, sql: &str, params: Value, tx: Value) -> Value {
    let options = json!({"sql": sql, "params": params, "tx": tx});
    on(db, "Sqlite::write", options)
}

pub fn reading(db: &str, sql: &str, params: Value) -> Value {
    on(db, "Sqlite::read", json!({"sql": sql, "params": params}))
}

/// A database that holds one table.
pub fn with_table(db: &str) -> Vec<(Value, Value)> {
    let table = "CREATE TABLE t (id INTEGER PRIMARY KEY, v UNIQUE)";
    vec![opened(db), wrote(db, table, json!([]))]
}

fn count(db: &str, wanted: usize) -> (Value, Value) {
    let read = reading(db, "SELECT count(*) AS n FROM t", json!([]));
    (read, ok(json!([{ "n": wanted }])))
}

fn insert(db: &str, value: Value, tx: Value) -> Value {
    writing(db, "INSERT INTO t (v) VALUES (?)", json!([value]), tx)
}

/// What SQLite says.
pub fn sql_error(subject: &Subject) -> Value {
    let old = json!({"RusqliteError": {"error": TEXT}});
    either(subject, old, json!({"RusqliteError": TEXT}))
}

async fn open(subject: &Subject) -> Verdict {
    let db = db(subject, "opened");
    let theirs = on(&db, "open", json!({"package": THEIRS}));
    let mut steps = with_table(&db);
    steps.extend([
        // Once more makes no difference.
        opened(&db),
        count(&db, 0),
        (theirs, err(other_package(subject))),
    ]);
    expect(subject, steps).await?;
    let held = subject.run(json!(["capabilities"])).await?;
    for kind in ["read", "write"] {
        let wanted = to_database(subject, "sqlite", kind, &db);
        if !has(&held[0], &wanted) {
            return Err(format!("{wanted} is not in {}", held[0]));
        }
    }
    Ok(Cell::Conforms)
}

async fn write(subject: &Subject) -> Verdict {
    let db = db(subject, "written");
    let mut steps = with_table(&db);
    steps.extend([
        wrote(&db, "INSERT INTO t (v) VALUES (?), (?)", json!([1, "a b"])),
        count(&db, 2),
        wrote(&db, "update t SET v = 2 WHERE v = 1", json!([])),
        wrote(&db, "  DELETE FROM t WHERE v = ?1", json!(["a b"])),
        (
            reading(&db, "SELECT v FROM t", json!([])),
            ok(json!([{"v": 2}])),
        ),
        (insert(&db, json!(2), Value::Null), err(sql_error(subject))),
        (
            writing(
                &db,
                "INSERT INTO nowhere VALUES (1)",
                json!([]),
                Value::Null,
            ),
            err(sql_error(subject)),
        ),
        (
            writing(&db, "SELECT 1", json!([]), Value::Null),
            err(json!("NotAWriteKeyword")),
        ),
        count(&db, 1),
    ]);
    expect(subject, steps).await
}

async fn read(subject: &Subject) -> Verdict {
    let db = db(subject, "read");
    let mut steps = with_table(&db);
    steps.extend([
        (reading(&db, "SELECT * FROM t", json!([])), ok(json!([]))),
        wrote(
            &db,
            "INSERT INTO t VALUES (1, ?), (2, ?)",
            json!(["x y", null]),
        ),
        (
            reading(&db, "SELECT id, v FROM t ORDER BY id", json!([])),
            ok(json!([{"id": 1, "v": "x y"}, {"id": 2, "v": null}])),
        ),
        (
            reading(&db, "select v FROM t WHERE id = ?", json!([1])),
            ok(json!([{"v": "x y"}])),
        ),
        (
            reading(&db, "PRAGMA user_version", json!([])),
            ok(json!([{"user_version": 0}])),
        ),
        (
            reading(&db, "SELECT * FROM nowhere", json!([])),
            err(sql_error(subject)),
        ),
        (
            reading(&db, "DELETE FROM t", json!([])),
            err(json!("NotAReadKeyword")),
        ),
        (
            reading(&db, "SELECT ?", json!([[1]])),
            err(json!("InvalidParameters")),
        ),
    ]);
    expect(subject, steps).await
}

async fn begin_tx(subject: &Subject) -> Verdict {
    let db = db(subject, "begun");
    let begin = on(&db, "Sqlite::begin_tx", json!({}));
    expect(subject, vec![opened(&db)]).await?;
    let results = subject.run(json!([begin, begin])).await?;
    let [one, other] = [&results[0], &results[1]];
    if !same(one, &ok(NUMBER)) || !same(other, &ok(NUMBER)) || one == other {
        return Err(format!("{one} and {other} are no two transactions"));
    }
    Ok(Cell::Conforms)
}

/// Nothing is seen before the commit, and everything after it.
async fn commit_tx(subject: &Subject) -> Verdict {
    let db = db(subject, "committed");
    let b = subject.id("-b");
    expect(subject, with_table(&db)).await?;
    expect_of(subject, &b, vec![opened(&db)]).await?;
    let tx = begin(subject, on(&db, "Sqlite::begin_tx", json!({}))).await?;
    let before = vec![
        (insert(&db, json!(1), json!(tx)), done()),
        (insert(&db, json!(2), json!(tx)), done()),
        count(&db, 0),
    ];
    expect(subject, before).await?;
    expect_of(subject, &b, vec![count(&db, 0)]).await?;
    let commit = on(&db, "Sqlite::commit_tx", json!({ "tx": tx }));
    let after = vec![
        (commit.clone(), done()),
        count(&db, 2),
        (commit, err(no_tx(subject, tx))),
        // Published runtimes begin it anew.
        (insert(&db, json!(3), json!(tx)), err(no_tx(subject, tx))),
    ];
    expect(subject, after).await?;
    expect_of(subject, &b, vec![count(&db, 2)]).await
}

/// The facts leave open what becomes of a database that is removed twice.
async fn remove_db(subject: &Subject) -> Verdict {
    let db = db(subject, "removed");
    let remove = on(&db, "remove_db", json!({}));
    let theirs = on(&db, "remove_db", json!({"package": THEIRS}));
    let read = reading(&db, "SELECT * FROM t", json!([]));
    let mut steps = with_table(&db);
    steps.extend([
        (theirs, err(other_package(subject))),
        (remove.clone(), done()),
        (read.clone(), err(no_db(subject, &db))),
        (remove, err(no_db(subject, &db))),
        opened(&db),
        // The table is gone.
        (read, err(sql_error(subject))),
    ]);
    expect(subject, steps).await
}

/// What a parameter is to SQLite, and how it comes back.
fn bound(db: &str, value: Value, kind: &str, back: Value) -> (Value, Value) {
    let read = reading(db, "SELECT typeof(?1) AS kind, ?1 AS back", json!([value]));
    (read, ok(json!([{"kind": kind, "back": back}])))
}

async fn kinds(subject: &Subject) -> Verdict {
    let db = db(subject, "kinds");
    let mut steps = vec![opened(&db)];
    steps.extend([
        bound(&db, json!(7), "integer", json!(7)),
        bound(&db, json!(-7), "integer", json!(-7)),
        bound(&db, json!(i64::MAX), "integer", json!(i64::MAX)),
        // Beyond what SQLite counts to.
        bound(
            &db,
            json!(u64::MAX),
            "real",
            json!(1.844_674_407_370_955_2e19),
        ),
        bound(&db, json!(1.5), "real", json!(1.5)),
        bound(&db, json!(true), "integer", json!(1)),
        bound(&db, json!(false), "integer", json!(0)),
        bound(&db, Value::Null, "null", Value::Null),
        bound(&db, json!("two words"), "text", json!("two words")),
    ]);
    for nested in [json!([1]), json!({"a": 1}), json!([])] {
        let read = reading(&db, "SELECT ?", json!([nested]));
        steps.push((read, err(json!("InvalidParameters"))));
    }
    expect(subject, steps).await
}

/// A blob comes back as base64, so that it looks the same.
async fn base64(subject: &Subject) -> Verdict {
    let db = db(subject, "base64");
    let mut steps = vec![opened(&db)];
    for text in ["Dave", "test", "AAAA", "aGVsbG8=", "+/+/", ""] {
        steps.push(bound(&db, json!(text), "blob", json!(text)));
    }
    // Of another length, with other characters, or without its padding.
    for text in ["hello", "a b", "-_-_", "aGVsbG8", "Zoë!"] {
        steps.push(bound(&db, json!(text), "text", json!(text)));
    }
    let length = reading(&db, "SELECT length(?) AS n", json!(["aGVsbG8="]));
    steps.push((length, ok(json!([{"n": 5}]))));
    expect(subject, steps).await
}

async fn as_a_whole(subject: &Subject) -> Verdict {
    let db = db(subject, "as-a-whole");
    let mut steps = with_table(&db);
    steps.push(wrote(&db, "INSERT INTO t (v) VALUES (1)", json!([])));
    expect(subject, steps).await?;
    let tx = begin(subject, on(&db, "Sqlite::begin_tx", json!({}))).await?;
    let commit = on(&db, "Sqlite::commit_tx", json!({ "tx": tx }));
    let steps = vec![
        (insert(&db, json!(2), json!(tx)), done()),
        // There already.
        (insert(&db, json!(1), json!(tx)), done()),
        (insert(&db, json!(3), json!(tx)), done()),
        // Looked at when it is added.
        (
            writing(&db, "SELECT 1", json!([]), json!(tx)),
            err(json!("NotAWriteKeyword")),
        ),
        (commit.clone(), err(sql_error(subject))),
        count(&db, 1),
        (commit, err(no_tx(subject, tx))),
    ];
    expect(subject, steps).await
}

/// Published runtimes let anybody who may write commit it, to any database.
async fn transaction_of_another(subject: &Subject) -> Verdict {
    let (db, other) = (db(subject, "begun-by-a"), db(subject, "another"));
    let b = subject.id("-b");
    let steps = [with_table(&db), with_table(&other)].concat();
    expect(subject, steps).await?;
    expect_of(subject, &b, vec![opened(&db)]).await?;
    let tx = begin(subject, on(&db, "Sqlite::begin_tx", json!({}))).await?;
    let commit = |db: &str| on(db, "Sqlite::commit_tx", json!({ "tx": tx }));
    let steps = vec![
        (insert(&db, json!("by a"), json!(tx)), done()),
        (commit(&other), err(no_tx(subject, tx))),
    ];
    expect(subject, steps).await?;
    let by_b = vec![
        (
            insert(&db, json!("by b"), json!(tx)),
            err(no_tx(subject, tx)),
        ),
        (commit(&db), err(no_tx(subject, tx))),
    ];
    expect_of(subject, &b, by_b).await?;
    let steps = vec![(commit(&db), done()), count(&db, 1), count(&other, 0)];
    expect(subject, steps).await
}

/// How many rows each of them inserts.
const EACH: usize = 20;

async fn at_once(subject: &Subject) -> Verdict {
    let db = db(subject, "busy");
    expect(subject, with_table(&db)).await?;
    let rows = |suffix: &str| {
        let value = |number: usize| json!(format!("of{suffix} {number}"));
        let inserts = (0..EACH).map(|number| (insert(&db, value(number), Value::Null), done()));
        let mut steps = vec![opened(&db)];
        steps.extend(inserts);
        steps
    };
    let writers = ["", "-b", "-c"].map(|suffix| (subject.id(suffix), rows(suffix)));
    let written = writers
        .iter()
        .map(|(id, steps)| expect_of(subject, id, steps.clone()));
    for verdict in join_all(written).await {
        verdict?;
    }
    expect(subject, vec![count(&db, 3 * EACH)]).await
}

/// Published runtimes look at the first word and no further.
async fn reads_only(subject: &Subject) -> Verdict {
    let db = db(subject, "read-only");
    let mut steps = with_table(&db);
    steps.push(wrote(&db, "INSERT INTO t (v) VALUES (1)", json!([])));
    let delete = "WITH x AS (SELECT 1) DELETE FROM t";
    steps.extend([
        (
            reading(&db, delete, json!([])),
            err(json!("NotAReadKeyword")),
        ),
        count(&db, 1),
        // It looks and does not do.
        (
            reading(&db, "EXPLAIN QUERY PLAN DELETE FROM t", json!([])),
            json!(ANY),
        ),
        count(&db, 1),
    ]);
    expect(subject, steps).await
}

async fn confined(subject: &Subject) -> Verdict {
    let db = db(subject, "confined");
    let mut steps = with_table(&db);
    for sql in [
        "ATTACH DATABASE '/etc/passwd' AS other",
        "SELECT load_extension('other')",
        "PRAGMA writable_schema = ON",
        "PRAGMA temp_store_directory = '/tmp'",
    ] {
        let read = reading(&db, sql, json!([]));
        steps.push((read, err(sql_error(subject))));
    }
    for sql in ["VACUUM INTO '/tmp/other.db'", "DETACH DATABASE main"] {
        let write = writing(&db, sql, json!([]), Value::Null);
        steps.push((write, err(sql_error(subject))));
    }
    steps.push(count(&db, 0));
    expect(subject, steps).await
}
