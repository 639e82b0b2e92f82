//! Calls of the library's module `sqlite`. A database is used without `open`
//! if a step does not say so.

use std::error::Error;

use serde_json::{json, Value};

use super::{package, text, tx};
use crate::lib::sqlite::{self, Sqlite, SqliteError};

/// `None` if the library has no such function.
pub fn act(call: &str, options: &Value) -> Option<Result<Value, Value>> {
    let package_id = package(options)?;
    let db = text(options, "db");
    let handle = || Sqlite {
        package_id: package_id.clone(),
        db: db.to_owned(),
        timeout: 5,
    };
    let sql = text(options, "sql").to_owned();
    let params = options.get("params").and_then(Value::as_array);
    let params = params.cloned().unwrap_or_default();
    let done = match call {
        "open" => sqlite::open(package_id, db, None).map(|_| Value::Null),
        "remove_db" => sqlite::remove_db(package_id, db, None).map(|()| Value::Null),
        "Sqlite::read" => handle().read(sql, params).map(|rows| json!(rows)),
        "Sqlite::write" => {
            let written = handle().write(sql, params, tx(options));
            written.map(|()| Value::Null)
        }
        "Sqlite::begin_tx" => handle().begin_tx().map(Value::from),
        "Sqlite::commit_tx" => handle().commit_tx(tx(options)?).map(|()| Value::Null),
        _ => return None,
    };
    Some(done.map_err(failed))
}

/// The error as its module told it, or else its text.
fn failed(error: impl AsRef<dyn Error + Send + Sync>) -> Value {
    let error = error.as_ref();
    match error.downcast_ref::<SqliteError>() {
        Some(told) => json!(told),
        None => json!(error.to_string()),
    }
}
