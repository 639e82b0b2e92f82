//! One queue per calling process, so that each is served in order and none
//! waits for another's slow request.
//!
//! Bounded in bytes taken out of the inbox: when that much is waiting, the
//! inbox is left alone, fills up, and holds its senders back.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use lifecycle::{TaskKind, Tasks};
use node_types::{KernelMessage, Message, NodeName, ProcessId};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Inbox;

/// What may wait in all queues together.
const WAITING_BYTES: usize = 64 << 20;
/// A request counts for at least this much, which bounds their number.
const LEAST_BYTES: usize = 64 << 10;
/// Bytes that one permit stands for.
const UNIT: usize = 1 << 10;

/// A request and its share of the bound.
type Waiting = (KernelMessage, OwnedSemaphorePermit);

/// A module that serves its callers side by side.
#[async_trait]
pub(crate) trait Serve: Send + Sync + 'static {
    /// The module's node: messages of others are dropped.
    fn node(&self) -> &NodeName;

    /// The tasks that serving is done in.
    fn tasks(&self) -> &Tasks;

    /// Serves a request if that takes no waiting, else gives it back.
    fn serve_now(&self, message: KernelMessage) -> Option<KernelMessage> {
        Some(message)
    }

    /// Serves a request to its end.
    async fn serve(&self, message: KernelMessage);
}

/// Queues of callers that have a task at work on them.
#[derive(Debug, Default)]
struct Callers(Mutex<HashMap<ProcessId, VecDeque<Waiting>>>);

impl Callers {
    /// Queues; returns whether the caller needs a task.
    fn push(&self, caller: &ProcessId, waiting: Waiting) -> bool {
        let mut queues = self.0.lock();
        match queues.get_mut(caller) {
            Some(queue) => {
                queue.push_back(waiting);
                false
            }
            None => {
                queues.insert(caller.clone(), VecDeque::from([waiting]));
                true
            }
        }
    }

    /// Whether a request of the caller is under way.
    fn serves(&self, caller: &ProcessId) -> bool {
        self.0.lock().contains_key(caller)
    }

    /// Drops what waits.
    fn clear(&self) {
        self.0.lock().clear();
    }

    /// The caller's next request; its queue is gone once there is none.
    fn next(&self, caller: &ProcessId) -> Option<Waiting> {
        let mut queues = self.0.lock();
        let next = queues.get_mut(caller)?.pop_front();
        if next.is_none() {
            queues.remove(caller);
        }
        next
    }
}

/// A caller's queue while a task is at work on it. If that is dropped or panics,
/// what waits is dropped too, and the next request finds another.
struct Queue {
    callers: Arc<Callers>,
    caller: ProcessId,
    /// It was found empty. One that the caller has since then is another's.
    ended: bool,
}

impl Queue {
    /// The caller's next request; the queue has ended once there is none.
    fn next(&mut self) -> Option<Waiting> {
        if self.ended {
            return None;
        }
        let next = self.callers.next(&self.caller);
        self.ended = next.is_none();
        next
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        if !self.ended {
            self.callers.0.lock().remove(&self.caller);
        }
    }
}

/// Serves `inbox` until it closes and what was taken from it is done, or until
/// the module's tasks are cancelled; then only what is under way is finished.
/// `task` is what the tasks are called.
pub(crate) async fn run<S: Serve>(served: Arc<S>, task: &'static str, mut inbox: Inbox) {
    let all = (WAITING_BYTES / UNIT) as u32;
    let room = Arc::new(Semaphore::new(all as usize));
    let callers = Arc::new(Callers::default());
    let cancelled = served.tasks().token().clone();
    loop {
        let received = tokio::select! {
            biased;
            () = cancelled.cancelled() => None,
            received = inbox.recv() => received,
        };
        let Some((message, _)) = received else {
            break;
        };
        let ours = message.source.node == *served.node();
        if !ours || !matches!(message.message, Message::Request(_)) {
            continue;
        }
        let message = if callers.serves(&message.source.process) {
            message
        } else {
            match served.serve_now(message) {
                Some(message) => message,
                None => continue,
            }
        };
        let units = message.cost().max(LEAST_BYTES).div_ceil(UNIT);
        let units = u32::try_from(units).map_or(all, |units| units.min(all));
        let share = tokio::select! {
            biased;
            () = cancelled.cancelled() => break,
            share = room.clone().acquire_many_owned(units) => share,
        };
        let Ok(share) = share else {
            break;
        };
        let caller = message.source.process.clone();
        if callers.push(&caller, (message, share)) {
            let (served, callers) = (served.clone(), callers.clone());
            let tasks = served.tasks().clone();
            tasks.spawn(TaskKind::graceful(task), async move {
                let mut queue = Queue {
                    callers,
                    caller,
                    ended: false,
                };
                while let Some((message, share)) = queue.next() {
                    served.serve(message).await;
                    drop(share);
                }
            });
        }
    }
    if cancelled.is_cancelled() {
        callers.clear();
    }
    // Every request under way has its share.
    let _ = room.acquire_many(all).await;
}

#[cfg(test)]
mod tests;
