//! What the rows of the stores are made of: steps that call a function of a
//! library or ask a module, and what they are expected to come to.

use serde_json::{Map, Value, json};

use super::super::subject::{Subject, matches};
use super::{Cell, Verdict};

/// In what is expected: any text that is not empty.
pub const TEXT: &str = "…";
/// In what is expected: any number.
pub const NUMBER: &str = "#";
/// In what is expected: anything.
pub const ANY: &str = "*";
/// The package of the columns' processes.
pub const OURS: &str = "conformance:test.dev";
/// That of the strangers.
pub const THEIRS: &str = "strangers:test.dev";

/// A step that calls a function of the library's `module`, for `OURS` unless
/// the options say otherwise.
pub fn call(module: &str, function: &str, options: Value) -> Value {
    let mut step = Map::from_iter([
        ("call".to_owned(), json!(function)),
        ("package".to_owned(), json!(OURS)),
    ]);
    if let Value::Object(options) = options {
        step.extend(options);
    }
    json!({ module: step })
}

/// A step that asks a module, with the blob if it is not null.
pub fn ask(subject: &Subject, module: &str, body: Value, blob: Value) -> Value {
    let to = subject.module(&format!("{module}:distro:sys"));
    json!({"await": {"to": to, "expects": 5, "body": body, "blob": blob}})
}

/// A call that went well.
pub fn ok(value: impl Into<Value>) -> Value {
    json!({ "Ok": value.into() })
}

/// A call that went well and gives nothing.
pub fn done() -> Value {
    ok(Value::Null)
}

/// A call that failed.
pub fn err(error: Value) -> Value {
    json!({ "Err": error })
}

/// What is said up to 0.9, or since.
pub fn either(subject: &Subject, old: Value, new: Value) -> Value {
    if subject.column.newer { new } else { old }
}

/// Whether the column is of the book: on its library, or on none.
pub fn of_the_book(subject: &Subject) -> bool {
    matches!(subject.column.component, "unversioned" | "v0_7" | "v0_8")
}

/// Whether the column has no library.
pub fn by_hand(subject: &Subject) -> bool {
    matches!(subject.column.component, "unversioned" | "v0_7")
}

/// The id of the column's process in the other package.
pub fn stranger(subject: &Subject) -> String {
    format!("{}:{THEIRS}", subject.column.process)
}

/// Has A do the steps, and compares what each comes to.
pub async fn expect(subject: &Subject, steps: Vec<(Value, Value)>) -> Verdict {
    expect_of(subject, &subject.id(""), steps).await
}

/// The same with the process `id`. A function that the library lacks ends it.
pub async fn expect_of(subject: &Subject, id: &str, steps: Vec<(Value, Value)>) -> Verdict {
    let (asked, wanted): (Vec<_>, Vec<_>) = steps.into_iter().unzip();
    let results = subject.run_at(id, json!(asked)).await?;
    for ((step, result), wanted) in asked.iter().zip(&results).zip(&wanted) {
        if result == "absent" {
            return Ok(Cell::NotApplicable("the generation has no such function"));
        }
        if !same(result, wanted) {
            return Err(format!("{step}: {result} where {wanted} was expected"));
        }
    }
    Ok(Cell::Conforms)
}

/// Has A ask `module`, and compares the bodies of the answers, to the letter.
pub async fn answered(
    subject: &Subject,
    module: &str,
    asked: Vec<(Value, Value, Value)>,
) -> Verdict {
    let steps: Vec<Value> = asked
        .iter()
        .map(|(body, blob, _)| ask(subject, module, body.clone(), blob.clone()))
        .collect();
    let results = subject.run(json!(steps)).await?;
    for ((body, _, wanted), result) in asked.iter().zip(&results) {
        matches(result, json!({"is": "response"})).map_err(|error| format!("{body}: {error}"))?;
        if !same(&result["body"], wanted) {
            let got = &result["body"];
            return Err(format!("{body}: {got} where {wanted} was expected"));
        }
    }
    Ok(Cell::Conforms)
}

