//! `alias NAME SCRIPT`, `alias NAME` and `alias`: names a script, forgets a
//! name, or lists all names.

use distro_logic::alias::{self, Edit};
use distro_logic::{line, ProcessId};
use guest::lib::Address;
use guest::{call, local, Carry};
use serde_json::{json, Value};

guest::script!(run);

const USAGE: &str = "usage: alias NAME SCRIPT:PACKAGE:PUBLISHER, alias NAME to remove it, or \
                     alias to list all";

fn run(our: &Address, arguments: &str) -> String {
    let outcome = match line::words(arguments)[..] {
        [] => list(our),
        [name] => edit(our, name, None),
        [name, process] => edit(our, name, Some(process)),
        _ => Err(USAGE.to_owned()),
    };
    outcome.unwrap_or_else(|error| error)
}

/// Asks the terminal, and gives what it answers under `word`.
fn ask(our: &Address, word: &str, request: &Value) -> Result<Value, String> {
    let terminal = local(our, "terminal:terminal:sys")
        .ok_or_else(|| "the terminal has no address".to_owned())?;
    let answer = call(&terminal, request.to_string().as_bytes(), Carry::Nothing, 5)
        .map_err(|error| error.to_string())?;
    serde_json::from_slice::<Value>(answer.body())
        .ok()
        .and_then(|mut answer| Some(answer.get_mut(word)?.take()))
        .ok_or_else(|| "the terminal answered something unexpected".to_owned())
}

fn list(our: &Address) -> Result<String, String> {
    let all = ask(our, "ListAliases", &json!("ListAliases"))?;
    let mut lines = Vec::new();
    for (name, script) in all.as_object().into_iter().flatten() {
        lines.push(format!("{name}  {}", script.as_str().unwrap_or_default()));
    }
    Ok(lines.join("\n"))
}

fn edit(our: &Address, name: &str, process: Option<&str>) -> Result<String, String> {
    if let Some(process) = process {
        alias::check_name(name).map_err(|error| format!("alias not set: {error}"))?;
        process
            .parse::<ProcessId>()
            .map_err(|error| format!("alias not set: {error}; {USAGE}"))?;
    }
    let request = json!({"EditAlias": {"alias": name, "process": process}});
    let outcome = ask(our, "EditAlias", &request)?;
    Ok(match serde_json::from_value(outcome) {
        Ok(Edit::AliasSet) => "alias set".to_owned(),
        Ok(Edit::AliasRemoved) => "alias removed".to_owned(),
        Ok(Edit::AliasNotFound) => format!("there is no alias {name}"),
        Ok(Edit::InvalidProcessId) => format!(
            "alias not set: there are {} already; remove one with alias NAME",
            alias::MOST_CHANGES
        ),
        Err(_) => "the terminal answered something unexpected".to_owned(),
    })
}
