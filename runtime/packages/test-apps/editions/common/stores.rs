//! Steps that call what a process library has for storage: each function of
//! its modules `vfs`, `kv`, `sqlite` and `timer`, by its name. The crate that
//! includes it brings what differs between generations as `vfs` and `edition`.
//!
//! A step gives `{"Ok": …}`, or `{"Err": …}` with the error as its module told
//! it, or else its text; `"absent"` if the library has no such function.

#[path = "stores_kv.rs"]
pub mod kv;
#[path = "stores_sqlite.rs"]
mod sqlite;
#[path = "stores_timer.rs"]
mod timer;
#[path = "stores_vfs.rs"]
mod vfs;

use serde_json::{json, Value};

use crate::lib::PackageId;

/// Calls `options["call"]` of a module of the library.
pub fn act(module: &str, options: &Value) -> Value {
    let call = text(options, "call");
    let told = match module {
        "vfs" => vfs::act(call, options),
        "kv" => kv::act(call, options),
        "sqlite" => sqlite::act(call, options),
        _ => return timer::act(call, options).unwrap_or_else(|| json!("absent")),
    };
    match told {
        Some(Ok(value)) => json!({ "Ok": value }),
        Some(Err(error)) => json!({ "Err": error }),
        None => json!("absent"),
    }
}

/// The text called `name`.
pub fn text<'a>(options: &'a Value, name: &str) -> &'a str {
    options.get(name).and_then(Value::as_str).unwrap_or("")
}

/// The package called `package`.
pub fn package(options: &Value) -> Option<PackageId> {
    // The libraries do not all read the text.
    let (name, publisher) = text(options, "package").split_once(':')?;
    Some(PackageId::new(name, publisher))
}

/// The transaction called `tx`, if there is one.
pub fn tx(options: &Value) -> Option<u64> {
    options.get("tx").and_then(Value::as_u64)
}
