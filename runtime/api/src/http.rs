//! HTTP as it crosses the seam: one body type, and where a request came from.

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};

/// Any error of a body stream.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// A streamed body.
pub type HttpBody = UnsyncBoxBody<Bytes, BoxError>;
/// A request to a node.
pub type HttpRequest = http::Request<HttpBody>;
/// A node's answer.
pub type HttpResponse = http::Response<HttpBody>;

/// Where a connection came from. Travels with the connection as a value and
/// is never derived from anything the client sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// Through the reverse proxy: anyone.
    Public,
    /// Through the owner's SSH tunnel: may use local-only paths and the RPC.
    Tunnel,
}

/// A body holding `bytes`.
#[must_use]
pub fn body(bytes: impl Into<Bytes>) -> HttpBody {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// A body of length zero.
#[must_use]
pub fn empty_body() -> HttpBody {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}
