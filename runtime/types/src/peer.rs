//! Messages between nodes, without the one thing that a message must not say
//! itself: which node it comes from.
//!
//! Invariant: a [`PeerMessage`] names the process that sent it and no node, so
//! whoever turns it into a message to deliver has to say for which node it can
//! vouch; and it is small enough to travel.

use crate::message::cost;
use crate::{Address, Blob, KernelMessage, Message, MessageId, NodeName, ProcessId};

/// Largest message between nodes, serialised, in bytes.
pub const MAX_PEER_MESSAGE: usize = 10_485_800;

/// A message that leaves its node, or has just come from another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerMessage {
    id: MessageId,
    source: ProcessId,
    target: Address,
    rsvp: Option<Address>,
    message: Message,
    blob: Option<Blob>,
}

/// A message too large to travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("message too large: {size} bytes, and {MAX_PEER_MESSAGE} are the most between nodes")]
pub struct PeerMessageTooLarge {
    /// Its size, serialised.
    pub size: usize,
}

impl PeerMessage {
    /// Prepares `message` for its way. The node it says it comes from is
    /// forgotten, and so is a response's context, which is its receiver's.
    ///
    /// # Errors
    /// [`PeerMessageTooLarge`].
    pub fn new(message: KernelMessage) -> Result<Self, PeerMessageTooLarge> {
        let size = serialised_size(&message);
        if size > MAX_PEER_MESSAGE {
            return Err(PeerMessageTooLarge { size });
        }
        Ok(Self {
            id: message.id,
            source: message.source.process,
            target: message.target,
            rsvp: message.rsvp,
            message: match message.message {
                Message::Response(response, _) => Message::Response(response, None),
                request @ Message::Request(_) => request,
            },
            blob: message.lazy_load_blob,
        })
    }

    /// The message as one of `node`, for which the caller vouches.
    #[must_use]
    pub fn arriving_from(self, node: NodeName) -> KernelMessage {
        KernelMessage {
            id: self.id,
            source: Address::new(node, self.source),
            target: self.target,
            rsvp: self.rsvp,
            message: self.message,
            lazy_load_blob: self.blob,
        }
    }

    /// Joins requests and responses.
    #[must_use]
    pub fn id(&self) -> MessageId {
        self.id
    }

    /// The process that sent it.
    #[must_use]
    pub fn source(&self) -> &ProcessId {
        &self.source
    }

    /// Whom it is for.
    #[must_use]
    pub fn target(&self) -> &Address {
        &self.target
    }

    /// Request or response.
    #[must_use]
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// Bytes it occupies in a queue, as [`KernelMessage::cost`] counts.
    #[must_use]
    pub fn cost(&self) -> usize {
        cost(&self.message, self.blob.as_ref())
    }
}

/// An upper bound, close to the exact size, of the MessagePack form in which
/// byte strings are binary.
fn serialised_size(message: &KernelMessage) -> usize {
    /// Longest header of a string, array or number.
    const HEADER: usize = 9;
    /// A signature with its header, and the arrays around a capability.
    const SIGNATURE: usize = 64 + 8;
    let address = |address: &Address| {
        HEADER + 1 + address.node.as_str().len() + address.process.as_str().len()
    };
    let capabilities: usize = message
        .message
        .capabilities()
        .iter()
        .map(|held| address(&held.issuer) + HEADER + held.params.len() + SIGNATURE)
        .sum();
    let blob = message.lazy_load_blob.as_ref().map_or(1, |blob| {
        1 + text(blob.mime.as_deref()) + binary(blob.bytes.len())
    });
    // The outer array, the id, the variant's name, its flags and its arrays.
    let frame = 1 + HEADER + HEADER + 16;
    frame
        + address(&message.source)
        + address(&message.target)
        + message.rsvp.as_ref().map_or(1, address)
        + binary(message.message.body().len())
        + text(message.message.metadata())
        + capabilities
        + blob
}

/// Size of binary data of `length` bytes with its header.
fn binary(length: usize) -> usize {
    let header = match length {
        0..=0xff => 2,
        0x100..=0xffff => 3,
        _ => 5,
    };
    header + length
}

fn text(text: Option<&str>) -> usize {
    text.map_or(1, |text| binary(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Request, Response};

    fn message(blob: usize) -> KernelMessage {
        KernelMessage {
            id: MessageId(1),
            source: "mallory.dev@a:b:c".parse().unwrap(),
            target: "bob.dev@net:distro:sys".parse().unwrap(),
            rsvp: None,
            message: Message::Request(Request::default()),
            lazy_load_blob: Some(Blob {
                mime: None,
                bytes: vec![0; blob].into(),
            }),
        }
    }

    #[test]
    fn the_node_of_a_message_is_the_vouched_one_whatever_it_said() {
        let travelling = PeerMessage::new(message(0)).unwrap();
        let arrived = travelling.arriving_from(NodeName::new("alice.dev").unwrap());
        assert_eq!(arrived.source.to_string(), "alice.dev@a:b:c");
    }

    #[test]
    fn the_context_of_a_response_stays_at_home() {
        let mut response = message(0);
        response.message = Message::Response(Response::default(), Some("secret".into()));
        let travelling = PeerMessage::new(response).unwrap();
        assert_eq!(
            *travelling.message(),
            Message::Response(Response::default(), None)
        );
    }

    #[test]
    fn what_is_too_large_does_not_travel() {
        assert!(PeerMessage::new(message(MAX_PEER_MESSAGE - 200)).is_ok());
        let refused = PeerMessage::new(message(MAX_PEER_MESSAGE)).unwrap_err();
        assert!(refused.size > MAX_PEER_MESSAGE);
    }
}
