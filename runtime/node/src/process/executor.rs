//! Runs the Wasm processes of one node as one task.
//!
//! A message between two processes of a node then wakes its receiver without
//! the host's scheduler: no other thread is woken, none steals the receiver.
//! What it costs: the processes of a node share one core at a time (modules
//! are tasks of their own). Invariants: a process that panics ends alone; the
//! task gives its thread back after [`TURN`] and one guest's slice. Stops when
//! its token is cancelled and every process has ended.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::task::AtomicWaker;
use futures::{FutureExt, StreamExt};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::counters::Counters;

/// Times the set is looked through before other nodes get their turn.
const ROUNDS: usize = 256;
/// Time after which no further process is polled before other nodes get their
/// turn. A guest that computes goes on to the end of its own slice.
const TURN: Duration = Duration::from_micros(200);

/// Takes processes in; see the module's documentation.
pub(crate) struct Executor {
    /// Processes that the task has not taken over yet; the plan bounds how
    /// many there can be. `None` once closed.
    incoming: Mutex<Option<Vec<Process>>>,
    arrived: Notify,
    turn: Arc<Turn>,
}

impl Default for Executor {
    fn default() -> Self {
        Self {
            incoming: Mutex::new(Some(Vec::new())),
            arrived: Notify::new(),
            turn: Arc::default(),
        }
    }
}

/// The task's present turn. The clock is read once for each process that is
/// polled: what ends the time of one begins that of the next. Used by the task
/// alone; times are nanoseconds since it was made.
struct Turn {
    made: Instant,
    /// When the clock was last read.
    now: AtomicU64,
    end: AtomicU64,
}

impl Default for Turn {
    fn default() -> Self {
        Self {
            made: Instant::now(),
            now: AtomicU64::new(0),
            end: AtomicU64::new(u64::MAX),
        }
    }
}

impl Turn {
    fn begin(&self) {
        let end = self.read_clock().saturating_add(TURN.as_nanos() as u64);
        self.end.store(end, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        self.now() >= self.end.load(Ordering::Relaxed)
    }

    fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    fn read_clock(&self) -> u64 {
        let now = u64::try_from(self.made.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.now.store(now, Ordering::Relaxed);
        now
    }
}

/// One process, polled only while the turn lasts.
struct Process {
    life: BoxFuture<'static, ()>,
    counters: Arc<Counters>,
    turn: Arc<Turn>,
}

impl Future for Process {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.turn.is_over() {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let began = self.turn.now();
        let polled = self.life.poll_unpin(context);
        self.counters.polled(self.turn.read_clock() - began);
        polled
    }
}

impl Executor {
    /// Drops what no task will run any more; to be called once the task has
    /// ended.
    pub(crate) fn close(&self) {
        // Dropped outside the lock: a process may hold what locks again.
        let dropped = self.incoming.lock().take();
        drop(dropped);
    }

    /// Has the task run `process`, and its time counted.
    pub(crate) fn spawn(
        &self,
        process: impl Future<Output = ()> + Send + 'static,
        counters: Arc<Counters>,
    ) {
        let alone = AssertUnwindSafe(process).catch_unwind().map(|ended| {
            if ended.is_err() {
                tracing::error!("the task of a process panicked");
            }
        });
        let process = Process {
            life: alone.boxed(),
            counters,
            turn: self.turn.clone(),
        };
        if let Some(incoming) = self.incoming.lock().as_mut() {
            incoming.push(process);
        }
        self.arrived.notify_one();
    }

    /// The task itself.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut processes = FuturesUnordered::new();
        let wake = Arc::new(InnerWake::default());
        loop {
            let arrived = self.incoming.lock().as_mut().map(std::mem::take);
            processes.extend(arrived.into_iter().flatten());
            let stopping = stop.is_cancelled();
            let empty = processes.is_empty();
            if stopping && empty {
                return;
            }
            let rounds = tokio::task::unconstrained(Rounds {
                processes: &mut processes,
                wake: &wake,
                turn: &self.turn,
            });
            tokio::select! {
                () = stop.cancelled(), if !stopping => {}
                () = self.arrived.notified() => {}
                () = rounds, if !empty => {}
            }
        }
    }
}

/// Polls the set until nothing in it is ready; completes when it is empty.
struct Rounds<'a> {
    processes: &'a mut FuturesUnordered<Process>,
    wake: &'a Arc<InnerWake>,
    turn: &'a Turn,
}

/// Wakes the task, unless the task is polling: then it only takes a note.
#[derive(Default)]
struct InnerWake {
    noted: AtomicBool,
    polling: AtomicBool,
    task: AtomicWaker,
}

