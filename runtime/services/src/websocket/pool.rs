//! Memory that sockets share, and that none of them can use up for the others.
//!
//! Owns who holds how much. Invariants: each holder gets a small part whatever
//! the others do ([`FLOOR`]); beyond that, once everything is taken, whoever
//! holds most is ended and what it held counts no more, so that one who holds
//! little never pays for one who holds much. A part is given back when it is
//! dropped.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::end::{End, Ender};

/// What every socket gets: a few small messages, and what is read ahead.
pub(super) const FLOOR: u64 = 64 << 10;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Pool {
    limit: u64,
    /// Why the one that holds most is ended.
    end: End,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    used: u64,
    next: u64,
    holders: HashMap<u64, Holder>,
}

#[derive(Debug)]
struct Holder {
    held: u64,
    ender: Ender,
}

/// What one socket holds of a pool.
#[derive(Debug)]
pub(crate) struct Part {
    pool: Arc<Pool>,
    id: u64,
}

/// So many bytes of a part, given back on drop.
#[derive(Debug)]
pub(crate) struct Bytes {
    part: Arc<Part>,
    bytes: u64,
}

impl Pool {
    /// A pool of `limit` bytes, and of [`FLOOR`] more a holder.
    pub(crate) fn new(limit: u64, end: End) -> Arc<Self> {
        Arc::new(Self {
            limit,
            end,
            state: Mutex::default(),
        })
    }

    /// The part of a socket, empty.
    pub(crate) fn part(self: &Arc<Self>, ender: Ender) -> Arc<Part> {
        let mut state = self.state.lock();
        let id = state.next;
        state.next += 1;
        state.holders.insert(id, Holder { held: 0, ender });
        drop(state);
        Arc::new(Part {
            pool: self.clone(),
            id,
        })
    }
}

impl State {
    /// Makes room for `bytes` more of `id`, which then holds `wanted`, by
    /// ending those who hold more.
    fn make_room(&mut self, id: u64, wanted: u64, bytes: u64, pool: &Pool) -> bool {
        while self.used.saturating_add(bytes) > pool.limit {
            let most = self.holders.iter().max_by_key(|(_, holder)| holder.held);
            let Some((&largest, holder)) = most else {
                return false;
            };
            if largest == id || holder.held < wanted {
                return false;
            }
            holder.ender.end(pool.end);
            self.remove(largest);
        }
        true
    }

    fn remove(&mut self, id: u64) {
        if let Some(holder) = self.holders.remove(&id) {
            self.used = self.used.saturating_sub(holder.held);
        }
    }
}

impl Part {
    /// Takes `bytes` more. If not, the socket is to end and holds nothing any
    /// more, as far as the others are concerned.
    pub(crate) fn take(&self, bytes: u64) -> bool {
        let mut state = self.pool.state.lock();
        let Some(holder) = state.holders.get(&self.id) else {
            return false;
        };
        let wanted = holder.held.saturating_add(bytes);
        if wanted > FLOOR && !state.make_room(self.id, wanted, bytes, &self.pool) {
            state.remove(self.id);
            return false;
        }
        state.used = state.used.saturating_add(bytes);
        if let Some(holder) = state.holders.get_mut(&self.id) {
            holder.held = wanted;
        }
        true
    }

    /// [`Part::take`], given back on drop. More than the whole pool counts as
    /// the whole pool.
    pub(crate) fn take_bytes(self: &Arc<Self>, bytes: u64) -> Option<Bytes> {
        let bytes = bytes.min(self.pool.limit);
        self.take(bytes).then(|| Bytes {
            part: self.clone(),
            bytes,
        })
    }

    /// Gives `bytes` back, at most what is held.
    pub(crate) fn give_back(&self, bytes: u64) {
        let mut state = self.pool.state.lock();
        let Some(holder) = state.holders.get_mut(&self.id) else {
            return;
        };
        let less = holder.held.min(bytes);
        holder.held -= less;
        state.used = state.used.saturating_sub(less);
    }

    /// What is held now.
    pub(crate) fn held(&self) -> u64 {
        let state = self.pool.state.lock();
        state.holders.get(&self.id).map_or(0, |holder| holder.held)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.pool.state.lock().remove(self.id);
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        self.part.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::super::end;
    use super::*;

    const LIMIT: u64 = 8 << 20;

    fn member(pool: &Arc<Pool>) -> (Arc<Part>, end::Ending, Ender) {
        let (ender, ending) = end::channel();
        (pool.part(ender.clone()), ending, ender)
    }

    #[tokio::test]
    async fn whoever_holds_most_is_ended_and_nobody_else() {
        let pool = Pool::new(LIMIT, End::TooMuch);
        let (small, _, small_end) = member(&pool);
        assert!(small.take(FLOOR));
        let members: Vec<_> = (0..4).map(|_| member(&pool)).collect();
        for (number, (part, ..)) in (1..).zip(&members) {
            assert!(part.take(LIMIT / 4 - number * FLOOR));
        }
        assert!(small.take(2 * FLOOR), "there is room");
        // Not any more; the first holds most.
        let (fast, _, fast_end) = member(&pool);
        assert!(fast.take(10 * FLOOR));
        for (part, mut ending, ender) in members {
            let first = !ender.is_open();
            assert_eq!(first, part.held() == 0);
            if first {
                assert_eq!(ending.next().await, Some(End::TooMuch));
                assert!(!part.take(1));
            }
        }
        assert!(small_end.is_open() && fast_end.is_open());
        drop((small, fast));
        let state = pool.state.lock();
        assert_eq!((state.used, state.holders.len()), (0, 0));
    }

    #[test]
    fn who_asks_for_more_than_anybody_holds_is_refused() {
        let pool = Pool::new(LIMIT, End::TooSlow);
        let (one, _, one_end) = member(&pool);
        let (two, _, _) = member(&pool);
        assert!(one.take(LIMIT / 2));
        assert!(!two.take(LIMIT));
        assert!(one_end.is_open() && one.held() == LIMIT / 2);
        // Small ones go on even so.
        let (three, _, _) = member(&pool);
        assert!(one.take(LIMIT / 2));
        assert!(three.take(FLOOR));
        assert!(one_end.is_open());
        assert!(three.take(1));
        assert!(!one_end.is_open());
    }

    #[test]
    fn bytes_go_back_by_themselves() {
        let pool = Pool::new(LIMIT, End::TooSlow);
        let (one, _, _) = member(&pool);
        let whole = one.take_bytes(2 * LIMIT).unwrap();
        assert_eq!(one.held(), LIMIT);
        drop(whole);
        assert_eq!(one.held(), 0);
        one.give_back(5);
        assert_eq!(pool.state.lock().used, 0);
    }
}
