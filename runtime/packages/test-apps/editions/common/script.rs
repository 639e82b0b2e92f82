//! Carries out scripts: the host calls that a message lists, one after the
//! other, each with what came of it. The crate that includes it brings the
//! calls as `api`.
//!
//! A request `{"run": [STEP…]}` is answered with the list of what came of each
//! step, `{"do": [STEP…]}` only by what its steps do; `{"show": [STEP…]}`, for
//! lines at a terminal, prints the list and ends the process. Whatever else
//! arrives between scripts is kept for the step `log`; where the step
//! `{"on": {KIND: [STEP…]}}` names the first word of its body, such as `Http`,
//! those steps are carried out and what came of them is kept too, as `did`. A
//! process whose name is `X-of-PARENT` greets its parent with its first call.

#[path = "files.rs"]
mod files;
#[path = "measure.rs"]
mod measure;

use std::time::Instant;

use serde_json::{json, Map, Value};

use crate::api::{self, Address, Capability, LazyLoadBlob, ProcessId};
use crate::{http_calls, said, stores};

/// A request to send.
#[allow(missing_docs, reason = "named as in the interface")]
pub struct Outgoing {
    pub target: Address,
    pub body: Vec<u8>,
    /// Seconds to wait for an answer.
    pub expects: Option<u64>,
    pub inherit: bool,
    pub metadata: Option<String>,
    pub context: Option<Vec<u8>>,
    pub blob: Option<LazyLoadBlob>,
    pub capabilities: Vec<Capability>,
}

/// A response to send.
#[allow(missing_docs, reason = "named as in the interface")]
pub struct Answer {
    pub body: Vec<u8>,
    pub inherit: bool,
    pub metadata: Option<String>,
    pub blob: Option<LazyLoadBlob>,
    pub capabilities: Vec<Capability>,
}

/// What a wait ended with.
#[allow(missing_docs, reason = "named as in the interface")]
pub enum Incoming {
    Request {
        source: Address,
        body: Vec<u8>,
        expects: Option<u64>,
        metadata: Option<String>,
        capabilities: Vec<Capability>,
    },
    Response {
        source: Address,
        body: Vec<u8>,
        metadata: Option<String>,
        context: Option<Vec<u8>>,
        capabilities: Vec<Capability>,
    },
    Failed {
        offline: bool,
        /// Where the interface tells it.
        target: Option<Address>,
        body: Vec<u8>,
        context: Option<Vec<u8>>,
        blob: Option<LazyLoadBlob>,
    },
}

/// What happens at exit.
pub enum Exit {
    /// Nothing.
    None,
    /// A new life.
    Restart,
    /// These are sent.
    Requests(Vec<Outgoing>),
}

/// Most messages kept between scripts.
const MOST_LOGGED: usize = 64;

/// One life of a process.
#[derive(Default)]
struct Script {
    log: Vec<Value>,
    /// Scripts begun in this life.
    begun: u64,
    /// What is done with what arrives between scripts, by its kind.
    on: Map<String, Value>,
    /// The body of what arrived last.
    arrived: Vec<u8>,
}

/// Whether the process goes on.
enum Flow {
    Next(Value),
    End,
}

/// Runs until a step ends it.
pub fn run(our: &str) {
    if let Some((_, parent)) = our.split_once("-of-") {
        let node = our.split('@').next().unwrap_or_default();
        if let Some(target) = said::address(&format!("{node}@{parent}")) {
            api::send(said::plain(target, b"\"born\"".to_vec()));
        }
    }
    let mut script = Script::default();
    loop {
        let incoming = api::receive();
        if measure::serve(&incoming) {
            continue;
        }
        let asked = match &incoming {
            Incoming::Request { body, .. } => serde_json::from_slice(body).unwrap_or(Value::Null),
            _ => Value::Null,
        };
        let answers = asked.get("run").is_some();
        let shows = asked.get("show").is_some();
        let steps = ["run", "do", "show"].iter().find_map(|way| asked.get(way));
        let Some(steps) = steps else {
            match script.meet(incoming, &asked) {
                Flow::Next(_) => continue,
                Flow::End => return,
            }
        };
        script.begun += 1;
        let mut results = Vec::new();
        for step in steps.as_array().into_iter().flatten() {
            match script.step(step) {
                Flow::Next(result) => results.push(result),
                Flow::End => return,
            }
        }
        if shows {
            return api::print(&Value::Array(results).to_string());
        }
        if answers {
            api::respond(Answer {
                body: Value::Array(results).to_string().into_bytes(),
                inherit: false,
                metadata: None,
                blob: None,
                capabilities: Vec::new(),
            });
        }
    }
}