/// Whether `got` is what is wanted, with nothing more.
pub fn same(got: &Value, wanted: &Value) -> bool {
    match (got, wanted) {
        (_, Value::String(wanted)) if wanted == ANY => true,
        (Value::String(got), Value::String(wanted)) if wanted == TEXT => !got.is_empty(),
        (Value::Number(_), Value::String(wanted)) if wanted == NUMBER => true,
        (Value::Array(got), Value::Array(wanted)) => {
            got.len() == wanted.len() && got.iter().zip(wanted).all(|(got, want)| same(got, want))
        }
        (Value::Object(got), Value::Object(wanted)) => {
            got.len() == wanted.len()
                && wanted
                    .iter()
                    .all(|(name, want)| got.get(name).is_some_and(|got| same(got, want)))
        }
        _ => got == wanted,
    }
}

/// A right that a module issued.
pub fn right(subject: &Subject, module: &str, params: Value) -> Value {
    let issuer = subject.module(&format!("{module}:distro:sys"));
    json!({"issuer": issuer, "params": params.to_string()})
}

/// Whether `held` are rights and have this one, however its JSON is written.
pub fn has(held: &Value, right: &Value) -> bool {
    let params = |right: &Value| {
        let text = right["params"].as_str().unwrap_or_default();
        serde_json::from_str::<Value>(text).unwrap_or_default()
    };
    let held = held.as_array().into_iter().flatten();
    held.into_iter()
        .any(|other| other["issuer"] == right["issuer"] && params(other) == params(right))
}

/// The right to read or write a database of `OURS` as the edition names it:
/// by its name, or with its package.
pub fn to_database(subject: &Subject, module: &str, kind: &str, db: &str) -> Value {
    let params = either(
        subject,
        json!({"kind": kind, "db": db}),
        json!({"kind": kind, "db_key": [package(OURS), db]}),
    );
    right(subject, module, params)
}

/// What tells that a database is not there.
pub fn no_db(subject: &Subject, db: &str) -> Value {
    let new = json!({"NoDb": [package(OURS), db]});
    either(subject, json!("NoDb"), new)
}

/// What tells that a transaction is not there.
pub fn no_tx(subject: &Subject, tx: u64) -> Value {
    either(subject, json!("NoTx"), json!({ "NoTx": tx }))
}

/// What tells who may not do something with a database: there is one word for
/// it up to 0.9.
pub fn no_cap(subject: &Subject, new: &str) -> Value {
    let old = json!({"NoCap": {"error": TEXT}});
    either(subject, old, json!(new))
}

/// What tells who is of another package than the database.
pub fn other_package(subject: &Subject) -> Value {
    no_cap(subject, "MismatchingPackageId")
}

/// A failure of a database module as it is sent.
pub fn wire_err(subject: &Subject, error: Value) -> Value {
    let old = json!({"Err": {"error": error}});
    either(subject, old, json!({ "Err": error }))
}

/// A request to a database module.
pub fn of_database(db: &str, action: Value) -> Value {
    json!({"package_id": package(OURS), "db": db, "action": action})
}

/// A package as requests name it.
pub fn package(id: &str) -> Value {
    let (name, publisher) = id.split_once(':').unwrap_or_default();
    json!({"package_name": name, "publisher_node": publisher})
}

/// Has A give rights of its own to the stranger, which keeps them.
pub async fn give(subject: &Subject, rights: &[Value]) -> Result<(), String> {
    let keep = json!({"run": [{"save": rights}]});
    let to = subject.module(&stranger(subject));
    let results = subject
        .run(json!([
            {"await": {"to": to, "expects": 5, "capabilities": rights, "body": keep}},
        ]))
        .await?;
    matches(&results[0], json!({"is": "response", "body": [null]}))
}

/// Has the stranger give up what it was given.
pub async fn take_back(subject: &Subject, rights: &[Value]) -> Result<(), String> {
    let drop = json!([{"drop": rights}]);
    subject.run_at(&stranger(subject), drop).await?;
    Ok(())
}
