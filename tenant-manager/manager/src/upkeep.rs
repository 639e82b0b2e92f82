//! The manager's timers: reconciling, hibernating the idle, sweeping sessions,
//! reading what the host uses.
//!
//! Each is an idempotent function without input, run again and again; what
//! must happen at once is done by whoever knows (`Inner::reconcile`).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lifecycle::TaskKind;
use node_api::StopReason;
use tokio::time::{Instant, MissedTickBehavior};

use crate::manager::Inner;
use crate::reconcile::{Plan, step};
use crate::slots::TenantNode;
use crate::{alarms, census, stop, usage};

/// Looks at the database after a write that was not answered: the second finds
/// what was still on its way at the first.
pub(crate) const LOOKS: u32 = 2;
/// Between two passes over all tenants.
const PASS: Duration = Duration::from_secs(5);
/// Between two readings of what the host uses, while nodes come and go.
const READING: Duration = Duration::from_secs(1);
/// Between two sweeps of sessions.
const SWEEP: Duration = Duration::from_secs(600);
/// Bounds of the time between two looks for idle nodes.
const IDLE_LOOK: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(15));

/// Starts the timers; they stop with the manager's tasks.
pub(crate) fn start(inner: &Arc<Inner>) {
    alarms::start(inner);
    every(inner, "read the host's use", READING, |inner| async move {
        read_use(&inner).await;
    });
    every(inner, "reconcile", PASS, |inner| async move {
        pass(&inner).await;
    });
    every(inner, "sweep sessions", SWEEP, |inner| async move {
        inner.accounts.sweep().await;
    });
    every(inner, "sample usage", usage::EVERY, |inner| async move {
        usage::sample(&inner);
    });
    every(inner, "forget usage", usage::PRUNE, |inner| async move {
        usage::prune(&inner);
    });
    if !inner.idle_after.is_zero() {
        let period = (inner.idle_after / 4).clamp(IDLE_LOOK.0, IDLE_LOOK.1);
        every(inner, "hibernate idle nodes", period, |inner| async move {
            hibernate_idle(&inner);
        });
    }
}

fn every<F>(
    inner: &Arc<Inner>,
    name: &'static str,
    period: Duration,
    work: impl Fn(Arc<Inner>) -> F + Send + Sync + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let tasks = inner.tasks.clone();
    // Weak: the timers must not keep a manager that everyone let go of.
    let inner = Arc::downgrade(inner);
    tasks.spawn(TaskKind::abortable(name), async move {
        let mut timer = tokio::time::interval_at(Instant::now() + period, period);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            timer.tick().await;
            let Some(inner) = inner.upgrade() else {
                return;
            };
            work(inner).await;
        }
    });
}

/// Looks at every tenant and does what is to be done.
pub(crate) async fn pass(inner: &Arc<Inner>) {
    if inner.reload.load(Ordering::Acquire) > 0 {
        reload(inner).await;
    }
    let tenants = inner.registry.read().all();
    census::take(inner, &tenants);
    let (now, clock) = (Instant::now(), inner.clock.now());
    let mut plan = Plan::default();
    for tenant in &tenants {
        let (observed, _) = inner.slots.observe(tenant.id);
        plan.add(&tenant.label, step(tenant.intent(now, clock), observed));
    }
    if plan.is_empty() {
        return;
    }
    tracing::debug!("reconciling: {plan}");
    for tenant in &tenants {
        inner.reconcile(tenant);
    }
}

/// Reads what the host uses, if nodes came or went since.
pub(crate) async fn read_use(inner: &Arc<Inner>) {
    if !inner.places.is_stale(Instant::now()) {
        return;
    }
    let counted = inner.places.counted();
    let gauge = inner.gauge.clone();
    let reading = inner.tasks.blocking(move || gauge.read()).await.flatten();
    if let Some(reading) = reading {
        inner.places.read(reading, counted, Instant::now());
    }
}

/// Finds tenants that were made although the database did not answer.
async fn reload(inner: &Arc<Inner>) {
    match inner
        .repositories
        .tenants
        .of_host(inner.identity.host)
        .await
    {
        Ok(rows) => {
            inner.reload.fetch_sub(1, Ordering::AcqRel);
            let mut registry = inner.registry.write();
            for row in rows {
                if let Err(error) = registry.add(row) {
                    tracing::error!("failed to load a tenant: {error}");
                }
            }
        }
        Err(error) => {
            tracing::warn!("failed to look for new tenants: {error}");
        }
    }
}

/// Stops nodes that nobody used for long enough. Whether a node is in use is
/// decided under the lock that lets people enter it.
pub(crate) fn hibernate_idle(inner: &Arc<Inner>) {
    let now = Instant::now();
    let idle = |node: &Arc<TenantNode>| {
        let unused = node.idle_for(now);
        unused.is_some_and(|unused| unused >= inner.idle_after)
    };
    for id in inner.slots.busy().0 {
        let Some(tenant) = inner.registry.read().get(id) else {
            continue;
        };
        if !tenant.plan.always_on {
            stop::begin(inner, &tenant, StopReason::Idle, idle);
        }
    }
}
