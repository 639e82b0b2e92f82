//! Names: every id is itself, and only the host's own have two spellings.

use serde_json::{Value, json};

use super::package;
use super::spawning::ask;
use super::subject::{Subject, failed, matches};
use super::{Cell, Verdict, rows};

rows! {
    "ids that differ in _ and - are two packages" => two_packages,
    "a module answers to both spellings, and has its own" => both_spellings,
    "our names the process itself" => our,
    "the node our is this one" => our_node,
    "what was sent before a process ran is received then" => before_it_ran,
}

/// Enters a process that everybody may message, as the app store does.
pub async fn enter(subject: &Subject, id: &str) -> Result<(), String> {
    let server = subject.module(subject.column.server);
    let initialize = json!({"InitializeProcess": {
        "id": id,
        "wasm_bytes_handle": subject.path(),
        "wit_version": null,
        "on_exit": "None",
        "initial_capabilities": [{"issuer": server, "params": "\"messaging\""}],
        "public": true,
    }});
    let wasm = package::component(subject.column);
    let done = json!("InitializedProcess");
    command(subject, &initialize, Some(&wasm), done).await
}

/// Starts what was entered.
pub async fn start(subject: &Subject, id: &str) -> Result<(), String> {
    let started = json!("StartedProcess");
    command(subject, &json!({"RunProcess": id}), None, started).await
}

/// In targets, in issuers of what is attached, in last requests.
async fn our_node(subject: &Subject) -> Verdict {
    let at = |suffix: &str| format!("our@{}", subject.id(suffix));
    let [a, b, _] = subject.abc();
    let own = json!({"issuer": at(""), "params": "\"own\""});
    let last = json!({"Requests": [{"to": at(""), "body": "gone"}]});
    let results = subject
        .run(json!([
            ask(&b, json!(["log"])),
            {"send": {"to": at("-b"), "body": "note", "capabilities": [own]}},
            ask(&at("-b"), json!(["log"])),
            {"await": {"to": "our@nobody:here:sys", "expects": 5, "body": "hello"}},
            {"set_on_exit": last},
            "on_exit",
            {"set_on_exit": "Restart"},
        ]))
        .await?;
    matches(&results[2], json!({"is": "response", "source": b}))?;
    let attached = json!([{"issuer": a, "params": "\"own\""}]);
    let note = json!({"source": a, "capabilities": attached});
    matches(&results[2]["body"][0][0], note)?;
    failed(subject, &results[3], "Timeout", &subject.nobody())?;
    matches(&results[5]["Requests"][0], json!({"to": a}))?;
    Ok(Cell::Conforms)
}

/// Has the kernel do something, which answers so.
pub async fn command(
    subject: &Subject,
    command: &Value,
    blob: Option<&[u8]>,
    wanted: Value,
) -> Result<(), String> {
    let answer = subject
        .kit
        .rpc("kernel:distro:sys", &command.to_string(), blob, Some(5))
        .await;
    let told = serde_json::from_str(&answer.body).unwrap_or(Value::Null);
    if told == wanted {
        Ok(())
    } else {
        Err(format!("the kernel answers {command} with {answer:?}"))
    }
}

async fn before_it_ran(subject: &Subject) -> Verdict {
    let id = format!("{}:early-birds:test.dev", subject.column.process);
    let at = subject.module(&id);
    enter(subject, &id).await?;
    subject
        .run(json!([
            {"send": {"to": at, "body": 1}},
            {"send": {"to": at, "body": 2, "blob": {"text": "two"}}},
        ]))
        .await?;
    start(subject, &id).await?;
    let results = subject.run_at(&id, json!(["log"])).await?;
    for (at, blob) in [Value::Null, json!({"text": "two"})]
        .into_iter()
        .enumerate()
    {
        matches(&results[0][at], json!({"body": at + 1, "blob": blob}))?;
    }
    Ok(Cell::Conforms)
}

async fn our(subject: &Subject) -> Verdict {
    if !subject.column.newer {
        return Ok(Cell::NotApplicable("the interface does not have it"));
    }
    let results = subject.run(json!(["our"])).await?;
    matches(&results[0], json!(subject.at("")))?;
    Ok(Cell::Conforms)
}

async fn two_packages(subject: &Subject) -> Verdict {
    let name = subject.column.component;
    let under = format!("my_{name}:my_chat_app:my_pub.dev");
    let dash = under.replace('_', "-");
    for id in [&under, &dash] {
        enter(subject, id).await?;
        start(subject, id).await?;
    }
    let (at_under, at_dash) = (subject.module(&under), subject.module(&dash));
    let results = subject
        .run_at(
            &under,
            json!([
                {"set_state": "under"},
                ask(&at_dash, json!(["state", {"set_state": "dash"}, "state"])),
                "state",
                {"send": {"to": at_dash, "body": "note"}},
                ask(&at_dash, json!(["log"])),
                "log",
            ]),
        )
        .await?;
    let of_dash = json!({"is": "response", "source": at_dash, "body": [null, null, "dash"]});
    matches(&results[1], of_dash)?;
    matches(&results[2], json!("under"))?;
    let noted = json!({"body": "note", "source": at_under});
    matches(&results[4]["body"][0][0], noted)?;
    matches(&results[5], json!([]))?;
    Ok(Cell::Conforms)
}

async fn both_spellings(subject: &Subject) -> Verdict {
    let bind = json!({"Bind": {
        "path": "/both", "authenticated": false, "local_only": false, "cache": false,
    }});
    let bound = ["http_server:distro:sys", "http-server:distro:sys"]
        .map(|id| json!({"await": {"to": subject.module(id), "expects": 5, "body": bind}}));
    let results = subject.run(json!(bound)).await?;
    for result in &results {
        let source = subject.module(subject.column.server);
        matches(
            result,
            json!({"is": "response", "source": source, "body": {"Ok": null}}),
        )?;
    }
    Ok(Cell::Conforms)
}
