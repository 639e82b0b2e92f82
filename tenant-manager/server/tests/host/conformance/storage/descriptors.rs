//! `fd-manager:distro:sys`, which came with 0.9.5: a host may answer everybody.

use serde_json::{Value, json};

use super::super::subject::matches;
use super::called::{NUMBER, same};
use super::{Cell, Subject, Verdict, rows};

rows! {
    "fd-manager: GetState, however it is called" => state,
    "fd-manager: GetProcessFdLimit, however it is called" => limit,
}

const SPELLINGS: [&str; 2] = ["fd_manager:distro:sys", "fd-manager:distro:sys"];

/// The answers to `body` by both names.
async fn asked(subject: &Subject, body: Value) -> Result<[Value; 2], String> {
    let steps = SPELLINGS.map(|id| {
        let to = subject.module(id);
        json!({"await": {"to": to, "expects": 5, "body": body}})
    });
    let results = subject.run(json!(steps)).await?;
    // It is called as the edition does.
    let source = subject.module(SPELLINGS[usize::from(subject.column.newer)]);
    for result in &results {
        matches(result, json!({"is": "response", "source": source}))?;
    }
    Ok([results[0]["body"].clone(), results[1]["body"].clone()])
}

async fn state(subject: &Subject) -> Verdict {
    let entry = json!({"limit": NUMBER, "hit_count": NUMBER});
    for body in asked(subject, json!("GetState")).await? {
        let modules = body["GetState"]
            .as_object()
            .ok_or_else(|| body.to_string())?;
        if body.as_object().is_none_or(|fields| fields.len() != 1) {
            return Err(format!("{body} has more than the state"));
        }
        for (module, told) in modules {
            if !same(told, &entry) {
                return Err(format!("{module}: {told} where {entry} was expected"));
            }
        }
        for module in ["vfs:distro:sys", "kv:distro:sys", "sqlite:distro:sys"] {
            if !modules.contains_key(module) {
                return Err(format!("{module} is not in {body}"));
            }
        }
    }
    Ok(Cell::Conforms)
}

async fn limit(subject: &Subject) -> Verdict {
    let wanted = json!({"GetProcessFdLimit": NUMBER});
    let body = json!({"GetProcessFdLimit": "vfs:distro:sys"});
    for told in asked(subject, body).await? {
        if !same(&told, &wanted) {
            return Err(format!("{told} where {wanted} was expected"));
        }
    }
    Ok(Cell::Conforms)
}
