//! Senders that wait for room in the lanes.
//!
//! Each waits for the bound that was full when it came, in the order in which
//! they came. What becomes free wakes one; whoever got in wakes the next, so
//! that a flood that waits costs nothing while there is no room. A sender that
//! gives up waiting hands on what it was woken for. Bounded by the processes
//! of the nodes, each of which waits with one message.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Notify;

use super::lanes::{Bound, Pair};

/// Where senders wait.
#[derive(Debug, Default)]
pub(super) struct Rooms(HashMap<Bound, Arc<Notify>>);

/// The place of one sender.
#[derive(Debug)]
pub(super) struct Room(Arc<Notify>);

impl Rooms {
    /// A place among those who wait for room within `bound`.
    pub(super) fn wait(&mut self, bound: Bound) -> Room {
        Room(self.0.entry(bound).or_default().clone())
    }

    /// There is room between these two nodes.
    pub(super) fn open(&mut self, pair: Pair) {
        for bound in Bound::all(pair) {
            let Some(waiting) = self.0.get(&bound) else {
                continue;
            };
            if Arc::strong_count(waiting) == 1 {
                // Nobody waits any more.
                self.0.remove(&bound);
            } else {
                waiting.notify_one();
            }
        }
    }
}

impl Room {
    /// Waits until there may be room.
    ///
    /// # Cancel-Safety
    /// Safe: another sender is woken instead.
    pub(super) async fn opens(&self) {
        self.0.notified().await;
    }

    /// Whether both wait for the same.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// There may be room for others too.
    pub(super) fn pass_on(&self) {
        self.0.notify_one();
    }
}
