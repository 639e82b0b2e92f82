//! Keeps the end of what a guest writes to stderr.
//!
//! A guest that panics writes its reason last, so the newest bytes are kept
//! and older ones dropped; writing never fails, or a chatty guest would die of
//! its own logging.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// How much is kept.
pub(crate) const STDERR_CAPACITY: usize = 5000;

/// The last [`STDERR_CAPACITY`] bytes of one guest's stderr. Clones are the
/// same buffer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stderr(Arc<Mutex<VecDeque<u8>>>);

impl Stderr {
    /// What was captured, as text.
    pub(crate) fn text(&self) -> String {
        let mut kept = self.0.lock();
        String::from_utf8_lossy(kept.make_contiguous()).into_owned()
    }

    fn append(&self, bytes: &[u8]) {
        let newest = &bytes[bytes.len().saturating_sub(STDERR_CAPACITY)..];
        let mut kept = self.0.lock();
        let excess = (kept.len() + newest.len()).saturating_sub(STDERR_CAPACITY);
        kept.drain(..excess);
        kept.extend(newest);
    }
}

impl IsTerminal for Stderr {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stderr {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Stderr {
    async fn ready(&mut self) {}
}

impl OutputStream for Stderr {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.append(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(STDERR_CAPACITY)
    }
}

impl AsyncWrite for Stderr {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.append(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_bytes_are_kept() {
        let stderr = Stderr::default();
        stderr.append(&[b'a'; STDERR_CAPACITY]);
        stderr.append(b"panicked: last words");
        let text = stderr.text();
        assert_eq!(text.len(), STDERR_CAPACITY);
        assert!(text.starts_with('a') && text.ends_with("last words"));

        stderr.append(&[b'b'; 3 * STDERR_CAPACITY]);
        assert_eq!(stderr.text(), "b".repeat(STDERR_CAPACITY));
    }
}