impl Wake for InnerWake {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // In this order, against the opposite order in `Rounds::poll`: one of
        // the two sees the other.
        self.noted.store(true, Ordering::SeqCst);
        if !self.polling.load(Ordering::SeqCst) {
            self.task.wake();
        }
    }
}

impl Future for Rounds<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let wake = self.wake.clone();
        wake.task.register(context.waker());
        wake.polling.store(true, Ordering::SeqCst);
        let waker = Waker::from(wake.clone());
        let mut inner = Context::from_waker(&waker);
        self.turn.begin();
        for _ in 0..ROUNDS {
            if self.turn.is_over() {
                break;
            }
            wake.noted.store(false, Ordering::SeqCst);
            match self.processes.poll_next_unpin(&mut inner) {
                Poll::Ready(Some(())) => {}
                Poll::Ready(None) => {
                    wake.polling.store(false, Ordering::SeqCst);
                    return Poll::Ready(());
                }
                Poll::Pending => {
                    wake.polling.store(false, Ordering::SeqCst);
                    if !wake.noted.load(Ordering::SeqCst) {
                        return Poll::Pending;
                    }
                    wake.polling.store(true, Ordering::SeqCst);
                }
            }
        }
        wake.polling.store(false, Ordering::SeqCst);
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn processes_talk_and_one_panic_ends_one_process() {
        let executor = Arc::new(Executor::default());
        let stop = CancellationToken::new();
        let (to_b, mut at_b) = mpsc::channel(1);
        let (to_a, mut at_a) = mpsc::channel(1);
        let (done, mut finished) = mpsc::channel(1);
        let counted = || Arc::new(Counters::default());
        executor.spawn(async { panic!("on purpose") }, counted());
        executor.spawn(
            async move {
                for round in 0..1000 {
                    to_b.send(round).await.unwrap();
                    assert_eq!(at_a.recv().await, Some(round));
                }
                done.send(()).await.unwrap();
            },
            counted(),
        );
        executor.spawn(
            async move {
                while let Some(round) = at_b.recv().await {
                    if to_a.send(round).await.is_err() {
                        return;
                    }
                }
            },
            counted(),
        );
        let running = executor.clone().run(stop.clone());
        tokio::pin!(running);
        tokio::select! {
            () = &mut running => panic!("it ends when told only"),
            done = finished.recv() => assert_eq!(done, Some(())),
        }
        // One that comes late, from another thread, is run too.
        let (late, came) = tokio::sync::oneshot::channel();
        let elsewhere = executor.clone();
        std::thread::spawn(move || {
            elsewhere.spawn(async move { late.send(()).unwrap() }, Arc::default());
        });
        tokio::select! {
            () = &mut running => panic!("it ends when told only"),
            came = came => came.unwrap(),
        }
        // One that ends only because of the stop is waited for, and no longer.
        let told = stop.clone();
        executor.spawn(async move { told.cancelled().await }, counted());
        tokio::select! {
            () = &mut running => panic!("it ends when told only"),
            () = tokio::task::yield_now() => stop.cancel(),
        }
        let ended = tokio::time::timeout(Duration::from_secs(5), running).await;
        assert!(ended.is_ok(), "it noticed its own end");
    }

    #[tokio::test]
    async fn after_closing_nothing_is_kept() {
        let executor = Executor::default();
        let held = Arc::new(());
        executor.close();
        let late = held.clone();
        executor.spawn(async move { drop(late) }, Arc::default());
        assert_eq!(Arc::strong_count(&held), 1);
    }

    #[tokio::test]
    async fn the_time_of_each_process_is_its_own() {
        let executor = Arc::new(Executor::default());
        let stop = CancellationToken::new();
        let (busy, idle) = (Arc::new(Counters::default()), Arc::new(Counters::default()));
        executor.spawn(
            async {
                let began = Instant::now();
                while began.elapsed() < Duration::from_millis(20) {
                    std::hint::spin_loop();
                }
            },
            busy.clone(),
        );
        let told = stop.clone();
        executor.spawn(async move { told.cancelled().await }, idle.clone());
        let running = executor.clone().run(stop.clone());
        tokio::pin!(running);
        let cpu = |counters: &Counters| counters.usage(Instant::now()).cpu_micros;
        while cpu(&busy) == 0 {
            tokio::select! {
                () = &mut running => panic!("it ends when told only"),
                () = tokio::task::yield_now() => {}
            }
        }
        stop.cancel();
        running.await;
        assert!(cpu(&busy) >= 20_000, "{}", cpu(&busy));
        assert!(cpu(&idle) < 20_000, "{}", cpu(&idle));
    }
}
