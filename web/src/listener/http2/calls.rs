//! Counts the requests of one connection: when it is idle, and when its client
//! only ever asks and never takes.
//!
//! Many people share the connection of a proxy. Invariant: what one of them
//! gives up is counted against that one's address, wherever it connects, and
//! not against the connection. Stops with the connection; what addresses gave
//! up is remembered for longer.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::listener::deadlines::{HEAD_DEADLINE, IDLE_DEADLINE};
use crate::rate_limit::RateLimit;

/// So many more requests of one connection may be given up than are answered.
const MOST_GIVEN_UP: u32 = 200;

/// The requests of one connection.
#[derive(Debug)]
pub(super) struct Calls {
    born: Instant,
    /// Whether it is a trusted proxy's, who has many clients.
    is_shared: bool,
    state: Mutex<State>,
    worn_out: Notify,
}

#[derive(Debug)]
struct State {
    /// Whether there ever was one.
    any: bool,
    open: usize,
    /// Since when there is none.
    quiet_since: Instant,
    /// By how many the given up outnumber the answered.
    given_up: u32,
}

/// One request, until its answer has ended or nobody wants it any more.
#[derive(Debug)]
pub(super) struct Call {
    calls: Arc<Calls>,
    asker: Option<Asker>,
    refused: bool,
    answered: bool,
}

/// Who asked, if that one is known and counted.
#[derive(Debug)]
pub(super) struct Asker {
    pub(super) address: IpAddr,
    pub(super) given_up: Arc<RateLimit>,
}

impl Calls {
    /// Of a connection that is, or is not, shared by a trusted proxy's clients.
    pub(super) fn new(is_shared: bool) -> Arc<Self> {
        let born = Instant::now();
        Arc::new(Self {
            born,
            is_shared,
            state: Mutex::new(State {
                any: false,
                open: 0,
                quiet_since: born,
                given_up: 0,
            }),
            worn_out: Notify::new(),
        })
    }

    /// Counts one that begins.
    pub(super) fn begin(self: &Arc<Self>, asker: Option<Asker>) -> Call {
        let refused = asker
            .as_ref()
            .is_some_and(|asker| asker.given_up.is_over(asker.address));
        let mut state = self.state.lock();
        state.any = true;
        state.open += 1;
        Call {
            calls: self.clone(),
            asker,
            refused,
            answered: false,
        }
    }

    /// Ready when the client did not ask anything in time, or has not for long.
    ///
    /// # Cancel-Safety
    /// Safe, but the wait begins anew.
    pub(super) async fn idle(&self) {
        tokio::time::sleep_until(self.born + HEAD_DEADLINE).await;
        if self.state.lock().any {
            self.quiet(IDLE_DEADLINE, self.born).await;
        }
    }

    /// Ready when there was no request for `long` after `from`.
    ///
    /// # Cancel-Safety
    /// Safe.
    pub(super) async fn quiet(&self, long: Duration, from: Instant) {
        loop {
            let since = self.quiet_since().max(from);
            if since.elapsed() >= long {
                return;
            }
            tokio::time::sleep_until(since + long).await;
        }
    }

    fn quiet_since(&self) -> Instant {
        let state = self.state.lock();
        if state.open == 0 {
            state.quiet_since
        } else {
            Instant::now()
        }
    }

    /// Ready when far more was given up than taken by whoever is at the other
    /// end, without those who are known by themselves.
    ///
    /// # Cancel-Safety
    /// Safe.
    pub(super) async fn worn_out(&self) {
        self.worn_out.notified().await;
    }
}

impl Call {
    /// Whether who asked has given up too much to be answered now.
    pub(super) fn is_refused(&self) -> bool {
        self.refused
    }

    /// The whole answer is on its way.
    pub(super) fn answered(&mut self) {
        self.answered = true;
    }

    /// Counts it for its asker. A refusal costs us nothing, and taking it makes
    /// nothing good.
    fn count(&self) {
        let Some(asker) = self.asker.as_ref().filter(|_| !self.refused) else {
            return;
        };
        if self.answered {
            asker.given_up.give_back(asker.address);
        } else {
            asker.given_up.charge(asker.address);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.count();
        let mut state = self.calls.state.lock();
        state.open -= 1;
        state.quiet_since = Instant::now();
        if self.calls.is_shared && self.asker.is_some() {
            return;
        }
        if self.answered {
            state.given_up = state.given_up.saturating_sub(1);
        } else {
            state.given_up += 1;
        }
        if state.given_up > MOST_GIVEN_UP {
            self.calls.worn_out.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Rate;

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_requests_is_idle_early_and_others_later() {
        let begin = Instant::now();
        Calls::new(false).idle().await;
        assert!((HEAD_DEADLINE..2 * HEAD_DEADLINE).contains(&begin.elapsed()));

        let begin = Instant::now();
        let calls = Calls::new(false);
        let call = calls.begin(None);
        let busy = IDLE_DEADLINE * 2;
        let asking = async {
            tokio::time::sleep(busy).await;
            drop(call);
        };
        tokio::join!(calls.idle(), asking);
        let expected = busy + IDLE_DEADLINE;
        assert!((expected..expected + HEAD_DEADLINE).contains(&begin.elapsed()));
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_all_it_asks_for_wears_the_connection_out() {
        let calls = Calls::new(false);
        for _ in 0..MOST_GIVEN_UP {
            calls.begin(None).answered();
        }
        for _ in 0..MOST_GIVEN_UP {
            drop(calls.begin(None));
        }
        assert!(futures::poll!(std::pin::pin!(calls.worn_out())).is_pending());
        drop(calls.begin(None));
        calls.worn_out().await;
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_shared_connection_each_client_wears_out_its_own_patience() {
        let rate = Rate {
            burst: 3,
            per: Duration::from_secs(30),
        };
        let given_up = Arc::new(RateLimit::new(rate, true));
        let asker = |last| {
            Some(Asker {
                address: IpAddr::from([203, 0, 113, last]),
                given_up: given_up.clone(),
            })
        };
        let calls = Calls::new(true);
        for _ in 0..2 * MOST_GIVEN_UP {
            drop(calls.begin(asker(7)));
        }
        let mut refused = calls.begin(asker(7));
        assert!(refused.is_refused());
        // Nothing is made good by being refused, but by waiting.
        refused.answered();
        drop(refused);
        assert!(calls.begin(asker(7)).is_refused());
        assert!(!calls.begin(asker(8)).is_refused());
        assert!(!calls.begin(None).is_refused());
        assert!(futures::poll!(std::pin::pin!(calls.worn_out())).is_pending());
        tokio::time::advance(Duration::from_secs(10)).await;
        let mut call = calls.begin(asker(7));
        assert!(!call.is_refused());
        call.answered();
    }
}
