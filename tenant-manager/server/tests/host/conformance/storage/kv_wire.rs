//! What the module `kv` says, to the letter: its errors in the words of the
//! edition, and the shapes of requests of every generation.

use serde_json::{Value, json};

use super::super::subject::matches;
use super::called::{
    NUMBER, TEXT, THEIRS, answered, ask, either, expect, no_cap, no_db, no_tx, of_database,
    other_package, package, wire_err,
};
use super::kv::{db, opened};
use super::{Cell, Subject, Verdict, rows};

rows! {
    "kv: Ok, Get and BeginTx, to the letter" => letters,
    "kv: Get as any generation writes it" => get_shapes,
    "kv: Backup is answered" => backup,
    "kv: KeyNotFound" => key_not_found,
    "kv: NoDb" => missing,
    "kv: NoTx" => no_transaction,
    "kv: NoCap, or NoReadCap and NoWriteCap, of the owner too" => no_right,
    "kv: NoCap, or MismatchingPackageId" => mismatching,
    "kv: InputError, or MalformedRequest" => malformed,
    "kv: InputError, or IOError: what no database is called" => bad_name,
    "kv: RocksDBError" => store_error,
}

/// `k`.
const KEY: [u8; 1] = [b'k'];

/// In the shape of the edition.
fn get(subject: &Subject) -> Value {
    either(subject, json!({"Get": {"key": KEY}}), json!({ "Get": KEY }))
}

fn set(tx: Value) -> Value {
    json!({"Set": {"key": KEY, "tx_id": tx}})
}

fn delete(tx: Value) -> Value {
    json!({"Delete": {"key": KEY, "tx_id": tx}})
}

fn value() -> Value {
    json!({"text": "value"})
}

async fn open(subject: &Subject, name: &str) -> Result<String, String> {
    let db = db(subject, name);
    expect(subject, vec![opened(&db)]).await?;
    Ok(db)
}

async fn letters(subject: &Subject) -> Verdict {
    let db = db(subject, "letters");
    let asked = [
        (json!("Open"), Value::Null, json!("Ok")),
        (set(Value::Null), value(), json!("Ok")),
        // A transaction need not be named.
        (json!({"Set": {"key": KEY}}), value(), json!("Ok")),
        (get(subject), Value::Null, get(subject)),
        (delete(Value::Null), Value::Null, json!("Ok")),
        (
            json!("BeginTx"),
            Value::Null,
            json!({"BeginTx": {"tx_id": NUMBER}}),
        ),
        (json!("RemoveDb"), Value::Null, json!("Ok")),
    ]
    .map(|(action, blob, wanted)| (of_database(&db, action), blob, wanted));
    answered(subject, "kv", asked.into()).await
}

/// Who asks in the old shape is answered in it, and so is every process up to
/// 0.9.
async fn get_shapes(subject: &Subject) -> Verdict {
    let db = open(subject, "shapes").await?;
    let old = json!({"Get": {"key": KEY}});
    let new = json!({ "Get": KEY });
    let steps = [
        ask(subject, "kv", of_database(&db, set(Value::Null)), value()),
        ask(subject, "kv", of_database(&db, old.clone()), Value::Null),
        ask(subject, "kv", of_database(&db, new), Value::Null),
    ];
    let results = subject.run(json!(steps)).await?;
    for (result, body) in [(&results[1], &old), (&results[2], &get(subject))] {
        if result["body"] != *body {
            return Err(format!("{result} where {body} was expected"));
        }
        matches(&result["blob"], value())?;
    }
    Ok(Cell::Conforms)
}

/// From 1.0 on nobody asks for it; who does is answered.
async fn backup(subject: &Subject) -> Verdict {
    let db = open(subject, "backup").await?;
    let asked = of_database(&db, json!("Backup"));
    answered(subject, "kv", vec![(asked, Value::Null, json!("Ok"))]).await
}

async fn key_not_found(subject: &Subject) -> Verdict {
    let db = open(subject, "no-key").await?;
    let wanted = wire_err(subject, json!("KeyNotFound"));
    let asked = of_database(&db, get(subject));
    answered(subject, "kv", vec![(asked, Value::Null, wanted)]).await
}

