//! Gives up a client that takes nothing of what is written to it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::Sleep;

use super::deadlines::WRITE_DEADLINE;

/// Runs while a write waits for the client.
#[derive(Debug, Default)]
pub(super) struct WriteDeadline(Option<Pin<Box<Sleep>>>);

impl WriteDeadline {
    /// What a write came to, or its failure once it made no progress for too
    /// long.
    pub(super) fn watch<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.0 = None;
            return written;
        }
        let deadline = self
            .0
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(WRITE_DEADLINE)));
        ready!(deadline.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}
