//! Ends of processes, and what happens then.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::support::eventually;
use super::names::command;
use super::spawning::{ask, child, spawn, tell};
use super::subject::{Subject, failed, matches};
use super::{Cell, Verdict, rows};

rows! {
    "set-on-exit and get-on-exit" => round_trip,
    "on-exit None: it is gone, with what it issued" => none,
    "on-exit Requests are sent when it returns" => requests_when_done,
    "on-exit Requests are sent when it traps" => requests_when_trapped,
    "on-exit Restart: a new life with the same rights" => restart,
    "on-exit Restart after a trap" => restart_after_trap,
    "what set-on-exit said last is what happens" => changed,
    "a killed process says nothing and is gone" => killed,
    "awaiting without a time ends the process" => awaits_for_ever,
    "awaiting itself ends the process" => awaits_itself,
    "a response to nothing is dropped, and nothing else" => answers_nobody,
}

const PATIENCE: Duration = Duration::from_secs(10);

async fn round_trip(subject: &Subject) -> Verdict {
    let [a, b, _] = subject.abc();
    let request = json!({
        "to": b, "body": {"farewell": true}, "metadata": "meta", "inherit": false,
        "expects": null, "blob": {"mime": "text/plain", "text": "last"},
        "capabilities": [{"issuer": a, "params": "\"own\""}],
    });
    let other = json!({
        "to": a, "body": "second", "metadata": null, "inherit": true,
        "expects": null, "blob": null, "capabilities": [],
    });
    let both = json!({"Requests": [request, other]});
    let results = subject
        .run(json!([
            "on_exit",
            {"set_on_exit": both},
            "on_exit",
            {"set_on_exit": "None"},
            "on_exit",
            {"set_on_exit": "Restart"},
            "on_exit",
        ]))
        .await?;
    // The first comes from the manifest.
    for (at, wanted) in [json!("Restart"), both, json!("None"), json!("Restart")]
        .into_iter()
        .enumerate()
    {
        matches(&results[2 * at], wanted)?;
    }
    Ok(Cell::Conforms)
}

/// Waits until nothing that `at` issued is held by its parent any more.
async fn gone(subject: &Subject, at: &str) -> Result<(), String> {
    eventually(at, PATIENCE, async || {
        let held = subject.run(json!(["capabilities"])).await;
        match held {
            Ok(held) if held[0].to_string().contains(at) => None,
            Ok(_) => Some(Ok(())),
            Err(error) => Some(Err(error)),
        }
    })
    .await?;
    let results = subject.run(json!([ask(at, json!([]))])).await?;
    failed(subject, &results[0], "Timeout", at)
}

async fn none(subject: &Subject) -> Verdict {
    let at = subject.at("-brief");
    let results = subject
        .run(json!([
            spawn(subject, "brief", json!({})),
            ask(&at, json!([])),
            tell(&at, json!("end")),
        ]))
        .await?;
    matches(&results[1], json!({"is": "response", "source": at}))?;
    gone(subject, &at).await?;
    Ok(Cell::Conforms)
}

async fn requests(subject: &Subject, name: &str, end: &str) -> Verdict {
    let [a, _, c] = subject.abc();
    let at = subject.at(&format!("-{name}"));
    let last = json!({
        "to": a, "body": "gone", "expects": 5, "metadata": "meta",
        "blob": {"mime": "text/plain", "text": "last"},
        "capabilities": [
            {"issuer": at, "params": "\"own\""}, {"issuer": c, "params": "\"made up\""},
        ],
    });
    let second = json!({"to": a, "body": "gone indeed"});
    let results = subject
        .run(json!([
            spawn(
                subject,
                name,
                json!({"on_exit": {"Requests": [last, second]}})
            ),
            tell(&at, json!(end)),
            "receive",
            "receive",
        ]))
        .await?;
    let wanted = json!({
        "is": "request", "source": at, "body": "gone", "expects": null, "metadata": "meta",
        "blob": {"mime": "text/plain", "text": "last"},
        "capabilities": [{"issuer": at, "params": "\"own\""}],
    });
    matches(&results[2], wanted)?;
    matches(
        &results[3],
        json!({"is": "request", "source": at, "body": "gone indeed"}),
    )?;
    gone(subject, &at).await?;
    Ok(Cell::Conforms)
}

async fn requests_when_done(subject: &Subject) -> Verdict {
    requests(subject, "polite", "end").await
}

async fn requests_when_trapped(subject: &Subject) -> Verdict {
    requests(subject, "clumsy", "trap").await
}

