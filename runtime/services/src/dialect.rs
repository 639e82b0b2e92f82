//! How the modules that store answer: in which generation's shapes, and with
//! bytes in the blob.

use bytes::Bytes;
use node_types::{Address, Blob, Edition, KernelMessage, Request};

use crate::{KernelPort, answer};

/// MIME type of what blobs hold, as every generation has it.
const BYTES: &str = "application/octet-stream";

/// Which generation's shapes an answer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Up to 0.9.
    Old,
    /// From 1.0.
    New,
}

impl Dialect {
    /// The dialect for a receiver of `edition` that was asked for in the old
    /// shape or not.
    pub(crate) fn of(edition: Option<Edition>, old_shape: bool) -> Self {
        if old_shape || edition.is_some_and(Edition::uses_underscores) {
            Self::Old
        } else {
            Self::New
        }
    }

    /// The dialect of the answer to `message`: that of the process it goes to,
    /// or of the request's own shape.
    pub(crate) fn of_answer(
        port: &dyn KernelPort,
        message: &KernelMessage,
        old_shape: bool,
    ) -> Self {
        let receiver = message.answer_to();
        let ours = receiver.node == *port.our();
        let edition = ours.then(|| port.edition(&receiver.process)).flatten();
        Self::of(edition, old_shape)
    }
}

/// Answers `message`, which is `request`, in the name of the module `us` with a
/// body and, in the blob, bytes. The request's metadata comes back.
pub(crate) fn reply(
    port: &dyn KernelPort,
    us: &Address,
    message: &KernelMessage,
    request: &Request,
    (body, bytes): (Vec<u8>, Option<Bytes>),
) {
    let blob = bytes.map(|bytes| Blob {
        mime: Some(BYTES.to_owned()),
        bytes,
    });
    let metadata = request.metadata.clone();
    port.send(answer(us.clone(), message, body, metadata, blob));
}
