//! Telling people and callers how an operation went.

use distro_logic::store_api::answer;
use guest::print;
use node_types::PackageId;
use serde_json::Value;

/// Prints the outcome of `operation` on `package` and makes the answer.
pub fn outcome(
    response: &str,
    package: &PackageId,
    done: &str,
    outcome: Result<(), String>,
) -> Value {
    match outcome {
        Ok(()) => {
            print(&format!("{done} {package}"));
            answer(response, "Success")
        }
        Err(reason) => {
            print(&format!("{package} was not {done}: {reason}"));
            answer(response, "Failure")
        }
    }
}
