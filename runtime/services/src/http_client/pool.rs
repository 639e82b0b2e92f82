//! Connections to servers, kept for a while for the next request.
//!
//! Owns the idle connections of a node. Invariants: a connection comes from
//! the node's [`Egress`] and is used by the process in whose name it was
//! opened and by no other, so that the record of connections says who spoke to
//! whom; idle ones are few, end after [`IDLE_TIME`], with the life of their
//! process, and when another is wanted and the node has no more. A connection
//! is closed the moment its last user drops it.
//!
//! The pool is our own, since that of hyper-util has no bound over all hosts
//! and does not tell its connector for whom it connects.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use http::Response;
use hyper::body::Incoming;
use lifecycle::{TaskKind, Tasks};
use node_egress::{Connection, Egress, EgressError, Wish};
use node_types::ProcessId;
use parking_lot::Mutex;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::connection::{Open, Route, SendError};
use super::outgoing::Outgoing;

/// How long a connection is kept that nobody uses.
pub(super) const IDLE_TIME: Duration = Duration::from_secs(30);
/// Connections kept for one process and server.
const IDLE_OF_ONE: usize = 4;
/// Connections kept.
const IDLE: usize = 8;
/// How long a connection may take to make place for another.
const CLOSE_TIME: Duration = Duration::from_secs(1);

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Pool {
    egress: Arc<Egress>,
    tasks: Tasks,
    idle: Mutex<Idle>,
}

#[derive(Debug, Default)]
struct Idle {
    /// The one that was used last at the end.
    kept: VecDeque<Kept>,
    /// Somebody closes them when their time has come.
    watched: bool,
}

#[derive(Debug)]
struct Kept {
    open: Open,
    until: Instant,
}

impl Pool {
    /// A pool without connections.
    pub(super) fn new(egress: Arc<Egress>, tasks: Tasks) -> Arc<Self> {
        Arc::new(Self {
            egress,
            tasks,
            idle: Mutex::default(),
        })
    }

    /// Sends a request in the name of `process`, and gives its response with
    /// the connection that its body comes from.
    ///
    /// # Cancel-Safety
    /// May be dropped: the connection is closed.
    pub(super) async fn send(
        &self,
        process: &ProcessId,
        outgoing: &Outgoing,
    ) -> Result<(Open, Response<Incoming>), SendError> {
        let route = outgoing.route(process);
        while let Some(mut open) = self.take(&route) {
            match open.send(outgoing).await {
                Ok(response) => return Ok((open, response)),
                // The server closed it while nobody used it, or just now. It
                // is not taken again.
                Err(failed) if failed.unsent => {}
                Err(failed) if outgoing.is_idempotent() && failed.error.is_lost() => {}
                Err(failed) => return Err(failed.error),
            }
        }
        let connection = self.connect(&route.wish()).await?;
        let mut open = Box::pin(Open::begin(connection, &self.tasks, route)).await?;
        match open.send(outgoing).await {
            Ok(response) => Ok((open, response)),
            Err(failed) => Err(failed.error),
        }
    }

    /// A connection that is wished for, instead of an idle one if there are too
    /// many.
    ///
    /// # Errors
    /// [`EgressError`].
    ///
    /// # Cancel-Safety
    /// May be dropped: nothing is left of the attempt.
    pub(super) async fn connect(&self, wish: &Wish) -> Result<Connection, EgressError> {
        // Boxed: resolving and TLS are large, and rarely under way.
        match Box::pin(self.egress.connect(wish)).await {
            // Closing one does not help whoever was too fast.
            Err(EgressError::TooMany) => {}
            other => return other,
        }
        let Some(oldest) = self.take_oldest() else {
            return Err(EgressError::TooMany);
        };
        // If it does not close in time, the next attempt says so.
        let _ = timeout(CLOSE_TIME, oldest.close()).await;
        Box::pin(self.egress.connect(wish)).await
    }

    /// Keeps a connection whose response has been read to its end, unless the
    /// life of the process it belongs to is over.
    pub(super) fn keep(self: &Arc<Self>, mut open: Open, life: &CancellationToken) {
        if open.is_closed() {
            return;
        }
        open.rest();
        let until = Instant::now() + IDLE_TIME;
        let mut idle = self.idle.lock();
        // Lives end before [`Pool::end`] closes what is here.
        if life.is_cancelled() {
            return;
        }
        let shared = idle.kept.iter_mut().find(|kept| kept.open.is(&open));
        if let Some(shared) = shared {
            shared.until = until;
            return;
        }
        let same = |kept: &Kept| kept.open.route == open.route;
        if idle.kept.iter().filter(|kept| same(kept)).count() >= IDLE_OF_ONE
            && let Some(oldest) = idle.kept.iter().position(same)
        {
            idle.kept.remove(oldest);
        }
        if idle.kept.len() >= IDLE {
            idle.kept.pop_front();
        }
        idle.kept.push_back(Kept { open, until });
        let watched = std::mem::replace(&mut idle.watched, true);
        drop(idle);
        if !watched {
            let kind = TaskKind::abortable("idle http connections");
            self.tasks.spawn(kind, watch(Arc::downgrade(self)));
        }
    }

    /// Closes what is kept for a process whose life is over.
    pub(super) fn end(&self, process: &ProcessId) {
        let mut idle = self.idle.lock();
        idle.kept.retain(|kept| kept.open.route.process != *process);
    }

    /// How many connections are kept.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.idle.lock().kept.len()
    }

    /// A kept connection, the one that was used last.
    fn take(&self, route: &Route) -> Option<Open> {
        let mut idle = self.idle.lock();
        let now = Instant::now();
        idle.kept
            .retain(|kept| kept.until > now && !kept.open.is_closed());
        let at = idle
            .kept
            .iter()
            .rposition(|kept| kept.open.route == *route)?;
        if let Some(shared) = idle.kept.get(at)?.open.share() {
            return Some(shared);
        }
        let mut open = idle.kept.remove(at)?.open;
        open.wake();
        Some(open)
    }

    /// The connection that was kept longest of those that nobody uses.
    fn take_oldest(&self) -> Option<Open> {
        let mut idle = self.idle.lock();
        let at = idle.kept.iter().position(|kept| !kept.open.is_shared())?;
        Some(idle.kept.remove(at)?.open)
    }

    /// Closes what was kept long enough; when to look again, if ever.
    fn expire(&self, now: Instant) -> Option<Instant> {
        let mut idle = self.idle.lock();
        idle.kept.retain(|kept| kept.until > now);
        let next = idle.kept.iter().map(|kept| kept.until).min();
        idle.watched = next.is_some();
        next
    }
}

/// Closes idle connections when their time has come, until there are none.
async fn watch(pool: Weak<Pool>) {
    loop {
        let next = pool.upgrade().and_then(|pool| pool.expire(Instant::now()));
        let Some(next) = next else {
            return;
        };
        tokio::time::sleep_until(next).await;
    }
}
