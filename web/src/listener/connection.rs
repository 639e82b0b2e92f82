//! Serves one connection, in the HTTP that its client speaks.
//!
//! Stops as [`http1`] and [`http2`] say; a client that says nothing is let go.

use lifecycle::Tasks;
use tokio::net::TcpStream;

use super::answer::Visitor;
use super::preface::{self, Begun};
use super::slots::Slot;
use super::{http1, http2};

/// Serves `stream` to its end. Tasks of it that carry single requests are among
/// `tasks`.
pub(super) async fn serve(mut stream: TcpStream, visitor: Visitor, slot: Slot, tasks: Tasks) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(peer = %visitor.peer, "failed to set TCP_NODELAY: {error}");
    }
    let begun = preface::read(&mut stream, &visitor.stop.closing).await;
    // Boxed: most connections need one of the two, which are large.
    match begun {
        Begun::Silent => {}
        Begun::Http1(read) => Box::pin(http1::serve(stream, read, visitor, slot)).await,
        Begun::Http2(read) => {
            Box::pin(http2::serve(stream, read.freeze(), visitor, slot, tasks)).await;
        }
    }
}
