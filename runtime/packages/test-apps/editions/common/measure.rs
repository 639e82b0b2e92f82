//! What is measured: round trips, chains, bursts and spawns, by the clock of
//! the process, with as little as possible around the calls.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::{json, Value};

use crate::api::{self, Address, LazyLoadBlob};
use crate::said;
use crate::script::{Answer, Exit, Incoming, Outgoing};

/// To be sent back.
const ECHO: &[u8] = b"echo";
/// To be sent back with the blob that is at hand.
const BACK: &[u8] = b"back";
/// To be passed on, with its blob, to the address that follows.
const PASS: &[u8] = b"pass:";
/// Longest run of most steps.
const MOST: u64 = 10_000_000;

fn answer(body: Vec<u8>, inherit: bool) {
    api::respond(Answer {
        body,
        inherit,
        metadata: None,
        blob: None,
        capabilities: Vec::new(),
    });
}

/// Serves a message that belongs to a measurement; whether it was one.
pub fn serve(incoming: &Incoming) -> bool {
    let Incoming::Request { body, .. } = incoming else {
        return false;
    };
    if body.starts_with(ECHO) {
        answer(body.clone(), false);
    } else if body.starts_with(BACK) {
        answer(body.clone(), true);
    } else if let Some(to) = body.strip_prefix(PASS) {
        if let Some(target) = said::address(&String::from_utf8_lossy(to)) {
            api::send(Outgoing {
                inherit: true,
                ..said::plain(target, BACK.to_vec())
            });
        }
    } else {
        return false;
    }
    true
}

fn number(options: &Value, name: &str) -> u64 {
    let value = options.get(name).and_then(Value::as_u64);
    value.unwrap_or(1).min(MOST)
}

fn target(options: &Value, name: &str) -> Option<Address> {
    said::address(options.get(name)?.as_str()?)
}

/// Carries out the measurement called `name`: how many and how long.
pub fn step(name: &str, options: &Value) -> Option<Value> {
    let count = number(options, "count");
    let began = Instant::now();
    let done = match name {
        "pings" => pings(options, count)?,
        "chain" => chain(options, count)?,
        "burst" => burst(options, count)?,
        "gather" => return Some(gather(count)),
        "busy" => return Some(busy(number(options, "millis"))),
        "spawns" => return spawns(options, count),
        _ => return None,
    };
    Some(json!({ "count": done, "nanos": began.elapsed().as_nanos() as u64 }))
}

/// Asks the same process again and again.
fn pings(options: &Value, count: u64) -> Option<u64> {
    let to = target(options, "to")?;
    let mut body = ECHO.to_vec();
    body.resize(number(options, "bytes") as usize, b'.');
    for _ in 0..count {
        let asked = Outgoing {
            expects: Some(5),
            ..said::plain(to.clone(), body.clone())
        };
        let Some(Incoming::Response { .. }) = api::send_and_await(asked) else {
            return None;
        };
    }
    Some(count)
}

/// Sends a blob to one process, which passes it to another, which sends it
/// back; and again what came back.
fn chain(options: &Value, count: u64) -> Option<u64> {
    let to = target(options, "to")?;
    let then = options.get("then")?.as_str()?;
    let body = [PASS, then.as_bytes()].concat();
    let mut blob = Some(LazyLoadBlob {
        mime: None,
        bytes: vec![7; number(options, "bytes") as usize],
    });
    for _ in 0..count {
        let asked = Outgoing {
            expects: Some(5),
            inherit: blob.is_none(),
            blob: blob.take(),
            ..said::plain(to.clone(), body.clone())
        };
        let Some(Incoming::Response { .. }) = api::send_and_await(asked) else {
            return None;
        };
    }
    let whole = api::get_blob().map_or(0, |blob| blob.bytes.len() as u64);
    (whole == number(options, "bytes")).then_some(count)
}

/// Sends numbered messages that want no answer.
fn burst(options: &Value, count: u64) -> Option<u64> {
    let to = target(options, "to")?;
    let size = number(options, "bytes") as usize;
    for number in 0..count {
        let mut body = number.to_string().into_bytes();
        body.resize(size.max(body.len()), b'.');
        api::send(said::plain(to.clone(), body));
    }
    Some(count)
}

/// Receives so many messages of bursts, timed from the first; whether those of
/// each sender come in their order, without a gap.
fn gather(count: u64) -> Value {
    let mut began = None;
    let mut next: BTreeMap<String, u64> = BTreeMap::new();
    let mut in_order = true;
    for _ in 0..count {
        let incoming = api::receive();
        began.get_or_insert_with(Instant::now);
        let Incoming::Request { source, body, .. } = incoming else {
            in_order = false;
            continue;
        };
        let digits = body.iter().take_while(|byte| byte.is_ascii_digit());
        let number = digits.fold(0, |number, byte| number * 10 + u64::from(byte - b'0'));
        let expected = next.entry(source.process.process_name).or_default();
        in_order &= *expected == number;
        *expected += 1;
    }
    let nanos = began.map_or(0, |began| began.elapsed().as_nanos() as u64);
    json!({ "count": count, "nanos": nanos, "in_order": in_order, "senders": next.len() })
}

/// Works without receiving, for so many milliseconds.
fn busy(millis: u64) -> Value {
    let began = Instant::now();
    while began.elapsed().as_millis() < u128::from(millis) {}
    json!("rested")
}

/// Spawns children, and then has them end.
fn spawns(options: &Value, count: u64) -> Option<Value> {
    let path = options.get("path")?.as_str()?;
    let node = options.get("node")?.as_str()?;
    let mut children = Vec::new();
    let began = Instant::now();
    for _ in 0..count {
        let child = api::spawn(None, path, Exit::None, Vec::new(), Vec::new(), false);
        children.push(child.ok()?);
    }
    let nanos = began.elapsed().as_nanos() as u64;
    for process in children {
        let node = node.to_owned();
        let body = json!({"do": ["end"]}).to_string().into_bytes();
        api::send(said::plain(Address { node, process }, body));
    }
    Some(json!({ "count": count, "nanos": nanos }))
}
