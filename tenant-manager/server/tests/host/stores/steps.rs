//! Steps for the ledger app, and what it says of them.

use serde_json::{Value, json};

/// The package whose databases the short forms below mean.
pub const LEDGER: &str = "ledger:tester.dev";

/// A package as messages name it.
pub fn package_id(package: &str) -> Value {
    let (name, publisher) = package.split_once(':').unwrap();
    json!({"package_name": name, "publisher_node": publisher})
}

/// A request to the database module `to` about a database of `package`.
pub fn database(to: &str, package: &str, db: &str, action: &Value) -> Value {
    let body = json!({"package_id": package_id(package), "db": db, "action": action});
    json!({"to": format!("{to}:distro:sys"), "body": body})
}

/// The same, of the ledger's key-value databases.
pub fn kv(db: &str, action: &Value) -> Value {
    database("kv", LEDGER, db, action)
}

/// The same, of the ledger's SQLite databases.
pub fn sqlite(db: &str, action: &Value) -> Value {
    database("sqlite", LEDGER, db, action)
}

/// An action with a file.
pub fn vfs(path: &str, action: &Value) -> Value {
    json!({"to": "vfs:distro:sys", "body": {"path": path, "action": action}})
}

/// An action with the state of a process, by message.
pub fn state(action: &str, process: &str) -> Value {
    json!({"to": "state:distro:sys", "body": {action: process}})
}

/// A step with something to carry.
pub fn with(mut step: Value, blob: &str) -> Value {
    step["blob"] = json!(blob);
    step
}

/// A key as messages carry it.
pub fn key(key: &str) -> Value {
    json!(key.as_bytes())
}

/// The action that sets a key.
pub fn set(of: &str) -> Value {
    json!({"Set": {"key": key(of), "tx_id": null}})
}

/// The action that deletes a key.
pub fn delete(of: &str) -> Value {
    json!({"Delete": {"key": key(of), "tx_id": null}})
}

/// The action that gets a key.
pub fn get(of: &str) -> Value {
    json!({"Get": key(of)})
}

/// The action that runs a statement that writes.
pub fn write(statement: &str) -> Value {
    json!({"Write": {"statement": statement, "tx_id": null}})
}

/// The action that runs a statement that reads.
pub fn query(statement: &str) -> Value {
    json!({"Query": statement})
}

/// Actions in one transaction of the ledger, each with what it carries.
pub fn transaction(to: &str, db: &str, actions: Vec<(Value, Option<String>)>) -> Value {
    let actions = actions.into_iter();
    let actions = actions.map(|(action, blob)| json!({"action": action, "blob": blob}));
    json!({"tx": {
        "to": format!("{to}:distro:sys"),
        "package_id": package_id(LEDGER),
        "db": db,
        "actions": actions.collect::<Vec<_>>(),
    }})
}

/// Whether the store has acknowledged the write of a step.
pub fn is_done(answer: &Value) -> bool {
    if let Some(parts) = answer["tx"].as_array() {
        let begun = |first: &Value| first.pointer("/body/BeginTx/tx_id").is_some();
        let mut parts = parts.iter();
        // One that failed is the last part.
        return parts.next().is_some_and(begun)
            && parts.len() > 0
            && parts.all(|part| part["body"] == "Ok");
    }
    let done = ["Ok", "SetState", "DeleteState"];
    answer["state"].is_string() || done.iter().any(|word| answer["body"] == *word)
}

/// What a store said when it did not do as it was asked, or the app when
/// nothing came.
pub fn failure(answer: &Value) -> Option<&Value> {
    match answer {
        Value::Array(parts) => parts.iter().find_map(failure),
        Value::Object(fields) => {
            let named = fields.get("Err").or_else(|| fields.get("error"));
            named.or_else(|| fields.values().find_map(failure))
        }
        _ => None,
    }
}

/// The rows that a query answered.
pub fn rows(answer: &Value) -> Vec<Value> {
    assert_eq!(answer["body"], "Read", "{answer}");
    let text = answer["blob"].as_str().unwrap();
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
}
