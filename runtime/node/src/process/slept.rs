//! The timers of one process over a sleep of its node.
//!
//! A process begins anew when its node wakes, and most set their timers at
//! their start. Owns what a life has to know of timers beyond its
//! conversation. Invariant: of a timer from before the sleep there is at most
//! one after it: a timer that the process sets before its first `receive` with
//! the same length and context takes its place; if it has set none by then,
//! the host sets what it had; if it has set others, it looks after itself.
//! A timer that is awaited is a pause and no appointment: it only takes the
//! place of one that was awaited, and is not set for anybody. Ends with the
//! life, which hands the timers on if the node goes to rest.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use node_kernel::{Moment, Outgoing, Prepared, RunningTimer, timer_body, timer_length};
use node_services::module;
use node_types::{Message, MessageId, Request};

use super::host::Host;

/// A timer that ran when its node went to rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SleptTimer {
    /// How long its process wanted it to run, in milliseconds.
    pub(crate) length: u64,
    /// What comes back with the answer.
    pub(crate) context: Option<Bytes>,
    /// When it elapses; long ago if it is overdue.
    pub(crate) due: Moment,
    /// Whether its process waited for it and for nothing else.
    pub(crate) awaited: bool,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Timers {
    /// What it had before the sleep; `None` from its first `receive` on.
    had: Option<Had>,
    /// Timers that elapse at another time than their requests say.
    carried: HashMap<MessageId, Moment>,
    /// The request whose answer it waits for and for nothing else.
    pub(super) awaiting: Option<MessageId>,
}

#[derive(Debug)]
struct Had {
    /// The first to elapse first.
    timers: Vec<SleptTimer>,
    /// Whether the process has set a timer itself.
    set: bool,
}

impl Timers {
    /// For a life that begins with the timers of an earlier one.
    pub(super) fn new(mut timers: Vec<SleptTimer>) -> Self {
        timers.sort_by_key(|timer| timer.due);
        Self {
            had: (!timers.is_empty()).then_some(Had { timers, set: false }),
            ..Self::default()
        }
    }

    /// Whether a timer that is set now may take the place of another.
    pub(super) fn is_waking(&self) -> bool {
        self.had.is_some()
    }

    /// The process sets a timer: when it is to elapse, if it takes the place
    /// of one from before the sleep.
    fn claim(&mut self, length: u64, context: Option<&Bytes>, awaited: bool) -> Option<Moment> {
        let had = self.had.as_mut()?;
        had.set |= !awaited;
        let same = |timer: &SleptTimer| {
            timer.length == length && timer.context.as_ref() == context && timer.awaited == awaited
        };
        let at = had.timers.iter().position(same)?;
        Some(had.timers.remove(at).due)
    }

    /// The process waits for messages: the next timer that the host is to set.
    /// The others are kept until it is their turn.
    fn next_to_set(&mut self) -> Option<SleptTimer> {
        let had = self.had.as_mut()?;
        had.timers.retain(|timer| !had.set && !timer.awaited);
        if had.timers.is_empty() {
            self.had = None;
            return None;
        }
        Some(had.timers.remove(0))
    }

    /// What the next life has to know, with the timers that run now.
    fn kept(&self, running: impl Iterator<Item = RunningTimer>) -> Vec<SleptTimer> {
        let left = self.had.iter().flat_map(|had| had.timers.iter().cloned());
        let running = running.map(|timer| SleptTimer {
            due: self.carried.get(&timer.id).copied().unwrap_or(timer.due),
            awaited: self.awaiting == Some(timer.id),
            length: timer.length,
            context: timer.context,
        });
        running.chain(left).collect()
    }
}

/// Milliseconds from `now` until `due`, not less than there are.
fn left(due: Moment, now: Moment) -> u64 {
    let left = due.as_elapsed().saturating_sub(now.as_elapsed());
    let millis = left
        .saturating_add(Duration::from_nanos(999_999))
        .as_millis();
    u64::try_from(millis).unwrap_or(u64::MAX)
}

impl Host {
    /// Has a timer that takes the place of one from before the sleep elapse
    /// when that would have.
    pub(super) fn carry_over(
        &mut self,
        prepared: &mut Prepared,
        context: Option<&Bytes>,
        awaited: bool,
    ) {
        let message = &prepared.message;
        let Message::Request(request) = &message.message else {
            return;
        };
        if prepared.deadline.is_none() {
            return;
        }
        let length = timer_length(&message.target, request, &self.our.node);
        let due = length.and_then(|length| self.timers.claim(length, context, awaited));
        if let Some(due) = due {
            self.elapse_at(prepared, due);
        }
    }

