//! The commands of the driver, and what becomes of them.
//!
//! | command | what it does |
//! |---|---|
//! | `{"Ask":{"node":N,"bytes":B,"answer_bytes":A,"timeout":S,"mute":false}}` | a request with a blob of B bytes (none if absent); the answer brings the same blob, or one of A bytes |
//! | `{"Burst":{"node":N,"count":C,"bytes":B}}` | C numbered requests that nobody answers; told at once |
//! | `{"Chain":{"node":N}}` | hands its own caller on: the other node answers that caller directly |
//! | `{"Lend":{"node":N,"params":JSON,"timeout":S}}` | gives a right issued here, which the other side keeps |
//! | `{"Recall":{"node":N,"timeout":S}}` | has the other side present what it keeps of ours, and a right that it made up in our name |
//! | `{"Spoof":{"node":N,"save":bool,"timeout":S}}` | attaches rights that it never had, in other names; has them saved before, if so asked |
//! | `{"Work":true}` | this side works on each numbered request of others: it asks its VFS and waits |
//! | `{"Mute":true}`, `"Seen"`, `"Reset"` | the state of this side |
//!
//! Answers: `{"Answered":{"source","micros","body","blob":{"bytes","hash"},
//! "sent":{"bytes","hash"},"capabilities"}}`, or `{"Failed":{"kind":
//! "Offline"|"Timeout","micros"}}`, or `{"error":…}`.

use guest::lib::{Address, Capability, Request, SendError, SendErrorKind};
use guest::respond;
use serde_json::{json, Value};

use crate::{blob_facts, hash, listed, pattern, Relay, RELAY};

/// Largest blob that can be asked for.
const MOST_BYTES: u64 = 64 << 20;
/// Most requests of one burst.
const MOST_BURST: u64 = 100_000;
/// Seconds to wait where a command names none; the RPC itself waits 15.
const SECONDS: u64 = 10;

/// The other side's relay, as the command names it.
fn peer(options: &Value) -> Result<Address, String> {
    let node = options.get("node").and_then(Value::as_str);
    let node = node.ok_or_else(|| "name a node".to_owned())?;
    let process = options.get("process").and_then(Value::as_str);
    format!("{node}@{}", process.unwrap_or(RELAY))
        .parse()
        .map_err(|_| "that is no address".to_owned())
}

fn number(options: &Value, name: &str, most: u64) -> Option<u64> {
    let value = options.get(name).and_then(Value::as_u64)?;
    Some(value.min(most))
}

/// The only command of `request` and its options.
fn command(request: &Value) -> Option<(&str, &Value)> {
    match request {
        Value::String(name) => Some((name, &Value::Null)),
        Value::Object(fields) => {
            let (name, options) = fields.iter().next()?;
            Some((name, options))
        }
        _ => None,
    }
}

