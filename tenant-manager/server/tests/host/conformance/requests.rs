//! Requests and responses: who is answered, with what.

use serde_json::{Value, json};

use super::subject::{Subject, matches};
use super::{Cell, Verdict, rows};

rows! {
    "an inheriting request hands the answer on" => inherit_hands_on,
    "an inheriting request that expects is answered itself" => inherit_expects,
    "the client is answered after a helper was awaited" => helper_awaited,
    "a response received gives its prompt back" => response_restores_prompt,
    "a failure received gives its prompt back" => failure_restores_prompt,
    "a request that wants no answer leaves the prompt" => prompt_left,
    "context comes back with the response" => context_of_response,
    "context comes back with the failure" => context_of_failure,
    "only the first of several responses arrives" => several_responses,
    "metadata passes both ways" => metadata,
    "send-requests sends in order" => send_requests,
    "numbers of seconds and capabilities of a request arrive" => fields,
}

/// A -> B expects, B -> C inherits: C answers A.
async fn inherit_hands_on(subject: &Subject) -> Verdict {
    let [_, b, c] = subject.abc();
    let hand_on = json!({"send": {"to": c, "inherit": true, "body": {"run": ["begun"]}}});
    let results = subject
        .run(json!([
            {"send": {"to": b, "expects": 5, "context": "mine", "body": {"do": [hand_on]}}},
            "receive",
        ]))
        .await?;
    matches(
        &results[1],
        json!({"is": "response", "source": c, "context": "mine"}),
    )?;
    Ok(Cell::Conforms)
}

async fn inherit_expects(subject: &Subject) -> Verdict {
    let [_, b, c] = subject.abc();
    let ask = json!({"await": {"to": c, "inherit": true, "expects": 5, "body": {"run": []}}});
    let results = subject
        .run(json!([
            {"send": {"to": b, "expects": 5, "context": "mine", "body": {"run": [ask]}}},
            "receive",
        ]))
        .await?;
    matches(
        &results[1],
        json!({"is": "response", "source": b, "context": "mine"}),
    )?;
    let by_c = json!({"is": "response", "source": c, "body": []});
    matches(&results[1]["body"][0], by_c)?;
    Ok(Cell::Conforms)
}

async fn helper_awaited(subject: &Subject) -> Verdict {
    let [a, ..] = subject.abc();
    let vfs = subject.module("vfs:distro:sys");
    let metadata = json!({"path": subject.path(), "action": "Metadata"});
    let help = json!({"await": {"to": vfs, "expects": 5, "body": metadata}});
    let asked = json!([
        {"await": {"to": a, "expects": 5, "body": {"run": [help]}}},
    ]);
    let results = subject.run_at(&subject.id("-b"), asked).await?;
    matches(&results[0], json!({"is": "response", "source": a}))?;
    let helped = &results[0]["body"][0];
    matches(helped, json!({"is": "response", "source": vfs}))?;
    match helped["body"].get("Metadata") {
        Some(_) => Ok(Cell::Conforms),
        None => Err(format!("{helped} is no metadata")),
    }
}

/// B asks A, which asks C; before C answers it asks A something itself.
async fn response_restores_prompt(subject: &Subject) -> Verdict {
    let [a, _, c] = subject.abc();
    let at_c = json!([
        {"send": {"to": a, "expects": 5, "body": "between"}},
        {"respond": {"body": "from c"}},
    ]);
    let at_a = json!([
        {"send": {"to": c, "expects": 5, "body": {"do": at_c}}},
        "receive",
        {"respond": {"body": "to c"}},
        "receive",
    ]);
    restored(subject, at_a, "response").await
}

/// The same, but C never answers.
async fn failure_restores_prompt(subject: &Subject) -> Verdict {
    let [a, _, c] = subject.abc();
    let at_c = json!([{"send": {"to": a, "expects": 5, "body": "between"}}]);
    let at_a = json!([
        {"send": {"to": c, "expects": 1, "body": {"do": at_c}}},
        "receive",
        {"respond": {"body": "to c"}},
        "receive",
    ]);
    restored(subject, at_a, "Timeout").await
}

async fn restored(subject: &Subject, at_a: Value, second: &str) -> Verdict {
    let [a, _, c] = subject.abc();
    subject.run_at(&subject.id("-c"), json!(["log"])).await?;
    let asked = json!([{"await": {"to": a, "expects": 5, "body": {"run": at_a}}}]);
    let results = subject.run_at(&subject.id("-b"), asked).await?;
    let told = &results[0];
    matches(told, json!({"is": "response", "source": a}))?;
    let between = json!({"is": "request", "source": c, "body": "between"});
    matches(&told["body"][1], between)?;
    matches(&told["body"][3], json!({ "is": second }))?;
    let log = subject.run_at(&subject.id("-c"), json!(["log"])).await?;
    let answered = json!({"is": "response", "source": a, "body": "to c"});
    matches(&log[0][0], answered)?;
    Ok(Cell::Conforms)
}

