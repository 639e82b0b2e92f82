//! `relay:relay:test.dev`: the same app on two nodes, one driven, one asked.
//!
//! The driver takes JSON commands from its own node (see [`drive`]) and
//! answers when the other node has, or has not; the other side answers what
//! comes from elsewhere (see [`serve`]). Several commands may be under way at
//! once: each waits as a context, nothing blocks. It never stops.

mod drive;
mod serve;

use std::time::Instant;

use guest::lib::{self, Address, LazyLoadBlob, Message};
use serde_json::{json, Value};

guest::process!(run);

/// The process on both nodes.
const RELAY: &str = "relay:relay:test.dev";

/// What one side knows.
struct Relay {
    our: Address,
    /// Begin of the process, from which times are counted.
    begun: Instant,
    /// Answer nobody from elsewhere.
    mute: bool,
    seen: serve::Seen,
}

fn run(our: Address) {
    let mut relay = Relay {
        our,
        begun: Instant::now(),
        mute: false,
        seen: serve::Seen::default(),
    };
    loop {
        match lib::await_message() {
            Ok(Message::Request {
                source,
                expects_response,
                body,
                capabilities,
                ..
            }) => {
                let request: Value = serde_json::from_slice(&body).unwrap_or_default();
                let from_peer = source.process.to_string() == RELAY;
                if from_peer || source.node() != relay.our.node() {
                    relay.serve(&source, expects_response, &request, &capabilities);
                } else {
                    relay.drive(&request);
                }
            }
            Ok(Message::Response {
                source,
                body,
                context,
                capabilities,
                ..
            }) => relay.answered(&source, &body, context.as_deref(), &capabilities),
            Err(error) => relay.failed(&error),
        }
    }
}

/// A blob of `bytes` bytes that is not all the same.
fn pattern(bytes: usize) -> LazyLoadBlob {
    LazyLoadBlob {
        mime: None,
        bytes: (0..bytes).map(|at| (at % 251) as u8).collect(),
    }
}

/// 64-bit FNV-1a, in hex.
fn hash(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// Length and hash of the blob that came with the current message.
fn blob_facts() -> Value {
    match lib::get_blob() {
        Some(blob) => json!({ "bytes": blob.bytes.len(), "hash": hash(&blob.bytes) }),
        None => Value::Null,
    }
}

/// Capabilities in a form to report.
fn listed(capabilities: &[lib::Capability]) -> Value {
    capabilities
        .iter()
        .map(|held| json!({ "issuer": held.issuer.to_string(), "params": held.params }))
        .collect()
}
