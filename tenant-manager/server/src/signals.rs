//! What the process is told from outside: to end, or to start anew.
//!
//! SIGTERM and SIGINT end, SIGUSR2 starts anew. Invariant: one that asks to
//! start anew never ends the process, however early or late it comes: it is held
//! back until [`Again::watch`], also across the exec. There is nothing to stop.

use std::task::{Context, Poll, Waker};

use anyhow::Context as _;
use nix::sys::signal::{SigSet, Signal as Number};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Hears that the process shall end.
#[derive(Debug)]
pub struct Ends {
    terminate: Signal,
    interrupt: Signal,
    /// There was one.
    heard: bool,
}

impl Ends {
    /// Hears from now on.
    ///
    /// # Errors
    /// Signals cannot be watched.
    pub fn watch() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context("watch for SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("watch for SIGINT")?,
            heard: false,
        })
    }

    /// Waits for the next.
    ///
    /// # Cancel-Safety
    /// Safe.
    pub async fn told(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
        self.heard = true;
    }

    /// Whether there was one since the beginning.
    pub fn were_told(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        for signal in [&mut self.terminate, &mut self.interrupt] {
            self.heard |= matches!(signal.poll_recv(&mut context), Poll::Ready(Some(())));
        }
        self.heard
    }
}

/// Hears that the process shall start anew.
#[derive(Debug)]
pub struct Again(Signal);

impl Again {
    /// Hears from now on, and what was held back. Called by the thread that
    /// called [`hold_back`].
    ///
    /// # Errors
    /// Signals cannot be watched.
    pub fn watch() -> anyhow::Result<Self> {
        let heard = signal(SignalKind::user_defined2()).context("watch for SIGUSR2")?;
        again().thread_unblock().context("watch for SIGUSR2")?;
        Ok(Self(heard))
    }

    /// Waits for the next.
    ///
    /// # Cancel-Safety
    /// Safe.
    pub async fn told(&mut self) {
        self.0.recv().await;
    }
}

/// Holds back what asks to start anew, for this thread and those that it
/// starts.
///
/// # Errors
/// Signals cannot be held back.
pub fn hold_back() -> anyhow::Result<()> {
    again().thread_block().context("hold back SIGUSR2")
}

fn again() -> SigSet {
    let mut set = SigSet::empty();
    set.add(Number::SIGUSR2);
    set
}
