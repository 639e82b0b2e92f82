//! `grow:hostile:tester.dev`: `{"Grow":BYTES}` allocates and touches that much
//! more memory, keeps it, and answers with what it holds. `"Forever"` goes on
//! until it is stopped.

use guest::lib::{self, Address, Message};
use guest::respond;
use serde_json::{json, Value};

guest::process!(run);

const STEP: u64 = 1 << 20;
const PAGE: usize = 4096;

fn run(_our: Address) {
    let mut held: Vec<Vec<u8>> = Vec::new();
    loop {
        let Ok(Message::Request { body, .. }) = lib::await_message() else {
            continue;
        };
        let request: Value = serde_json::from_slice(&body).unwrap_or_default();
        let wanted = match request.get("Grow").and_then(Value::as_u64) {
            Some(bytes) => bytes,
            None if request == "Forever" => u64::MAX,
            None => 0,
        };
        let mut grown = 0;
        while grown < wanted {
            let size = STEP.min(wanted - grown) as usize;
            let mut piece = vec![0_u8; size];
            // Touched, so that it is memory and not a promise.
            for byte in piece.iter_mut().step_by(PAGE) {
                *byte = 1;
            }
            held.push(std::hint::black_box(piece));
            grown += size as u64;
        }
        let bytes: usize = held.iter().map(Vec::len).sum();
        respond(json!({ "held": bytes }).to_string());
    }
}
