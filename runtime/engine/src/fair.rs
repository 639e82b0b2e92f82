//! Shares the processor among tenants.
//!
//! A guest may run for one to two ticks each time it is woken. Whoever runs on
//! after that yields and needs two permits for each further tick: its tenant's
//! one, so that a tenant has at most one process running beyond its slice, and
//! one of the host's, of which there is one less than there are workers, so
//! that a worker is always free for guests within their slice. Both queues are
//! fair. Invariant: permits are held only while the guest runs or is about to,
//! never while it waits for anything but the processor.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use wasmtime::UpdateDeadline;

use crate::ticker::Ticker;
use crate::{GuestMeter, TenantBudget};

/// Ticks a woken guest may run without permits: more than one whole tick, so
/// that a short piece of work is not punished for meeting a tick.
const FREE_TICKS: u64 = 2;
/// Ticks for each turn with permits.
const TURN_TICKS: u64 = 1;

/// The permits of one turn: the tenant's and the host's.
type Permits = (Option<OwnedSemaphorePermit>, Option<OwnedSemaphorePermit>);

/// What the epoch callback and [`Fair`] tell each other about one guest.
#[derive(Debug)]
pub(crate) struct Slice {
    ticker: Ticker,
    started: AtomicU64,
    length: AtomicU64,
    expired: AtomicBool,
}

impl Slice {
    pub(crate) fn new(ticker: Ticker) -> Arc<Self> {
        Arc::new(Self {
            ticker,
            started: AtomicU64::new(0),
            length: AtomicU64::new(FREE_TICKS),
            expired: AtomicBool::new(false),
        })
    }

    fn begin(&self, length: u64) {
        self.ticker.touch();
        self.started.store(self.ticker.now(), Ordering::Relaxed);
        self.length.store(length, Ordering::Relaxed);
    }

    /// What a guest does whose deadline has passed: it goes on if it only slept
    /// past it, else it gives way to [`Fair`].
    pub(crate) fn on_deadline(&self) -> UpdateDeadline {
        self.ticker.touch();
        let length = self.length.load(Ordering::Relaxed);
        let used = self.ticker.now() - self.started.load(Ordering::Relaxed);
        if used < length {
            return UpdateDeadline::Continue(length - used);
        }
        self.expired.store(true, Ordering::Relaxed);
        UpdateDeadline::YieldCustom(1, Box::pin(GiveWay(false)))
    }
}

/// Pending once, without a waker: [`Fair`] polls again when it is time.
struct GiveWay(bool);

impl Future for GiveWay {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

/// Runs a guest in slices.
pub(crate) struct Fair<F> {
    guest: Pin<Box<F>>,
    slice: Arc<Slice>,
    meter: Arc<GuestMeter>,
    budget: Arc<TenantBudget>,
    host_turns: Arc<Semaphore>,
    /// Set while the guest waits for permits to run on.
    queued: Option<Pin<Box<dyn Future<Output = Permits> + Send>>>,
}

impl<F: Future + Send> Fair<F> {
    pub(crate) fn new(
        guest: Pin<Box<F>>,
        slice: Arc<Slice>,
        meter: Arc<GuestMeter>,
        budget: Arc<TenantBudget>,
        host_turns: Arc<Semaphore>,
    ) -> Self {
        Self {
            guest,
            slice,
            meter,
            budget,
            host_turns,
            queued: None,
        }
    }

    /// Queues: with its tenant first, so that a tenant never holds a turn of
    /// the host while its own processes wait. The place in the queues is taken
    /// before others are let run, or a tenant with many hogs would be served
    /// once for each of them.
    fn queue(&self) -> Pin<Box<dyn Future<Output = Permits> + Send>> {
        let tenant = Arc::clone(&self.budget.cpu_turn);
        let host = Arc::clone(&self.host_turns);
        Box::pin(async move {
            // The semaphores are never closed.
            let tenant = tenant.acquire_owned().await.ok();
            let host = host.acquire_owned().await.ok();
            // Whatever else is runnable comes first, and so do timers and
            // sockets: without this a chain of hogs would never poll them.
            tokio::task::yield_now().await;
            (tenant, host)
        })
    }
}

impl<F: Future + Send> Future for Fair<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let permits = match &mut this.queued {
            None => None,
            Some(queued) => match queued.as_mut().poll(cx) {
                Poll::Ready(permits) => Some(permits),
                Poll::Pending => return Poll::Pending,
            },
        };
        this.queued = None;
        this.slice.begin(match permits {
            None => FREE_TICKS,
            Some(_) => TURN_TICKS,
        });
        let polled = this.guest.as_mut().poll(cx);
        drop(permits);
        if polled.is_pending() && this.slice.expired.swap(false, Ordering::Relaxed) {
            // Threads that wait for this processor come first too: the system's
            // own slices are several of ours.
            let began = Instant::now();
            std::thread::yield_now();
            this.meter.count_gave_way(began.elapsed());
            let mut queued = this.queue();
            // Pending at least for its `yield_now`, which sees to the waking.
            match queued.as_mut().poll(cx) {
                Poll::Pending => this.queued = Some(queued),
                Poll::Ready(_) => cx.waker().wake_by_ref(),
            }
        }
        polled
    }
}
