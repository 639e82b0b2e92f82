//! Tells when every process of a booting node has come as far as waiting for
//! its first message, so that all paths it serves are bound.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::watch;

/// Counts processes that still start.
#[derive(Debug)]
pub(crate) struct Readiness {
    starting: AtomicUsize,
    ready: watch::Sender<bool>,
}

impl Default for Readiness {
    fn default() -> Self {
        // The boot itself counts as one, so that it cannot be over too early.
        Self {
            starting: AtomicUsize::new(1),
            ready: watch::Sender::new(false),
        }
    }
}

/// One starting process; dropping it says that it has come far enough.
#[derive(Debug)]
pub(crate) struct Starting(std::sync::Arc<crate::kernel::Kernel>);

impl Readiness {
    /// Whether every process waits for messages (or has ended).
    pub(crate) fn subscribe(&self) -> watch::Receiver<bool> {
        self.ready.subscribe()
    }

    /// One more process starts.
    pub(crate) fn process_starts(kernel: &std::sync::Arc<crate::kernel::Kernel>) -> Starting {
        kernel.readiness.starting.fetch_add(1, Ordering::AcqRel);
        Starting(kernel.clone())
    }

    /// The boot has started every process there is.
    pub(crate) fn all_started(&self) {
        self.one_less();
    }

    fn one_less(&self) {
        if self.starting.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.ready.send_replace(true);
        }
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        self.0.readiness.one_less();
    }
}
