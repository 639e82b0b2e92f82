//! Owns spawned tasks: each has a kind, and its owner can wait for its end.
//!
//! Stops by [`Tasks::shutdown`]: soft tasks see their token cancelled and are
//! awaited, the others are aborted; after the grace period everything is
//! aborted. A panic in a task ends that task only, and is logged.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// How long dropped tasks and blocking work may take to end.
const LAST_GRACE: Duration = Duration::from_secs(5);

/// What a failed task means for its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// It is logged; the others go on.
    Log,
    /// The owner is cancelled.
    Shutdown,
}

/// What a task is for, and what its end means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskKind {
    /// Name in logs.
    pub name: &'static str,
    /// Whether shutdown waits for the task to see its token; else it is
    /// dropped where it stands.
    pub wait_on_cancel: bool,
    /// What a panic means.
    pub on_error: OnError,
}

impl TaskKind {
    /// A task that watches its token and ends by itself.
    #[must_use]
    pub const fn graceful(name: &'static str) -> Self {
        Self {
            name,
            wait_on_cancel: true,
            on_error: OnError::Log,
        }
    }

    /// A task that may be dropped at any `await`.
    #[must_use]
    pub const fn abortable(name: &'static str) -> Self {
        Self {
            name,
            wait_on_cancel: false,
            on_error: OnError::Log,
        }
    }

    /// A task without which its owner cannot go on.
    #[must_use]
    pub const fn essential(name: &'static str) -> Self {
        Self {
            name,
            wait_on_cancel: true,
            on_error: OnError::Shutdown,
        }
    }
}

/// A set of tasks on one tokio runtime. Clones are the same set.
#[derive(Debug, Clone)]
pub struct Tasks {
    runtime: Handle,
    tracker: TaskTracker,
    cancel: CancellationToken,
    /// Drops whatever has not ended after the grace period.
    abort: CancellationToken,
}

impl Tasks {
    /// An empty set whose tasks run on `runtime`; cancelled when `parent` is.
    #[must_use]
    pub fn new(runtime: Handle, parent: &CancellationToken) -> Self {
        Self {
            runtime,
            tracker: TaskTracker::new(),
            cancel: parent.child_token(),
            abort: CancellationToken::new(),
        }
    }

    /// The token that graceful tasks watch.
    #[must_use]
    pub fn token(&self) -> &CancellationToken {
        &self.cancel
    }

    /// The runtime the tasks run on.
    #[must_use]
    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// A set that is cancelled with this one, but awaited by its own owner.
    #[must_use]
    pub fn child(&self) -> Self {
        Self::new(self.runtime.clone(), &self.cancel)
    }

    /// Starts `task`. After shutdown it is dropped at once.
    pub fn spawn<F>(&self, kind: TaskKind, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let cancel = self.cancel.clone();
        let stop = if kind.wait_on_cancel {
            self.abort.clone()
        } else {
            cancel.clone()
        };
        let guarded = async move {
            let ended = tokio::select! {
                biased;
                () = stop.cancelled() => Ok(()),
                ended = AssertUnwindSafe(task).catch_unwind() => ended,
            };
            if let Err(panic) = ended {
                tracing::error!(task = kind.name, "task panicked: {}", panic_text(&*panic));
                if kind.on_error == OnError::Shutdown {
                    cancel.cancel();
                }
            }
        };
        self.tracker
            .spawn_on(guarded.in_current_span(), &self.runtime);
    }

    /// Runs blocking `work` off the async threads; it is awaited at shutdown.
    /// `None` if it panicked.
    pub async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        self.tracker
            .spawn_blocking_on(work, &self.runtime)
            .await
            .ok()
    }

    /// How many tasks are running.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tracker.len()
    }

    /// Whether no task is running.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tracker.is_empty()
    }

    /// Cancels and waits for every task; after `grace` the rest is dropped.
    /// Returns whether all ended by themselves.
    ///
    /// # Cancel-Safety
    /// Safe; tasks stay cancelled, and the call may be repeated.
    pub async fn shutdown(&self, grace: Duration) -> bool {
        self.cancel.cancel();
        self.tracker.close();
        if tokio::time::timeout(grace, self.tracker.wait())
            .await
            .is_ok()
        {
            return true;
        }
        self.abort.cancel();
        // Blocking work cannot be dropped; what is left of it is abandoned.
        let _ = tokio::time::timeout(LAST_GRACE, self.tracker.wait()).await;
        false
    }
}

/// The message of a caught panic.
#[must_use]
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no message)")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tasks() -> Tasks {
        Tasks::new(Handle::current(), &CancellationToken::new())
    }

    #[tokio::test]
    async fn a_panic_ends_one_task_only() {
        let tasks = tasks();
        let (sender, receiver) = tokio::sync::oneshot::channel();
        tasks.spawn(TaskKind::abortable("bad"), async { panic!("on purpose") });
        tasks.spawn(TaskKind::abortable("good"), async move {
            sender.send(7).unwrap();
        });
        assert_eq!(receiver.await.unwrap(), 7);
        assert!(tasks.shutdown(Duration::from_secs(1)).await);
    }

    #[tokio::test]
    async fn a_panic_in_an_essential_task_cancels_the_set() {
        let tasks = tasks();
        tasks.spawn(TaskKind::essential("core"), async { panic!("on purpose") });
        tasks.token().cancelled().await;
    }

    #[tokio::test(start_paused = true)]
    async fn shutdown_waits_for_graceful_tasks_and_drops_stuck_ones() {
        let tasks = tasks();
        let token = tasks.token().clone();
        let (sender, receiver) = tokio::sync::oneshot::channel();
        tasks.spawn(TaskKind::graceful("polite"), async move {
            token.cancelled().await;
            sender.send(()).unwrap();
        });
        tasks.spawn(TaskKind::graceful("stuck"), std::future::pending());
        assert!(!tasks.shutdown(Duration::from_secs(1)).await);
        receiver.await.unwrap();
        assert!(tasks.is_empty());
    }
}
