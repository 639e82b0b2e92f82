//! The steps of `stores.rs` where there is no library: the requests of the
//! book, written by hand. What a library makes of several requests, or of
//! none, is absent.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::{json, Value};

use crate::api;
use crate::said;
use crate::script::{Incoming, Outgoing};

type Told = Result<Value, Value>;

thread_local! {
    /// The paths of files by the names that steps give them.
    static FILES: RefCell<BTreeMap<String, String>> = const { RefCell::new(BTreeMap::new()) };
}

/// Does what `options["call"]` of a module of the library does.
pub fn act(module: &str, options: &Value) -> Value {
    let call = text(options, "call");
    let told = match module {
        "vfs" => vfs(call, options),
        "kv" => kv(call, options),
        "sqlite" => sqlite(call, options),
        _ => return timer(call, options).unwrap_or_else(|| json!("absent")),
    };
    match told {
        Some(Ok(value)) => json!({ "Ok": value }),
        Some(Err(error)) => json!({ "Err": error }),
        None => json!("absent"),
    }
}

fn text<'a>(options: &'a Value, name: &str) -> &'a str {
    options.get(name).and_then(Value::as_str).unwrap_or("")
}

fn number(options: &Value, name: &str) -> u64 {
    options.get(name).and_then(Value::as_u64).unwrap_or(0)
}

/// A request that names no node.
fn outgoing(module: &str, body: &Value, blob: Option<Vec<u8>>, seconds: u64) -> Option<Outgoing> {
    let target = said::address(&format!("our@{module}:distro:sys"))?;
    Some(Outgoing {
        expects: Some(seconds),
        blob: blob.map(|bytes| api::LazyLoadBlob { mime: None, bytes }),
        ..said::plain(target, body.to_string().into_bytes())
    })
}

/// The body of the answer.
fn ask(module: &str, body: &Value, blob: Option<Vec<u8>>) -> Told {
    let asked = outgoing(module, body, blob, 5).and_then(api::send_and_await);
    match asked {
        Some(Incoming::Response { body, .. }) => Ok(said::text(&body)),
        Some(Incoming::Request { .. }) => Err(json!("a request came")),
        Some(Incoming::Failed { offline, .. }) => {
            Err(json!(if offline { "Offline" } else { "Timeout" }))
        }
        None => Err(json!("it could not be sent")),
    }
}

/// The bytes that came with the answer.
fn blob() -> Vec<u8> {
    api::get_blob().map(|blob| blob.bytes).unwrap_or_default()
}

fn vfs(call: &str, options: &Value) -> Option<Told> {
    let path = text(options, "path");
    let bytes = said::bytes(options);
    let keep = |done: Told| {
        done.inspect(|_| {
            let name = text(options, "as").to_owned();
            FILES.with(|files| files.borrow_mut().insert(name, path.to_owned()));
        })
    };
    let create = said::flag(options, "create");
    Some(match call {
        "create_drive" => {
            let path = format!("/{}/{}", text(options, "package"), text(options, "drive"));
            on_path(&path, &json!("CreateDrive"), None).map(|_| json!(path))
        }
        "open_file" => keep(on_path(
            path,
            &json!({"OpenFile": {"create": create}}),
            None,
        )),
        "create_file" => keep(on_path(path, &json!("CreateFile"), None)),
        "remove_file" => on_path(path, &json!("RemoveFile"), None),
        "open_dir" if create => on_path(path, &json!("CreateDir"), None),
        "open_dir" | "handle" => keep(Ok(Value::Null)),
        "remove_dir" => on_path(path, &json!("RemoveDir"), None),
        "metadata" => on_path(path, &json!("Metadata"), None),
        "Directory::read" => on_path(path, &json!("ReadDir"), None),
        "action" => {
            let action = options.get("action").unwrap_or(&Value::Null);
            let answer = ask("vfs", &json!({"path": path, "action": action}), bytes);
            answer.and_then(|answer| match answer.get("Err") {
                Some(error) => Err(error.clone()),
                None => Ok(answer),
            })
        }
        "drop" => {
            FILES.with(|files| files.borrow_mut().remove(text(options, "file")));
            Ok(Value::Null)
        }
        _ => {
            let action = on_file(call.strip_prefix("File::")?, options)?;
            let kept = FILES.with(|files| files.borrow().get(text(options, "file")).cloned());
            match kept {
                Some(path) => on_path(&path, &action, bytes),
                None => Err(json!("no file is kept under this name")),
            }
        }
    })
}

