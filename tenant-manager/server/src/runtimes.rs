//! The host's two tokio runtimes: one for the front doors and the control
//! plane, one for guests, so that busy guests cannot stall a door.

use std::time::Duration;

use anyhow::Context;
use tikv_jemalloc_ctl::background_thread;
use tokio::runtime::{Builder, Runtime};

/// How long blocking work may keep a runtime from ending.
const LAST_GRACE: Duration = Duration::from_secs(2);
/// Blocking threads of a runtime: file work of modules, password hashing.
const BLOCKING_THREADS: usize = 32;

/// Both runtimes.
#[derive(Debug)]
pub struct Runtimes {
    /// Doors, control plane, timers.
    pub front: Runtime,
    /// Wasm processes and modules.
    pub guests: Runtime,
}

impl Runtimes {
    /// Starts both with a worker for each processor.
    ///
    /// # Errors
    /// No threads to be had.
    pub fn start() -> anyhow::Result<Self> {
        // Otherwise unused pages go back to the system only as others are asked
        // for: never, on a host whose nodes have all gone to sleep.
        if let Err(error) = background_thread::write(true) {
            tracing::warn!("failed to start the allocator's threads: {error}");
        }
        let build = |name: &'static str| {
            Builder::new_multi_thread()
                .enable_all()
                .thread_name(name)
                .max_blocking_threads(BLOCKING_THREADS)
                .build()
                .with_context(|| format!("start the {name} threads"))
        };
        Ok(Self {
            front: build("front")?,
            guests: build("guest")?,
        })
    }

    /// Ends both; what still blocks after the grace period is abandoned.
    pub fn end(self) {
        self.guests.shutdown_timeout(LAST_GRACE);
        self.front.shutdown_timeout(LAST_GRACE);
    }
}
