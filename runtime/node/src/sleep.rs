//! The timers of a node's processes from one life of the node to the next.
//!
//! Owns those of the last life until their processes begin, and those of this
//! one once the node goes to rest. A life hands over its timers when it is
//! dropped, wherever it stands: waiting, computing or held up by another.
//! Invariants: each process has one set of timers here, that of its last life;
//! what is kept is bounded, and of too much the earliest is kept. Holds no
//! task.

use std::collections::HashMap;

use node_types::ProcessId;
use parking_lot::Mutex;

use crate::process::SleptTimer;

/// Most timers that a node keeps while it sleeps.
pub(crate) const MAX_TIMERS: usize = 1024;
/// Most bytes of their contexts.
pub(crate) const MAX_CONTEXT_BYTES: usize = 1 << 20;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Sleep {
    /// Of processes that have not begun since the node woke.
    had: Mutex<HashMap<ProcessId, Vec<SleptTimer>>>,
    /// Of lives that ended; `None` as long as the node does not go to rest.
    kept: Mutex<Option<HashMap<ProcessId, Kept>>>,
}

/// The timers of a life, and how many were beyond the bounds.
type Kept = (Vec<SleptTimer>, usize);

/// What a node that rests has to remember.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Remembered {
    /// The first to elapse first.
    pub(crate) timers: Vec<(ProcessId, SleptTimer)>,
    /// How many there were beyond the bounds.
    pub(crate) lost: usize,
}

impl Sleep {
    /// Remembers what `process` had before the sleep.
    pub(crate) fn recall(&self, process: ProcessId, timer: SleptTimer) {
        self.had.lock().entry(process).or_default().push(timer);
    }

    /// What `process`, whose life begins, had before the sleep.
    pub(crate) fn take(&self, process: &ProcessId) -> Vec<SleptTimer> {
        self.had.lock().remove(process).unwrap_or_default()
    }

    /// Forgets the timers of a process that is gone for good.
    pub(crate) fn forget(&self, process: &ProcessId) {
        self.had.lock().remove(process);
        if let Some(kept) = self.kept.lock().as_mut() {
            kept.remove(process);
        }
    }

    /// From now on lives that end hand over their timers.
    pub(crate) fn begin(&self) {
        self.kept.lock().get_or_insert_default();
    }

    /// A life of `process` ends with these timers.
    pub(crate) fn keep(&self, process: &ProcessId, timers: impl FnOnce() -> Vec<SleptTimer>) {
        if let Some(kept) = self.kept.lock().as_mut() {
            kept.insert(process.clone(), bounded(timers(), |timer| timer));
        }
    }

    /// What is to be remembered of processes that `comes_back` names.
    pub(crate) fn remember(&self, comes_back: impl Fn(&ProcessId) -> bool) -> Remembered {
        let had = std::mem::take(&mut *self.had.lock());
        let mut all: HashMap<_, _> = had
            .into_iter()
            .map(|(process, timers)| (process, (timers, 0)))
            .collect();
        all.extend(self.kept.lock().take().unwrap_or_default());
        all.retain(|process, _| comes_back(process));
        let beyond: usize = all.values().map(|(_, beyond)| beyond).sum();
        let timers = all
            .into_iter()
            .flat_map(|(process, (timers, _))| {
                let of = move |timer| (process.clone(), timer);
                timers.into_iter().map(of)
            })
            .collect();
        let (timers, more) = bounded(timers, |(_, timer)| timer);
        let lost = beyond + more;
        Remembered { timers, lost }
    }
}

/// Those within the bounds, the first to elapse first, and how many more there
/// were. A context that does not fit costs its own timer only.
fn bounded<T>(mut timers: Vec<T>, timer: impl Fn(&T) -> &SleptTimer) -> (Vec<T>, usize) {
    let all = timers.len();
    timers.sort_by_key(|each| timer(each).due);
    let mut room = MAX_CONTEXT_BYTES;
    timers.retain(|each| {
        let bytes = timer(each).context.as_ref().map_or(0, bytes::Bytes::len);
        let rest = room.checked_sub(bytes);
        room = rest.unwrap_or(room);
        rest.is_some()
    });
    timers.truncate(MAX_TIMERS);
    let lost = all - timers.len();
    (timers, lost)
}

#[cfg(test)]
mod tests {
    use node_kernel::Moment;

    use super::*;

    fn process(name: &str) -> ProcessId {
        format!("{name}:test:alice.dev").parse().unwrap()
    }

    fn timer(due: u64, context: usize) -> SleptTimer {
        SleptTimer {
            length: 1000,
            context: Some(vec![0; context].into()),
            due: Moment::default().plus_seconds(due),
            awaited: false,
        }
    }

    fn dues(remembered: &Remembered) -> Vec<u64> {
        let timers = remembered.timers.iter();
        timers
            .map(|(_, timer)| timer.due.as_elapsed().as_secs())
            .collect()
    }

    #[test]
    fn the_last_life_of_each_process_counts() {
        let sleep = Sleep::default();
        let [began, waits, gone, child] = ["began", "waits", "gone", "child"].map(process);
        sleep.recall(waits.clone(), timer(9, 0));
        sleep.recall(began.clone(), timer(8, 0));
        sleep.recall(gone.clone(), timer(7, 0));
        // Before the node rests a life that ends leaves nothing.
        assert_eq!(sleep.take(&began), [timer(8, 0)]);
        assert_eq!(sleep.take(&began), []);
        sleep.keep(&began, || vec![timer(1, 0)]);
        sleep.begin();
        // One that begins once more on the way, and is ended again.
        sleep.keep(&began, || vec![timer(2, 0), timer(3, 0)]);
        sleep.keep(&began, || vec![timer(3, 0)]);
        sleep.keep(&child, || vec![timer(1, 0)]);
        sleep.keep(&gone, || vec![timer(4, 0)]);
        sleep.forget(&gone);
        let remembered = sleep.remember(|process| *process != child);
        let expected = vec![(began, timer(3, 0)), (waits, timer(9, 0))];
        assert_eq!(remembered.timers, expected);
        assert_eq!(sleep.remember(|_| true), Remembered::default());
    }

    #[test]
    fn of_too_many_timers_the_earliest_are_kept() {
        let sleep = Sleep::default();
        sleep.begin();
        for name in ["a", "b", "c"] {
            sleep.keep(&process(name), || {
                (0..MAX_TIMERS as u64)
                    .rev()
                    .map(|due| timer(due, 0))
                    .collect()
            });
        }
        let remembered = sleep.remember(|_| true);
        assert_eq!(remembered.lost, 2 * MAX_TIMERS);
        let dues = dues(&remembered);
        assert_eq!(dues.len(), MAX_TIMERS);
        assert!(dues.is_sorted() && dues.last() == Some(&341), "{dues:?}");
    }

    #[test]
    fn large_contexts_cost_their_own_timers() {
        let sleep = Sleep::default();
        sleep.begin();
        sleep.keep(&process("a"), || {
            vec![
                timer(1, MAX_CONTEXT_BYTES + 1),
                timer(2, MAX_CONTEXT_BYTES / 2),
                timer(3, MAX_CONTEXT_BYTES / 2),
                timer(4, 1),
                timer(5, 0),
            ]
        });
        let remembered = sleep.remember(|_| true);
        assert_eq!(dues(&remembered), [2, 3, 5]);
    }
}
