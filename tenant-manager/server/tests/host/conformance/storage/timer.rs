//! The functions of the libraries' module `timer`, and what `timer:distro:sys`
//! says.

use serde_json::{Value, json};

use super::super::subject::{failed, matches, took};
use super::called::{ask, call};
use super::{Cell, Subject, Verdict, rows};

rows! {
    "timer::set_and_await_timer" => set_and_await,
    "timer::set_timer, with a context" => set_with_context,
    "timer::set_timer, without" => set,
    "timer: of several the earliest comes first" => in_order,
    "timer: at 0 ms it elapses at once" => zero,
    "timer: the answer is empty, to the letter" => letters,
    "timer: one later than its request waits is not heard" => late,
    "timer: Debug and what is no request have no answer" => unanswered,
    "timer: it is answered to whom the request says" => inherited,
}

/// What counts as at once on a busy machine; the library waits for longer.
const AT_ONCE: std::ops::Range<u64> = 0..4500;

fn timer(function: &str, options: Value) -> Value {
    call("timer", function, options)
}

/// What elapsed: an answer without a body and a blob.
fn elapsed(subject: &Subject, context: Value) -> Value {
    json!({
        "is": "response",
        "source": subject.module("timer:distro:sys"),
        "body": "",
        "blob": null,
        "metadata": null,
        "context": context,
        "capabilities": [],
    })
}

async fn set_and_await(subject: &Subject) -> Verdict {
    let steps = json!([timer("set_and_await_timer", json!({"millis": 1000}))]);
    let results = subject.run(steps).await?;
    matches(&results[0], elapsed(subject, Value::Null))?;
    took(&results[0], 1000..4500)?;
    Ok(Cell::Conforms)
}

async fn set_with_context(subject: &Subject) -> Verdict {
    let set = timer("set_timer", json!({"millis": 100, "context": "mine"}));
    let results = subject.run(json!([set, "receive"])).await?;
    matches(&results[1], elapsed(subject, json!("mine")))?;
    Ok(Cell::Conforms)
}

async fn set(subject: &Subject) -> Verdict {
    let set = timer("set_timer", json!({"millis": 100}));
    let results = subject.run(json!([set, "receive"])).await?;
    matches(&results[1], elapsed(subject, Value::Null))?;
    Ok(Cell::Conforms)
}

async fn in_order(subject: &Subject) -> Verdict {
    let set = |millis: u64, context: &str| {
        timer("set_timer", json!({"millis": millis, "context": context}))
    };
    let results = subject
        .run(json!([
            set(450, "third"),
            set(200, "second"),
            set(0, "first"),
            "receive",
            "receive",
            "receive",
        ]))
        .await?;
    for (at, context) in ["first", "second", "third"].into_iter().enumerate() {
        matches(&results[3 + at], elapsed(subject, json!(context)))?;
    }
    Ok(Cell::Conforms)
}

async fn zero(subject: &Subject) -> Verdict {
    let steps = json!([timer("set_and_await_timer", json!({"millis": 0}))]);
    let results = subject.run(steps).await?;
    matches(&results[0], elapsed(subject, Value::Null))?;
    took(&results[0], AT_ONCE)?;
    Ok(Cell::Conforms)
}

/// Nothing is echoed, whatever the request has.
async fn letters(subject: &Subject) -> Verdict {
    let mut asked = ask(
        subject,
        "timer",
        json!({"SetTimer": 10}),
        json!({"text": "blob"}),
    );
    asked["await"]["metadata"] = json!("mine");
    let results = subject.run(json!([asked])).await?;
    matches(&results[0], elapsed(subject, Value::Null))?;
    Ok(Cell::Conforms)
}

/// The request waits one second: then it has failed, and what comes later is
/// for nobody.
async fn late(subject: &Subject) -> Verdict {
    let timer_at = subject.module("timer:distro:sys");
    let [a, _, c] = subject.abc();
    let asked = json!({"SetTimer": 2500});
    let results = subject
        .run(json!([
            {"send": {"to": timer_at, "expects": 1, "context": "mine", "body": asked}},
            "receive",
            // Longer than what is left of the timer.
            {"await": {"to": c, "expects": 3, "body": "mute"}},
            {"send": {"to": a, "body": "mark"}},
            "receive",
        ]))
        .await?;
    failed(subject, &results[1], "Timeout", &timer_at)?;
    matches(&results[1], json!({"context": "mine"}))?;
    matches(&results[4], json!({"is": "request", "body": "mark"}))?;
    Ok(Cell::Conforms)
}

async fn unanswered(subject: &Subject) -> Verdict {
    let timer_at = subject.module("timer:distro:sys");
    let steps = [json!("Debug"), json!({"SetTimer": -1}), json!("Nonsense")]
        .map(|body| json!({"await": {"to": timer_at, "expects": 1, "body": body}}));
    let results = subject.run(json!(steps)).await?;
    for result in &results {
        failed(subject, result, "Timeout", &timer_at)?;
        took(result, 1000..10_000)?;
    }
    Ok(Cell::Conforms)
}

/// B hands A's request on to the timer, which answers A.
async fn inherited(subject: &Subject) -> Verdict {
    let timer_at = subject.module("timer:distro:sys");
    let hand_on = json!({"do": [
        {"send": {"to": timer_at, "inherit": true, "body": {"SetTimer": 10}}},
    ]});
    let at_b = subject.at("-b");
    let results = subject
        .run(json!([{"await": {"to": at_b, "expects": 5, "body": hand_on}}]))
        .await?;
    matches(&results[0], elapsed(subject, Value::Null))?;
    Ok(Cell::Conforms)
}
