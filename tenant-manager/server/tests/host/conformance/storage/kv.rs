//! The functions of the libraries' module `kv`.

use futures::future::join_all;
use serde_json::{Value, json};

use super::called::{
    NUMBER, THEIRS, call, done, err, expect, expect_of, has, no_db, no_tx, ok, other_package, same,
    to_database,
};
use super::{Cell, Subject, Verdict, rows};

rows! {
    "kv::open" => open,
    "kv::Kv::set" => set,
    "kv::Kv::get" => get,
    "kv::Kv::delete" => delete,
    "kv::Kv::begin_tx" => begin_tx,
    "kv::Kv::commit_tx" => commit_tx,
    "kv::remove_db" => remove_db,
    "kv::Kv::get_as" => get_as,
    "kv::Kv::set_as" => set_as,
    "kv::Kv::delete_as" => delete_as,
    "kv::open_raw" => open_raw,
    "kv::Kv::get_raw" => get_raw,
    "kv::Kv::set_raw" => set_raw,
    "kv::Kv::delete_raw" => delete_raw,
    "kv: a transaction is of its process and its database" => transaction_of_another,
    "kv: several processes write at once" => at_once,
}

/// A database of the column.
pub fn db(subject: &Subject, name: &str) -> String {
    format!("{}-{name}", subject.column.component)
}

/// A function of a database.
pub fn on(db: &str, function: &str, mut options: Value) -> Value {
    options["db"] = json!(db);
    call("kv", function, options)
}

pub fn opened(db: &str) -> (Value, Value) {
    (on(db, "open", json!({})), done())
}

fn put(db: &str, key: &str, value: Value) -> (Value, Value) {
    (setting(db, key, value, Value::Null), done())
}

fn setting(db: &str, key: &str, value: Value, tx: Value) -> Value {
    on(db, "Kv::set", json!({"key": key, "value": value, "tx": tx}))
}

fn getting(db: &str, key: &str) -> Value {
    on(db, "Kv::get", json!({ "key": key }))
}

fn absent() -> Value {
    err(json!("KeyNotFound"))
}

/// Begins a transaction in the name of A.
pub async fn begin(subject: &Subject, step: Value) -> Result<u64, String> {
    let results = subject.run(json!([step])).await?;
    results[0]["Ok"]
        .as_u64()
        .ok_or_else(|| format!("{} is no transaction", results[0]))
}

async fn open(subject: &Subject) -> Verdict {
    let db = db(subject, "opened");
    let theirs = on(&db, "open", json!({"package": THEIRS}));
    let steps = vec![
        opened(&db),
        put(&db, "k", json!(1)),
        // Once more makes no difference.
        opened(&db),
        (getting(&db, "k"), ok(1)),
        (theirs, err(other_package(subject))),
    ];
    expect(subject, steps).await?;
    let held = subject.run(json!(["capabilities"])).await?;
    for kind in ["read", "write"] {
        let wanted = to_database(subject, "kv", kind, &db);
        if !has(&held[0], &wanted) {
            return Err(format!("{wanted} is not in {}", held[0]));
        }
    }
    Ok(Cell::Conforms)
}

async fn set(subject: &Subject) -> Verdict {
    let db = db(subject, "set");
    let steps = vec![
        opened(&db),
        put(&db, "k", json!({"a": [1, null]})),
        (getting(&db, "k"), ok(json!({"a": [1, null]}))),
        put(&db, "k", json!("replaced")),
        (getting(&db, "k"), ok("replaced")),
    ];
    expect(subject, steps).await
}

async fn get(subject: &Subject) -> Verdict {
    let db = db(subject, "got");
    let steps = vec![
        opened(&db),
        (getting(&db, "k"), absent()),
        put(&db, "k", json!(7)),
        (getting(&db, "k"), ok(7)),
        // Its beginning is another key.
        (getting(&db, ""), absent()),
        (getting(&db, "kk"), absent()),
    ];
    expect(subject, steps).await
}

