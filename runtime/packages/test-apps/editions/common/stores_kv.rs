//! Calls of the library's module `kv`, with JSON for keys and values. A
//! database is used without `open` if a step does not say so.

use std::error::Error;

use serde_json::{json, Value};

use super::{package, text, tx};
use crate::edition;
use crate::lib::kv::{self, Kv, KvError};

/// What came of a call.
pub type Told = Result<Value, Value>;

/// `None` if the library has no such function.
pub fn act(call: &str, options: &Value) -> Option<Told> {
    let db = text(options, "db");
    let handle = || serde_json::from_value::<Kv<Value, Value>>(handle(options)?).ok();
    let key = options.get("key").unwrap_or(&Value::Null);
    let value = options.get("value").unwrap_or(&Value::Null);
    Some(match call {
        "open" => kv::open::<Value, Value>(package(options)?, db, None)
            .map(|_| Value::Null)
            .map_err(failed),
        "remove_db" => nothing(kv::remove_db(package(options)?, db, None).map_err(failed)),
        "Kv::get" => handle()?.get(key).map_err(failed),
        "Kv::set" => nothing(handle()?.set(key, value, tx(options)).map_err(failed)),
        "Kv::delete" => nothing(handle()?.delete(key, tx(options)).map_err(failed)),
        "Kv::begin_tx" => handle()?.begin_tx().map(Value::from).map_err(failed),
        "Kv::commit_tx" => nothing(handle()?.commit_tx(tx(options)?).map_err(failed)),
        _ => return edition::kv(call, options),
    })
}

/// A database as the library's type is written.
pub fn handle(options: &Value) -> Option<Value> {
    Some(json!({
        "package_id": package(options)?,
        "db": text(options, "db"),
        "timeout": 5,
        "_marker": null,
    }))
}

/// For calls that give nothing.
pub fn nothing(done: Result<(), Value>) -> Told {
    done.map(|()| Value::Null)
}

/// The error as its module told it, or else its text.
pub fn failed(error: impl AsRef<dyn Error + Send + Sync>) -> Value {
    let error = error.as_ref();
    match error.downcast_ref::<KvError>() {
        Some(told) => json!(told),
        None => json!(error.to_string()),
    }
}
