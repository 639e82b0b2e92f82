//! What the module `sqlite` says, to the letter: its errors in the words of the
//! edition, and the shapes of requests of every generation.

use serde_json::{Value, json};

use super::super::subject::matches;
use super::called::{
    NUMBER, TEXT, THEIRS, answered, ask, either, expect, no_cap, no_db, no_tx, of_database,
    other_package, package, wire_err,
};
use super::kv::db;
use super::sqlite::{opened, sql_error, with_table, wrote};
use super::{Cell, Subject, Verdict, rows};

rows! {
    "sqlite: Ok, Read and BeginTx, to the letter" => letters,
    "sqlite: Read and Query as any generation writes them" => read_shapes,
    "sqlite: without a blob there are no parameters" => no_parameters,
    "sqlite: Backup is answered" => backup,
    "sqlite: NoDb" => missing,
    "sqlite: NoTx" => no_transaction,
    "sqlite: NoCap, or NoReadCap and NoWriteCap, of the owner too" => no_right,
    "sqlite: NoCap, or MismatchingPackageId" => mismatching,
    "sqlite: NotAReadKeyword" => not_a_read,
    "sqlite: NotAWriteKeyword" => not_a_write,
    "sqlite: InvalidParameters" => invalid_parameters,
    "sqlite: RusqliteError" => of_sqlite,
    "sqlite: InputError, or MalformedRequest" => malformed,
    "sqlite: InputError, or IOError: what no database is called" => bad_name,
}

/// In the shape of the edition.
fn read(subject: &Subject, sql: &str) -> Value {
    either(
        subject,
        json!({"Read": {"query": sql}}),
        json!({ "Query": sql }),
    )
}

fn write(sql: &str, tx: Value) -> Value {
    json!({"Write": {"statement": sql, "tx_id": tx}})
}

const INSERT: &str = "INSERT INTO t (v) VALUES (1)";

/// Asks a database that has one table.
async fn of_table(subject: &Subject, name: &str, asked: Vec<(Value, Value, Value)>) -> Verdict {
    let db = db(subject, name);
    expect(subject, with_table(&db)).await?;
    let asked = asked
        .into_iter()
        .map(|(action, blob, wanted)| (of_database(&db, action), blob, wanted))
        .collect();
    answered(subject, "sqlite", asked).await
}

async fn letters(subject: &Subject) -> Verdict {
    let asked = vec![
        (json!("Open"), Value::Null, json!("Ok")),
        (
            write("INSERT INTO t (v) VALUES (?)", Value::Null),
            json!({"text": "[1]"}),
            json!("Ok"),
        ),
        // A transaction need not be named.
        (
            json!({"Write": {"statement": "DELETE FROM t"}}),
            json!({"text": "[]"}),
            json!("Ok"),
        ),
        (
            read(subject, "SELECT * FROM t"),
            json!({"text": "[]"}),
            json!("Read"),
        ),
        (
            json!("BeginTx"),
            Value::Null,
            json!({"BeginTx": {"tx_id": NUMBER}}),
        ),
        (json!("RemoveDb"), Value::Null, json!("Ok")),
    ];
    of_table(subject, "letters", asked).await
}

async fn read_shapes(subject: &Subject) -> Verdict {
    let db = db(subject, "shapes");
    let mut steps = with_table(&db);
    steps.push(wrote(&db, INSERT, json!([])));
    expect(subject, steps).await?;
    let sql = "SELECT v FROM t WHERE v = ?";
    let steps = [json!({"Read": {"query": sql}}), json!({ "Query": sql })].map(|action| {
        let params = json!({"text": "[1]"});
        ask(subject, "sqlite", of_database(&db, action), params)
    });
    let results = subject.run(json!(steps)).await?;
    for result in &results {
        matches(result, json!({"is": "response", "body": "Read"}))?;
        let rows = result["blob"]["text"].as_str().unwrap_or_default();
        let rows: Value = serde_json::from_str(rows).map_err(|_| result.to_string())?;
        matches(&rows, json!([{"v": 1}]))?;
    }
    Ok(Cell::Conforms)
}

async fn no_parameters(subject: &Subject) -> Verdict {
    let asked = vec![
        (write(INSERT, Value::Null), Value::Null, json!("Ok")),
        (read(subject, "SELECT v FROM t"), Value::Null, json!("Read")),
    ];
    of_table(subject, "no-parameters", asked).await
}

/// From 1.0 on nobody asks for it; who does is answered.
async fn backup(subject: &Subject) -> Verdict {
    let asked = vec![(json!("Backup"), Value::Null, json!("Ok"))];
    of_table(subject, "backup", asked).await
}

/// A right outlives the database.
async fn missing(subject: &Subject) -> Verdict {
    let db = db(subject, "no-db");
    let wanted = wire_err(subject, no_db(subject, &db));
    let mut asked = vec![(json!("RemoveDb"), Value::Null, json!("Ok"))];
    for action in [
        read(subject, "SELECT 1"),
        write(INSERT, Value::Null),
        json!("BeginTx"),
    ] {
        asked.push((action, Value::Null, wanted.clone()));
    }
    of_table(subject, "no-db", asked).await
}

