//! Capabilities: which a process holds, and which it can attach.

use serde_json::{Value, json};

use super::subject::{Subject, failed, matches, took};
use super::{Cell, Verdict, rows};

rows! {
    "attached if held or of own issue, and not otherwise" => attached,
    "a response attaches by the same rule" => attached_to_response,
    "what was saved can be attached until it is dropped" => saved,
    "a right that nobody gave cannot be saved" => made_up,
    "our-capabilities tells modules as the edition spells them" => told,
    "params are the same if they are the same JSON" => same_json,
    "dropping the right to message ends messages" => dropped,
}

fn right(issuer: &str, params: &str) -> Value {
    json!({"issuer": issuer, "params": params})
}

/// Whether `got` is exactly these, in any order.
fn exactly(got: &Value, wanted: &[Value]) -> Result<(), String> {
    let sorted = |list: &[Value]| {
        let mut texts: Vec<String> = list.iter().map(ToString::to_string).collect();
        texts.sort();
        texts
    };
    let listed = got.as_array().ok_or_else(|| format!("{got} is no list"))?;
    if sorted(listed) == sorted(wanted) {
        Ok(())
    } else {
        Err(format!("{got} where {wanted:?} was expected"))
    }
}

async fn attached(subject: &Subject) -> Verdict {
    let [a, b, _] = subject.abc();
    let vfs = subject.module("vfs:distro:sys");
    let given = [
        right(&a, "\"own\""),
        right(&b, "\"made up\""),
        right(&b, "\"messaging\""),
        right(&vfs, "\"messaging\""),
        right(&vfs, "{\"root\":true}"),
        right("nobody.dev@x:y:test.dev", "\"made up\""),
    ];
    let results = subject
        .run(json!([
            {"await": {"to": b, "expects": 5, "body": {"run": ["log"]}}},
            {"send": {"to": b, "body": "note", "capabilities": given}},
            {"await": {"to": b, "expects": 5, "body": {"run": ["log"]}}},
        ]))
        .await?;
    let seen = &results[2]["body"][0][0]["capabilities"];
    exactly(
        seen,
        &[
            right(&a, "\"own\""),
            right(&b, "\"messaging\""),
            right(&vfs, "\"messaging\""),
        ],
    )?;
    Ok(Cell::Conforms)
}

async fn attached_to_response(subject: &Subject) -> Verdict {
    let [a, b, _] = subject.abc();
    let given = [right(&b, "\"own\""), right(&a, "\"made up\"")];
    let answer = json!({"do": [{"respond": {"body": "r", "capabilities": given}}]});
    let results = subject
        .run(json!([{"await": {"to": b, "expects": 5, "body": answer}}]))
        .await?;
    matches(&results[0], json!({"is": "response"}))?;
    exactly(&results[0]["capabilities"], &[right(&b, "\"own\"")])?;
    Ok(Cell::Conforms)
}

/// Rights of others that nobody gave are not kept, and open nothing (decision
/// 0013; published runtimes keep them).
async fn made_up(subject: &Subject) -> Verdict {
    let private = subject.at("-private");
    let vfs = subject.module("vfs:distro:sys");
    let invented = [
        right(&private, "\"messaging\""),
        right(&vfs, "{\"root\":true}"),
        right(&subject.module("kernel:distro:sys"), "\"messaging\""),
    ];
    let results = subject
        .run(json!([
            {"save": invented},
            "capabilities",
            {"await": {"to": private, "expects": 5, "body": {"run": []}}},
        ]))
        .await?;
    let held = results[1].as_array().cloned().unwrap_or_default();
    if let Some(kept) = invented.iter().find(|right| held.contains(right)) {
        return Err(format!("{kept} was kept"));
    }
    failed(subject, &results[2], "Timeout", &private)?;
    Ok(Cell::Conforms)
}

/// B keeps a right that A gives it, shows it to C, drops it and tries again.
async fn saved(subject: &Subject) -> Verdict {
    let [a, b, c] = subject.abc();
    let token = right(&a, "{\"token\": 7}");
    let show = json!({"send": {"to": c, "body": "note", "capabilities": [token]}});
    let at_b = json!({"run": [show, {"save": [token]}, show, {"drop": [token]}, show]});
    let results = subject
        .run(json!([
            {"await": {"to": c, "expects": 5, "body": {"run": ["log"]}}},
            {"await": {"to": b, "expects": 5, "capabilities": [token], "body": at_b}},
            {"await": {"to": c, "expects": 5, "body": {"run": ["log"]}}},
        ]))
        .await?;
    matches(&results[1], json!({"is": "response"}))?;
    let log = &results[2]["body"][0];
    for (at, wanted) in [vec![], vec![token], vec![]].iter().enumerate() {
        exactly(&log[at]["capabilities"], wanted)?;
    }
    Ok(Cell::Conforms)
}

async fn told(subject: &Subject) -> Verdict {
    let [a, b, c] = subject.abc();
    let results = subject.run(json!(["capabilities"])).await?;
    let held = results[0].as_array().cloned().unwrap_or_default();
    let server = subject.module(subject.column.server);
    let kernel = subject.module("kernel:distro:sys");
    for wanted in [
        right(&a, "\"messaging\""),
        right(&b, "\"messaging\""),
        right(&c, "\"messaging\""),
        right(&server, "\"messaging\""),
        right(&kernel, "\"network\""),
    ] {
        if !held.contains(&wanted) {
            return Err(format!("{wanted} is not in {}", results[0]));
        }
    }
    Ok(Cell::Conforms)
}

async fn same_json(subject: &Subject) -> Verdict {
    let [a, _, _] = subject.abc();
    let saved = right(&a, "{\"a\": 1, \"b\": [2]}");
    let again = right(&a, "{\"b\":[2],\"a\":1}");
    let results = subject
        .run(json!([
            {"save": [saved]},
            {"save": [again]},
            "capabilities",
            {"drop": [again]},
            "capabilities",
        ]))
        .await?;
    let count = |held: &Value| held.to_string().matches("\\\"a\\\"").count();
    if (count(&results[2]), count(&results[4])) != (1, 0) {
        return Err(format!("{} and then {}", results[2], results[4]));
    }
    Ok(Cell::Conforms)
}

async fn dropped(subject: &Subject) -> Verdict {
    let [_, b, _] = subject.abc();
    let messaging = right(&b, "\"messaging\"");
    let ask = json!({"await": {"to": b, "expects": 5, "body": {"run": []}}});
    let results = subject
        .run(json!([
            {"drop": [messaging]},
            ask,
            // What was held once can be taken back.
            {"save": [messaging]},
            ask,
        ]))
        .await?;
    failed(subject, &results[1], "Timeout", &b)?;
    took(&results[1], 0..4500)?;
    matches(&results[3], json!({"is": "response", "source": b}))?;
    Ok(Cell::Conforms)
}