/// The action that a function of an open file is.
fn on_file(call: &str, options: &Value) -> Option<Value> {
    let length = number(options, "length");
    Some(match call {
        "read" => json!("Read"),
        "read_at" => json!({ "ReadExact": length }),
        "read_to_end" => json!("ReadToEnd"),
        "read_to_string" => json!("ReadToString"),
        "write" => json!("Write"),
        "write_all" => json!("WriteAll"),
        "append" => json!("Append"),
        "seek" => json!({"Seek": {"seek_from": options.get("from")}}),
        "copy" => json!({"CopyFile": {"new_path": options.get("to")}}),
        "set_len" => json!({ "SetLen": length }),
        "metadata" => json!("Metadata"),
        "sync_all" => json!("SyncAll"),
        _ => return None,
    })
}

/// What an answer holds.
fn on_path(path: &str, action: &Value, bytes: Option<Vec<u8>>) -> Told {
    let answer = ask("vfs", &json!({"path": path, "action": action}), bytes)?;
    match &answer {
        Value::String(word) if word == "Ok" => Ok(Value::Null),
        Value::String(word) if word == "Read" => Ok(json!(String::from_utf8_lossy(&blob()))),
        Value::Object(fields) => match fields.iter().next() {
            Some((name, error)) if name == "Err" => Err(error.clone()),
            Some((_, value)) => Ok(value.clone()),
            None => Err(answer),
        },
        _ => Err(answer),
    }
}

/// The answer of a module of databases.
fn on_database(module: &str, options: &Value, action: &Value, bytes: Option<Vec<u8>>) -> Told {
    let (name, publisher) = text(options, "package").split_once(':').unwrap_or_default();
    let asked = json!({
        "package_id": {"package_name": name, "publisher_node": publisher},
        "db": options.get("db"),
        "action": action,
    });
    let answer = ask(module, &asked, bytes)?;
    match answer.get("Err") {
        Some(error) => Err(error.get("error").cloned().unwrap_or_else(|| error.clone())),
        None => Ok(answer),
    }
}

fn kv(call: &str, options: &Value) -> Option<Told> {
    let json_of = |name: &str| {
        let value = options.get(name).unwrap_or(&Value::Null);
        value.to_string().into_bytes()
    };
    let (key, tx) = (json_of("key"), options.get("tx"));
    let (action, bytes) = match call {
        "open" => (json!("Open"), None),
        "remove_db" => (json!("RemoveDb"), None),
        "Kv::get" => (json!({"Get": {"key": key}}), None),
        "Kv::set" => {
            let action = json!({"Set": {"key": key, "tx_id": tx}});
            (action, Some(json_of("value")))
        }
        "Kv::delete" => (json!({"Delete": {"key": key, "tx_id": tx}}), None),
        "Kv::begin_tx" => (json!("BeginTx"), None),
        "Kv::commit_tx" => (json!({"Commit": {"tx_id": tx}}), None),
        _ => return None,
    };
    let answer = on_database("kv", options, &action, bytes);
    Some(answer.map(|answer| match call {
        "Kv::get" => said::text(&blob()),
        "Kv::begin_tx" => answer["BeginTx"]["tx_id"].clone(),
        _ => Value::Null,
    }))
}

fn sqlite(call: &str, options: &Value) -> Option<Told> {
    let (sql, tx) = (options.get("sql"), options.get("tx"));
    let params = options.get("params").cloned().unwrap_or_else(|| json!([]));
    let params = Some(params.to_string().into_bytes());
    let (action, bytes) = match call {
        "open" => (json!("Open"), None),
        "remove_db" => (json!("RemoveDb"), None),
        "Sqlite::read" => (json!({"Read": {"query": sql}}), params),
        "Sqlite::write" => (json!({"Write": {"statement": sql, "tx_id": tx}}), params),
        "Sqlite::begin_tx" => (json!("BeginTx"), None),
        "Sqlite::commit_tx" => (json!({"Commit": {"tx_id": tx}}), None),
        _ => return None,
    };
    let answer = on_database("sqlite", options, &action, bytes);
    Some(answer.map(|answer| match call {
        "Sqlite::read" => said::text(&blob()),
        "Sqlite::begin_tx" => answer["BeginTx"]["tx_id"].clone(),
        _ => Value::Null,
    }))
}

fn timer(call: &str, options: &Value) -> Option<Value> {
    let millis = number(options, "millis");
    let mut asked = outgoing(
        "timer",
        &json!({ "SetTimer": millis }),
        None,
        millis / 1000 + 1,
    )?;
    Some(match call {
        "set_timer" => {
            asked.context = said::string(options, "context").map(String::into_bytes);
            api::send(asked);
            Value::Null
        }
        "set_and_await_timer" => {
            let began = Instant::now();
            let mut told = said::arrived(api::send_and_await(asked)?);
            told["millis"] = json!(began.elapsed().as_millis() as u64);
            told
        }
        _ => return None,
    })
}
