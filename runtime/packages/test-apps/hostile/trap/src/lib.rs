//! `trap:hostile:tester.dev`: says it is alive, or traps when told `"Trap"`,
//! or overflows its stack when told `"Recurse"`. `{"Say":TEXT,"times":N}` has
//! it print the text so often.

use guest::lib::{self, Address, Message};
use guest::{print, respond};
use serde_json::{json, Value};

guest::process!(run);

fn run(_our: Address) {
    loop {
        let Ok(Message::Request { body, .. }) = lib::await_message() else {
            continue;
        };
        let request: Value = serde_json::from_slice(&body).unwrap_or_default();
        if request == "Trap" {
            eprintln!("trapping as told");
            std::process::abort();
        }
        if let Some(text) = request.get("Say").and_then(Value::as_str) {
            let times = request.get("times").and_then(Value::as_u64);
            (0..times.unwrap_or(1)).for_each(|_| print(text));
        }
        let depth = match request == "Recurse" {
            true => recurse(1),
            false => 0,
        };
        respond(json!({ "alive": true, "depth": depth }).to_string());
    }
}

/// Needs more stack than there is.
fn recurse(depth: u64) -> u64 {
    let page = std::hint::black_box([depth; 64]);
    if depth == u64::MAX {
        return page[0];
    }
    recurse(depth + 1) + std::hint::black_box(page)[63]
}
