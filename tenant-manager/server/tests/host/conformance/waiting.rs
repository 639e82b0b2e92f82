//! Waiting: what fails when, and in which order things are received.

use serde_json::json;

use super::spawning::{ask, spawn, tell};
use super::subject::{Subject, failed, matches, took};
use super::{Cell, Verdict, rows};

rows! {
    "a timeout of 0 fails at once" => zero_seconds,
    "a timeout of 1 s gives back what was sent" => one_second,
    "an awaited timeout of 1 s gives back what was sent" => one_second_awaited,
    "another node that does not exist is Offline" => offline,
    "a response after its timeout is dropped" => late_response,
    "an answered request does not fail later" => answered_in_time,
    "what came first counts, however late it is received" => received_late,
    "send-and-await leaves others for receive, in order" => others_wait,
    "send-and-await leaves responses with their context" => responses_wait,
    "a process that does not exist times out at once" => unknown_process,
    "a process that may not be messaged times out at once" => private_process,
    "a public process needs no capability" => public_process,
    "without the network capability other nodes time out at once" => no_network,
}

/// What counts as at once on a busy machine, where the alternative is at least
/// four seconds.
const AT_ONCE: std::ops::Range<u64> = 0..3800;
/// One second, and time to notice.
const A_SECOND: std::ops::Range<u64> = 950..10_000;

async fn zero_seconds(subject: &Subject) -> Verdict {
    let [_, b, _] = subject.abc();
    let results = subject
        .run(json!([
            {"send": {"to": b, "expects": 0, "context": "mine", "body": "mute"}},
            "receive",
            {"await": {"to": b, "expects": 0, "body": "mute"}},
        ]))
        .await?;
    for result in &results[1..] {
        failed(subject, result, "Timeout", &b)?;
        took(result, AT_ONCE)?;
    }
    matches(&results[1], json!({"context": "mine"}))?;
    Ok(Cell::Conforms)
}

async fn one_second(subject: &Subject) -> Verdict {
    let [_, b, _] = subject.abc();
    let blob = json!({"mime": "text/plain", "text": "blob"});
    let results = subject
        .run(json!([
            {"send": {
                "to": b, "expects": 1, "context": "mine", "body": {"kept": [1]}, "blob": blob,
            }},
            "receive",
        ]))
        .await?;
    failed(subject, &results[1], "Timeout", &b)?;
    let given_back = json!({"context": "mine", "body": {"kept": [1]}, "returned": blob});
    matches(&results[1], given_back)?;
    took(&results[1], A_SECOND)?;
    Ok(Cell::Conforms)
}

async fn one_second_awaited(subject: &Subject) -> Verdict {
    let [_, b, _] = subject.abc();
    let blob = json!({"mime": null, "text": "blob"});
    let results = subject
        .run(json!([
            {"await": {"to": b, "expects": 1, "body": "mute", "blob": blob}},
        ]))
        .await?;
    failed(subject, &results[0], "Timeout", &b)?;
    matches(&results[0], json!({"body": "mute", "returned": blob}))?;
    took(&results[0], A_SECOND)?;
    Ok(Cell::Conforms)
}

async fn offline(subject: &Subject) -> Verdict {
    let nobody = "nobody.dev@chat:chat:test.dev";
    let results = subject
        .run(json!([
            {"send": {
                "to": nobody, "expects": 10, "context": "mine", "body": "hello",
                "blob": {"text": "blob"},
            }},
            "receive",
            {"await": {"to": nobody, "expects": 10, "body": "hello"}},
        ]))
        .await?;
    for result in &results[1..] {
        failed(subject, result, "Offline", nobody)?;
        took(result, 0..9500)?;
        matches(result, json!({"body": "hello"}))?;
    }
    let given_back = json!({"context": "mine", "returned": {"text": "blob"}});
    matches(&results[1], given_back)?;
    Ok(Cell::Conforms)
}

/// B answers a second too late, and then says that it has.
async fn late_response(subject: &Subject) -> Verdict {
    let [a, b, c] = subject.abc();
    let late = json!([
        {"await": {"to": c, "expects": 2, "body": "mute"}},
        {"respond": {"body": "too late"}},
        {"send": {"to": a, "body": "mark"}},
    ]);
    let results = subject
        .run(json!([
            {"send": {"to": b, "expects": 1, "body": {"do": late}}},
            "receive",
            "receive",
        ]))
        .await?;
    failed(subject, &results[1], "Timeout", &b)?;
    let mark = json!({"is": "request", "source": b, "body": "mark"});
    matches(&results[2], mark)?;
    Ok(Cell::Conforms)
}

async fn answered_in_time(subject: &Subject) -> Verdict {
    let [a, b, c] = subject.abc();
    let results = subject
        .run(json!([
            {"send": {"to": b, "expects": 2, "body": {"run": []}}},
            "receive",
            // Fails after the first one would have.
            {"await": {"to": c, "expects": 2, "body": "mute"}},
            {"send": {"to": a, "body": "mark"}},
            "receive",
        ]))
        .await?;
    matches(&results[1], json!({"is": "response", "source": b}))?;
    failed(subject, &results[2], "Timeout", &c)?;
    matches(&results[4], json!({"is": "request", "body": "mark"}))?;
    Ok(Cell::Conforms)
}

