//! When something is to be done about a tenant by itself: its first timer
//! elapses, or a failure is long enough ago to try again.
//!
//! Owns the times of all tenants, and one task that sleeps until the first of
//! them, so that a sleeping tenant costs an entry and no timer of its own.
//! Invariant: a tenant has at most one time of each kind. Stops with the
//! manager's tasks.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Weak};
use std::time::Duration;

use lifecycle::{TaskKind, Timestamp};
use node_api::{AlarmTime, LaunchError};
use parking_lot::Mutex;
use tenant_model::TenantId;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::boot::Cause;
use crate::manager::Inner;

/// When nodes that ran as their host died are woken: the first visitors come
/// first.
const INTERRUPTED_AFTER: Duration = Duration::from_secs(2);
/// Between two of these.
const INTERRUPTED_APART: Duration = Duration::from_millis(10);
/// A wake that the host has no room for now is tried again after this.
const LATER: Duration = Duration::from_secs(2);
/// Later than this is as good as never, and cannot overflow.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// Tenants looked after before the task gives way.
const BATCH: usize = 64;

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Its node is to be woken.
    Wake,
    /// What is wanted of it may be tried again.
    Retry,
}

#[derive(Debug, Default)]
struct Due {
    by_time: BTreeSet<(Instant, TenantId, Kind)>,
    by_tenant: HashMap<(TenantId, Kind), Instant>,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Alarms {
    due: Mutex<Due>,
    /// Told when there is an earlier first.
    earlier: Notify,
}

impl Due {
    fn remove(&mut self, tenant: TenantId, kind: Kind) {
        if let Some(at) = self.by_tenant.remove(&(tenant, kind)) {
            self.by_time.remove(&(at, tenant, kind));
        }
    }

    fn first(&self) -> Option<Instant> {
        self.by_time.first().map(|(at, ..)| *at)
    }
}

impl Alarms {
    /// Sets a tenant's time of one kind, instead of the one it had.
    pub(crate) fn set(&self, tenant: TenantId, kind: Kind, at: Instant) {
        let is_first = {
            let mut due = self.due.lock();
            due.remove(tenant, kind);
            due.by_tenant.insert((tenant, kind), at);
            due.by_time.insert((at, tenant, kind));
            due.first() == Some(at)
        };
        if is_first {
            self.earlier.notify_one();
        }
    }

    /// The same, so long from now.
    pub(crate) fn set_in(&self, tenant: TenantId, kind: Kind, wait: Duration) {
        self.set(tenant, kind, Instant::now() + wait.min(LONGEST));
    }

    /// Forgets it.
    pub(crate) fn clear(&self, tenant: TenantId, kind: Kind) {
        self.due.lock().remove(tenant, kind);
    }

    /// Forgets everything about a tenant.
    pub(crate) fn forget(&self, tenant: TenantId) {
        let mut due = self.due.lock();
        due.remove(tenant, Kind::Wake);
        due.remove(tenant, Kind::Retry);
    }

    fn first(&self) -> Option<Instant> {
        self.due.lock().first()
    }

    fn take_due(&self, now: Instant) -> Vec<(TenantId, Kind)> {
        let mut due = self.due.lock();
        let mut taken = Vec::new();
        while taken.len() < BATCH && due.first().is_some_and(|at| at <= now) {
            if let Some((_, tenant, kind)) = due.by_time.pop_first() {
                due.by_tenant.remove(&(tenant, kind));
                taken.push((tenant, kind));
            }
        }
        taken
    }
}

/// Takes over what the store says of tenants to be woken.
pub(crate) async fn load(inner: &Arc<Inner>) -> Result<(), LaunchError> {
    let stored = inner.launcher.alarms().await?;
    let (now, clock) = (Instant::now(), inner.clock.now());
    let registry = inner.registry.read();
    // Those that are late go one after the other too.
    let mut row = now + INTERRUPTED_AFTER;
    for alarm in stored {
        let id = TenantId::from_u128(alarm.key.tenant);
        // Of another life of the tenant, or of one that another host has now.
        let Some(tenant) = registry.get(id).filter(|t| t.key() == alarm.key) else {
            continue;
        };
        let due = match alarm.due {
            AlarmTime::At(time) => now + until(time, clock),
            AlarmTime::Interrupted => now,
        };
        if due < row {
            row += INTERRUPTED_APART;
        }
        inner.alarms.set(tenant.id, Kind::Wake, due.max(row));
    }
    Ok(())
}

fn until(time: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(time - now)
        .unwrap_or(Duration::ZERO)
        .min(LONGEST)
}

/// Starts looking after what is due.
pub(crate) fn start(inner: &Arc<Inner>) {
    let tasks = inner.tasks.clone();
    // Weak: the task must not keep a manager that everyone let go of.
    let (inner, alarms) = (Arc::downgrade(inner), inner.alarms.clone());
    tasks.spawn(TaskKind::abortable("alarms"), run(inner, alarms));
}

async fn run(inner: Weak<Inner>, alarms: Arc<Alarms>) {
    loop {
        for (tenant, kind) in alarms.take_due(Instant::now()) {
            let Some(inner) = inner.upgrade() else {
                return;
            };
            ring(&inner, tenant, kind);
        }
        match alarms.first() {
            Some(first) if first <= Instant::now() => tokio::task::yield_now().await,
            Some(first) => {
                let _ = tokio::time::timeout_at(first, alarms.earlier.notified()).await;
            }
            None => alarms.earlier.notified().await,
        }
    }
}

fn ring(inner: &Arc<Inner>, id: TenantId, kind: Kind) {
    let Some(tenant) = inner.registry.read().get(id) else {
        return;
    };
    if kind == Kind::Wake {
        if inner.admission.is_calm_full() {
            return inner.alarms.set_in(id, kind, LATER);
        }
        let mut state = tenant.state.lock();
        if !state.may_run() {
            state.rang = state.suspended.is_some();
            return;
        }
        state.want(Cause::Timer);
    }
    inner.reconcile(&tenant);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_kind_has_one_time_and_the_earliest_is_first() {
        let alarms = Alarms::default();
        let now = Instant::now();
        let (a, b) = (
            TenantId::from_random([1; 16]),
            TenantId::from_random([2; 16]),
        );
        alarms.set(a, Kind::Wake, now + Duration::from_secs(9));
        alarms.set(a, Kind::Retry, now + Duration::from_secs(3));
        alarms.set(b, Kind::Wake, now + Duration::from_secs(5));
        alarms.set(a, Kind::Wake, now + Duration::from_secs(4));
        alarms.clear(b, Kind::Retry);
        let at = |seconds| alarms.take_due(now + Duration::from_secs(seconds));
        assert_eq!(at(2), []);
        assert_eq!(alarms.first(), Some(now + Duration::from_secs(3)));
        assert_eq!(at(4), [(a, Kind::Retry), (a, Kind::Wake)]);
        assert_eq!(at(99), [(b, Kind::Wake)]);
        alarms.set_in(a, Kind::Wake, Duration::MAX);
        alarms.set_in(a, Kind::Retry, Duration::ZERO);
        alarms.forget(a);
        assert_eq!(alarms.first(), None);
    }
}