/// A message that comes between two lives is received by the second.
async fn restart(subject: &Subject) -> Verdict {
    let [_, b, _] = subject.abc();
    let at = subject.at("-phoenix");
    let options = json!({
        "on_exit": "Restart",
        "request": [{"issuer": b, "params": "\"messaging\""}],
    });
    let results = subject
        .run(json!([
            spawn(subject, "phoenix", options),
            ask(&at, json!(["begun", "capabilities"])),
            ask(&at, json!(["begun"])),
            tell(&at, json!("end")),
            ask(&at, json!(["begun", "capabilities"])),
            ask(&at, json!([{"set_on_exit": "None"}])),
            tell(&at, json!("end")),
        ]))
        .await?;
    let begun = [1, 2, 4].map(|at| results[at]["body"][0].clone());
    if begun != [json!(1), json!(2), json!(1)] {
        return Err(format!("scripts of its life: {begun:?}"));
    }
    matches(&results[4]["body"][1], results[1]["body"][1].clone())?;
    gone(subject, &at).await?;
    Ok(Cell::Conforms)
}

async fn restart_after_trap(subject: &Subject) -> Verdict {
    let at = subject.at("-stubborn");
    let results = subject
        .run(json!([
            spawn(subject, "stubborn", json!({"on_exit": "Restart"})),
            ask(&at, json!([])),
            tell(&at, json!("trap")),
            ask(&at, json!(["begun", {"set_on_exit": "None"}])),
            tell(&at, json!("end")),
        ]))
        .await?;
    let begun = json!({"is": "response", "source": at, "body": [1, null]});
    matches(&results[3], begun)?;
    gone(subject, &at).await?;
    Ok(Cell::Conforms)
}

/// Neither its last requests are sent nor is it restarted.
async fn killed(subject: &Subject) -> Verdict {
    let [a, ..] = subject.abc();
    for (name, on_exit) in [
        ("silenced", json!({"Requests": [{"to": a, "body": "gone"}]})),
        ("stopped", json!("Restart")),
    ] {
        let at = subject.at(&format!("-{name}"));
        let spawn = spawn(subject, name, json!({ "on_exit": on_exit }));
        subject
            .run(json!(["log", spawn, ask(&at, json!([]))]))
            .await?;
        let kill = json!({"KillProcess": child(subject, name)});
        let done = json!({"KilledProcess": child(subject, name)});
        command(subject, &kill, None, done).await?;
        gone(subject, &at).await?;
        let results = subject.run(json!(["log"])).await?;
        matches(&results[0], json!([]))?;
    }
    Ok(Cell::Conforms)
}

async fn changed(subject: &Subject) -> Verdict {
    let [a, ..] = subject.abc();
    let at = subject.at("-fickle");
    let set = |on_exit: Value| ask(&at, json!([{ "set_on_exit": on_exit }, "on_exit"]));
    let last = json!({"Requests": [{"to": a, "body": "changed"}]});
    let results = subject
        .run(json!([
            spawn(subject, "fickle", json!({"on_exit": "Restart"})),
            set(json!("None")),
            set(last),
            tell(&at, json!("end")),
            "receive",
        ]))
        .await?;
    matches(&results[1]["body"][1], json!("None"))?;
    matches(
        &results[4],
        json!({"is": "request", "source": at, "body": "changed"}),
    )?;
    gone(subject, &at).await?;
    Ok(Cell::Conforms)
}

/// Whether `step` ends a process.
async fn ends(subject: &Subject, name: &str, step: Value) -> Verdict {
    let [a, ..] = subject.abc();
    let at = subject.at(&format!("-{name}"));
    let last = json!({"Requests": [{"to": a, "body": "gone"}]});
    let results = subject
        .run(json!([
            spawn(subject, name, json!({ "on_exit": last })),
            tell(&at, step),
            "receive",
        ]))
        .await?;
    matches(
        &results[2],
        json!({"is": "request", "source": at, "body": "gone"}),
    )?;
    gone(subject, &at).await?;
    Ok(Cell::Conforms)
}

async fn awaits_for_ever(subject: &Subject) -> Verdict {
    let step = json!({"await": {"to": subject.at("-b"), "body": {"run": []}}});
    ends(subject, "patient", step).await
}

async fn awaits_itself(subject: &Subject) -> Verdict {
    let own = subject.at("-narcissus");
    let step = json!({"await": {"to": own, "expects": 5, "body": {"run": []}}});
    ends(subject, "narcissus", step).await
}

/// A new process has no request to answer.
async fn answers_nobody(subject: &Subject) -> Verdict {
    let at = subject.at("-eager");
    let results = subject
        .run(json!([
            spawn(subject, "eager", json!({})),
            tell(&at, json!({"respond": {"body": "to nobody"}})),
            ask(&at, json!(["begun"])),
            tell(&at, json!("end")),
        ]))
        .await?;
    let answer = json!({"is": "response", "source": at, "body": [2]});
    matches(&results[2], answer)?;
    Ok(Cell::Conforms)
}
