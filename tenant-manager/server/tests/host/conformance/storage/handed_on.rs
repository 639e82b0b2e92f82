//! Databases that are shared: each process holds the right to what it reads or
//! writes, and a package gives the right to others as it likes.

use serde_json::{Value, json};

use super::called::{
    THEIRS, done, err, expect, expect_of, give, no_cap, ok, other_package, stranger, take_back,
    to_database,
};
use super::{Cell, Subject, Verdict, kv, rows, sqlite};

rows! {
    "kv: each process of the package opens it" => each_opens_kv,
    "sqlite: each process of the package opens it" => each_opens_sqlite,
    "kv: what nobody shared is closed to other packages" => closed_kv,
    "sqlite: what nobody shared is closed to other packages" => closed_sqlite,
    "kv: databases of one name in two packages are two" => two_kv,
    "sqlite: databases of one name in two packages are two" => two_sqlite,
    "kv: a right that is given reads, or writes, until it is dropped" => given_kv,
    "sqlite: a right that is given reads, or writes, until it is dropped" => given_sqlite,
}

/// A module of databases, and how one value is kept in one.
struct Module {
    name: &'static str,
    open: fn(&str, Value) -> Value,
    remove: fn(&str) -> Value,
    write: fn(&str, &str, Value) -> Value,
    read: fn(&str, Value) -> Value,
    /// What reading gives.
    found: fn(&str) -> Value,
}

/// `options` name another package than ours.
const KV: Module = Module {
    name: "kv",
    open: |db, options| kv::on(db, "open", options),
    remove: |db| kv::on(db, "remove_db", json!({})),
    write: |db, text, options| {
        let set = json!({"key": "k", "value": text});
        kv::on(db, "Kv::set", with(set, options))
    },
    read: |db, options| kv::on(db, "Kv::get", with(json!({"key": "k"}), options)),
    found: |text| ok(text),
};

/// The value is in a table that the first write makes.
const SQLITE: Module = Module {
    name: "sqlite",
    open: |db, options| sqlite::on(db, "open", options),
    remove: |db| sqlite::on(db, "remove_db", json!({})),
    write: |db, text, options| {
        let sql = format!("CREATE TABLE IF NOT EXISTS t AS SELECT '{text}' AS v");
        sqlite::on(db, "Sqlite::write", with(json!({ "sql": sql }), options))
    },
    read: |db, options| {
        let read = json!({"sql": "SELECT v FROM t"});
        sqlite::on(db, "Sqlite::read", with(read, options))
    },
    found: |text| ok(json!([{ "v": text }])),
};

fn with(mut step: Value, options: Value) -> Value {
    if let (Some(step), Value::Object(options)) = (step.as_object_mut(), options) {
        step.extend(options);
    }
    step
}

/// No options: the database is ours.
fn ours() -> Value {
    json!({})
}

fn theirs() -> Value {
    json!({ "package": THEIRS })
}

impl Module {
    fn opened(&self, db: &str) -> (Value, Value) {
        ((self.open)(db, ours()), done())
    }

    /// It is written once and the same afterwards.
    fn wrote(&self, db: &str, text: &str, options: Value) -> (Value, Value) {
        ((self.write)(db, text, options), done())
    }

    fn reads(&self, db: &str, text: &str, options: Value) -> (Value, Value) {
        ((self.read)(db, options), (self.found)(text))
    }

    fn refuses_read(&self, subject: &Subject, db: &str) -> (Value, Value) {
        let refused = err(no_cap(subject, "NoReadCap"));
        ((self.read)(db, ours()), refused)
    }

    fn refuses_write(&self, subject: &Subject, db: &str) -> (Value, Value) {
        let refused = err(no_cap(subject, "NoWriteCap"));
        ((self.write)(db, "x", ours()), refused)
    }
}

async fn each_opens_kv(subject: &Subject) -> Verdict {
    each_opens(subject, &KV).await
}

async fn each_opens_sqlite(subject: &Subject) -> Verdict {
    each_opens(subject, &SQLITE).await
}

async fn each_opens(subject: &Subject, module: &Module) -> Verdict {
    let db = kv::db(subject, "of-each");
    let steps = vec![module.opened(&db), module.wrote(&db, "by a", ours())];
    expect(subject, steps).await?;
    let steps = vec![
        module.refuses_read(subject, &db),
        module.refuses_write(subject, &db),
        module.opened(&db),
        module.reads(&db, "by a", ours()),
    ];
    expect_of(subject, &subject.id("-b"), steps).await
}

async fn closed_kv(subject: &Subject) -> Verdict {
    closed(subject, &KV).await
}

async fn closed_sqlite(subject: &Subject) -> Verdict {
    closed(subject, &SQLITE).await
}

async fn closed(subject: &Subject, module: &Module) -> Verdict {
    let db = kv::db(subject, "of-ours");
    let steps = vec![module.opened(&db), module.wrote(&db, "ours", ours())];
    expect(subject, steps).await?;
    let steps = vec![
        module.refuses_read(subject, &db),
        module.refuses_write(subject, &db),
        ((module.open)(&db, ours()), err(other_package(subject))),
        ((module.remove)(&db), err(other_package(subject))),
    ];
    expect_of(subject, &stranger(subject), steps).await?;
    expect(subject, vec![module.reads(&db, "ours", ours())]).await
}

async fn two_kv(subject: &Subject) -> Verdict {
    two(subject, &KV).await
}

async fn two_sqlite(subject: &Subject) -> Verdict {
    two(subject, &SQLITE).await
}

/// Rights up to 0.9 have no package in them, and yet open one database
/// (decision 0018).
async fn two(subject: &Subject, module: &Module) -> Verdict {
    let db = kv::db(subject, "twin");
    let steps = vec![module.opened(&db), module.wrote(&db, "ours", ours())];
    expect(subject, steps).await?;
    let own = vec![
        ((module.open)(&db, theirs()), done()),
        module.wrote(&db, "theirs", theirs()),
        module.refuses_read(subject, &db),
        module.refuses_write(subject, &db),
    ];
    expect_of(subject, &stranger(subject), own).await?;
    give(subject, &[to_database(subject, module.name, "read", &db)]).await?;
    let both = vec![
        module.reads(&db, "ours", ours()),
        module.reads(&db, "theirs", theirs()),
        module.refuses_write(subject, &db),
    ];
    expect_of(subject, &stranger(subject), both).await
}

async fn given_kv(subject: &Subject) -> Verdict {
    given(subject, &KV).await
}

async fn given_sqlite(subject: &Subject) -> Verdict {
    given(subject, &SQLITE).await
}

async fn given(subject: &Subject, module: &Module) -> Verdict {
    let db = kv::db(subject, "given");
    let right = |kind: &str| to_database(subject, module.name, kind, &db);
    let to = stranger(subject);
    expect(subject, vec![module.opened(&db)]).await?;
    give(subject, &[right("write")]).await?;
    let steps = vec![
        module.wrote(&db, "by a stranger", ours()),
        module.refuses_read(subject, &db),
    ];
    expect_of(subject, &to, steps).await?;
    expect(subject, vec![module.reads(&db, "by a stranger", ours())]).await?;
    give(subject, &[right("read")]).await?;
    let steps = vec![module.reads(&db, "by a stranger", ours())];
    expect_of(subject, &to, steps).await?;
    take_back(subject, &[right("read"), right("write")]).await?;
    let steps = vec![
        module.refuses_read(subject, &db),
        module.refuses_write(subject, &db),
    ];
    expect_of(subject, &to, steps).await?;
    Ok(Cell::Conforms)
}
