//! What interfaces have from 1.0 on.

use serde_json::{json, Value};

use crate::lib::kv::{self, Kv};
use crate::lib::{self, Address, LazyLoadBlob, ProcessId};
use crate::stores::kv::{failed, handle, nothing, Told};
use crate::stores::{package, text, tx};

/// The process itself, where the interface tells.
pub fn our() -> Option<Address> {
    Some(lib::our())
}

/// Whether the message being handled has a blob, where that can be asked.
pub fn has_blob() -> Option<bool> {
    Some(lib::has_blob())
}

/// The last blob that arrived, where that can be asked.
pub fn last_blob() -> Option<Option<LazyLoadBlob>> {
    Some(lib::last_blob())
}

/// What a child grants, as `spawn` takes it.
pub fn grant(grant: (ProcessId, String)) -> (ProcessId, String) {
    grant
}

/// What the module `kv` has from 1.0 on. Bytes are those of `key` and `value`
/// as texts.
pub fn kv(call: &str, options: &Value) -> Option<Told> {
    let json = || serde_json::from_value::<Kv<Value, Value>>(handle(options)?).ok();
    let raw = || serde_json::from_value::<Kv<Vec<u8>, Vec<u8>>>(handle(options)?).ok();
    let key = options.get("key").unwrap_or(&Value::Null);
    let value = options.get("value").unwrap_or(&Value::Null);
    let (raw_key, raw_value) = (text(options, "key"), text(options, "value"));
    let (raw_key, raw_value) = (raw_key.as_bytes(), raw_value.as_bytes());
    Some(match call {
        "Kv::get_as" => json()?.get_as::<Value>(key).map_err(failed),
        "Kv::set_as" => nothing(json()?.set_as(key, value, tx(options)).map_err(failed)),
        "Kv::delete_as" => nothing(json()?.delete_as(key, tx(options)).map_err(failed)),
        "open_raw" => kv::open_raw(package(options)?, text(options, "db"), None)
            .map(|_| Value::Null)
            .map_err(failed),
        "Kv::get_raw" => raw()?
            .get_raw(raw_key)
            .map(|bytes| json!(String::from_utf8_lossy(&bytes)))
            .map_err(failed),
        "Kv::set_raw" => {
            let set = raw()?.set_raw(raw_key, raw_value, tx(options));
            nothing(set.map_err(failed))
        }
        "Kv::delete_raw" => nothing(raw()?.delete_raw(raw_key, tx(options)).map_err(failed)),
        _ => return None,
    })
}
