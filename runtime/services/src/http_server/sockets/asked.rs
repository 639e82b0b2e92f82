//! Which answers of an extension its process waits for.
//!
//! Owns the ids that were pushed on one socket. Invariants: an id is in it only
//! from the push of the process's own message to the answer, for as long as
//! the process waits, and so is answered once; bounded, of too many the oldest
//! is forgotten. An extension that names any other id answers nothing: its
//! process may have asked somebody else under it.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Most ids of a socket.
pub(super) const MAX_ASKED: usize = 1024;
/// Longest time that an answer is waited for.
const MAX_WAIT: Duration = Duration::from_secs(24 * 3600);

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Asked(VecDeque<(u64, Instant)>);

impl Asked {
    /// Enters the id of a message whose process waits for `seconds`.
    pub(super) fn enter(&mut self, id: u64, seconds: u64, now: Instant) {
        // A later message under an inherited id takes its place.
        self.0
            .retain(|(entered, until)| *entered != id && *until > now);
        if self.0.len() >= MAX_ASKED {
            self.0.pop_front();
        }
        let wait = Duration::from_secs(seconds).min(MAX_WAIT);
        self.0.push_back((id, now + wait));
    }

    /// Takes an id out; whether an answer to it is waited for.
    pub(super) fn take(&mut self, id: u64, now: Instant) -> bool {
        let at = self.0.iter().position(|(entered, _)| *entered == id);
        let taken = at.and_then(|at| self.0.remove(at));
        taken.is_some_and(|(_, until)| until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_id_is_answered_once_while_its_process_waits() {
        let mut asked = Asked::default();
        let begun = Instant::now();
        asked.enter(1, 5, begun);
        asked.enter(2, u64::MAX, begun);
        asked.enter(3, 0, begun);
        assert!(!asked.take(4, begun) && !asked.take(3, begun));
        let late = begun + Duration::from_secs(5);
        assert!(!asked.take(1, late));
        asked.enter(1, 5, late);
        asked.enter(1, 7, late);
        assert!(asked.take(1, late + Duration::from_secs(6)));
        assert!(!asked.take(1, late));
        assert!(asked.take(2, late) && !asked.take(2, late));
        assert!(asked.0.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn of_too_many_the_oldest_is_forgotten() {
        let mut asked = Asked::default();
        let now = Instant::now();
        for id in 0..=MAX_ASKED as u64 {
            asked.enter(id, 5, now);
        }
        assert_eq!(asked.0.len(), MAX_ASKED);
        assert!(!asked.take(0, now) && asked.take(1, now));
        // What nobody waits for any more makes room.
        asked.enter(0, 5, now + Duration::from_secs(5));
        assert_eq!(asked.0.len(), 1);
    }
}