    /// Sets the timers from before the sleep of a process that has set none.
    pub(super) async fn set_slept_timers(&mut self) {
        while let Some(timer) = self.timers.next_to_set() {
            let seconds = left(timer.due, self.inbox.now()).div_ceil(1000);
            let request = Request {
                expects_response: Some(seconds.saturating_add(1)),
                body: timer_body(timer.length),
                ..Request::default()
            };
            let outgoing = Outgoing {
                target: self.kernel.address(&module("timer")),
                request,
                context: timer.context,
                blob: None,
            };
            // What does not fit is lost, as it would be to the process.
            let Ok(mut prepared) = self.prepare(outgoing, false) else {
                return;
            };
            self.elapse_at(&mut prepared, timer.due);
            self.dispatch(prepared.message).await;
        }
    }

    /// Its conversation remembers the timer as it was asked for; the timer
    /// module is told how long it still has to run.
    fn elapse_at(&mut self, prepared: &mut Prepared, due: Moment) {
        let now = self.inbox.now();
        if let Message::Request(request) = &mut prepared.message.message {
            request.body = timer_body(left(due, now));
        }
        self.timers.carried.insert(prepared.message.id, due);
    }

    /// The timers that the next life has to know of.
    pub(super) fn kept_timers(&self) -> Vec<SleptTimer> {
        self.timers.kept(self.conversation.timers())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    fn at(seconds: u64) -> Moment {
        Moment::default().plus_seconds(seconds)
    }

    fn timer(length: u64, context: &'static str, due: u64) -> SleptTimer {
        SleptTimer {
            length,
            context: (!context.is_empty()).then(|| context.into()),
            due: at(due),
            awaited: false,
        }
    }

    fn claim(timers: &mut Timers, length: u64, context: &'static str) -> Option<Moment> {
        let context = (!context.is_empty()).then(|| context.into());
        timers.claim(length, context.as_ref(), false)
    }

    #[test]
    fn a_timer_set_alike_takes_the_place_of_the_first_to_elapse() {
        let had = vec![
            timer(HOUR, "", 50),
            timer(HOUR, "", 20),
            timer(HOUR, "a", 10),
        ];
        let mut timers = Timers::new(had);
        assert_eq!(claim(&mut timers, HOUR, ""), Some(at(20)));
        assert_eq!(claim(&mut timers, HOUR, "b"), None);
        assert_eq!(claim(&mut timers, HOUR - 1, ""), None);
        assert_eq!(claim(&mut timers, HOUR, ""), Some(at(50)));
        assert_eq!(claim(&mut timers, HOUR, ""), None);
        // It has set some: what it has not set again is forgotten.
        assert_eq!(set_again(&mut timers), []);
        assert_eq!(claim(&mut timers, HOUR, "a"), None);
    }

    /// What the host sets when the process first waits.
    fn set_again(timers: &mut Timers) -> Vec<SleptTimer> {
        std::iter::from_fn(|| timers.next_to_set()).collect()
    }

    #[test]
    fn a_process_that_sets_none_gets_back_what_it_had_once() {
        let had = vec![timer(HOUR, "b", 50), timer(5, "", 20)];
        let mut timers = Timers::new(had.clone());
        assert!(timers.is_waking());
        let again = set_again(&mut timers);
        assert_eq!(again, [had[1].clone(), had[0].clone()]);
        assert!(!timers.is_waking());
        assert_eq!(set_again(&mut timers), []);
    }

    #[test]
    fn a_pause_is_not_an_appointment() {
        let pause = SleptTimer {
            awaited: true,
            ..timer(HOUR, "", 50)
        };
        let mut timers = Timers::new(vec![pause.clone(), timer(HOUR, "", 70)]);
        assert_eq!(timers.claim(HOUR, None, true), Some(at(50)));
        assert_eq!(timers.claim(HOUR, None, true), None);
        // Having paused it has set no timer of its own.
        assert_eq!(set_again(&mut timers), [timer(HOUR, "", 70)]);
        assert_eq!(set_again(&mut Timers::new(vec![pause])), []);
    }

    #[test]
    fn what_runs_or_has_not_been_set_again_is_kept_with_its_own_length() {
        let mut timers = Timers::new(vec![timer(HOUR, "left", 90)]);
        timers.carried.insert(MessageId(1), at(30));
        timers.awaiting = Some(MessageId(2));
        let running = [(1, 3600), (2, 40)].map(|(id, due)| RunningTimer {
            id: MessageId(id),
            length: HOUR,
            context: None,
            due: at(due),
        });
        let kept = timers.kept(running.into_iter());
        let pause = SleptTimer {
            awaited: true,
            ..timer(HOUR, "", 40)
        };
        assert_eq!(kept, [timer(HOUR, "", 30), pause, timer(HOUR, "left", 90)]);
    }

    #[test]
    fn what_is_left_is_never_too_short() {
        let later = at(5).plus(Duration::from_nanos(1));
        assert_eq!(left(later, at(5)), 1);
        assert_eq!(left(at(6), at(5)), 1000);
        assert_eq!(left(at(4), at(5)), 0);
    }
}
