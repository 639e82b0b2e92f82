//! `sleeper:sleeper:tester.dev`: counts the answers of timers, through sleep.
//!
//! By message or POST to `/set`: `"Get"`, `{"Arm":MS}` sets one timer,
//! `{"Every":MS}` one that is set again whenever it elapses (0 ends that),
//! `{"AtStart":MS}` one that is set so again and at each start too, as most
//! apps do, `{"Bind":PATH}` binds a path, `{"Deaf":MS}` answers and then takes no
//! message for so long. Every answer, and `/count`, is what it keeps.
//!
//! Invariant: a life of it sets no timer with a context and binds no path but
//! `/count` and `/set` unless it is told to. So such a timer that elapses, or
//! another path that leads here, in a life that was not told is one that the
//! node kept for it.

use std::collections::HashMap;

use guest::lib::http::server::{send_response, HttpBindingConfig, HttpServer, HttpServerRequest};
use guest::lib::http::StatusCode;
use guest::lib::{self, Address, Message};
use guest::{print, respond};
use serde_json::{json, Value};

guest::process!(run);

/// Seconds to wait for the HTTP server.
const BIND_SECONDS: u64 = 5;
const TIMER: &str = "timer:distro:sys";

/// What it keeps.
#[derive(Default)]
struct Sleeper {
    /// Timers that elapsed.
    count: u64,
    /// How often it was started.
    lives: u64,
    /// Milliseconds of the timer that is set again; 0: none.
    every: u64,
    /// The same of the timer that is set at each start too.
    at_start: u64,
    /// Timers that it set otherwise; the number is the timer's context.
    armed: u64,
    /// Context of the timer that elapsed last.
    context: String,
}

fn run(our: Address) {
    let mut sleeper = Sleeper::restore();
    sleeper.lives += 1;
    sleeper.save();
    let mut server = HttpServer::new(BIND_SECONDS);
    bind(&mut server, "/count");
    bind(&mut server, "/set");
    sleeper.arm_as_at_start();
    loop {
        match lib::await_message() {
            Ok(Message::Response {
                source, context, ..
            }) if source.process.to_string() == TIMER => sleeper.elapsed(context),
            Ok(Message::Request { source, body, .. }) if source.node() == our.node() => {
                sleeper.serve(&our, &mut server, &body);
            }
            _ => {}
        }
    }
}

fn bind(server: &mut HttpServer, path: &str) {
    let open = HttpBindingConfig::default().authenticated(false);
    if let Err(failure) = server.bind_http_path(path, open) {
        print(&format!("cannot bind a path: {failure}"));
    }
}

impl Sleeper {
    fn restore() -> Self {
        let state = lib::get_state().unwrap_or_default();
        let state: Value = serde_json::from_slice(&state).unwrap_or_default();
        let number = |name: &str| state.get(name).and_then(Value::as_u64).unwrap_or_default();
        let context = state.get("context").and_then(Value::as_str);
        Self {
            count: number("count"),
            lives: number("lives"),
            every: number("every"),
            at_start: number("at_start"),
            armed: number("armed"),
            context: context.unwrap_or_default().to_owned(),
        }
    }

    fn told(&self) -> String {
        json!({
            "count": self.count,
            "lives": self.lives,
            "every": self.every,
            "at_start": self.at_start,
            "armed": self.armed,
            "context": self.context,
        })
        .to_string()
    }

    fn save(&self) {
        lib::set_state(self.told().as_bytes());
    }

    fn elapsed(&mut self, context: Option<Vec<u8>>) {
        self.count += 1;
        match context {
            Some(context) => {
                self.context = String::from_utf8_lossy(&context).into_owned();
                if self.every > 0 {
                    self.arm(self.every);
                }
            }
            None => self.arm_as_at_start(),
        }
        self.save();
    }

    fn arm(&mut self, millis: u64) {
        self.armed += 1;
        lib::timer::set_timer(millis, Some(self.armed.to_string().into_bytes()));
    }

    /// The timer without a context.
    fn arm_as_at_start(&self) {
        if self.at_start > 0 {
            lib::timer::set_timer(self.at_start, None);
        }
    }

    fn serve(&mut self, our: &Address, server: &mut HttpServer, body: &[u8]) {
        let request = match server.parse_request(body) {
            Ok(HttpServerRequest::Http(request)) => request,
            Ok(_) => return,
            Err(_) => {
                let deaf = self.command(server, body);
                respond(self.told());
                return be_deaf(deaf);
            }
        };
        let mut deaf = 0;
        if request.bound_path(Some(&our.process.to_string())) == "/set" {
            let command = lib::get_blob().unwrap_or_default();
            deaf = self.command(server, &command.bytes);
        }
        let headers = HashMap::from([("Content-Type".to_owned(), "application/json".to_owned())]);
        send_response(StatusCode::OK, Some(headers), self.told().into_bytes());
        be_deaf(deaf);
    }

    /// Carries out a command; for how long to be deaf then.
    fn command(&mut self, server: &mut HttpServer, body: &[u8]) -> u64 {
        let command: Value = serde_json::from_slice(body).unwrap_or_default();
        let number = |name: &str| command.get(name).and_then(Value::as_u64);
        if let Some(millis) = number("Arm") {
            self.arm(millis);
        }
        if let Some(millis) = number("Every") {
            self.every = millis;
            if millis > 0 {
                self.arm(millis);
            }
        }
        if let Some(millis) = number("AtStart") {
            self.at_start = millis;
            self.arm_as_at_start();
        }
        if let Some(path) = command.get("Bind").and_then(Value::as_str) {
            bind(server, path);
        }
        self.save();
        number("Deaf").unwrap_or_default()
    }
}

/// Takes no message for a while: it waits for one answer and nothing else.
fn be_deaf(millis: u64) {
    if millis > 0 {
        // That the timer failed would only end the wait.
        let _ = lib::timer::set_and_await_timer(millis);
    }
}