async fn delete(subject: &Subject) -> Verdict {
    let db = db(subject, "deleted");
    let deleting = |key: &str| on(&db, "Kv::delete", json!({ "key": key }));
    let steps = vec![
        opened(&db),
        put(&db, "k", json!(1)),
        put(&db, "l", json!(2)),
        (deleting("k"), done()),
        (getting(&db, "k"), absent()),
        // What is not there is deleted.
        (deleting("k"), done()),
        (getting(&db, "l"), ok(2)),
    ];
    expect(subject, steps).await
}

async fn begin_tx(subject: &Subject) -> Verdict {
    let db = db(subject, "begun");
    let begin = on(&db, "Kv::begin_tx", json!({}));
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
    expect(subject, vec![opened(&db), put(&db, "gone", json!(1))]).await?;
    expect_of(subject, &b, vec![opened(&db)]).await?;
    let tx = begin(subject, on(&db, "Kv::begin_tx", json!({}))).await?;
    let delete = json!({"key": "gone", "tx": tx});
    let before = vec![
        (setting(&db, "k", json!("first"), json!(tx)), done()),
        (setting(&db, "l", json!("second"), json!(tx)), done()),
        (setting(&db, "k", json!("third"), json!(tx)), done()),
        (on(&db, "Kv::delete", delete), done()),
        (getting(&db, "k"), absent()),
        (getting(&db, "gone"), ok(1)),
    ];
    expect(subject, before).await?;
    expect_of(subject, &b, vec![(getting(&db, "l"), absent())]).await?;
    let commit = on(&db, "Kv::commit_tx", json!({ "tx": tx }));
    let set = setting(&db, "k", json!("too late"), json!(tx));
    let after = vec![
        (commit.clone(), done()),
        (getting(&db, "k"), ok("third")),
        (getting(&db, "gone"), absent()),
        (commit, err(no_tx(subject, tx))),
        (set, err(no_tx(subject, tx))),
        (getting(&db, "k"), ok("third")),
    ];
    expect(subject, after).await?;
    expect_of(subject, &b, vec![(getting(&db, "l"), ok("second"))]).await
}

/// The facts leave open what becomes of a database that is removed twice. In
/// published runtimes of 1.0 an empty one is there again.
async fn remove_db(subject: &Subject) -> Verdict {
    let db = db(subject, "removed");
    let remove = on(&db, "remove_db", json!({}));
    let theirs = on(&db, "remove_db", json!({"package": THEIRS}));
    let steps = vec![
        opened(&db),
        put(&db, "k", json!(1)),
        (theirs, err(other_package(subject))),
        (remove.clone(), done()),
        (getting(&db, "k"), err(no_db(subject, &db))),
        (remove, err(no_db(subject, &db))),
        opened(&db),
        (getting(&db, "k"), absent()),
    ];
    expect(subject, steps).await
}

async fn get_as(subject: &Subject) -> Verdict {
    let db = db(subject, "got-as");
    let get_as = |key: &str| on(&db, "Kv::get_as", json!({ "key": key }));
    let steps = vec![
        opened(&db),
        put(&db, "k", json!([1])),
        (get_as("k"), ok(json!([1]))),
        (get_as("l"), absent()),
    ];
    expect(subject, steps).await
}

async fn set_as(subject: &Subject) -> Verdict {
    let db = db(subject, "set-as");
    let set_as = on(&db, "Kv::set_as", json!({"key": "k", "value": [1]}));
    let steps = vec![
        opened(&db),
        (set_as, done()),
        (getting(&db, "k"), ok(json!([1]))),
    ];
    expect(subject, steps).await
}

async fn delete_as(subject: &Subject) -> Verdict {
    let db = db(subject, "deleted-as");
    let delete_as = on(&db, "Kv::delete_as", json!({"key": "k"}));
    let steps = vec![
        opened(&db),
        put(&db, "k", json!(1)),
        (delete_as, done()),
        (getting(&db, "k"), absent()),
    ];
    expect(subject, steps).await
}

