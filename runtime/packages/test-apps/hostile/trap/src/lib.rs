//! `trap:hostile:tester.dev`: says it is alive, or misbehaves when told to.
//!
//! `"Trap"` traps, `"Recurse"` overflows its stack, `"Crash"` traps at once in
//! every life from then on. `{"Say":TEXT,"times":N}` prints the text so often.
//! `{"Ask":N}` sends so many requests and looks for no answer. `{"State":N}`
//! saves and `{"Send":N}` sends so many bytes.

use guest::lib::{self, Address, LazyLoadBlob, Message, OnExit, ProcessId, Request};
use guest::{print, respond};
use serde_json::{json, Value};

guest::process!(run);

/// Saved by a process that shall trap at once.
const CRASH: &[u8] = b"crash";

fn run(our: Address) {
    if lib::get_state().as_deref() == Some(CRASH) {
        std::process::abort();
    }
    loop {
        let Ok(Message::Request { body, .. }) = lib::await_message() else {
            continue;
        };
        let request: Value = serde_json::from_slice(&body).unwrap_or_default();
        if request == "Trap" {
            eprintln!("trapping as told");
            std::process::abort();
        }
        if request == "Crash" {
            lib::set_state(CRASH);
            let _ = OnExit::Restart.set();
            std::process::abort();
        }
        let number = |name: &str| request.get(name).and_then(Value::as_u64);
        if let Some(text) = request.get("Say").and_then(Value::as_str) {
            let times = number("times").unwrap_or(1);
            (0..times).for_each(|_| print(text));
        }
        if let Some(count) = number("Ask") {
            (0..count).for_each(|_| drop(to_nobody(&our).expects_response(600).send()));
        }
        if let Some(bytes) = number("State") {
            lib::set_state(&vec![1; bytes as usize]);
        }
        if let Some(bytes) = number("Send") {
            let bytes = vec![1; bytes as usize];
            let _ = to_nobody(&our)
                .blob(LazyLoadBlob { mime: None, bytes })
                .send();
        }
        let depth = match request == "Recurse" {
            true => recurse(1),
            false => 0,
        };
        respond(json!({ "alive": true, "depth": depth }).to_string());
    }
}

/// A request that nobody answers.
fn to_nobody(our: &Address) -> Request {
    let nobody = ProcessId::new(Some("nobody"), "hostile", "tester.dev");
    Request::to((our.node(), nobody)).body("x")
}

/// Needs more stack than there is.
fn recurse(depth: u64) -> u64 {
    let page = std::hint::black_box([depth; 64]);
    if depth == u64::MAX {
        return page[0];
    }
    recurse(depth + 1) + std::hint::black_box(page)[63]
}
