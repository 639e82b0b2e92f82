//! The socket below HTTP/2.
//!
//! Gives first what was read of it already, gives up a client that takes
//! nothing, and waits for one that still sends when we have ended our side.
//! Holds the connection's place. Stops with the connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::listener::linger::Linger;
use crate::listener::slots::Slot;
use crate::listener::write_deadline::WriteDeadline;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Wire<I> {
    io: I,
    /// Read already.
    begun: Bytes,
    write_deadline: WriteDeadline,
    linger: Option<Linger>,
    _slot: Option<Slot>,
}

impl<I: AsyncRead + AsyncWrite + Unpin> Wire<I> {
    pub(super) fn new(io: I, begun: Bytes, slot: Option<Slot>) -> Self {
        Self {
            io,
            begun,
            write_deadline: WriteDeadline::default(),
            linger: None,
            _slot: slot,
        }
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncRead for Wire<I> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.begun.has_remaining() {
            let length = this.begun.len().min(out.remaining());
            out.put_slice(&this.begun.split_to(length));
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut this.io).poll_read(context, out)
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<I> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write(context, bytes);
        this.write_deadline.watch(context, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write_vectored(context, slices);
        this.write_deadline.watch(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.io).poll_flush(context);
        this.write_deadline.watch(context, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.io).poll_shutdown(context))?;
        }
        let linger = this.linger.get_or_insert_with(Linger::default);
        linger.poll(&mut this.io, context).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn what_was_read_comes_first() {
        let (mut client, server) = tokio::io::duplex(64);
        let mut wire = Wire::new(server, Bytes::from_static(b"first "), None);
        client.write_all(b"second").await.unwrap();
        client.shutdown().await.unwrap();
        let mut read = String::new();
        wire.read_to_string(&mut read).await.unwrap();
        assert_eq!(read, "first second");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_given_up() {
        let (client, server) = tokio::io::duplex(16);
        let mut wire = Wire::new(server, Bytes::new(), None);
        let error = wire.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(client);
    }
}