/// A right outlives the database.
async fn missing(subject: &Subject) -> Verdict {
    let db = open(subject, "no-db").await?;
    let removed = of_database(&db, json!("RemoveDb"));
    let mut asked = vec![(removed, Value::Null, json!("Ok"))];
    for action in [
        get(subject),
        set(Value::Null),
        delete(Value::Null),
        json!("BeginTx"),
        json!({"Commit": {"tx_id": 1}}),
    ] {
        let wanted = wire_err(subject, no_db(subject, &db));
        asked.push((of_database(&db, action), value(), wanted));
    }
    answered(subject, "kv", asked).await
}

async fn no_transaction(subject: &Subject) -> Verdict {
    let db = open(subject, "no-tx").await?;
    let wanted = wire_err(subject, no_tx(subject, 7));
    let asked = [
        set(json!(7)),
        delete(json!(7)),
        json!({"Commit": {"tx_id": 7}}),
    ]
    .map(|action| (of_database(&db, action), value(), wanted.clone()));
    answered(subject, "kv", asked.into()).await
}

/// Nobody has opened it, not even its package.
async fn no_right(subject: &Subject) -> Verdict {
    let db = db(subject, "never-opened");
    let of = |action: Value, new: &str| {
        let wanted = wire_err(subject, no_cap(subject, new));
        (of_database(&db, action), value(), wanted)
    };
    let asked = vec![
        of(get(subject), "NoReadCap"),
        of(set(Value::Null), "NoWriteCap"),
        of(delete(Value::Null), "NoWriteCap"),
        of(json!("BeginTx"), "NoWriteCap"),
        of(json!({"Commit": {"tx_id": 7}}), "NoWriteCap"),
    ];
    answered(subject, "kv", asked).await
}

async fn mismatching(subject: &Subject) -> Verdict {
    let wanted = wire_err(subject, other_package(subject));
    let asked = ["Open", "RemoveDb"].map(|action| {
        let body = json!({"package_id": package(THEIRS), "db": "any", "action": action});
        (body, Value::Null, wanted.clone())
    });
    answered(subject, "kv", asked.into()).await
}

/// Published runtimes leave a value that is missing out of a transaction.
async fn malformed(subject: &Subject) -> Verdict {
    let db = open(subject, "malformed").await?;
    let begun = super::kv::on(&db, "Kv::begin_tx", json!({}));
    let tx = super::kv::begin(subject, begun).await?;
    let old = json!({"InputError": {"error": TEXT}});
    let wanted = wire_err(subject, either(subject, old, json!("MalformedRequest")));
    let asked = [
        json!("no request"),
        json!({"db": db, "action": "Open"}),
        of_database(&db, json!("Nonsense")),
        of_database(&db, json!({"Commit": {}})),
        of_database(&db, json!({"Set": {"key": [256], "tx_id": null}})),
        // These have no blob.
        of_database(&db, set(Value::Null)),
        of_database(&db, set(json!(tx))),
    ]
    .map(|body| (body, Value::Null, wanted.clone()));
    answered(subject, "kv", asked.into()).await
}

/// Published runtimes make directories of them.
async fn bad_name(subject: &Subject) -> Verdict {
    let old = json!({"InputError": {"error": TEXT}});
    let wanted = wire_err(subject, either(subject, old, json!({"IOError": TEXT})));
    let asked = ["", "..", "../other", "/etc", "a/b", "a\0b"].map(|name| {
        let body = of_database(name, json!("Open"));
        (body, Value::Null, wanted.clone())
    });
    answered(subject, "kv", asked.into()).await
}

/// A key that is too long for the store.
async fn store_error(subject: &Subject) -> Verdict {
    let db = open(subject, "long-key").await?;
    let key = vec![b'k'; 1025];
    let old = json!({"RocksDBError": {"action": "Set", "error": TEXT}});
    let wanted = wire_err(subject, either(subject, old, json!({"RocksDBError": TEXT})));
    let asked = of_database(&db, json!({"Set": {"key": key, "tx_id": null}}));
    answered(subject, "kv", vec![(asked, value(), wanted)]).await
}
