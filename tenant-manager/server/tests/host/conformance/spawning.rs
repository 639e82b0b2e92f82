//! Children: their names, their rights, their first words.

use serde_json::{Value, json};

use super::subject::{Subject, matches};
use super::{Cell, Verdict, rows};

rows! {
    "a child with a name, which is then taken" => named,
    "a child without a name gets a number" => unnamed,
    "no file, or no component, at the path" => no_file,
    "the first call of a child reaches its parent" => first_words,
    "child and parent ask each other" => both_ways,
    "a child grants rights to others" => grants,
    "a child gets what its parent may hand on" => hands_on,
    "a public child is heard by all" => public,
}

/// The id of a child called so.
pub fn child(subject: &Subject, name: &str) -> String {
    subject.id(&format!("-{name}"))
}

/// A step that spawns the child of that name, with more `options`.
pub fn spawn(subject: &Subject, name: &str, options: Value) -> Value {
    let id = child(subject, name);
    let mut spawn = json!({
        "name": id.split(':').next(),
        "path": subject.path(),
        "on_exit": "None",
    });
    if let Some(options) = options.as_object() {
        for (name, value) in options {
            spawn[name] = value.clone();
        }
    }
    json!({ "spawn": spawn })
}

/// A step that has the process `to` do something and not answer.
pub fn tell(to: &str, step: Value) -> Value {
    json!({"send": {"to": to, "body": {"do": [step]}}})
}

/// A step that has the process `to` do something, and its result.
pub fn ask(to: &str, steps: Value) -> Value {
    json!({"await": {"to": to, "expects": 5, "body": {"run": steps}}})
}

async fn named(subject: &Subject) -> Verdict {
    let at = subject.at("-kid");
    let results = subject
        .run(json!([
            spawn(subject, "kid", json!({})),
            ask(&at, json!(["begun"])),
            spawn(subject, "kid", json!({})),
            ask(&at, json!(["begun"])),
            tell(&at, json!("end")),
        ]))
        .await?;
    matches(&results[0], json!({"Ok": child(subject, "kid")}))?;
    matches(&results[2], json!({"Err": "NameTaken"}))?;
    // It is the same child still.
    for (at_result, begun) in [(1, json!([1])), (3, json!([2]))] {
        let answer = json!({"is": "response", "source": at, "body": begun});
        matches(&results[at_result], answer)?;
    }
    Ok(Cell::Conforms)
}

async fn unnamed(subject: &Subject) -> Verdict {
    let spawned = subject
        .run(json!([{"spawn": {"path": subject.path(), "on_exit": "None"}}]))
        .await?;
    let id = spawned[0]["Ok"]
        .as_str()
        .ok_or_else(|| spawned[0].to_string())?;
    let name = id.strip_suffix(":conformance:test.dev");
    if name.and_then(|name| name.parse::<u64>().ok()).is_none() {
        return Err(format!("{id} is no number in the package"));
    }
    let at = subject.module(id);
    let results = subject
        .run(json!([ask(&at, json!([])), tell(&at, json!("end"))]))
        .await?;
    matches(&results[0], json!({"is": "response", "source": at}))?;
    Ok(Cell::Conforms)
}

async fn no_file(subject: &Subject) -> Verdict {
    let directory = "/conformance:test.dev/pkg";
    let with_path = |path: String| spawn(subject, "nothing", json!({ "path": path }));
    let results = subject
        .run(json!([
            with_path(format!("{directory}/nothing.wasm")),
            with_path(format!("{directory}/manifest.json")),
        ]))
        .await?;
    for result in &results {
        matches(result, json!({"Err": "NoFileAtPath"}))?;
    }
    Ok(Cell::Conforms)
}

/// Its name has it say `born` before anything else.
async fn first_words(subject: &Subject) -> Verdict {
    let name = format!("kid-of-{}", subject.column.process);
    let at = subject.at(&format!("-{name}"));
    let results = subject
        .run(json!([
            spawn(subject, &name, json!({})),
            "receive",
            tell(&at, json!("end")),
        ]))
        .await?;
    matches(&results[0], json!({"Ok": child(subject, &name)}))?;
    let born = json!({"is": "request", "source": at, "body": "born"});
    matches(&results[1], born)?;
    Ok(Cell::Conforms)
}

