//! Calls of the library's module `timer`.

use std::time::Instant;

use serde_json::{json, Value};

use super::text;
use crate::lib::timer;
use crate::{api, said};

/// `None` if the library has no such function. What is waited for is told like
/// a step `await`.
pub fn act(call: &str, options: &Value) -> Option<Value> {
    let millis = options.get("millis").and_then(Value::as_u64).unwrap_or(0);
    Some(match call {
        "set_timer" => {
            let context = options.get("context");
            let context = context.map(|_| text(options, "context").as_bytes().to_vec());
            timer::set_timer(millis, context);
            Value::Null
        }
        "set_and_await_timer" => {
            let began = Instant::now();
            let mut told = said::arrived(match timer::set_and_await_timer(millis) {
                Ok(message) => api::arrived(message),
                Err(error) => api::failed(error),
            });
            told["millis"] = json!(began.elapsed().as_millis() as u64);
            told
        }
        _ => return None,
    })
}
