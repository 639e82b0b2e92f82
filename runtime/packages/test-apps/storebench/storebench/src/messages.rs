//! Runs without files or databases: the bare round trip, timers, state.
//!
//! Each run ends with its rounds, see [`crate::job`].

use guest::lib::{self, timer, Request};
use guest::local;

use crate::job::{Job, Outcome};

const PEER: &str = "peer:storebench:tester.dev";
/// Longest wait for an answer, in seconds.
const SECONDS: u64 = 5;

/// A request with a body of so many bytes to another process, and its answer.
pub fn round_trip(job: &Job) -> Outcome {
    let peer = local(&job.our, PEER).ok_or("no address of the peer")?;
    let body = vec![b'7'; job.bytes];
    let times = job.repeat(|_, times| {
        times.of(|| {
            let sent = Request::to(&peer)
                .body(body.clone())
                .send_and_await_response(SECONDS);
            match sent {
                Ok(Ok(message)) if message.body().len() == job.bytes => Ok(()),
                Ok(Ok(_)) => Err("another answer".to_owned()),
                Ok(Err(error)) => Err(error.to_string()),
                Err(error) => Err(error.to_string()),
            }
        })
    })?;
    Ok(times.report(1))
}

/// A timer that is due at once.
pub fn timer(job: &Job) -> Outcome {
    let times = job.repeat(|_, times| {
        times.of(|| match timer::set_and_await_timer(0) {
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        })
    })?;
    Ok(times.report(1))
}

/// Saving a state of so many bytes.
pub fn state_set(job: &Job) -> Outcome {
    let mut state = vec![7; job.bytes];
    let times = job.repeat(|round, times| {
        if let Some(first) = state.first_mut() {
            *first = round as u8;
        }
        times.of(|| {
            lib::set_state(&state);
            Ok::<(), String>(())
        })
    })?;
    if lib::get_state().as_ref() != Some(&state) {
        return Err("the state is not what was saved last".to_owned());
    }
    lib::clear_state();
    Ok(times.report(1))
}
