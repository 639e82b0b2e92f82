//! When a node was last used, for hibernation. By the monotonic clock: nobody
//! falls asleep because the machine's time was set.
//!
//! A use is a request (until its answer is there), a connection through a
//! tunnel, a WebSocket, a terminal or command line, each until it ends, and a
//! peer's message that somebody gets; a WebSocket that an app opened, as long as
//! messages move on it. What processes do of themselves is none:
//! sending, computing and waiting for timers keep no node awake. A request of
//! an app to the outside, until it is answered, puts sleep off, so that nobody
//! sleeps through an answer he waits for, and its end counts as use, so that the
//! app can do something with the answer; but neither beyond [`ASKING`] after the
//! last use, so that an app that asks all the time keeps no node awake either. A
//! forwarded port without a connection, and whatever else a door holds open, is
//! known to the door alone, whose lease keeps the node.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use node_api::ByteStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// By how much requests to the outside put sleep off: none takes longer.
const ASKING: Duration = Duration::from_secs(600);

/// Remembers uses; something open counts as use until it is closed.
#[derive(Debug)]
pub(crate) struct Activity {
    begun: Instant,
    /// Milliseconds from `begun` to the last use.
    last: AtomicU64,
    /// The same to the end of the last request to the outside, at most
    /// [`ASKING`] after `last`.
    answered: AtomicU64,
    open: AtomicUsize,
    /// Requests of apps to the outside that are not answered.
    asking: AtomicUsize,
}

/// A terminal, connection through a tunnel, WebSocket or request in progress.
#[derive(Debug)]
pub(crate) struct Open(Arc<Activity>);

/// A request of an app to the outside.
#[derive(Debug)]
pub(crate) struct Asking(Arc<Activity>);

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
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            begun: Instant::now(),
            last: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            open: AtomicUsize::new(0),
            asking: AtomicUsize::new(0),
        })
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Something begins; it counts as use until the result is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> Open {
        self.open.fetch_add(1, Ordering::AcqRel);
        Open(self.clone())
    }

    /// An app asks somebody outside; it is answered when the result is dropped.
    pub(crate) fn ask(self: &Arc<Self>) -> Asking {
        self.asking.fetch_add(1, Ordering::AcqRel);
        Asking(self.clone())
    }

    /// It is used at this moment.
    pub(crate) fn touch(&self) {
        self.last.store(self.elapsed(), Ordering::Release);
    }

    /// For how long it was not used; zero while anything is open, and less by
    /// [`ASKING`] while an app waits for an answer.
    pub(crate) fn idle_for(&self) -> Duration {
        if self.open.load(Ordering::Acquire) > 0 {
            return Duration::ZERO;
        }
        let last = self.last.load(Ordering::Acquire);
        if self.asking.load(Ordering::Acquire) > 0 {
            let idle = Duration::from_millis(self.elapsed().saturating_sub(last));
            return idle.saturating_sub(ASKING);
        }
        let last = last.max(self.answered.load(Ordering::Acquire));
        Duration::from_millis(self.elapsed().saturating_sub(last))
    }

    /// Somebody outside answered, or never will.
    fn answer(&self) {
        let asking = u64::try_from(ASKING.as_millis()).unwrap_or(u64::MAX);
        let latest = self.last.load(Ordering::Acquire).saturating_add(asking);
        let answered = self.elapsed().min(latest);
        self.answered.fetch_max(answered, Ordering::AcqRel);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.touch();
        self.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.answer();
        self.0.asking.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn something_open_is_use_until_it_is_closed() {
        let activity = Activity::new();
        let open = activity.begin();
        tokio::time::advance(Duration::from_secs(100)).await;
        assert_eq!(activity.idle_for(), Duration::ZERO);
        drop(open);
        tokio::time::advance(Duration::from_secs(50)).await;
        assert_eq!(activity.idle_for(), Duration::from_secs(50));
    }

    #[tokio::test(start_paused = true)]
    async fn asking_puts_sleep_off_for_a_while_and_is_no_use() {
        let activity = Activity::new();
        let minutes = |count: u64| Duration::from_secs(60 * count);
        let asking = (activity.ask(), activity.ask());
        tokio::time::advance(minutes(10)).await;
        assert_eq!(activity.idle_for(), Duration::ZERO);
        tokio::time::advance(minutes(3)).await;
        assert_eq!(activity.idle_for(), minutes(3));
        drop(asking.0);
        assert_eq!(activity.idle_for(), minutes(3));
        drop(asking.1);
        // What it would be if the other still waited.
        assert_eq!(activity.idle_for(), minutes(3));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_can_be_used_and_asking_again_and_again_is_no_use() {
        let activity = Activity::new();
        let minutes = |count: u64| Duration::from_secs(60 * count);
        activity.touch();
        let asking = activity.ask();
        tokio::time::advance(minutes(6)).await;
        drop(asking);
        assert_eq!(activity.idle_for(), Duration::ZERO);
        tokio::time::advance(minutes(2)).await;
        assert_eq!(activity.idle_for(), minutes(2));
        for _ in 0..50 {
            let asking = activity.ask();
            tokio::time::advance(minutes(1)).await;
            drop(asking);
        }
        assert_eq!(activity.idle_for(), minutes(48));
        activity.touch();
        assert_eq!(activity.idle_for(), Duration::ZERO);
    }
}
