//! What stands between the socket and the parser, and what answers, tell each
//! other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::head::Refusal;

/// What guard and service of one connection tell each other.
#[derive(Debug, Default)]
pub(super) struct Signals {
    /// Requests that the service was called for.
    called: AtomicU64,
    /// Requests whose answer has not been written to its end.
    pub(super) unanswered: AtomicUsize,
    /// The refused request, counted from one, and why.
    pub(super) refused: Mutex<Option<(u64, Refusal)>>,
    /// The connection is no HTTP any more.
    pub(super) switched: AtomicBool,
    /// The next answer is to be the connection's last.
    closing: AtomicBool,
}

impl Signals {
    /// Called by the service at each request, in order. Says whether this one
    /// stands in for a refused one. While the returned value lives, the
    /// connection is not idle.
    pub(super) fn called(self: &Arc<Self>) -> (Unanswered, Option<Refusal>) {
        let number = self.called.fetch_add(1, Ordering::Relaxed) + 1;
        self.unanswered.fetch_add(1, Ordering::Relaxed);
        let refused = *self.refused.lock();
        let refusal = refused.and_then(|(which, refusal)| (which == number).then_some(refusal));
        (Unanswered(self.clone()), refusal)
    }

    /// Called when the door closes: what was asked is answered, and no more
    /// waited for than what may be on its way.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }

    /// Whether [`Self::close`] was called.
    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Called by the service before it answers 101: what the client sends from
    /// then on is no request.
    pub(super) fn switch(&self) {
        self.switched.store(true, Ordering::Release);
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct Unanswered(Arc<Signals>);

impl Drop for Unanswered {
    fn drop(&mut self) {
        self.0.unanswered.fetch_sub(1, Ordering::Relaxed);
    }
}
