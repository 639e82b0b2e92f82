//! `hog:hostile:tester.dev`: takes all the CPU time it can get.
//!
//! `"Spin"` never ends. `{"Spawn":N}` starts N children that spin, and answers
//! with their process ids; those of `{"Idle":N}` wait instead. `{"Storm":N}`
//! tries N times to start a child that ends at once, and answers how often it
//! could. Anything else is answered at once, to see whether it is still alive.

use guest::lib::{self, Address, Message, OnExit, Request};
use guest::respond;
use serde_json::{json, Value};

guest::process!(run);

const WASM: &str = "/hostile:tester.dev/pkg/hog.wasm";
const MOST_CHILDREN: u64 = 100;

fn run(our: Address) {
    loop {
        let Ok(Message::Request { body, .. }) = lib::await_message() else {
            continue;
        };
        let request: Value = serde_json::from_slice(&body).unwrap_or_default();
        let number = |name: &str| request.get(name).and_then(Value::as_u64);
        if request == "Spin" {
            spin();
        } else if request == "End" {
            return;
        } else if let Some(count) = number("Spawn") {
            let children = spawn(&our, count.min(MOST_CHILDREN), Some("\"Spin\""));
            respond(json!({ "spawned": children }).to_string());
        } else if let Some(count) = number("Idle") {
            let children = spawn(&our, count.min(MOST_CHILDREN), None);
            respond(json!({ "spawned": children }).to_string());
        } else if let Some(count) = number("Storm") {
            let made = (0..count).filter(|_| !spawn(&our, 1, Some("\"End\"")).is_empty());
            respond(json!({ "made": made.count() }).to_string());
        } else {
            respond(json!({ "alive": true }).to_string());
        }
    }
}

fn spin() -> ! {
    let mut n = 0_u64;
    loop {
        n = std::hint::black_box(n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
}

/// Starts `count` children, as far as it can, and tells each `what`.
fn spawn(our: &Address, count: u64, what: Option<&str>) -> Vec<String> {
    let mut children = Vec::new();
    for _ in 0..count {
        let Ok(id) = lib::spawn(None, WASM, OnExit::None, Vec::new(), Vec::new(), false) else {
            break;
        };
        if let Some(what) = what {
            // `send` fails only without a body.
            let _ = Request::to((our.node(), id.clone())).body(what).send();
        }
        children.push(id.to_string());
    }
    children
}
