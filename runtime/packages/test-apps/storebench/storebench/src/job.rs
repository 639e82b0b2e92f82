//! What is to be measured, and the times that it took.
//!
//! Invariant: only the call itself is timed, not what is made ready for it. A
//! run ends after its rounds or its time, whichever is first.

use std::fmt::Display;
use std::time::{Duration, Instant};

use guest::lib::Address;
use serde_json::{json, Value};

/// Longest run; the caller waits 15 s at most.
const MOST_TIME: Duration = Duration::from_secs(8);
const MOST_ROUNDS: u64 = 1_000_000;
const MOST_BYTES: u64 = 8 << 20;

/// The answer to a run; the error says what failed.
pub type Outcome = Result<Value, String>;

/// One run.
pub struct Job {
    /// This process.
    pub our: Address,
    /// Most calls.
    pub rounds: u64,
    /// Bytes that each call is about.
    pub bytes: usize,
}

impl Job {
    /// What `request` asks for, within bounds.
    pub fn new(our: &Address, request: &Value) -> Self {
        let number = |name: &str, default: u64, most: u64| {
            let value = request.get(name).and_then(Value::as_u64);
            value.unwrap_or(default).min(most)
        };
        Self {
            our: our.clone(),
            rounds: number("rounds", 1000, MOST_ROUNDS),
            bytes: number("bytes", 100, MOST_BYTES) as usize,
        }
    }

    /// Calls `once` with the number of each round until the run ends. `once`
    /// times itself by [`Times::of`].
    ///
    /// # Errors
    /// The first failure, with the number of its round.
    pub fn repeat(
        &self,
        mut once: impl FnMut(u64, &mut Times) -> Result<(), String>,
    ) -> Result<Times, String> {
        let mut times = Times(Vec::with_capacity(self.rounds as usize));
        let begun = Instant::now();
        for round in 0..self.rounds {
            once(round, &mut times).map_err(|error| format!("round {round}: {error}"))?;
            if begun.elapsed() > MOST_TIME {
                break;
            }
        }
        Ok(times)
    }
}

/// Times of calls, in nanoseconds.
pub struct Times(Vec<u64>);

impl Times {
    /// Times `call`.
    ///
    /// # Errors
    /// Those of `call`, as text.
    pub fn of<T, E: Display>(&mut self, call: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
        let start = Instant::now();
        let done = call();
        self.0.push(start.elapsed().as_nanos() as u64);
        done.map_err(|error| error.to_string())
    }

    /// The figures, where each time is that of `each` operations.
    pub fn report(mut self, each: u64) -> Value {
        self.0.sort_unstable();
        let count = self.0.len().max(1);
        let total: u64 = self.0.iter().sum();
        let at = |per_mille: usize| {
            let value = self.0.get((count - 1) * per_mille / 1000);
            value.copied().unwrap_or_default() / each
        };
        let mean = total as f64 / count as f64 / each as f64;
        json!({
            "rounds": self.0.len(),
            "p50_ns": at(500),
            "p99_ns": at(990),
            "mean_ns": mean,
            "per_second": 1e9 / mean,
        })
    }
}

/// The error of a library call as text.
pub fn text(error: impl Display) -> String {
    error.to_string()
}
