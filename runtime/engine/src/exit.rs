//! How processes end, in words for their owner.

use wasmtime_wasi::I32Exit;

use crate::guest::MAX_HOSTCALL_BYTES;
use crate::host::HostTrap;
use crate::limits::LimitReached;
use crate::stderr::{STDERR_CAPACITY, Stderr};

/// Functions named in the message of a trap.
const MAX_FRAMES: usize = 6;

/// How wasmtime ends what it says of a call that carries more than it may.
const HOSTCALL_TOO_LARGE: &str = "fuel allocated for hostcalls has been exhausted";

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// `init` returned, or the guest exited with success.
    Finished,
    /// It trapped, or the guest exited with a failure.
    Trapped {
        /// What it wrote to stderr, else the cause; a limit is always named.
        message: String,
    },
    /// It never ran.
    NotInstantiable {
        /// Why.
        message: String,
    },
}

/// The end of a guest whose `init` failed.
pub(crate) fn exit_of(error: &wasmtime::Error, stderr: &Stderr) -> Exit {
    if let Some(I32Exit(0)) = error.downcast_ref::<I32Exit>() {
        return Exit::Finished;
    }
    Exit::Trapped {
        message: explain(error, stderr),
    }
}

/// The message for a failed guest: a limit or a refusal of the host by name;
/// what the guest itself said; else the cause and where it happened.
pub(crate) fn explain(error: &wasmtime::Error, stderr: &Stderr) -> String {
    let said = stderr.text();
    let named = if let Some(limit) = error.downcast_ref::<LimitReached>() {
        Some(limit.to_string())
    } else if error.root_cause().to_string().ends_with(HOSTCALL_TOO_LARGE) {
        Some(format!(
            "message limit reached: one call to the host may carry {} MiB; send less at once",
            MAX_HOSTCALL_BYTES >> 20
        ))
    } else {
        error.downcast_ref::<HostTrap>().map(HostTrap::to_string)
    };
    let mut message = match (named, said.is_empty()) {
        (Some(named), true) => named,
        (Some(named), false) => format!("{named}\n{said}"),
        (None, false) => said,
        (None, true) => {
            let mut text = error.root_cause().to_string();
            if let Some(trace) = error.downcast_ref::<wasmtime::WasmBacktrace>() {
                for frame in trace.frames().iter().take(MAX_FRAMES) {
                    if let Some(name) = frame.func_name() {
                        text.push_str("\n  in ");
                        text.push_str(name);
                    }
                }
            }
            text
        }
    };
    if message.len() > STDERR_CAPACITY {
        let end = message.floor_char_boundary(STDERR_CAPACITY);
        message.truncate(end);
    }
    message
}
