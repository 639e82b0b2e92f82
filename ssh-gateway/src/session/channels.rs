//! The two directions of a channel.
//!
//! Owns the inlets: for each channel, where its incoming data goes. russh
//! refills a channel's window before anyone has taken the data, so the bound
//! on what waits is kept here: a full inlet holds the connection back (and
//! through TCP its client) until its reader has taken something, and for at
//! most [`READER_STALL`]; then that channel is closed. Only [`Outlet`] and
//! [`ChannelIo`] write, and they respect the client's window, so a channel
//! whose reader is slow never blocks another. A channel ends when `closed` is
//! cancelled.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use parking_lot::Mutex;
use russh::ChannelWriteHalf;
use russh::server::Msg;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Packets (of at most 32 KiB) that may wait in an inlet: 512 KiB.
/// When full, the connection is not read.
const INLET_PACKETS: usize = 16;
/// How long a channel's reader may keep its connection waiting.
const READER_STALL: Duration = Duration::from_secs(30);
/// How long the last words of a channel may take to be queued.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// The stream number of standard error.
const STDERR: u32 = 1;

/// Where the incoming data of each channel goes. Clones are the same table.
#[derive(Debug, Clone, Default)]
pub(crate) struct Inlets(Arc<Mutex<HashMap<u32, Inlet>>>);

#[derive(Debug)]
struct Inlet {
    /// `None` after the client's end of file.
    sender: Option<mpsc::Sender<Bytes>>,
    closed: CancellationToken,
}

/// The client has closed the channel or is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone;

impl Inlets {
    /// Opens the inlet of channel `id`; `closed` is cancelled at its end.
    pub(crate) fn open(&self, id: u32, closed: CancellationToken) -> mpsc::Receiver<Bytes> {
        let (sender, receiver) = mpsc::channel(INLET_PACKETS);
        let sender = Some(sender);
        self.0.lock().insert(id, Inlet { sender, closed });
        receiver
    }

    /// Hands `data` to the reader of channel `id`, waiting for room. Data for
    /// a channel that nobody reads is dropped.
    pub(crate) async fn deliver(&self, id: u32, data: Bytes) {
        let sender = match self.0.lock().get(&id) {
            Some(Inlet {
                sender: Some(sender),
                ..
            }) => sender.clone(),
            _ => return,
        };
        let data = match sender.try_send(data) {
            Err(mpsc::error::TrySendError::Full(data)) => data,
            _ => return,
        };
        if tokio::time::timeout(READER_STALL, sender.send(data))
            .await
            .is_err()
        {
            tracing::info!(channel = id, "closed a channel whose data nobody takes");
            self.close(id);
        }
    }

    /// The client will send nothing more.
    pub(crate) fn end(&self, id: u32) {
        if let Some(inlet) = self.0.lock().get_mut(&id) {
            inlet.sender = None;
        }
    }

    /// The channel is no more.
    pub(crate) fn close(&self, id: u32) {
        if let Some(inlet) = self.0.lock().remove(&id) {
            inlet.closed.cancel();
        }
    }
}

/// Writes to a channel. At most one task has it.
#[derive(Debug)]
pub(crate) struct Outlet {
    writer: ChannelWriteHalf<Msg>,
    closed: CancellationToken,
}

impl Outlet {
    pub(crate) fn new(writer: ChannelWriteHalf<Msg>, closed: CancellationToken) -> Self {
        Self { writer, closed }
    }

    /// The channel's number.
    pub(crate) fn id(&self) -> u32 {
        self.writer.id().number()
    }

    /// Cancelled once the channel is closed by the client.
    pub(crate) fn closed(&self) -> &CancellationToken {
        &self.closed
    }

    /// Writes to standard output, as fast as the client reads.
    pub(crate) async fn stdout(&self, bytes: Bytes) -> Result<(), Gone> {
        tokio::select! {
            biased;
            () = self.closed.cancelled() => Err(Gone),
            sent = self.writer.data_bytes(bytes) => sent.map_err(|_| Gone),
        }
    }