impl Script {
    /// Keeps what arrived between scripts, and does what is said for its kind.
    fn meet(&mut self, incoming: Incoming, asked: &Value) -> Flow {
        let kind = asked.as_object().and_then(|fields| fields.keys().next());
        let steps = kind.and_then(|kind| self.on.get(kind)).cloned();
        if steps.is_none() && self.log.len() >= MOST_LOGGED {
            return Flow::Next(Value::Null);
        }
        if let Incoming::Request { body, .. } = &incoming {
            self.arrived.clone_from(body);
        }
        let mut told = said::arrived(incoming);
        if let Some(steps) = &steps {
            let mut did = Vec::new();
            for step in steps.as_array().into_iter().flatten() {
                match self.step(step) {
                    Flow::Next(result) => did.push(result),
                    Flow::End => return Flow::End,
                }
            }
            told["did"] = Value::Array(did);
        }
        if self.log.len() < MOST_LOGGED {
            self.log.push(told);
        }
        Flow::Next(Value::Null)
    }

    fn step(&mut self, step: &Value) -> Flow {
        let (name, options) = match step {
            Value::String(name) => (name.as_str(), &Value::Null),
            Value::Object(fields) => match fields.iter().next() {
                Some((name, options)) => (name.as_str(), options),
                None => return Flow::Next(json!("an empty step")),
            },
            _ => return Flow::Next(json!("no step")),
        };
        Flow::Next(match name {
            "send" | "send_all" | "await" | "receive" | "respond" => message(name, options),
            "spawn" => spawn(options),
            "log" => Value::Array(std::mem::take(&mut self.log)),
            "begun" => json!(self.begun),
            "on" => {
                self.on = options.as_object().cloned().unwrap_or_default();
                Value::Null
            }
            "http" => http_calls::act(options, &self.arrived),
            "end" => return Flow::End,
            "trap" | "panic" | "exit" | "exhaust" => fall(name, options),
            _ => measure::step(name, options).unwrap_or_else(|| own(name, options)),
        })
    }
}

/// Ends the process in one of the ways that are not a return.
fn fall(how: &str, options: &Value) -> ! {
    match how {
        "panic" => panic!("panicking as told"),
        "exit" => std::process::exit(options.as_i64().unwrap_or(0) as i32),
        "exhaust" => {
            let mut taken = Vec::new();
            loop {
                taken.push(vec![1_u8; 1 << 20]);
            }
        }
        _ => {
            eprintln!("trapping as told");
            std::process::abort();
        }
    }
}

/// Steps that send or receive.
fn message(name: &str, options: &Value) -> Value {
    let began = Instant::now();
    let arrived = match name {
        "receive" => Some(api::receive()),
        "respond" => {
            api::respond(said::answer(options));
            return Value::Null;
        }
        "send_all" => {
            let list = options.as_array().into_iter().flatten();
            api::send_all(list.filter_map(said::outgoing).collect());
            return Value::Null;
        }
        _ => match said::outgoing(options) {
            Some(outgoing) if name == "await" => api::send_and_await(outgoing),
            Some(outgoing) => {
                api::send(outgoing);
                return Value::Null;
            }
            None => return json!("that is no request"),
        },
    };
    let Some(incoming) = arrived else {
        return json!("the library refused to send");
    };
    let mut told = said::arrived(incoming);
    told["millis"] = json!(began.elapsed().as_millis() as u64);
    told
}

fn spawn(options: &Value) -> Value {
    let granted = said::list(options, "grant", |grant| {
        let holder: Option<ProcessId> = said::process(grant.get("to")?.as_str()?);
        Some((holder?, grant.get("params")?.to_string()))
    });
    let spawned = api::spawn(
        options.get("name").and_then(Value::as_str),
        options.get("path").and_then(Value::as_str).unwrap_or(""),
        said::exit(options.get("on_exit").unwrap_or(&Value::Null)),
        said::list(options, "request", said::capability),
        granted,
        options.get("public") == Some(&Value::Bool(true)),
    );
    match spawned {
        Ok(id) => json!({ "Ok": said::process_text(&id) }),
        Err(error) => json!({ "Err": error }),
    }
}

/// Steps that concern what the process itself has.
fn own(name: &str, options: &Value) -> Value {
    match name {
        "temp_dir" => files::directory(),
        "file" => files::act(options),
        "vfs" | "kv" | "sqlite" | "timer" => stores::act(name, options),
        "our" => api::our().map_or(json!("absent"), |our| json!(said::address_text(&our))),
        "blob" => said::blob(api::get_blob().as_ref()),
        "has_blob" => api::has_blob().map_or(json!("absent"), Value::Bool),
        "last_blob" => match api::last_blob() {
            Some(last) => said::blob(last.as_ref()),
            None => json!("absent"),
        },
        "state" => api::get_state().map_or(Value::Null, |state| said::text(&state)),
        "set_state" => {
            api::set_state(&options.to_string().into_bytes());
            Value::Null
        }
        "clear_state" => {
            api::clear_state();
            Value::Null
        }
        "on_exit" => said::exit_told(api::on_exit()),
        "set_on_exit" => {
            api::set_on_exit(said::exit(options));
            Value::Null
        }
        "print" => {
            api::print(options.as_str().unwrap_or_default());
            Value::Null
        }
        "capabilities" => said::capabilities(&api::our_capabilities()),
        "save" => {
            api::save_capabilities(&said::capabilities_of(options));
            Value::Null
        }
        "drop" => {
            api::drop_capabilities(&said::capabilities_of(options));
            Value::Null
        }
        _ => json!(format!("there is no step {name}")),
    }
}
