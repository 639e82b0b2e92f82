//! Waits for a client that still sends on a connection that was closed on our
//! side, because resetting the connection would take our answer from it.
//!
//! Bounded in time and bytes; stops with the connection.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::Sleep;

/// How long and how much a closing connection goes on reading.
const DEADLINE: Duration = Duration::from_secs(2);
const BYTES: usize = 64 << 20;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Linger {
    deadline: Pin<Box<Sleep>>,
    left: usize,
}

impl Default for Linger {
    fn default() -> Self {
        Self {
            deadline: Box::pin(tokio::time::sleep(DEADLINE)),
            left: BYTES,
        }
    }
}

impl Linger {
    /// Reads and forgets; ready when the client has ended its side too, or was
    /// waited for long enough.
    pub(super) fn poll<I: AsyncRead + Unpin>(
        &mut self,
        io: &mut I,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        let mut scratch = [0; 16 * 1024];
        loop {
            if self.deadline.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            let mut buffer = ReadBuf::new(&mut scratch);
            let read = ready!(Pin::new(&mut *io).poll_read(context, &mut buffer));
            let length = buffer.filled().len();
            self.left = self.left.saturating_sub(length);
            if read.is_err() || length == 0 || self.left == 0 {
                return Poll::Ready(());
            }
        }
    }
}