    /// Writes to standard error.
    pub(crate) async fn stderr(&self, text: &str) -> Result<(), Gone> {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        tokio::select! {
            biased;
            () = self.closed.cancelled() => Err(Gone),
            sent = self.writer.extended_data_bytes(STDERR, bytes) => sent.map_err(|_| Gone),
        }
    }

    /// Says how the command ended and closes the channel.
    pub(crate) async fn finish(self, status: u32) {
        let words = async {
            let _ = self.writer.exit_status(status).await;
            let _ = self.writer.eof().await;
            let _ = self.writer.close().await;
        };
        let _ = tokio::time::timeout(LAST_WORDS, words).await;
    }

    /// Closes the channel.
    pub(crate) async fn close(self) {
        let _ = tokio::time::timeout(LAST_WORDS, self.writer.close()).await;
    }

    /// The channel as a stream of bytes; `inlet` is its incoming half.
    pub(crate) fn stream(&self, inlet: mpsc::Receiver<Bytes>) -> ChannelIo {
        ChannelIo {
            inlet,
            unread: Bytes::new(),
            writer: Box::new(self.writer.make_writer()),
            closed: self.closed.clone(),
            shut: false,
        }
    }
}

/// A channel as a stream: end of file in each direction is separate.
pub(crate) struct ChannelIo {
    inlet: mpsc::Receiver<Bytes>,
    unread: Bytes,
    writer: Box<dyn AsyncWrite + Send + Unpin>,
    closed: CancellationToken,
    /// Our end of file has been sent.
    shut: bool,
}

impl AsyncRead for ChannelIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // An empty packet is legal and must not look like the end of file.
        while self.unread.is_empty() {
            match std::task::ready!(self.inlet.poll_recv(context)) {
                Some(data) => self.unread = data,
                None => return Poll::Ready(Ok(())),
            }
        }
        let count = self.unread.len().min(buffer.remaining());
        buffer.put_slice(&self.unread[..count]);
        self.unread.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ChannelIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.shut || self.closed.is_cancelled() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if data.is_empty() {
            return Poll::Ready(Ok(0));
        }
        Pin::new(&mut self.writer).poll_write(context, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.shut || self.closed.is_cancelled() {
            return Poll::Ready(Ok(()));
        }
        std::task::ready!(Pin::new(&mut self.writer).poll_shutdown(context))?;
        self.shut = true;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_full_inlet_waits_for_its_reader_and_not_for_ever() {
        let inlets = Inlets::default();
        let closed = CancellationToken::new();
        let mut reader = inlets.open(7, closed.clone());
        for _ in 0..INLET_PACKETS {
            inlets.deliver(7, Bytes::from_static(b"x")).await;
        }
        let late = inlets.deliver(7, Bytes::from_static(b"y"));
        tokio::pin!(late);
        assert!(futures::poll!(late.as_mut()).is_pending());
        assert_eq!(reader.recv().await.unwrap(), "x");
        late.await;
        assert!(!closed.is_cancelled());

        inlets.deliver(7, Bytes::from_static(b"z")).await;
        assert!(closed.is_cancelled(), "the stalled channel was closed");
        // What had arrived can still be read; then it has ended.
        let mut left = Vec::new();
        while let Some(data) = reader.recv().await {
            left.push(data);
        }
        assert_eq!(left.len(), INLET_PACKETS);
        assert_eq!(left.last().unwrap(), "y");
    }

    #[tokio::test]
    async fn end_of_file_comes_after_the_data_and_a_close_is_told() {
        let inlets = Inlets::default();
        let closed = CancellationToken::new();
        let mut reader = inlets.open(1, closed.clone());
        inlets.deliver(1, Bytes::from_static(b"last")).await;
        inlets.end(1);
        inlets.deliver(1, Bytes::from_static(b"too late")).await;
        assert_eq!(reader.recv().await.unwrap(), "last");
        assert!(reader.recv().await.is_none());
        assert!(!closed.is_cancelled());
        inlets.close(1);
        assert!(closed.is_cancelled());
        inlets
            .deliver(9, Bytes::from_static(b"unknown channel"))
            .await;
    }
}