async fn both_ways(subject: &Subject) -> Verdict {
    let (a, at) = (subject.at(""), subject.at("-curious"));
    let question = json!({"await": {"to": a, "expects": 5, "body": "question"}});
    let results = subject
        .run(json!([
            spawn(subject, "curious", json!({})),
            {"send": {"to": at, "expects": 5, "body": {"run": [question]}}},
            "receive",
            {"respond": {"body": "answer"}},
            "receive",
            tell(&at, json!("end")),
        ]))
        .await?;
    matches(
        &results[2],
        json!({"is": "request", "source": at, "body": "question"}),
    )?;
    matches(&results[4], json!({"is": "response", "source": at}))?;
    let heard = json!({"is": "response", "source": a, "body": "answer"});
    matches(&results[4]["body"][0], heard)?;
    Ok(Cell::Conforms)
}

/// Until 1.0 always the right to message it; since, what the parent says.
async fn grants(subject: &Subject) -> Verdict {
    let [_, b, _] = subject.abc();
    let at = subject.at("-giver");
    let to = subject.id("-b");
    let mut granted = vec![json!({"to": to, "params": "messaging"})];
    let mut wanted = vec![json!({"issuer": at, "params": "\"messaging\""})];
    if subject.column.newer {
        granted.push(json!({"to": to, "params": {"level": 3}}));
        wanted.push(json!({"issuer": at, "params": "{\"level\":3}"}));
    }
    let options = json!({
        "grant": granted,
        "request": [{"issuer": b, "params": "\"messaging\""}],
    });
    subject
        .run(json!([spawn(subject, "giver", options)]))
        .await?;
    let results = subject
        .run_at(&to, json!(["capabilities", ask(&at, json!([]))]))
        .await?;
    subject.run(json!([tell(&at, json!("end"))])).await?;
    let held = results[0].as_array().cloned().unwrap_or_default();
    let of_child: Vec<_> = held.iter().filter(|right| right["issuer"] == *at).collect();
    if of_child.len() != wanted.len() || !wanted.iter().all(|right| of_child.contains(&right)) {
        return Err(format!("holds {of_child:?} where {wanted:?} was expected"));
    }
    matches(&results[1], json!({"is": "response", "source": at}))?;
    Ok(Cell::Conforms)
}

async fn hands_on(subject: &Subject) -> Verdict {
    let [a, b, _] = subject.abc();
    let at = subject.at("-heir");
    let right = |issuer: &str, params: &str| json!({"issuer": issuer, "params": params});
    let requested = [
        right(&b, "\"messaging\""),
        right(&a, "\"of its parent\""),
        right(&subject.at("-private"), "\"messaging\""),
        right(&b, "\"made up\""),
    ];
    let results = subject
        .run(json!([
            spawn(subject, "heir", json!({"request": requested})),
            ask(&at, json!(["capabilities"])),
            tell(&at, json!("end")),
        ]))
        .await?;
    let mut wanted = vec![
        right(&a, "\"messaging\""),
        right(&a, "\"of its parent\""),
        right(&b, "\"messaging\""),
        right(&at, "\"messaging\""),
    ];
    wanted.sort_by_key(ToString::to_string);
    let mut held = results[1]["body"][0]
        .as_array()
        .cloned()
        .unwrap_or_default();
    held.sort_by_key(ToString::to_string);
    if held != wanted {
        return Err(format!("holds {held:?} where {wanted:?} was expected"));
    }
    Ok(Cell::Conforms)
}

async fn public(subject: &Subject) -> Verdict {
    let [_, b, _] = subject.abc();
    let at = subject.at("-open");
    let options = json!({
        "public": true,
        "request": [{"issuer": b, "params": "\"messaging\""}],
    });
    subject
        .run(json!([spawn(subject, "open", options)]))
        .await?;
    let asked = json!([ask(&at, json!([])), "capabilities"]);
    let results = subject.run_at(&subject.id("-b"), asked).await?;
    subject.run(json!([tell(&at, json!("end"))])).await?;
    matches(&results[0], json!({"is": "response", "source": at}))?;
    if results[1].to_string().contains(&at) {
        return Err("b holds a capability of the public child".to_owned());
    }
    Ok(Cell::Conforms)
}
