//! Blobs: which one a process has, and which one it hands on.

use serde_json::{Value, json};

use super::subject::{Subject, matches};
use super::{Cell, Verdict, rows};

rows! {
    "get-blob repeats, and is empty after a message without" => current_message,
    "get-blob after a failure" => after_a_failure,
    "has-blob and last-blob" => has_and_last,
    "calls about state leave the blob alone" => beside_state,
    "an inheriting response takes the slot, not its blob" => inheriting_response,
    "an inheriting response after a message without a blob" => inheriting_late,
    "an inheriting request takes the slot or its own blob" => inheriting_request,
}

/// To *a* itself, which receives it.
fn to_self(subject: &Subject, blob: Value) -> Value {
    json!({"send": {"to": subject.at(""), "body": "note", "blob": blob}})
}

fn some() -> Value {
    json!({"mime": "text/plain", "text": "some"})
}

async fn current_message(subject: &Subject) -> Verdict {
    let results = subject
        .run(json!([
            to_self(subject, some()),
            "receive",
            "blob",
            "blob",
            to_self(subject, Value::Null),
            "receive",
            "blob",
        ]))
        .await?;
    matches(&results[2], some())?;
    matches(&results[3], some())?;
    matches(&results[6], Value::Null)?;
    Ok(Cell::Conforms)
}

/// Before 1.0 failures leave the slot alone; since, they have no blob.
async fn after_a_failure(subject: &Subject) -> Verdict {
    let nobody = subject.nobody();
    let results = subject
        .run(json!([
            to_self(subject, some()),
            "receive",
            {"send": {"to": nobody, "expects": 5, "body": "hello", "blob": {"text": "sent"}}},
            "receive",
            "blob",
            to_self(subject, some()),
            "receive",
            {"await": {"to": nobody, "expects": 5, "body": "hello"}},
            "blob",
        ]))
        .await?;
    let wanted = if subject.column.newer {
        Value::Null
    } else {
        some()
    };
    for at in [4, 8] {
        matches(&results[at], wanted.clone())?;
        matches(&results[at - 1], json!({"is": "Timeout"}))?;
    }
    Ok(Cell::Conforms)
}

async fn has_and_last(subject: &Subject) -> Verdict {
    if !subject.column.newer {
        return Ok(Cell::NotApplicable("the interface has neither"));
    }
    let nobody = subject.nobody();
    let results = subject
        .run(json!([
            to_self(subject, some()),
            "receive",
            "has_blob",
            to_self(subject, Value::Null),
            "receive",
            "has_blob",
            "last_blob",
            to_self(subject, some()),
            "receive",
            {"await": {"to": nobody, "expects": 5, "body": "hello"}},
            "has_blob",
            "last_blob",
        ]))
        .await?;
    let flags = [&results[2], &results[5], &results[10]].map(Value::as_bool);
    if flags != [Some(true), Some(false), Some(false)] {
        return Err(format!("has-blob says {flags:?}"));
    }
    matches(&results[6], some())?;
    matches(&results[11], some())?;
    Ok(Cell::Conforms)
}

async fn beside_state(subject: &Subject) -> Verdict {
    let results = subject
        .run(json!([
            to_self(subject, some()),
            "receive",
            {"set_state": "x"},
            "state",
            "blob",
            "clear_state",
            "state",
            "blob",
        ]))
        .await?;
    matches(&results[3], json!("x"))?;
    matches(&results[4], some())?;
    matches(&results[7], some())?;
    Ok(Cell::Conforms)
}

async fn inheriting_response(subject: &Subject) -> Verdict {
    let [_, b, _] = subject.abc();
    let respond = |inherit: bool| {
        let answer = json!({"inherit": inherit, "body": "r", "blob": {"text": "explicit"}});
        json!({"await": {
            "to": b, "expects": 5, "blob": some(), "body": {"do": [{"respond": answer}]},
        }})
    };
    let results = subject.run(json!([respond(true), respond(false)])).await?;
    matches(&results[0], json!({"is": "response", "blob": some()}))?;
    matches(&results[1], json!({"blob": {"text": "explicit"}}))?;
    Ok(Cell::Conforms)
}

/// Before 1.0 the slot is emptied by such a message; since, it keeps the last.
async fn inheriting_late(subject: &Subject) -> Verdict {
    let [_, b, _] = subject.abc();
    let answer = json!({"do": [{"respond": {"inherit": true, "body": "r"}}]});
    let results = subject
        .run(json!([
            {"send": {"to": b, "body": "note", "blob": some()}},
            {"await": {"to": b, "expects": 5, "body": answer}},
        ]))
        .await?;
    let wanted = if subject.column.newer {
        some()
    } else {
        Value::Null
    };
    matches(&results[1], json!({"is": "response", "blob": wanted}))?;
    Ok(Cell::Conforms)
}

async fn inheriting_request(subject: &Subject) -> Verdict {
    let [_, b, _] = subject.abc();
    let results = subject
        .run(json!([
            {"await": {"to": b, "expects": 5, "body": {"run": ["log"]}}},
            to_self(subject, some()),
            "receive",
            {"send": {"to": b, "inherit": true, "body": 1}},
            {"send": {"to": b, "inherit": true, "body": 2, "blob": {"text": "own"}}},
            {"send": {"to": b, "body": 3}},
            {"await": {"to": b, "expects": 5, "body": {"run": ["log"]}}},
        ]))
        .await?;
    let log = &results[6]["body"][0];
    for (at, blob) in [some(), json!({"text": "own"}), Value::Null]
        .into_iter()
        .enumerate()
    {
        matches(&log[at], json!({"body": at + 1, "blob": blob}))?;
    }
    Ok(Cell::Conforms)
}
