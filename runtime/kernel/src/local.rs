//! Making what a local process wrote canonical: node `our` becomes the node's
//! name, and old spellings of host-owned ids become the dash form.
//!
//! Only for what processes and modules of this node send. Doing it to a
//! message from another node would let a peer pass for `our`.

use node_types::{Address, Capability, KernelMessage, Message, NodeName, OnExit, alias};

/// The node string that stands for the own node.
const OUR: &str = "our";

/// Makes all addresses of a message sent on this node canonical.
pub fn localise(message: &mut KernelMessage, our: &NodeName) {
    localise_address(&mut message.source, our);
    localise_address(&mut message.target, our);
    if let Some(rsvp) = &mut message.rsvp {
        localise_address(rsvp, our);
    }
    localise_attached(message, our);
}

/// Makes the attached capabilities canonical, and nothing else: a target or
/// rsvp taken from a message of another node does not mean our `our`.
pub(crate) fn localise_attached(message: &mut KernelMessage, our: &NodeName) {
    let capabilities = match &mut message.message {
        Message::Request(request) => &mut request.capabilities,
        Message::Response(response, _) => &mut response.capabilities,
    };
    for capability in capabilities {
        localise_capability(capability, our);
    }
}

/// Makes one address canonical.
pub fn localise_address(address: &mut Address, our: &NodeName) {
    if address.node.as_str() == OUR {
        address.node = our.clone();
    }
    // The alias table holds ids of this publisher only.
    if address.process.publisher() == "sys" {
        address.process = alias::canonical(address.process.clone());
    }
}

/// Makes the issuer of a capability canonical; params are never touched.
pub fn localise_capability(capability: &mut Capability, our: &NodeName) {
    localise_address(&mut capability.issuer, our);
}

/// Makes the addresses inside an on-exit behaviour canonical.
pub fn localise_on_exit(on_exit: &mut OnExit, our: &NodeName) {
    if let OnExit::Requests(requests) = on_exit {
        for (target, request, _) in requests {
            localise_address(target, our);
            for capability in &mut request.capabilities {
                localise_capability(capability, our);
            }
        }
    }
}
