//! Counts the bytes of messages that have not reached their app yet.
//!
//! A message may be large and its sender slow, so what all sockets of a node
//! hold of unfinished and undelivered messages is bounded together. Bytes are
//! counted as they are read, and given back once their message is delivered.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use node_api::ByteStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::http_server::body::Budget;

/// One socket's share of the bound.
#[derive(Debug)]
pub(super) struct Meter {
    budget: Arc<Budget>,
    held: AtomicU64,
}

impl Meter {
    pub(super) fn new(budget: Arc<Budget>) -> Arc<Self> {
        Arc::new(Self {
            budget,
            held: AtomicU64::new(0),
        })
    }

    fn add(&self, bytes: u64) -> bool {
        let fits = self.budget.take(bytes);
        if fits {
            self.held.fetch_add(bytes, Ordering::AcqRel);
        }
        fits
    }

    /// Gives `bytes` back, at most what is held.
    pub(super) fn give_back(&self, bytes: u64) {
        let less = |held: u64| Some(held.saturating_sub(bytes));
        let before = self
            .held
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, less)
            .unwrap_or_default();
        self.budget.give_back(before.min(bytes));
    }

    /// What is held now.
    pub(super) fn held(&self) -> u64 {
        self.held.load(Ordering::Acquire)
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.budget.give_back(self.held());
    }
}

/// A connection whose reads are counted. Beyond the bound reading fails.
pub(super) struct Metered {
    pub(super) io: Box<dyn ByteStream>,
    pub(super) meter: Arc<Meter>,
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
        if self.meter.add(read as u64) {
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
