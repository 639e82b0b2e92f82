//! A client's socket that can be ended from outside.
//!
//! russh runs a connection in a task of its own, and waits without limit for
//! a client that has stopped reading, or that was told to go and stays. Once
//! `killed` is cancelled, or a write has made no progress for
//! [`WRITE_STALL`], every operation fails, and with it that task ends.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// How long a client may leave its receive buffer full.
const WRITE_STALL: Duration = Duration::from_secs(120);

/// See the module's documentation.
pub(crate) struct Transport<S> {
    stream: S,
    killed: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Fires when a write has been pending for too long.
    stall: Pin<Box<Sleep>>,
    stalled: bool,
}

impl<S> Transport<S> {
    pub(crate) fn new(stream: S, killed: CancellationToken) -> Self {
        Self {
            stream,
            killed: Box::pin(killed.cancelled_owned()),
            stall: Box::pin(tokio::time::sleep(WRITE_STALL)),
            stalled: false,
        }
    }

    fn check_killed(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.killed.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionAborted.into()),
            Poll::Pending => Ok(()),
        }
    }

    /// Passes on the outcome of a write; a pending one only for so long.
    fn watched<T>(
        &mut self,
        context: &mut Context<'_>,
        outcome: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.stalled = false;
            return outcome;
        }
        if !self.stalled {
            self.stalled = true;
            self.stall.as_mut().reset(Instant::now() + WRITE_STALL);
        }
        match self.stall.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Transport<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check_killed(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Transport<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check_killed(context)?;
        let outcome = Pin::new(&mut self.stream).poll_write(context, data);
        self.watched(context, outcome)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check_killed(context)?;
        let outcome = Pin::new(&mut self.stream).poll_flush(context);
        self.watched(context, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn killing_ends_a_pending_read() {
        let (ours, _theirs) = tokio::io::duplex(16);
        let killed = CancellationToken::new();
        let mut transport = Transport::new(ours, killed.clone());
        let mut buffer = [0; 4];
        let read = transport.read(&mut buffer);
        tokio::pin!(read);
        assert!(futures::poll!(read.as_mut()).is_pending());
        killed.cancel();
        assert_eq!(
            read.await.unwrap_err().kind(),
            io::ErrorKind::ConnectionAborted
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_never_reads_is_given_up() {
        let (ours, mut theirs) = tokio::io::duplex(16);
        let mut transport = Transport::new(ours, CancellationToken::new());
        // A slow reader is fine as long as it reads at all.
        for _ in 0..3 {
            transport.write_all(&[1; 16]).await.unwrap();
            tokio::time::advance(WRITE_STALL).await;
            theirs.read_exact(&mut [0; 16]).await.unwrap();
        }
        transport.write_all(&[1; 16]).await.unwrap();
        let stuck = transport.write_all(&[1; 1]).await.unwrap_err();
        assert_eq!(stuck.kind(), io::ErrorKind::TimedOut);
    }
}
