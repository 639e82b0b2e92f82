//! Who may have a request under way, and who waits for that.
//!
//! Owns the counts of a node's requests. Invariants: what is taken in is
//! bounded, for the node and for each process, and the next is refused; a
//! process waits for its own turn first, so that one with many requests never
//! holds a turn of the node while it queues. A place ends when it is dropped,
//! and is told when its process ends.

use std::collections::HashMap;
use std::sync::Arc;

use node_types::ProcessId;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// Requests under way at once.
pub(super) const AT_ONCE: usize = 32;
/// Of these, what one process may have.
pub(super) const AT_ONCE_OF_ONE: usize = 16;
/// Requests taken in: under way or waiting.
pub(super) const TAKEN: usize = AT_ONCE + 256;
/// Of these, what one process may have.
pub(super) const TAKEN_OF_ONE: usize = AT_ONCE_OF_ONE + 128;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Turns {
    all: Arc<Semaphore>,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// Of processes that have any.
    by_process: HashMap<ProcessId, Caller>,
}

/// A process in one of its lives.
#[derive(Debug)]
struct Caller {
    taken: usize,
    turns: Arc<Semaphore>,
    ended: CancellationToken,
}

/// A request that was taken in.
#[derive(Debug)]
pub(super) struct Place {
    turns: Arc<Turns>,
    process: ProcessId,
    own: Arc<Semaphore>,
    ended: CancellationToken,
}

/// The right to have it under way.
#[derive(Debug)]
pub(super) struct Turn {
    _own: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Turns {
    /// Nobody is here yet.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            all: Arc::new(Semaphore::new(AT_ONCE)),
            taken: Mutex::default(),
        })
    }

    /// Takes a request of `process` in; `None` if there are too many.
    pub(super) fn take(self: &Arc<Self>, process: &ProcessId) -> Option<Place> {
        let mut taken = self.taken.lock();
        if taken.all >= TAKEN {
            return None;
        }
        let caller = taken
            .by_process
            .entry(process.clone())
            .or_insert_with(|| Caller {
                taken: 0,
                turns: Arc::new(Semaphore::new(AT_ONCE_OF_ONE)),
                ended: CancellationToken::new(),
            });
        if caller.taken >= TAKEN_OF_ONE {
            return None;
        }
        caller.taken += 1;
        let place = Place {
            turns: self.clone(),
            process: process.clone(),
            own: caller.turns.clone(),
            ended: caller.ended.clone(),
        };
        taken.all += 1;
        Some(place)
    }

    /// The life of `process` is over, and so are its requests.
    pub(super) fn end(&self, process: &ProcessId) {
        let caller = self.taken.lock().by_process.remove(process);
        if let Some(caller) = caller {
            caller.ended.cancel();
        }
    }

    /// How many requests were taken in, and of how many processes.
    #[cfg(test)]
    pub(super) fn taken(&self) -> (usize, usize) {
        let taken = self.taken.lock();
        (taken.all, taken.by_process.len())
    }
}

impl Place {
    /// Waits for a turn. Turns never end, so there always is one some day.
    ///
    /// # Cancel-Safety
    /// Safe, but the place in the queue is lost.
    pub(super) async fn turn(&self) -> Option<Turn> {
        let own = self.own.clone().acquire_owned().await.ok()?;
        let all = self.turns.all.clone().acquire_owned().await.ok()?;
        Some(Turn {
            _own: own,
            _all: all,
        })
    }

    /// Whose it is.
    pub(super) fn process(&self) -> &ProcessId {
        &self.process
    }

    /// Cancelled when the process' life is over.
    pub(super) fn life(&self) -> &CancellationToken {
        &self.ended
    }

    /// Waits until the process' life is over.
    ///
    /// # Cancel-Safety
    /// Safe.
    pub(super) async fn ended(&self) {
        self.ended.cancelled().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.turns.taken.lock();
        taken.all -= 1;
        let Some(caller) = taken.by_process.get_mut(&self.process) else {
            return;
        };
        // Otherwise it is the next life of the process.
        if Arc::ptr_eq(&caller.turns, &self.own) {
            caller.taken -= 1;
            if caller.taken == 0 {
                taken.by_process.remove(&self.process);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn process(name: &str) -> ProcessId {
        ProcessId::new(name, "test", "alice.dev").unwrap()
    }

    fn take(turns: &Arc<Turns>, name: &str, count: usize) -> Vec<Place> {
        let places = (0..count).map(|_| turns.take(&process(name)));
        places.collect::<Option<_>>().unwrap()
    }

    fn with_turn(places: &[Place]) -> Vec<Turn> {
        let turns = places.iter().map(|place| place.turn().now_or_never());
        turns.flatten().flatten().collect()
    }

    #[test]
    fn one_process_leaves_turns_to_the_others() {
        let turns = Turns::new();
        let a = take(&turns, "a", 20);
        let of_a = with_turn(&a);
        assert_eq!(of_a.len(), AT_ONCE_OF_ONE);
        let b = take(&turns, "b", 20);
        let of_b = with_turn(&b);
        assert_eq!(of_b.len(), AT_ONCE_OF_ONE);
        let c = take(&turns, "c", 1);
        assert_eq!(with_turn(&c).len(), 0, "the node has no more");
        drop(of_a);
        assert_eq!(with_turn(&c).len(), 1);
        drop((a, b, c));
        assert_eq!(turns.taken(), (0, 0));
    }

    #[test]
    fn what_is_taken_in_is_bounded() {
        let turns = Turns::new();
        let a = take(&turns, "a", TAKEN_OF_ONE);
        assert!(turns.take(&process("a")).is_none());
        let b = take(&turns, "b", TAKEN - TAKEN_OF_ONE);
        assert!(turns.take(&process("c")).is_none());
        drop(a);
        assert!(turns.take(&process("c")).is_some());
        drop(b);
        assert_eq!(turns.taken(), (0, 0));
    }

    #[tokio::test]
    async fn the_next_life_of_a_process_has_its_own_count() {
        let turns = Turns::new();
        let first = take(&turns, "a", 2);
        assert!(first[0].ended().now_or_never().is_none());
        turns.end(&process("a"));
        first[0].ended().await;
        let second = take(&turns, "a", 1);
        assert!(second[0].ended().now_or_never().is_none());
        drop(first);
        assert_eq!(turns.taken(), (1, 1));
        drop(second);
        assert_eq!(turns.taken(), (0, 0));
    }
}
