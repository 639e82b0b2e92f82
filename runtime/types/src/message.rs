//! Messages between processes and the outcomes of sending them.
//!
//! Bodies and blobs are [`Bytes`]: passing them on never copies. The JSON and
//! MessagePack shapes are those of the public kernel interface (compact
//! external tagging); byte strings are arrays of integers in JSON.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{Address, Capability};

/// Identifies a request and the responses to it. Random; `inherit` reuses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageId(pub u64);

/// Bulk data that travels beside a message.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Blob {
    /// MIME type; opaque to the kernel.
    pub mime: Option<String>,
    /// The data.
    pub bytes: Bytes,
}

/// A message that may ask for an answer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Request {
    /// Reuse id, blob and answer address of the message being handled.
    pub inherit: bool,
    /// Seconds to wait for an answer; `None` = no answer wanted.
    pub expects_response: Option<u64>,
    /// The content, in whatever form both sides agree on.
    pub body: Bytes,
    /// JSON text the sender adds for whom it may concern.
    pub metadata: Option<String>,
    /// Rights handed over with the message.
    #[serde(default)]
    pub capabilities: Vec<Capability>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Response {
    /// Send the blob of the message being handled instead of an own one.
    pub inherit: bool,
    /// The content.
    pub body: Bytes,
    /// JSON text.
    pub metadata: Option<String>,
    /// Rights handed over with the message.
    #[serde(default)]
    pub capabilities: Vec<Capability>,
}

/// What travels: a request, or a response with the context bytes that its
/// receiver once stored (never taken from the wire).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// See [`Request`].
    Request(Request),
    /// See [`Response`].
    Response(Response, Option<Bytes>),
}

impl Message {
    /// The body of either kind.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        match self {
            Self::Request(request) => &request.body,
            Self::Response(response, _) => &response.body,
        }
    }

    /// The metadata of either kind.
    #[must_use]
    pub fn metadata(&self) -> Option<&str> {
        match self {
            Self::Request(request) => request.metadata.as_deref(),
            Self::Response(response, _) => response.metadata.as_deref(),
        }
    }

    /// Whether this is a request whose sender waits for an answer.
    #[must_use]
    pub fn expects_response(&self) -> bool {
        matches!(self, Self::Request(request) if request.expects_response.is_some())
    }

    /// Capabilities that travel with the message.
    #[must_use]
    pub fn capabilities(&self) -> &[Capability] {
        match self {
            Self::Request(request) => &request.capabilities,
            Self::Response(response, _) => &response.capabilities,
        }
    }

    /// The same, to be changed.
    pub fn capabilities_mut(&mut self) -> &mut Vec<Capability> {
        match self {
            Self::Request(request) => &mut request.capabilities,
            Self::Response(response, _) => &mut response.capabilities,
        }
    }
}

/// A message on its way, as the kernel sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelMessage {
    /// Joins requests and responses.
    pub id: MessageId,
    /// Who sent it.
    pub source: Address,
    /// Who shall get it.
    pub target: Address,
    /// Where an answer goes, if not to `source`.
    pub rsvp: Option<Address>,
    /// Request or response.
    pub message: Message,
    /// Bulk data beside it.
    pub lazy_load_blob: Option<Blob>,
}

impl KernelMessage {
    /// Where an answer to this message goes: `rsvp`, else `source`.
    #[must_use]
    pub fn answer_to(&self) -> &Address {
        self.rsvp.as_ref().unwrap_or(&self.source)
    }

    /// Bytes this message occupies in a mailbox: contents, metadata and
    /// capabilities, plus a flat cost for the addresses and each record.
    #[must_use]
    pub fn cost(&self) -> usize {
        cost(&self.message, self.lazy_load_blob.as_ref())
    }
}

/// See [`KernelMessage::cost`].
pub(crate) fn cost(message: &Message, blob: Option<&Blob>) -> usize {
    const RECORD: usize = 256;
    let blob = blob.map_or(0, |blob| {
        blob.bytes.len() + blob.mime.as_ref().map_or(0, String::len)
    });
    let capabilities: usize = message
        .capabilities()
        .iter()
        .map(|capability| RECORD + capability.params.len())
        .sum();
    RECORD + message.body().len() + message.metadata().map_or(0, str::len) + capabilities + blob
}

/// Why no answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SendErrorKind {
    /// The node is unknown or unreachable.
    Offline,
    /// No answer within the time the sender gave, or the message was refused.
    Timeout,
}

/// A send that will get no answer, with what had been sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendError {
    /// Why.
    pub kind: SendErrorKind,
    /// Whom it was for.
    pub target: Address,
    /// What was sent.
    pub message: Message,
    /// The blob that was sent with it.
    pub lazy_load_blob: Option<Blob>,
}

/// What happens when a process ends.
///
/// JSON: `"None"`, `"Restart"`, `{"Requests":[["n@p:k:g",{request},blob|null],…]}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum OnExit {
    /// It is gone.
    #[default]
    None,
    /// It starts again with the same rights.
    Restart,
    /// These requests are sent in its name; then it is gone.
    Requests(Vec<(Address, Request, Option<Blob>)>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_a_sender_can_make_large_counts_as_cost() {
        let empty = KernelMessage {
            id: MessageId(1),
            source: "a.dev@x:y:z".parse().unwrap(),
            target: "a.dev@x:y:z".parse().unwrap(),
            rsvp: None,
            message: Message::Request(Request::default()),
            lazy_load_blob: None,
        };
        let large = KernelMessage {
            message: Message::Request(Request {
                body: vec![0; 1000].into(),
                metadata: Some("x".repeat(1000)),
                capabilities: vec![Capability::new(empty.source.clone(), "1".repeat(1000))],
                ..Request::default()
            }),
            lazy_load_blob: Some(Blob {
                mime: Some("x".repeat(1000)),
                bytes: vec![0; 1000].into(),
            }),
            ..empty.clone()
        };
        assert!(large.cost() >= empty.cost() + 5000);
    }

    #[test]
    fn on_exit_has_the_public_json_shape() {
        let text = r#"{"Requests":[["a.dev@x:y:z",{"inherit":false,"expects_response":null,"body":[104,105],"metadata":null,"capabilities":[]},null]]}"#;
        let on_exit: OnExit = serde_json::from_str(text).unwrap();
        assert!(matches!(&on_exit, OnExit::Requests(list) if list[0].1.body == "hi"));
        assert_eq!(serde_json::to_string(&on_exit).unwrap(), text);
        assert_eq!(
            serde_json::from_str::<OnExit>("\"Restart\"").unwrap(),
            OnExit::Restart
        );
    }
}
