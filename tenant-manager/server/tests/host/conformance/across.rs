//! Editions that talk to each other, on two nodes of one host.

use std::sync::Arc;

use futures::future::{BoxFuture, join_all};
use serde_json::{Value, json};

use super::subject::{COLUMNS, Column, Subject, matches};
use super::table::Table;
use super::{Cell, Node, Verdict, host_of_editions};

/// What both sides run, as columns of the table.
const EDITIONS: [&str; 3] = ["v0_8", "v1_0", "hyperware"];

/// One of alice, and whom of bob it calls.
struct Pair {
    caller: Subject,
    called: Subject,
}

/// A behaviour of a caller.
type Check = for<'a> fn(&'a Pair) -> BoxFuture<'a, Verdict>;

const CHECKS: [(&str, Check); 3] = [
    ("calls", |pair| Box::pin(calls(pair))),
    ("sends 1 MiB", |pair| Box::pin(blob(pair))),
    ("hands over a right", |pair| Box::pin(right(pair))),
];

fn column(edition: &str) -> &'static Column {
    const ALL: &[Column] = &COLUMNS;
    ALL.iter().find(|column| column.edition == edition).unwrap()
}

#[tokio::test]
async fn editions_call_each_other_on_two_nodes() {
    let host = host_of_editions();
    let alice = Node::of_editions(&host, "alice").await;
    let bob = Node::of_editions(&host, "bob").await;
    let subject = |edition: &str, node: &'static str, owner: &Node| Subject {
        column: column(edition),
        node,
        kit: Arc::clone(&owner.kit),
    };
    // Callers side by side; what one caller does, one after the other, for it
    // receives what others tell it, too.
    let callers = join_all(EDITIONS.iter().map(async |caller| {
        let mut rows = Vec::new();
        for (name, check) in CHECKS {
            let mut cells = Vec::new();
            for called in EDITIONS {
                let pair = Pair {
                    caller: subject(caller, "alice.dev", &alice),
                    called: subject(called, "bob.dev", &bob),
                };
                cells.push(check(&pair).await);
            }
            rows.push((format!("{caller} {name}"), cells));
        }
        rows
    }))
    .await;
    let mut table = Table::new(EDITIONS);
    for (name, cells) in callers.into_iter().flatten() {
        table.push(name, cells);
    }
    table.finish();
}

/// Body, metadata, context and source arrive; the called one asks back.
async fn calls(pair: &Pair) -> Verdict {
    let (a, b) = (pair.caller.at(""), pair.called.at(""));
    let back = json!({"await": {
        "to": pair.caller.at("-b"), "expects": 10, "body": {"run": [{"set_state": "x"}, "state"]},
    }});
    let answer = json!([back, {"respond": {"body": {"of": b}, "metadata": "back"}}]);
    let results = pair
        .caller
        .run(json!([
            {"await": {"to": b, "expects": 10, "body": {"run": [back]}}},
            {"send": {"to": b, "expects": 10, "context": a, "body": {"do": answer}}},
            "receive",
        ]))
        .await?;
    matches(&results[0], json!({"is": "response", "source": b}))?;
    let asked_back = json!({
        "is": "response", "source": pair.caller.at("-b"), "body": [null, "x"],
    });
    matches(&results[0]["body"][0], asked_back)?;
    let answered = json!({
        "is": "response", "source": b, "context": a, "body": {"of": b}, "metadata": "back",
    });
    matches(&results[2], answered)?;
    Ok(Cell::Conforms)
}

/// There and, inherited, back.
async fn blob(pair: &Pair) -> Verdict {
    let b = pair.called.at("");
    let pattern = json!({"mime": "application/x-pattern", "pattern": 1 << 20});
    let to_self = json!({"send": {"to": pair.caller.at(""), "body": "note", "blob": pattern}});
    let seen_then_back = json!({"do": [{"respond": {"body": "seen", "inherit": true}}]});
    let results = pair
        .caller
        .run(json!([
            to_self,
            "receive",
            {"await": {"to": b, "expects": 10, "body": {"run": ["blob"]}, "blob": pattern}},
            {"await": {"to": b, "expects": 10, "body": seen_then_back, "blob": pattern}},
        ]))
        .await?;
    let sent = &results[1]["blob"];
    let known = json!({"mime": "application/x-pattern", "bytes": 1 << 20});
    matches(sent, known)?;
    matches(&results[2]["body"][0], sent.clone())?;
    matches(&results[3], json!({"body": "seen", "blob": sent}))?;
    Ok(Cell::Conforms)
}

/// Bob's keeps what alice's issued and shows it; what it makes up is not seen.
async fn right(pair: &Pair) -> Verdict {
    let (a, b) = (pair.caller.at(""), pair.called.at(""));
    let given = json!({"issuer": a, "params": format!("{{\"to\": \"{b}\"}}")});
    let made_up = json!({"issuer": a, "params": "\"made up\""});
    let answer = json!([
        {"save": [given]},
        {"respond": {"body": "kept", "capabilities": [given, made_up]}},
    ]);
    let show = |right: &Value| json!({"do": [{"respond": {"body": "r", "capabilities": [right]}}]});
    let results = pair
        .caller
        .run(json!([
            {"await": {
                "to": b, "expects": 10, "capabilities": [given], "body": {"do": answer},
            }},
            {"await": {"to": b, "expects": 10, "body": show(&given)}},
            {"await": {"to": b, "expects": 10, "body": show(&made_up)}},
            {"await": {"to": b, "expects": 10, "body": {"run": ["capabilities"]}}},
        ]))
        .await?;
    matches(
        &results[0],
        json!({"is": "response", "capabilities": [given]}),
    )?;
    matches(
        &results[1],
        json!({"is": "response", "capabilities": [given]}),
    )?;
    matches(&results[2], json!({"is": "response", "capabilities": []}))?;
    let held = results[3]["body"][0]
        .as_array()
        .cloned()
        .unwrap_or_default();
    if !held.contains(&given) {
        return Err(format!("{given} is not kept in {}", results[3]));
    }
    Ok(Cell::Conforms)
}
