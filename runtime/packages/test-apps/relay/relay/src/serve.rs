//! What is answered to the relay of another node (or to this one, asked by
//! itself): what arrived, exactly as it arrived.

use guest::lib::{self, Address, Capability, Response};
use guest::vfs;
use serde_json::{json, Value};

use crate::{blob_facts, listed, pattern, Relay};

/// Most rights kept for others.
const MOST_KEPT: usize = 64;

/// What work looks at.
const OWN_FILE: &str = "/relay:test.dev/pkg/manifest.json";

/// The numbered requests that arrived.
#[derive(Default)]
pub struct Seen {
    count: u64,
    last: Option<u64>,
    disorder: u64,
    bytes: u64,
    /// Whether each is worked on: this side then awaits an answer of its own
    /// node's VFS before it looks at the next.
    pub work: bool,
    /// Work that failed.
    failed: u64,
}

impl Seen {
    fn add(&mut self, our: &Address, number: u64) {
        self.count += 1;
        if self.work && vfs::file_len(our, OWN_FILE).is_none() {
            self.failed += 1;
        }
        if self.last.is_some_and(|last| number <= last) {
            self.disorder += 1;
        }
        self.last = Some(number);
        if let Some(blob) = lib::get_blob() {
            self.bytes += blob.bytes.len() as u64;
        }
    }

    /// What arrived since the last reset.
    pub fn report(&self) -> Value {
        json!({
            "count": self.count,
            "last": self.last,
            "disorder": self.disorder,
            "bytes": self.bytes,
            "failed": self.failed,
        })
    }
}

impl Relay {
    /// Answers `request` of another relay.
    pub fn serve(
        &mut self,
        source: &Address,
        expects: Option<u64>,
        request: &Value,
        capabilities: &[Capability],
    ) {
        if let Some(number) = request.get("Count").and_then(Value::as_u64) {
            return self.seen.add(&self.our, number);
        }
        let options = request.get("Echo");
        let asked_mute = options.and_then(|options| options.get("mute"));
        if self.mute || asked_mute == Some(&Value::Bool(true)) {
            return;
        }
        let mut facts = json!({
            "source": source.to_string(),
            "expects": expects,
            "blob": blob_facts(),
            "capabilities": listed(capabilities),
        });
        let mut response = Response::new();
        if request == "Keep" {
            let room = MOST_KEPT.saturating_sub(lib::our_capabilities().len());
            let kept = capabilities.get(..room).unwrap_or(capabilities);
            lib::save_capabilities(kept);
            facts["kept"] = json!(kept.len());
        } else if request == "Present" {
            let presented = self.of(source);
            facts["presented"] = listed(&presented);
            response = response.capabilities(presented);
        } else {
            let bytes = options.and_then(|options| options.get("answer_bytes")?.as_u64());
            response = match bytes {
                Some(bytes) => response.blob(pattern(usize::try_from(bytes).unwrap_or_default())),
                None => response.inherit(lib::has_blob()),
            };
        }
        // `send` fails only without a body.
        let _ = response.body(json!({ "Echoed": facts }).to_string()).send();
    }

    /// Rights of `issuer` that are kept here, and one that it never gave.
    fn of(&self, issuer: &Address) -> Vec<Capability> {
        let mut rights: Vec<Capability> = lib::our_capabilities()
            .into_iter()
            .filter(|held| held.issuer == *issuer)
            .collect();
        rights.push(Capability {
            issuer: issuer.clone(),
            params: json!("made up").to_string(),
        });
        rights
    }
}
