//! What the process is told from outside: to end, or to start anew.
//!
//! SIGTERM and SIGINT end, SIGUSR2 starts anew. Invariant: none of them kills a
//! host by itself, however early or late it comes, and none is lost: they are
//! held back from [`hold_back`] until somebody hears them ([`Ends::listen`],
//! [`Again::watch`]), also across the exec. There is nothing to stop.

use std::task::{Context, Poll, Waker};

use anyhow::Context as _;
use nix::sys::signal::{SigSet, Signal as Number};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What ends the process.
const ENDS: [Number; 2] = [Number::SIGTERM, Number::SIGINT];
/// What starts it anew.
const AGAIN: Number = Number::SIGUSR2;

/// Hears that the process shall end.
#[derive(Debug)]
pub struct Ends {
    terminate: Signal,
    interrupt: Signal,
    /// There was one.
    heard: bool,
}

impl Ends {
    /// Hears from now on, and what was held back. Called by the thread that
    /// called [`hold_back`] before it starts others: what those start in turn is
    /// not to be deaf to signals.
    ///
    /// # Errors
    /// Signals cannot be watched.
    pub fn listen() -> anyhow::Result<Self> {
        // What is heard waits until some runtime listens; this one does not.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("watch for signals")?;
        let heard = {
            let _inside = runtime.enter();
            Self::watch()?
        };
        set(&ENDS).thread_unblock().context("watch for signals")?;
        Ok(heard)
    }

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
        set(&[AGAIN])
            .thread_unblock()
            .context("watch for SIGUSR2")?;
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

/// Holds them all back, for this thread and those that it starts.
///
/// # Errors
/// Signals cannot be held back.
pub fn hold_back() -> anyhow::Result<()> {
    let held = set(&ENDS).thread_block();
    held.and_then(|()| set(&[AGAIN]).thread_block())
        .context("hold back signals")
}

fn set(signals: &[Number]) -> SigSet {
    signals.iter().copied().collect()
}