/// While A waits two seconds for C, B's response comes before its deadline and
/// the deadline of another request before its own response.
async fn received_late(subject: &Subject) -> Verdict {
    let [a, b, c] = subject.abc();
    let late = json!([
        {"await": {"to": a, "expects": 1, "body": "mute"}},
        {"respond": {"body": "too late"}},
    ]);
    let results = subject
        .run(json!([
            {"send": {"to": b, "expects": 1, "context": "in time", "body": {"run": []}}},
            {"send": {"to": b, "expects": 1, "context": "late", "body": {"do": late}}},
            {"await": {"to": c, "expects": 2, "body": "mute"}},
            "receive",
            "receive",
            "receive",
        ]))
        .await?;
    failed(subject, &results[2], "Timeout", &c)?;
    let in_time = json!({"is": "response", "source": b, "context": "in time"});
    matches(&results[3], in_time)?;
    matches(&results[4], json!({"is": "request", "body": "mute"}))?;
    failed(subject, &results[5], "Timeout", &b)?;
    matches(&results[5], json!({"context": "late"}))?;
    took(&results[5], AT_ONCE)?;
    Ok(Cell::Conforms)
}

async fn others_wait(subject: &Subject) -> Verdict {
    let [a, b, c] = subject.abc();
    let disturb = json!([
        {"send": {"to": a, "body": 1}},
        {"await": {"to": b, "expects": 5, "body": {"run": [{"send": {"to": a, "body": 2}}]}}},
        {"send": {"to": a, "body": 3, "blob": {"text": "three"}}},
    ]);
    let results = subject
        .run(json!([
            {"await": {"to": c, "expects": 5, "body": {"run": disturb}}},
            "receive",
            "receive",
            "receive",
        ]))
        .await?;
    matches(
        &results[0],
        json!({"is": "response", "source": c, "blob": null}),
    )?;
    let others = [
        json!({"is": "request", "source": c, "body": 1, "blob": null}),
        json!({"is": "request", "source": b, "body": 2, "blob": null}),
        json!({"is": "request", "source": c, "body": 3, "blob": {"text": "three"}}),
    ];
    for (at, other) in others.into_iter().enumerate() {
        matches(&results[1 + at], other)?;
    }
    Ok(Cell::Conforms)
}

async fn responses_wait(subject: &Subject) -> Verdict {
    let [_, b, c] = subject.abc();
    // C answers after B has.
    let after_b = json!([{"await": {"to": b, "expects": 5, "body": {"run": []}}}]);
    let nobody = subject.nobody();
    let results = subject
        .run(json!([
            {"send": {"to": b, "expects": 5, "context": "of b", "body": {"run": []}}},
            {"send": {"to": nobody, "expects": 5, "context": "of nobody", "body": "hello"}},
            {"await": {"to": c, "expects": 5, "body": {"run": after_b}}},
            "receive",
            "receive",
        ]))
        .await?;
    matches(&results[2], json!({"is": "response", "source": c}))?;
    // The failure was there first or the answer was: both must come.
    let mut contexts = [&results[3]["context"], &results[4]["context"]].map(ToString::to_string);
    contexts.sort();
    if contexts != ["\"of b\"", "\"of nobody\""] {
        return Err(format!("received {} and {}", results[3], results[4]));
    }
    Ok(Cell::Conforms)
}

async fn unknown_process(subject: &Subject) -> Verdict {
    let nobody = subject.nobody();
    let results = subject
        .run(json!([
            {"send": {"to": nobody, "expects": 10, "body": "hello"}},
            "receive",
            {"await": {"to": nobody, "expects": 10, "body": "hello"}},
        ]))
        .await?;
    for result in &results[1..] {
        failed(subject, result, "Timeout", &nobody)?;
        took(result, AT_ONCE)?;
    }
    Ok(Cell::Conforms)
}

async fn private_process(subject: &Subject) -> Verdict {
    let private = subject.at("-private");
    let results = subject
        .run(json!([
            {"send": {"to": private, "body": "hello"}},
            {"send": {"to": private, "expects": 10, "body": "hello"}},
            "receive",
            {"await": {"to": private, "expects": 10, "body": {"run": []}}},
        ]))
        .await?;
    for result in &results[2..] {
        failed(subject, result, "Timeout", &private)?;
        took(result, AT_ONCE)?;
    }
    let log = subject
        .run_at(&subject.id("-private"), json!(["log"]))
        .await?;
    matches(&log[0], json!([]))?;
    Ok(Cell::Conforms)
}

async fn public_process(subject: &Subject) -> Verdict {
    let public = subject.at("-public");
    let results = subject
        .run(json!([
            "capabilities",
            {"await": {"to": public, "expects": 5, "body": {"run": []}}},
        ]))
        .await?;
    if results[0].to_string().contains(&public) {
        return Err("it holds a capability of the public process".to_owned());
    }
    matches(&results[1], json!({"is": "response", "source": public}))?;
    Ok(Cell::Conforms)
}

/// A child that was handed nothing.
async fn no_network(subject: &Subject) -> Verdict {
    let at = subject.at("-homebody");
    let away = "nobody.dev@chat:chat:test.dev";
    let results = subject
        .run(json!([
            spawn(subject, "homebody", json!({})),
            ask(
                &at,
                json!([{"await": {"to": away, "expects": 4, "body": "hello"}}])
            ),
            tell(&at, json!("end")),
        ]))
        .await?;
    let seen = &results[1]["body"][0];
    failed(subject, seen, "Timeout", away)?;
    took(seen, AT_ONCE)?;
    Ok(Cell::Conforms)
}