/// Whoever asked for the script is answered at its end.
async fn prompt_left(subject: &Subject) -> Verdict {
    let [a, ..] = subject.abc();
    let results = subject
        .run(json!([{"send": {"to": a, "body": "note"}}, "receive"]))
        .await?;
    let note = json!({"is": "request", "source": a, "body": "note", "expects": null});
    matches(&results[1], note)?;
    Ok(Cell::Conforms)
}

async fn context_of_response(subject: &Subject) -> Verdict {
    let [_, b, c] = subject.abc();
    let later = json!({"run": [{"await": {"to": c, "expects": 5, "body": {"run": []}}}]});
    let results = subject
        .run(json!([
            {"send": {"to": b, "expects": 5, "context": "first", "body": later}},
            {"send": {"to": b, "expects": 5, "body": {"run": []}}},
            {"send": {"to": b, "expects": 5, "context": "third", "body": {"run": []}}},
            "receive",
            "receive",
            "receive",
        ]))
        .await?;
    for (at, context) in [json!("first"), json!(null), json!("third")]
        .iter()
        .enumerate()
    {
        let answer = json!({"is": "response", "source": b, "context": context});
        matches(&results[3 + at], answer)?;
    }
    Ok(Cell::Conforms)
}

async fn context_of_failure(subject: &Subject) -> Verdict {
    let nobody = subject.nobody();
    let results = subject
        .run(json!([
            {"send": {"to": nobody, "expects": 5, "context": "mine", "body": "hello"}},
            "receive",
        ]))
        .await?;
    let failure = json!({"is": "Timeout", "context": "mine", "body": "hello"});
    matches(&results[1], failure)?;
    Ok(Cell::Conforms)
}

async fn several_responses(subject: &Subject) -> Verdict {
    let [a, b, _] = subject.abc();
    let answers = json!([{"respond": {"body": "one"}}, {"respond": {"body": "two"}}]);
    let mark = json!({"send": {"to": a, "body": "mark"}});
    let results = subject
        .run(json!([
            {"await": {"to": b, "expects": 5, "body": {"do": answers}}},
            // After this, the second response has been sent.
            {"await": {"to": b, "expects": 5, "body": {"run": []}}},
            mark,
            "receive",
        ]))
        .await?;
    matches(&results[0], json!({"is": "response", "body": "one"}))?;
    matches(&results[3], json!({"is": "request", "body": "mark"}))?;
    Ok(Cell::Conforms)
}

async fn metadata(subject: &Subject) -> Verdict {
    let [_, b, _] = subject.abc();
    let back = json!([{"respond": {"body": "r", "metadata": "{\"way\": \"back\"}"}}]);
    let results = subject
        .run(json!([
            {"await": {"to": b, "expects": 5, "body": {"run": ["log"]}}},
            {"send": {"to": b, "body": "note", "metadata": "there"}},
            {"await": {"to": b, "expects": 5, "body": {"run": ["log"]}}},
            {"await": {"to": b, "expects": 5, "body": {"do": back}}},
        ]))
        .await?;
    let noted = &results[2]["body"][0][0];
    matches(noted, json!({"body": "note", "metadata": "there"}))?;
    matches(&results[2], json!({"metadata": null}))?;
    matches(&results[3], json!({"metadata": "{\"way\": \"back\"}"}))?;
    Ok(Cell::Conforms)
}

async fn send_requests(subject: &Subject) -> Verdict {
    let [_, b, c] = subject.abc();
    let results = subject
        .run(json!([
            {"await": {"to": b, "expects": 5, "body": {"run": ["log"]}}},
            {"send_all": [
                {"to": b, "body": 1},
                {"to": b, "body": 2, "blob": {"text": "two"}},
                {"to": c, "body": {"run": []}, "expects": 5, "context": "mine"},
                {"to": b, "body": 3},
                {"to": b, "body": 4},
            ]},
            "receive",
            {"await": {"to": b, "expects": 5, "body": {"run": ["log"]}}},
        ]))
        .await?;
    matches(
        &results[2],
        json!({"is": "response", "source": c, "context": "mine"}),
    )?;
    let log = &results[3]["body"][0];
    for (at, blob) in [
        Value::Null,
        json!({"text": "two"}),
        Value::Null,
        Value::Null,
    ]
    .into_iter()
    .enumerate()
    {
        matches(&log[at], json!({"body": at + 1, "blob": blob}))?;
    }
    Ok(Cell::Conforms)
}

async fn fields(subject: &Subject) -> Verdict {
    let [a, b, _] = subject.abc();
    let results = subject
        .run(json!([
            {"await": {"to": b, "expects": 5, "body": {"run": ["log"]}}},
            {"send": {"to": b, "expects": 0, "body": "note"}},
            "receive",
            {"send": {"to": b, "body": "note"}},
            {"await": {"to": b, "expects": 5, "body": {"run": ["log"]}}},
        ]))
        .await?;
    let log = &results[4]["body"][0];
    for (at, expects) in [json!(0), Value::Null].into_iter().enumerate() {
        let note = json!({"source": a, "expects": expects, "metadata": null, "capabilities": []});
        matches(&log[at], note)?;
    }
    Ok(Cell::Conforms)
}
