//! Questions to `net:distro:sys`, in MessagePack.

use kinode_process_lib::net::{NetAction, NetResponse};
use kinode_process_lib::Address;

use crate::{call, local, CallError, Carry};

/// Longest wait for an answer, in seconds.
const SECONDS: u64 = 5;

/// Asks the network module of this node.
///
/// # Errors
/// [`CallError`]; an answer that is none counts as a refusal.
pub fn ask(our: &Address, action: &NetAction) -> Result<NetResponse, CallError> {
    let refused = |why: String| CallError::Refused(why);
    let net = local(our, "net:distro:sys")
        .ok_or_else(|| refused("this node has no network module".to_owned()))?;
    let body = rmp_serde::to_vec(action).map_err(|error| refused(error.to_string()))?;
    let answer = call(&net, &body, Carry::Nothing, SECONDS)?;
    rmp_serde::from_slice(answer.body()).map_err(|error| refused(error.to_string()))
}
