//! `terminal:terminal:sys`: turns typed lines into running scripts.
//!
//! A request from itself is a typed line. Its first word is an alias or a
//! script's process id, the rest the script's arguments. The terminal does not
//! wait for a script; where somebody waits for the line, it tells them the
//! script's process id *before* the script gets its first message, so that
//! nothing the script does can be missed. It never stops by itself.

mod launch;

use distro_logic::alias::{Aliases, Request as AliasRequest};
use distro_logic::line;
use guest::lib::{self, Address, Message};
use guest::{print, respond};
use serde_json::{json, Value};

guest::process!(run);

fn run(our: Address) {
    let mut aliases = lib::get_state()
        .map(|saved| Aliases::from_saved(&saved))
        .unwrap_or_default();
    loop {
        match lib::await_message() {
            Ok(message) => handle(&our, &mut aliases, &message),
            // Nothing here waits outside a call, so no failure concerns us.
            Err(_) => continue,
        }
    }
}

fn handle(our: &Address, aliases: &mut Aliases, message: &Message) {
    match message {
        Message::Response { body, .. } => print(&String::from_utf8_lossy(body)),
        Message::Request {
            source,
            body,
            expects_response,
            ..
        } if source == our => {
            let line = String::from_utf8_lossy(body);
            handle_line(our, aliases, &line, expects_response.is_some());
        }
        Message::Request { source, body, .. }
            if source.node() == our.node() && source.package_id() == our.package_id() =>
        {
            handle_aliases(aliases, body);
        }
        // Strangers have no business here.
        Message::Request { .. } => {}
    }
}

fn handle_line(our: &Address, aliases: &Aliases, text: &str, awaited: bool) {
    let Some((word, arguments)) = line::split(text) else {
        return tell(awaited, json!({"Done": ""}));
    };
    let Some(script) = aliases.resolve(word) else {
        return fail(
            awaited,
            format!("'{word}' not found, either as an alias or process ID"),
        );
    };
    match launch::launch(our, &script) {
        Ok(process) => {
            tell(awaited, json!({"Started": process.process.to_string()}));
            // `send` fails only without a body.
            let _ = lib::Request::to(process).body(arguments).send();
        }
        Err(reason) => fail(awaited, format!("error calling script: {reason}")),
    }
}

fn tell(awaited: bool, answer: Value) {
    if awaited {
        respond(answer.to_string());
    }
}

/// An error goes to whoever waits for the line, else onto the screen.
fn fail(awaited: bool, text: String) {
    if awaited {
        respond(json!({ "Failed": text }).to_string());
    } else {
        print(&text);
    }
}

fn handle_aliases(aliases: &mut Aliases, body: &[u8]) {
    let (alias, process) = match serde_json::from_slice(body) {
        Ok(AliasRequest::EditAlias { alias, process }) => (alias, process),
        Ok(AliasRequest::ListAliases) => {
            return respond(json!({ "ListAliases": aliases.all() }).to_string());
        }
        Err(_) => return,
    };
    let before = aliases.clone();
    let outcome = aliases.edit(&alias, process.as_deref());
    if *aliases != before {
        // Saved before it is acknowledged.
        lib::set_state(&aliases.to_saved());
    }
    respond(json!({ "EditAlias": outcome }).to_string());
}
