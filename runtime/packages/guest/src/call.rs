//! Requests that wait for their answer.

use crate::lib::{Address, LazyLoadBlob, Message, Request, SendErrorKind};

/// Why a request was not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The other node is unknown or unreachable.
    #[error("{0} is offline or does not exist")]
    Offline(String),
    /// Nothing came in time, or the message was refused.
    #[error("{0} did not answer")]
    Timeout(String),
    /// It answered that it could not.
    #[error("{0}")]
    Refused(String),
}

/// The bulk data to send along.
#[derive(Debug)]
pub enum Carry {
    /// None.
    Nothing,
    /// The last blob that this process received, without copying it into the
    /// process.
    LastBlob,
    /// These bytes.
    Bytes(Vec<u8>),
}

/// Sends `body` to `target` and waits at most `seconds` for the answer.
///
/// # Errors
/// [`CallError::Offline`] or [`CallError::Timeout`].
pub fn call(
    target: &Address,
    body: &[u8],
    carry: Carry,
    seconds: u64,
) -> Result<Message, CallError> {
    let mut request = Request::to(target).body(body);
    match carry {
        Carry::Nothing => {}
        Carry::LastBlob => request = request.inherit(true),
        Carry::Bytes(bytes) => request = request.blob(LazyLoadBlob { mime: None, bytes }),
    }
    match request.send_and_await_response(seconds) {
        Ok(Ok(message)) => Ok(message),
        Ok(Err(error)) => Err(match error.kind() {
            SendErrorKind::Offline => CallError::Offline(target.node().to_owned()),
            SendErrorKind::Timeout => CallError::Timeout(target.to_string()),
        }),
        // A target and a body are always set.
        Err(error) => Err(CallError::Refused(error.to_string())),
    }
}
