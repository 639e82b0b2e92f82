//! What becomes of a message at the border of the node: leaving it, and
//! arriving from another one.
//!
//! Invariants: capabilities of this node carry its signature when they leave,
//! and count for nothing when they come back without it; a message that has
//! arrived comes from the node that the transport vouches for.

use node_types::{
    CapSignature, Capability, KernelMessage, NodeName, PeerMessage, PeerMessageTooLarge, alias,
};

use crate::route::Refusal;

/// Most capabilities that leave or arrive with one message; the rest is left
/// out. Each costs a signature, made or checked while others wait.
pub const MAX_TRAVELLING: usize = 32;
/// Longest params of one that arrives.
const MAX_PARAMS: usize = 16 << 10;

/// Prepares a message of a process of this node for another one. Its attached
/// capabilities have been filtered ([`crate::ProcessTable::filter_attached`]).
///
/// # Errors
/// [`PeerMessageTooLarge`], to be printed: nobody is told.
pub fn depart(
    mut message: KernelMessage,
    our: &NodeName,
    sign: impl Fn(&Capability) -> CapSignature,
) -> Result<PeerMessage, PeerMessageTooLarge> {
    let attached = message.message.capabilities_mut();
    attached.truncate(MAX_TRAVELLING);
    for capability in attached {
        if capability.issuer.node == *our {
            let signature = sign(capability);
            *capability = capability.clone().with_signature(Some(signature));
        }
    }
    PeerMessage::new(message)
}

/// Takes in a message of `from`, a node that the caller vouches for: the
/// message as this node sees it, still to be routed. `genuine` says whether a
/// capability bears this node's signature.
///
/// # Errors
/// [`Refusal`].
pub fn admit(
    our: &NodeName,
    from: &NodeName,
    message: PeerMessage,
    genuine: impl Fn(&Capability) -> bool,
) -> Result<KernelMessage, Refusal> {
    let mut message = message.arriving_from(from.clone());
    // The kernel believes what comes from its own node.
    if from == our || message.target.node != *our {
        return Err(Refusal::RemoteTargetUnknown {
            from: message.source,
            target: message.target,
        });
    }
    message.source.process = alias::canonical(message.source.process);
    message.target.process = alias::canonical(message.target.process);
    message.rsvp = message.rsvp.map(alias::canonical_address);
    let attached = message.message.capabilities_mut();
    attached.truncate(MAX_TRAVELLING);
    *attached = std::mem::take(attached)
        .into_iter()
        .filter_map(|capability| arriving(our, capability, &genuine))
        .collect();
    Ok(message)
}

/// A capability of this node, if it is one; any other as it is: whether it is
/// genuine is for its issuer to say. One of the node `our` is nobody's: here
/// that name would be this node's.
fn arriving(
    our: &NodeName,
    capability: Capability,
    genuine: impl Fn(&Capability) -> bool,
) -> Option<Capability> {
    if capability.params.len() > MAX_PARAMS || capability.issuer.node.as_str() == "our" {
        return None;
    }
    if capability.issuer.node != *our {
        return Some(capability);
    }
    genuine(&capability).then(|| {
        let issuer = alias::canonical_address(capability.issuer);
        Capability::new(issuer, capability.params)
    })
}
