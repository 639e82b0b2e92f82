//! The engine's 1 ms clock, by which guests are interrupted.
//!
//! Owns one thread. It ticks while guests run and sleeps while all of them
//! wait, so an idle host burns no processor time. Invariant: after
//! [`Ticker::touch`] at least [`IDLE_TICKS`] ticks follow, which is more than a
//! guest's deadline is away; a guest that runs into its deadline touches again.
//! Stops with the last clone.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use wasmtime::EngineWeak;

/// The length of one tick.
const TICK: Duration = Duration::from_millis(1);
/// Ticks without a sign of a running guest before the thread sleeps.
const IDLE_TICKS: u32 = 16;

#[derive(Debug, Default)]
struct Shared {
    /// Ticks so far.
    ticks: AtomicU64,
    /// A guest ran since the last tick.
    active: AtomicBool,
    /// The thread sleeps, or is about to.
    parked: AtomicBool,
    stop: AtomicBool,
    lock: Mutex<()>,
    wake: Condvar,
}

impl Shared {
    fn notify(&self) {
        let _guard = self.lock.lock();
        self.wake.notify_one();
    }

    fn run(&self, engine: &EngineWeak) {
        let mut idle = 0;
        let mut guard = self.lock.lock();
        while !self.stop.load(Ordering::SeqCst) {
            if idle >= IDLE_TICKS {
                self.parked.store(true, Ordering::SeqCst);
                // Pairs with `touch`: either it sees `parked`, or this sees `active`.
                if !self.active.swap(false, Ordering::SeqCst) && !self.stop.load(Ordering::SeqCst) {
                    self.wake.wait(&mut guard);
                }
                self.parked.store(false, Ordering::SeqCst);
                idle = 0;
            }
            self.wake.wait_for(&mut guard, TICK);
            let Some(engine) = engine.upgrade() else {
                return;
            };
            self.ticks.fetch_add(1, Ordering::Relaxed);
            engine.increment_epoch();
            idle = match self.active.swap(false, Ordering::SeqCst) {
                true => 0,
                false => idle + 1,
            };
        }
    }
}

/// Stops the thread when the last handle goes.
#[derive(Debug)]
struct Stop(Arc<Shared>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::SeqCst);
        self.0.notify();
    }
}

/// A handle on the ticking thread. Clones are the same thread.
#[derive(Debug, Clone)]
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    _stop: Arc<Stop>,
}

impl Ticker {
    /// Starts to tick for `engine`.
    pub(crate) fn start(engine: EngineWeak) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let thread = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("guest-ticker".to_owned())
            .spawn(move || thread.run(&engine))?;
        Ok(Self {
            _stop: Arc::new(Stop(Arc::clone(&shared))),
            shared,
        })
    }

    /// Ticks so far.
    pub(crate) fn now(&self) -> u64 {
        self.shared.ticks.load(Ordering::Relaxed)
    }

    /// Says that a guest runs. Cheap: one shared read, most of the time.
    pub(crate) fn touch(&self) {
        if self.shared.active.load(Ordering::Relaxed) {
            return;
        }
        self.shared.active.store(true, Ordering::SeqCst);
        if self.shared.parked.load(Ordering::SeqCst) {
            self.shared.notify();
        }
    }

    #[cfg(test)]
    fn is_parked(&self) -> bool {
        self.shared.parked.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits for `what`, at most ten seconds.
    fn eventually(mut what: impl FnMut() -> bool) {
        let limit = tokio::time::Instant::now() + Duration::from_secs(10);
        while !what() {
            assert!(tokio::time::Instant::now() < limit, "waited in vain");
            std::thread::yield_now();
        }
    }

    #[test]
    fn it_sleeps_without_guests_and_wakes_with_one() {
        let engine = wasmtime::Engine::new(&crate::config::wasmtime_config()).unwrap();
        let ticker = Ticker::start(engine.weak()).unwrap();
        eventually(|| ticker.is_parked());
        let before = ticker.now();
        ticker.touch();
        eventually(|| ticker.now() >= before + u64::from(IDLE_TICKS));
        eventually(|| ticker.is_parked());
    }

    #[test]
    fn the_thread_ends_with_the_last_handle() {
        let engine = wasmtime::Engine::new(&crate::config::wasmtime_config()).unwrap();
        let ticker = Ticker::start(engine.weak()).unwrap();
        let shared = Arc::downgrade(&ticker.shared);
        eventually(|| ticker.is_parked());
        drop(ticker);
        eventually(|| shared.strong_count() == 0);
    }
}
