//! When a node was last used, for hibernation.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use lifecycle::{Clock, Timestamp};
use node_api::ByteStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Remembers uses; something open counts as use until it is closed.
#[derive(Debug)]
pub(crate) struct Activity {
    clock: Arc<dyn Clock>,
    /// Unix time of the last use, seconds.
    last: AtomicI64,
    open: AtomicUsize,
}

/// A terminal, tunnel, WebSocket or request in progress.
#[derive(Debug)]
pub(crate) struct Open(Arc<Activity>);

/// A connection that counts as use until it is dropped.
pub(crate) struct InUse {
    pub(crate) io: Box<dyn ByteStream>,
    pub(crate) _open: Open,
}

impl AsyncRead for InUse {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, out)
    }
}

impl AsyncWrite for InUse {
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

impl Activity {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        let last = AtomicI64::new(clock.now().unix_timestamp());
        Arc::new(Self {
            clock,
            last,
            open: AtomicUsize::new(0),
        })
    }

    /// Something begins; it counts as use until the result is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> Open {
        self.open.fetch_add(1, Ordering::AcqRel);
        Open(self.clone())
    }

    /// It is used at this moment.
    pub(crate) fn touch(&self) {
        self.last
            .store(self.clock.now().unix_timestamp(), Ordering::Release);
    }

    /// The last use, which is now while anything is open.
    pub(crate) fn last(&self) -> Timestamp {
        let now = self.clock.now();
        if self.open.load(Ordering::Acquire) > 0 {
            return now;
        }
        Timestamp::from_unix_timestamp(self.last.load(Ordering::Acquire)).unwrap_or(now)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.touch();
        self.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use lifecycle::ManualClock;

    use super::*;

    #[test]
    fn something_open_is_use_until_it_is_closed() {
        let clock = ManualClock::default();
        let activity = Activity::new(Arc::new(clock.clone()));
        let open = activity.begin();
        clock.advance(100);
        assert_eq!(activity.last().unix_timestamp(), 100);
        drop(open);
        clock.advance(50);
        assert_eq!(activity.last().unix_timestamp(), 100);
    }
}
