//! Commands to the kernel.
//!
//! Some are never answered (GrantCapabilities, KillProcess of an unknown
//! process); those are told, not called. They take effect before the next
//! message of this process is sent.

use serde_json::{json, Value};

use crate::lib::{Address, Request};
use crate::{call, local, CallError, Carry};

/// The kernel answers at once; this only bounds a wait for the impossible.
const SECONDS: u64 = 5;
const KERNEL: &str = "kernel:distro:sys";

fn kernel(our: &Address) -> Result<Address, CallError> {
    local(our, KERNEL).ok_or_else(|| CallError::Refused("no kernel address".to_owned()))
}

/// Sends `command` and returns the kernel's JSON answer.
///
/// # Errors
/// [`CallError`] when there was no answer or it was not JSON.
pub fn ask(our: &Address, command: &Value, carry: Carry) -> Result<Value, CallError> {
    let answer = call(
        &kernel(our)?,
        command.to_string().as_bytes(),
        carry,
        SECONDS,
    )?;
    serde_json::from_slice(answer.body())
        .map_err(|error| CallError::Refused(format!("the kernel's answer is not JSON: {error}")))
}

/// Sends `command` without waiting for anything.
pub fn tell(our: &Address, command: &Value) {
    if let Ok(kernel) = kernel(our) {
        // `send` fails only without a body.
        let _ = Request::to(kernel).body(command.to_string()).send();
    }
}

/// The process map, as the kernel prints it.
///
/// # Errors
/// [`CallError`] as for [`ask`].
pub fn process_map(our: &Address) -> Result<Value, CallError> {
    let mut answer = ask(our, &json!({"Debug": "ProcessMap"}), Carry::Nothing)?;
    match answer.pointer_mut("/Debug/ProcessMap") {
        Some(map @ Value::Object(_)) => Ok(map.take()),
        _ => Err(CallError::Refused(
            "the kernel sent no process map".to_owned(),
        )),
    }
}

/// What the node and its processes use, as the kernel counts it.
///
/// # Errors
/// [`CallError`] as for [`ask`].
pub fn usage(our: &Address) -> Result<Value, CallError> {
    let mut answer = ask(our, &json!({"Debug": "Usage"}), Carry::Nothing)?;
    match answer.pointer_mut("/Debug/Usage") {
        Some(report @ Value::Object(_)) => Ok(report.take()),
        _ => Err(CallError::Refused(
            "the kernel sent no report of usage".to_owned(),
        )),
    }
}

/// What the kernel knows of a process; `None` when there is no such process.
///
/// # Errors
/// [`CallError`] as for [`ask`].
pub fn find(our: &Address, process: &str) -> Result<Option<Value>, CallError> {
    let mut answer = ask(our, &json!({"Debug": {"Process": process}}), Carry::Nothing)?;
    Ok(answer
        .pointer_mut("/Debug/Process")
        .map(Value::take)
        .filter(|process| !process.is_null()))
}

/// Kills a process that is known to exist.
///
/// # Errors
/// [`CallError`]; a process that ended in the meantime counts as no answer.
pub fn kill(our: &Address, process: &str) -> Result<(), CallError> {
    ask(our, &json!({"KillProcess": process}), Carry::Nothing).map(|_| ())
}

/// Gives `capabilities` to `target`.
pub fn grant(our: &Address, target: &str, capabilities: &[Value]) {
    if !capabilities.is_empty() {
        tell(
            our,
            &json!({"GrantCapabilities": {"target": target, "capabilities": capabilities}}),
        );
    }
}

/// Makes a process from the blob received last.
///
/// # Errors
/// [`CallError::Refused`] when the kernel would not.
pub fn initialize(our: &Address, process: &Initialize<'_>) -> Result<(), CallError> {
    let answer = ask(
        our,
        &json!({"InitializeProcess": {
            "id": process.id,
            "wasm_bytes_handle": process.wasm_path,
            "wit_version": process.wit_version,
            "book": process.book,
            "on_exit": process.on_exit,
            "initial_capabilities": process.capabilities,
            "public": process.public,
        }}),
        Carry::LastBlob,
    )?;
    if answer == json!("InitializedProcess") {
        return Ok(());
    }
    Err(CallError::Refused(format!(
        "the kernel did not accept {} as {}",
        process.wasm_path, process.id
    )))
}

/// Starts an initialised process.
///
/// # Errors
/// [`CallError::Refused`] when it did not start.
pub fn run(our: &Address, process: &str) -> Result<(), CallError> {
    let answer = ask(our, &json!({"RunProcess": process}), Carry::Nothing)?;
    if answer == json!("StartedProcess") {
        return Ok(());
    }
    Err(CallError::Refused(format!("{process} did not start")))
}

/// A process to make.
#[derive(Debug)]
pub struct Initialize<'a> {
    /// Its process id.
    pub id: &'a str,
    /// Where its component is in the VFS.
    pub wasm_path: &'a str,
    /// `wit_version` of its package.
    pub wit_version: Option<u32>,
    /// Whether the tools of the book packed it.
    pub book: bool,
    /// What happens when it ends, in the kernel's JSON form.
    pub on_exit: &'a Value,
    /// Capabilities it starts with, in the kernel's JSON form.
    pub capabilities: &'a [Value],
    /// Whether every process of the node may message it.
    pub public: bool,
}