async fn no_transaction(subject: &Subject) -> Verdict {
    let wanted = wire_err(subject, no_tx(subject, 7));
    let asked = vec![
        (json!({"Commit": {"tx_id": 7}}), Value::Null, wanted.clone()),
        // Published runtimes begin it.
        (write(INSERT, json!(7)), Value::Null, wanted),
    ];
    of_table(subject, "no-tx", asked).await
}

/// Nobody has opened it, not even its package. Published runtimes of 1.0 ask
/// for the right and go on without.
async fn no_right(subject: &Subject) -> Verdict {
    let db = db(subject, "never-opened");
    let of = |action: Value, new: &str| {
        let wanted = wire_err(subject, no_cap(subject, new));
        (of_database(&db, action), Value::Null, wanted)
    };
    let asked = vec![
        of(read(subject, "SELECT 1"), "NoReadCap"),
        of(write(INSERT, Value::Null), "NoWriteCap"),
        of(json!("BeginTx"), "NoWriteCap"),
        of(json!({"Commit": {"tx_id": 7}}), "NoWriteCap"),
    ];
    answered(subject, "sqlite", asked).await
}

async fn mismatching(subject: &Subject) -> Verdict {
    let wanted = wire_err(subject, other_package(subject));
    let asked = ["Open", "RemoveDb"].map(|action| {
        let body = json!({"package_id": package(THEIRS), "db": "any", "action": action});
        (body, Value::Null, wanted.clone())
    });
    answered(subject, "sqlite", asked.into()).await
}

async fn not_a_read(subject: &Subject) -> Verdict {
    let wanted = wire_err(subject, json!("NotAReadKeyword"));
    let asked = [
        INSERT,
        "DELETE FROM t",
        "DROP TABLE t",
        "nonsense",
        "SELECTION",
        "",
    ];
    let asked = asked.map(|sql| (read(subject, sql), Value::Null, wanted.clone()));
    of_table(subject, "not-a-read", asked.into()).await
}

async fn not_a_write(subject: &Subject) -> Verdict {
    let wanted = wire_err(subject, json!("NotAWriteKeyword"));
    let asked = ["SELECT 1", "PRAGMA user_version = 3", "nonsense", ""]
        .map(|sql| (write(sql, Value::Null), Value::Null, wanted.clone()));
    of_table(subject, "not-a-write", asked.into()).await
}

async fn invalid_parameters(subject: &Subject) -> Verdict {
    let wanted = wire_err(subject, json!("InvalidParameters"));
    let mut asked = Vec::new();
    for params in ["[[1]]", "[{}]", "{}", "1", "no JSON", "[1"] {
        let blob = json!({ "text": params });
        let written = write("INSERT INTO t (v) VALUES (?)", Value::Null);
        asked.push((written, blob.clone(), wanted.clone()));
        asked.push((read(subject, "SELECT ?"), blob, wanted.clone()));
    }
    of_table(subject, "parameters", asked).await
}

async fn of_sqlite(subject: &Subject) -> Verdict {
    let wanted = wire_err(subject, sql_error(subject));
    let asked = vec![
        (
            read(subject, "SELECT * FROM nowhere"),
            Value::Null,
            wanted.clone(),
        ),
        (
            read(subject, "SELECT FROM WHERE"),
            Value::Null,
            wanted.clone(),
        ),
        (
            write("INSERT INTO nowhere VALUES (1)", Value::Null),
            Value::Null,
            wanted.clone(),
        ),
        (
            write("CREATE TABLE t (v)", Value::Null),
            Value::Null,
            wanted,
        ),
    ];
    of_table(subject, "of-sqlite", asked).await
}

async fn malformed(subject: &Subject) -> Verdict {
    let db = db(subject, "malformed");
    expect(subject, vec![opened(&db)]).await?;
    let old = json!({"InputError": {"error": TEXT}});
    let wanted = wire_err(subject, either(subject, old, json!("MalformedRequest")));
    let asked = [
        json!("no request"),
        json!({"db": db, "action": "Open"}),
        of_database(&db, json!("Nonsense")),
        of_database(&db, json!({"Commit": {}})),
        of_database(&db, json!({"Query": 1})),
        of_database(&db, json!({"Read": {"sql": "SELECT 1"}})),
    ]
    .map(|body| (body, Value::Null, wanted.clone()));
    answered(subject, "sqlite", asked.into()).await
}

/// Published runtimes make directories of them.
async fn bad_name(subject: &Subject) -> Verdict {
    let old = json!({"InputError": {"error": TEXT}});
    let wanted = wire_err(subject, either(subject, old, json!({"IOError": TEXT})));
    let asked = ["", "..", "../other", "/etc", "a/b", "a\0b"].map(|name| {
        let body = of_database(name, json!("Open"));
        (body, Value::Null, wanted.clone())
    });
    answered(subject, "sqlite", asked.into()).await
}