async fn open_raw(subject: &Subject) -> Verdict {
    let db = db(subject, "opened-raw");
    let steps = vec![(on(&db, "open_raw", json!({})), done()), opened(&db)];
    expect(subject, steps).await
}

fn setting_raw(db: &str, key: &str, value: &str) -> (Value, Value) {
    let options = json!({"key": key, "value": value});
    (on(db, "Kv::set_raw", options), done())
}

fn getting_raw(db: &str, key: &str) -> Value {
    on(db, "Kv::get_raw", json!({ "key": key }))
}

async fn get_raw(subject: &Subject) -> Verdict {
    let db = db(subject, "got-raw");
    let steps = vec![
        opened(&db),
        (getting_raw(&db, "k"), absent()),
        setting_raw(&db, "k", "bytes"),
        (getting_raw(&db, "k"), ok("bytes")),
    ];
    expect(subject, steps).await
}

async fn set_raw(subject: &Subject) -> Verdict {
    let db = db(subject, "set-raw");
    let steps = vec![
        opened(&db),
        setting_raw(&db, "k", ""),
        // Nothing is a value too.
        (getting_raw(&db, "k"), ok("")),
        // The key of JSON is another: it has quotes.
        put(&db, "k", json!(1)),
        setting_raw(&db, "k", "2"),
        (getting(&db, "k"), ok(1)),
        (getting_raw(&db, "\"k\""), ok("1")),
    ];
    expect(subject, steps).await
}

async fn delete_raw(subject: &Subject) -> Verdict {
    let db = db(subject, "deleted-raw");
    let delete_raw = on(&db, "Kv::delete_raw", json!({"key": "k"}));
    let steps = vec![
        opened(&db),
        setting_raw(&db, "k", "bytes"),
        (delete_raw, done()),
        (getting_raw(&db, "k"), absent()),
    ];
    expect(subject, steps).await
}

/// Published runtimes let anybody who may write commit it, to any database.
async fn transaction_of_another(subject: &Subject) -> Verdict {
    let (db, other) = (db(subject, "begun-by-a"), db(subject, "another"));
    let b = subject.id("-b");
    expect(subject, vec![opened(&db), opened(&other)]).await?;
    expect_of(subject, &b, vec![opened(&db)]).await?;
    let tx = begin(subject, on(&db, "Kv::begin_tx", json!({}))).await?;
    let set = setting(&db, "k", json!("by a"), json!(tx));
    let commit = |db: &str| on(db, "Kv::commit_tx", json!({ "tx": tx }));
    expect(
        subject,
        vec![(set, done()), (commit(&other), err(no_tx(subject, tx)))],
    )
    .await?;
    let by_b = vec![
        (
            setting(&db, "k", json!("by b"), json!(tx)),
            err(no_tx(subject, tx)),
        ),
        (commit(&db), err(no_tx(subject, tx))),
    ];
    expect_of(subject, &b, by_b).await?;
    let steps = vec![(commit(&db), done()), (getting(&db, "k"), ok("by a"))];
    expect(subject, steps).await
}

/// How many keys each of them sets.
const EACH: usize = 40;

async fn at_once(subject: &Subject) -> Verdict {
    let db = db(subject, "busy");
    let sets = |suffix: &str| {
        let key = move |number: usize| format!("{suffix}{number}");
        let puts = (0..EACH).map(|number| put(&db, &key(number), json!(number)));
        let mut steps = vec![opened(&db)];
        steps.extend(puts);
        steps
    };
    let writers = ["", "-b", "-c"].map(|suffix| (subject.id(suffix), sets(suffix)));
    let written = writers
        .iter()
        .map(|(id, steps)| expect_of(subject, id, steps.clone()));
    for verdict in join_all(written).await {
        verdict?;
    }
    let all = ["", "-b", "-c"].map(|suffix| {
        let key = move |number: usize| format!("{suffix}{number}");
        (0..EACH)
            .map(|number| (getting(&db, &key(number)), ok(number)))
            .collect::<Vec<_>>()
    });
    expect(subject, all.concat()).await
}
