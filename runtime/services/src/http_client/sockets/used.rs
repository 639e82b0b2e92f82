//! For how long a socket counts as use of its node.
//!
//! Owns the use. Invariant: it is there while a message moved in the last
//! [`QUIET`], and never after [`Use::end`]. So an app has no node that is always
//! awake for a socket on which nothing happens; pings are nothing, since every
//! socket has them. Whoever owns the socket has to look from time to time.

use std::time::Duration;

use tokio::time::Instant;

use crate::http_client::{InUse, Used};

/// How long after its last message a socket is still use.
const QUIET: Duration = Duration::from_secs(600);

/// See the module's documentation.
pub(super) struct Use {
    in_use: InUse,
    /// Dropped when the use ends.
    held: Option<Box<dyn Send + Sync>>,
    moved: Instant,
}

impl Use {
    /// A socket is open.
    pub(super) fn begin(in_use: InUse) -> Self {
        let held = in_use(Used::Socket);
        Self {
            in_use,
            held: Some(held),
            moved: Instant::now(),
        }
    }

    /// A message came or goes.
    pub(super) fn moved(&mut self) {
        self.moved = Instant::now();
        if self.held.is_none() {
            self.held = Some((self.in_use)(Used::Socket));
        }
    }

    /// Ends the use if nothing has moved for too long.
    pub(super) fn look(&mut self) {
        if self.moved.elapsed() >= QUIET {
            self.held = None;
        }
    }

    /// The socket is being closed.
    pub(super) fn end(&mut self) {
        self.held = None;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_quiet_socket_is_no_use() {
        let uses = Arc::new(());
        let counted = uses.clone();
        let in_use: InUse =
            Arc::new(move |_: Used| -> Box<dyn Send + Sync> { Box::new(counted.clone()) });
        // One is here and one in the closure.
        let used = || Arc::strong_count(&uses) - 2;
        let mut socket = Use::begin(in_use);
        for _ in 0..3 {
            tokio::time::advance(QUIET - Duration::from_secs(1)).await;
            socket.look();
            assert_eq!(used(), 1);
            socket.moved();
        }
        assert_eq!(used(), 1);
        tokio::time::advance(QUIET).await;
        socket.look();
        assert_eq!(used(), 0);
        socket.moved();
        assert_eq!(used(), 1);
        socket.end();
        assert_eq!(used(), 0);
    }
}
