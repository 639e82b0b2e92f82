//! `hi NODE TEXT`: greets another node.

use guest::lib::Address;
use guest::{call, CallError, Carry};

guest::script!(hi);

const SECONDS: u64 = 10;

fn hi(our: &Address, arguments: &str) -> String {
    let Some((node, text)) = arguments.split_once(char::is_whitespace) else {
        return "usage: hi NODE TEXT".to_owned();
    };
    if node == "our" || node == our.node() {
        return format!("{} is this very node", our.node());
    }
    let Ok(net) = format!("{node}@net:distro:sys").parse::<Address>() else {
        return format!("'{node}' is not the name of a node");
    };
    match call(&net, text.trim().as_bytes(), Carry::Nothing, SECONDS) {
        Ok(answer) => format!(
            "response from {node}: {}",
            String::from_utf8_lossy(answer.body())
        ),
        Err(CallError::Offline(_)) => format!("{node} is offline or does not exist"),
        Err(_) => format!("message to {node} timed out"),
    }
}
