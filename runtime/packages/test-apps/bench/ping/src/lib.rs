//! `ping:bench:tester.dev`: times round trips to `pong`.
//!
//! `{"Run":{"rounds":N,"body_bytes":64,"blob":"None"|"Explicit"|"Inherit","blob_bytes":N}}`
//! is answered with the percentiles in nanoseconds, by this process' clock; with
//! `"node":N` the `pong` of that node is asked.
//! `Explicit` copies the blob into the host each round; `Inherit` passes on
//! the blob that came back, which never enters this process. A run ends early
//! when its time is up.

use std::time::{Duration, Instant};

use guest::lib::kinode::process::standard::Request;
use guest::lib::{self, Address, LazyLoadBlob, Message};
use guest::{local, respond};
use serde_json::{json, Value};

guest::process!(run);

/// Longest run; the caller waits 15 s at most.
const MOST_TIME: Duration = Duration::from_secs(10);
const PONG: &str = "pong:bench:tester.dev";
const MOST_ROUNDS: u64 = 1_000_000;
const MOST_BYTES: u64 = 16 << 20;

fn run(our: Address) {
    loop {
        let Ok(Message::Request { body, .. }) = lib::await_message() else {
            continue;
        };
        let request: Value = serde_json::from_slice(&body).unwrap_or_default();
        let answer = match request.get("Run") {
            Some(options) => measure(&our, options),
            None => Err("send {\"Run\":{\"rounds\":1000}}".to_owned()),
        };
        respond(
            answer
                .unwrap_or_else(|error| json!({ "error": error }))
                .to_string(),
        );
    }
}

fn measure(our: &Address, options: &Value) -> Result<Value, String> {
    let number = |name: &str, default: u64, most: u64| {
        let value = options.get(name).and_then(Value::as_u64);
        value.unwrap_or(default).min(most)
    };
    let rounds = number("rounds", 1000, MOST_ROUNDS);
    let body = vec![7_u8; number("body_bytes", 64, MOST_BYTES) as usize];
    let blob = LazyLoadBlob {
        mime: None,
        bytes: vec![9_u8; number("blob_bytes", 1 << 20, MOST_BYTES) as usize],
    };
    let mode = options
        .get("blob")
        .and_then(Value::as_str)
        .unwrap_or("None");
    let pong = match options.get("node").and_then(Value::as_str) {
        Some(node) => format!("{node}@{PONG}").parse().ok(),
        None => local(our, PONG),
    };
    let pong = pong.ok_or("no address of pong")?;

    let mut times = Vec::with_capacity(rounds as usize);
    let begun = Instant::now();
    for round in 0..rounds {
        let (inherit, explicit) = match mode {
            "None" => (false, None),
            "Explicit" => (false, Some(&blob)),
            // The first one has nothing to pass on yet.
            "Inherit" => (round > 0, (round == 0).then_some(&blob)),
            _ => return Err("blob is None, Explicit or Inherit".to_owned()),
        };
        let request = Request {
            inherit,
            expects_response: Some(5),
            body: body.clone(),
            metadata: None,
            capabilities: Vec::new(),
        };
        let start = Instant::now();
        let answer = lib::send_and_await_response(&pong, &request, explicit);
        times.push(start.elapsed().as_nanos() as u64);
        if answer.is_err() {
            return Err(format!("pong did not answer in round {round}"));
        }
        if begun.elapsed() > MOST_TIME {
            break;
        }
    }
    let total = begun.elapsed().as_nanos() as u64;
    if mode != "None" && !lib::has_blob() {
        return Err("the blob did not come back".to_owned());
    }
    times.sort_unstable();
    let at = |per_mille: usize| {
        let last = times.len().saturating_sub(1);
        times
            .get(last * per_mille / 1000)
            .copied()
            .unwrap_or_default()
    };
    Ok(json!({
        "rounds": times.len(),
        "total_ns": total,
        "min_ns": at(0),
        "p50_ns": at(500),
        "p90_ns": at(900),
        "p99_ns": at(990),
        "max_ns": at(1000),
    }))
}