impl Relay {
    /// Carries out a command from this node.
    pub fn drive(&mut self, request: &Value) {
        let Some((name, options)) = command(request) else {
            return respond(r#"{"error":"send a command"}"#);
        };
        let done = match name {
            "Ask" => self.ask(options),
            "Burst" => self.burst(options),
            "Chain" => self.chain(options),
            "Lend" => self.lend(options),
            "Recall" => self.send(options, &json!("Present"), Vec::new(), None),
            "Spoof" => self.spoof(options),
            "Mute" => {
                self.mute = options.as_bool().unwrap_or(true);
                respond(json!({ "mute": self.mute }).to_string());
                Ok(())
            }
            "Work" => {
                self.seen.work = options.as_bool().unwrap_or(true);
                respond(json!({ "work": self.seen.work }).to_string());
                Ok(())
            }
            "Seen" => {
                respond(self.seen.report().to_string());
                Ok(())
            }
            "Reset" => {
                self.seen = crate::serve::Seen::default();
                respond(r#"{"reset":true}"#);
                Ok(())
            }
            _ => Err(format!("there is no command {name}")),
        };
        if let Err(error) = done {
            respond(json!({ "error": error }).to_string());
        }
    }

    fn ask(&self, options: &Value) -> Result<(), String> {
        let body = json!({"Echo": {
            "answer_bytes": number(options, "answer_bytes", MOST_BYTES),
            "mute": options.get("mute").and_then(Value::as_bool).unwrap_or(false),
        }});
        let bytes = number(options, "bytes", MOST_BYTES);
        self.send(options, &body, Vec::new(), bytes)
    }

    /// Sends `body` to the peer; the answer comes to [`Relay::answered`].
    fn send(
        &self,
        options: &Value,
        body: &Value,
        capabilities: Vec<Capability>,
        bytes: Option<u64>,
    ) -> Result<(), String> {
        let seconds = number(options, "timeout", 600).unwrap_or(SECONDS);
        let mut request = Request::to(peer(options)?)
            .body(body.to_string())
            .capabilities(capabilities)
            .expects_response(seconds);
        let mut sent = Value::Null;
        if let Some(bytes) = bytes {
            let blob = pattern(usize::try_from(bytes).unwrap_or_default());
            sent = json!({ "bytes": bytes, "hash": hash(&blob.bytes) });
            request = request.blob(blob);
        }
        let context = json!({ "began": self.micros(), "sent": sent });
        let sent = request.context(context.to_string()).send();
        sent.map_err(|error| error.to_string())
    }

    fn burst(&self, options: &Value) -> Result<(), String> {
        let count = number(options, "count", MOST_BURST).unwrap_or(1);
        let bytes = number(options, "bytes", MOST_BYTES);
        let target = peer(options)?;
        for at in 0..count {
            let mut request = Request::to(&target).body(json!({ "Count": at }).to_string());
            if let Some(bytes) = bytes {
                request = request.blob(pattern(usize::try_from(bytes).unwrap_or_default()));
            }
            request.send().map_err(|error| error.to_string())?;
        }
        respond(json!({ "sent": count }).to_string());
        Ok(())
    }

    /// No answer from here: whoever asked this process is answered by the
    /// other one, which inherits the request.
    fn chain(&self, options: &Value) -> Result<(), String> {
        let body = json!({"Echo": {"answer_bytes": null, "mute": false}});
        Request::to(peer(options)?)
            .inherit(true)
            .body(body.to_string())
            .send()
            .map_err(|error| error.to_string())
    }

    fn lend(&self, options: &Value) -> Result<(), String> {
        let params = options.get("params").cloned().unwrap_or(json!("lent"));
        let lent = Capability {
            issuer: self.our.clone(),
            params: params.to_string(),
        };
        self.send(options, &json!("Keep"), vec![lent], None)
    }

    /// There is no way to name another source; what can be named are rights.
    fn spoof(&self, options: &Value) -> Result<(), String> {
        let other = peer(options)?;
        let node = other.node().to_owned();
        let made_up = [
            (format!("{node}@{RELAY}"), json!("made up")),
            (format!("{node}@vfs:distro:sys"), json!({ "root": true })),
            (format!("{node}@kernel:distro:sys"), json!("network")),
            (format!("{node}@kernel:distro:sys"), json!("messaging")),
            (
                format!("{}@vfs:distro:sys", self.our.node()),
                json!({ "root": true }),
            ),
            (format!("nobody.dev@{RELAY}"), json!("made up")),
        ];
        let mut capabilities = Vec::new();
        for (issuer, params) in made_up {
            capabilities.push(Capability {
                issuer: issuer.parse().map_err(|_| "no address".to_owned())?,
                params: params.to_string(),
            });
        }
        if options.get("save") == Some(&Value::Bool(true)) {
            guest::lib::save_capabilities(&capabilities);
        }
        let body = json!({"Echo": {"answer_bytes": null, "mute": false}});
        self.send(options, &body, capabilities, None)
    }

    fn micros(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// What the context of a request says, and how long ago it was sent.
    fn since(&self, context: Option<&[u8]>) -> (Value, u64) {
        let context: Value = context
            .and_then(|bytes| serde_json::from_slice(bytes).ok())
            .unwrap_or_default();
        let began = context.get("began").and_then(Value::as_u64);
        let micros = self.micros().saturating_sub(began.unwrap_or_default());
        (context.get("sent").cloned().unwrap_or_default(), micros)
    }

    /// The other side answered: so is whoever gave the command.
    pub fn answered(
        &self,
        source: &Address,
        body: &[u8],
        context: Option<&[u8]>,
        capabilities: &[Capability],
    ) {
        let (sent, micros) = self.since(context);
        let body: Value = serde_json::from_slice(body)
            .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(body)));
        respond(
            json!({"Answered": {
                "source": source.to_string(),
                "micros": micros,
                "body": body,
                "blob": blob_facts(),
                "sent": sent,
                "capabilities": listed(capabilities),
            }})
            .to_string(),
        );
    }

    /// Nobody will answer.
    pub fn failed(&self, error: &SendError) {
        let (_, micros) = self.since(error.context.as_deref());
        let kind = match error.kind() {
            SendErrorKind::Offline => "Offline",
            SendErrorKind::Timeout => "Timeout",
        };
        respond(json!({"Failed": {"kind": kind, "micros": micros}}).to_string());
    }
}
