//! Counts the bytes of messages that have not reached their process yet.
//!
//! A message may be large and its sender slow, so what the sockets of a node
//! hold of unfinished and undelivered messages is bounded together. Bytes are
//! counted as they are read, and given back once their message is delivered.
//!
//! Counted is what arrives, not what the head of a frame announces. For that
//! the library reserves room at once, which is address space only: it grows
//! the part of its buffer that is in use by [`super::BUFFER`] at a time, as
//! bytes arrive. Counting announcements would let fourteen bytes take what
//! costs their sender ten MiB now.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use node_api::ByteStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::pool::Part;

/// A connection whose reads are counted. Beyond the bound reading fails.
pub(crate) struct Metered {
    pub(crate) io: Box<dyn ByteStream>,
    pub(crate) meter: Arc<Part>,
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = out.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(context, out))?;
        let read = out.filled().len() - before;
        if self.meter.take(read as u64) {
            Poll::Ready(Ok(()))
        } else {
            Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into()))
        }
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
