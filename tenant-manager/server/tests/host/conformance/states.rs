//! State: within a life and beyond the node's.

use serde_json::{Value, json};

use super::spawning::{ask, spawn, tell};
use super::subject::{Subject, failed, matches};
use super::{Cell, Row, Verdict, rows};

rows! {
    "state is set, replaced, cleared" => set_and_cleared,
    "each process has a state of its own" => separate,
    "state outlives its process" => outlives_the_process,
    "before the node hibernates" => before_hibernation,
}

/// Looked at after the node hibernated and was woken.
pub const ROWS_AFTER_A_WAKE: &[Row] = &[
    (
        "state outlives the node, cleared state does not",
        |subject| Box::pin(after_a_wake(subject)),
    ),
    ("rights and on-exit outlive the node", |subject| {
        Box::pin(rights_after_a_wake(subject))
    }),
    (
        "a child outlives the node unless its on-exit is None",
        |subject| Box::pin(children_after_a_wake(subject)),
    ),
];

async fn set_and_cleared(subject: &Subject) -> Verdict {
    let results = subject
        .run(json!([
            "clear_state",
            "state",
            {"set_state": {"first": [1]}},
            "state",
            {"set_state": "second"},
            "state",
            "clear_state",
            "state",
        ]))
        .await?;
    for (at, wanted) in [
        Value::Null,
        json!({"first": [1]}),
        json!("second"),
        Value::Null,
    ]
    .into_iter()
    .enumerate()
    {
        matches(&results[1 + 2 * at], wanted)?;
    }
    Ok(Cell::Conforms)
}

async fn separate(subject: &Subject) -> Verdict {
    let [_, b, c] = subject.abc();
    let results = subject
        .run(json!([
            {"set_state": "of a"},
            ask(&b, json!([{"set_state": "of b"}])),
            ask(&c, json!(["clear_state", "state"])),
            "state",
            ask(&b, json!(["state"])),
        ]))
        .await?;
    matches(&results[2]["body"], json!([null, null]))?;
    matches(&results[3], json!("of a"))?;
    matches(&results[4]["body"], json!(["of b"]))?;
    Ok(Cell::Conforms)
}

async fn outlives_the_process(subject: &Subject) -> Verdict {
    let at = subject.at("-forgetful");
    let results = subject
        .run(json!([
            spawn(subject, "forgetful", json!({"on_exit": "Restart"})),
            ask(&at, json!([{"set_state": "kept"}])),
            tell(&at, json!("end")),
            ask(&at, json!(["begun", "state", {"set_on_exit": "None"}])),
            tell(&at, json!("end")),
        ]))
        .await?;
    matches(&results[3]["body"], json!([1, "kept", null]))?;
    Ok(Cell::Conforms)
}

async fn before_hibernation(subject: &Subject) -> Verdict {
    let [a, b, c] = subject.abc();
    let token = json!({"issuer": b, "params": "\"token\""});
    let results = subject
        .run(json!([
            {"set_state": "kept"},
            {"await": {"to": b, "expects": 5, "body": {
                "do": [{"respond": {"body": "r", "capabilities": [token]}}],
            }}},
            {"save": [token]},
            ask(&b, json!([{"set_state": "gone"}, "clear_state"])),
            ask(&c, json!([{"set_on_exit": {"Requests": [{"to": a, "body": "a stop"}]}}])),
            spawn(subject, "lasting", json!({"on_exit": "Restart"})),
            spawn(subject, "fleeting", json!({})),
        ]))
        .await?;
    for answered in [&results[1], &results[3], &results[4]] {
        matches(answered, json!({"is": "response"}))?;
    }
    Ok(Cell::Conforms)
}

async fn after_a_wake(subject: &Subject) -> Verdict {
    let [_, b, _] = subject.abc();
    let results = subject
        .run(json!([
            "begun",
            "state",
            ask(&b, json!(["begun", "state"]))
        ]))
        .await?;
    matches(&Value::from(results[..2].to_vec()), json!([1, "kept"]))?;
    matches(&results[2]["body"], json!([1, null]))?;
    Ok(Cell::Conforms)
}

/// From 1.0 on set-on-exit is for good, and a stop is an end: its requests
/// were sent. Before, it is forgotten with the node and the manifest counts.
async fn rights_after_a_wake(subject: &Subject) -> Verdict {
    let [a, b, c] = subject.abc();
    let results = subject
        .run(json!([
            "capabilities",
            ask(&c, json!(["on_exit", {"set_on_exit": "Restart"}])),
            "log",
        ]))
        .await?;
    let token = json!({"issuer": b, "params": "\"token\""});
    if !results[0]
        .as_array()
        .is_some_and(|held| held.contains(&token))
    {
        return Err(format!("the saved one is not in {}", results[0]));
    }
    let on_exit = &results[1]["body"][0];
    if !subject.column.newer {
        matches(on_exit, json!("Restart"))?;
        matches(&results[2], json!([]))?;
        return Ok(Cell::Conforms);
    }
    matches(&on_exit["Requests"][0], json!({"to": a, "body": "a stop"}))?;
    let sent = json!({"is": "request", "source": c, "body": "a stop"});
    matches(&results[2][0], sent)?;
    Ok(Cell::Conforms)
}

async fn children_after_a_wake(subject: &Subject) -> Verdict {
    let (lasting, fleeting) = (subject.at("-lasting"), subject.at("-fleeting"));
    let results = subject
        .run(json!([
            ask(&lasting, json!(["begun"])),
            ask(&fleeting, json!([])),
        ]))
        .await?;
    let answer = json!({"is": "response", "source": lasting, "body": [1]});
    matches(&results[0], answer)?;
    failed(subject, &results[1], "Timeout", &fleeting)?;
    Ok(Cell::Conforms)
}
