//! How much a process may print, and have the kernel print about it.
//!
//! Owns each process' allowance. Invariant: a process that prints in a loop
//! neither waits nor ends, and neither terminals nor logs see more of it than
//! [`ALLOWANCE`], of which chatter (high verbosity) leaves half; what was left
//! out is counted, and told once a second by one note of the kernel.

use std::sync::Arc;
use std::time::Duration;

use lifecycle::TaskKind;
use node_types::ProcessId;
use tokio::time::Instant;

use crate::kernel::Kernel;
use crate::log::budget::{Allowance, Budget};
use crate::process::WasmProcess;

/// What a print costs beside its bytes: that so many short ones can be read.
const PRINT: u64 = 1 << 10;
/// Short prints at once. Less than a terminal or log that listens can lag.
pub(crate) const AT_ONCE: u32 = 400;
/// Short prints a second after that.
pub(crate) const PER_SECOND: u32 = 50;
const ALLOWANCE: Allowance = Allowance {
    burst: AT_ONCE as u64 * PRINT,
    per_second: PER_SECOND as u64 * PRINT,
    reserve: AT_ONCE as u64 * PRINT / 2,
};
/// Lowest verbosity that is chatter.
const CHATTER: u8 = 2;
/// From the first print that is left out until that is told. Meanwhile all of
/// its verbosity or above are, so that a gap has one note.
const NOTE_AFTER: Duration = Duration::from_secs(1);

/// What a process may still print.
#[derive(Debug)]
pub(crate) struct PrintBudget {
    budget: Budget,
    left_out: LeftOut,
}

/// What was left out since the last note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct LeftOut {
    count: u64,
    /// The least of their verbosities.
    lowest: Option<u8>,
}

/// What becomes of a print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Print,
    /// Left out; a note about it is on its way.
    LeftOut,
    /// Left out, and a note is to be made.
    FirstLeftOut,
}

impl PrintBudget {
    /// All of it.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            budget: Budget::new(ALLOWANCE, now),
            left_out: LeftOut::default(),
        }
    }

    fn take(&mut self, bytes: usize, verbosity: u8, now: Instant) -> Verdict {
        let cost = PRINT + bytes as u64;
        let LeftOut { count, lowest } = &mut self.left_out;
        let shut = lowest.is_some_and(|lowest| verbosity >= lowest);
        if !shut && self.budget.take(cost, verbosity >= CHATTER, now) {
            return Verdict::Print;
        }
        *lowest = Some(lowest.map_or(verbosity, |lowest| lowest.min(verbosity)));
        *count += 1;
        match *count {
            1 => Verdict::FirstLeftOut,
            _ => Verdict::LeftOut,
        }
    }

    /// What was left out; from now on it may print again.
    fn note(&mut self) -> LeftOut {
        std::mem::take(&mut self.left_out)
    }
}

impl Kernel {
    /// Prints for `process`, unless it printed too much.
    pub(crate) fn print_of(&self, process: &Arc<WasmProcess>, verbosity: u8, text: &str) {
        self.print_within(process, &process.id, None, verbosity, text);
    }

    /// Prints in the name of the kernel what `process` caused, unless it caused
    /// too much. Modules are trusted not to.
    pub(crate) fn say_about(&self, process: &ProcessId, verbosity: u8, text: &str) {
        let found = self.processes.read().get(process).cloned();
        let (kernel, about) = (&self.kernel_address.process, Some(process.clone()));
        match found {
            Some(found) => self.print_within(&found, kernel, about, verbosity, text),
            None => self.printed(kernel, about, verbosity, text),
        }
    }

    fn print_within(
        &self,
        process: &Arc<WasmProcess>,
        source: &ProcessId,
        about: Option<ProcessId>,
        verbosity: u8,
        text: &str,
    ) {
        process.counters.prints.count();
        // What is longer than any print is cut anyway.
        let bytes = text.len().min(crate::kernel::MAX_PRINT);
        let verdict = process.prints.lock().take(bytes, verbosity, Instant::now());
        if verdict == Verdict::Print {
            return self.printed(source, about, verbosity, text);
        }
        process.counters.prints_left_out.count();
        if verdict == Verdict::FirstLeftOut {
            self.note_later(process.clone());
        }
    }

    fn note_later(&self, process: Arc<WasmProcess>) {
        let kernel = self.me.clone();
        self.tasks
            .spawn(TaskKind::abortable("print note"), async move {
                tokio::time::sleep(NOTE_AFTER).await;
                let left_out = process.prints.lock().note();
                if let Some(kernel) = kernel.upgrade() {
                    let text = format!(
                        "kernel: print limit reached: {} prints of {} were left out; a process \
                         may print {AT_ONCE} times at once and {PER_SECOND} times a second",
                        left_out.count, process.id
                    );
                    // Whoever misses one is told.
                    kernel.say(left_out.lowest.unwrap_or(0), &text);
                }
            });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Prints until something is left out.
    fn exhaust(budget: &mut PrintBudget, bytes: usize, verbosity: u8, now: Instant) -> u32 {
        let mut printed = 0;
        while budget.take(bytes, verbosity, now) == Verdict::Print {
            printed += 1;
        }
        printed
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_prints_a_burst_then_a_trickle_and_is_counted() {
        let start = Instant::now();
        let mut budget = PrintBudget::new(start);
        assert_eq!(exhaust(&mut budget, 0, 0, start), AT_ONCE);
        // Until the note is made everything is left out, whatever there is.
        let later = start + NOTE_AFTER;
        assert_eq!(budget.take(0, 0, later), Verdict::LeftOut);
        let both = LeftOut {
            count: 2,
            lowest: Some(0),
        };
        assert_eq!(budget.note(), both);
        assert_eq!(exhaust(&mut budget, 0, 0, later), PER_SECOND);
        assert_eq!(budget.note().count, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn long_prints_cost_more_and_chatter_leaves_half_to_the_rest() {
        let start = Instant::now();
        let mut budget = PrintBudget::new(start);
        assert_eq!(exhaust(&mut budget, 64 << 10, 3, start), 3);
        assert!(exhaust(&mut budget, 0, 0, start) >= AT_ONCE / 2);
        assert_eq!(budget.note().lowest, Some(0));
        let mut budget = PrintBudget::new(start);
        assert_eq!(exhaust(&mut budget, 0, 2, start), AT_ONCE / 2);
        assert_eq!(budget.take(0, 1, start), Verdict::Print);
        assert_eq!(budget.note().lowest, Some(2));
    }
}
