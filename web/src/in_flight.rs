//! Bounds how many of something one holder has at once: requests and
//! WebSockets of a tenant, event streams of an account, so that one busy or
//! stuck holder cannot take every connection of the host.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;

/// How many each holder has; a holder without any has no entry. Clones count
/// together.
#[derive(Debug, Clone)]
pub(crate) struct InFlight<K: Hash + Eq + Copy> {
    most: u32,
    counts: Arc<Mutex<HashMap<K, u32>>>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Counted<K: Hash + Eq + Copy> {
    holder: K,
    all: InFlight<K>,
}

impl<K: Hash + Eq + Copy> InFlight<K> {
    /// Lets each holder have `most` at once.
    pub(crate) fn new(most: u32) -> Self {
        Self {
            most,
            counts: Arc::default(),
        }
    }

    /// Counts one more; `None` if there are too many.
    pub(crate) fn enter(&self, holder: K) -> Option<Counted<K>> {
        let mut counts = self.counts.lock();
        let count = counts.entry(holder).or_insert(0);
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Counted {
            holder,
            all: self.clone(),
        })
    }
}

impl<K: Hash + Eq + Copy> Drop for Counted<K> {
    fn drop(&mut self) {
        let mut counts = self.all.counts.lock();
        if let Some(count) = counts.get_mut(&self.holder) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.holder);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_its_bound_leaves_others_alone() {
        let in_flight = InFlight::new(3);
        let mut held: Vec<_> = (0..3).map(|_| in_flight.enter("busy").unwrap()).collect();
        assert!(in_flight.enter("busy").is_none());
        assert!(in_flight.enter("other").is_some());
        held.pop();
        assert!(in_flight.enter("busy").is_some());
        held.clear();
        assert!(in_flight.counts.lock().is_empty());
    }
}
