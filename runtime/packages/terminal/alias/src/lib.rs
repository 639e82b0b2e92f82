//! `alias NAME SCRIPT` and `alias NAME`: names a script, or forgets a name.

use distro_logic::{alias::Edit, line};
use guest::lib::Address;
use guest::{call, local, Carry};
use serde_json::{json, Value};

guest::script!(alias);

const USAGE: &str = "usage: alias NAME SCRIPT:PACKAGE:PUBLISHER, or alias NAME to remove it";

fn alias(our: &Address, arguments: &str) -> String {
    let (name, process) = match line::words(arguments)[..] {
        [name] => (name, None),
        [name, process] => (name, Some(process)),
        _ => return USAGE.to_owned(),
    };
    let Some(terminal) = local(our, "terminal:terminal:sys") else {
        return "the terminal has no address".to_owned();
    };
    let body = json!({"EditAlias": {"alias": name, "process": process}}).to_string();
    let answer = match call(&terminal, body.as_bytes(), Carry::Nothing, 5) {
        Ok(answer) => answer,
        Err(error) => return error.to_string(),
    };
    let outcome = serde_json::from_slice::<Value>(answer.body())
        .ok()
        .and_then(|answer| serde_json::from_value(answer.get("EditAlias")?.clone()).ok());
    match outcome {
        Some(Edit::AliasSet) => "alias set".to_owned(),
        Some(Edit::AliasRemoved) => "alias removed".to_owned(),
        Some(Edit::AliasNotFound) => format!("there is no alias {name}"),
        Some(Edit::InvalidProcessId) => format!(
            "alias not set: '{}' is no process id, or '{name}' no possible name; {USAGE}",
            process.unwrap_or_default()
        ),
        None => "the terminal answered something unexpected".to_owned(),
    }
}
