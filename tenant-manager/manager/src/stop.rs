//! Stopping a node, which is also hibernating it; and removing what an
//! archived one leaves.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use lifecycle::{TaskKind, failpoints};
use node_api::{Rest, StopReason};
use tenant_model::StorageError;
use tracing::Instrument;

use crate::alarms;
use crate::logs::log_dir;
use crate::manager::Inner;
use crate::slots::{Doing, SlotGuard, TenantNode};
use crate::tenant::Tenant;

/// How long holders of leases may take to let go of a node that is down.
const LEASES: Duration = Duration::from_secs(10);
/// A stop that takes longer is worth a line in the log.
const SLOW: Duration = Duration::from_secs(30);
/// Wait after a purge that failed.
const PURGE_AGAIN: Duration = Duration::from_secs(60);

/// Stops the tenant's node in the background, if it runs and `agrees`.
pub(crate) fn begin(
    inner: &Arc<Inner>,
    tenant: &Arc<Tenant>,
    reason: StopReason,
    agrees: impl FnOnce(&Arc<TenantNode>) -> bool,
) {
    if let Some((guard, node)) = inner.slots.begin_stop(tenant.id, agrees) {
        spawn(inner, tenant, node, guard, reason);
    }
}

/// Stops `node` in the background.
pub(crate) fn spawn(
    inner: &Arc<Inner>,
    tenant: &Arc<Tenant>,
    node: Arc<TenantNode>,
    guard: SlotGuard,
    reason: StopReason,
) {
    let span = tracing::info_span!("stop", tenant_id = %tenant.id, label = %tenant.label);
    let (inner, tenant) = (inner.clone(), tenant.clone());
    let tasks = inner.tasks.clone();
    let stop = async move {
        let whole = AssertUnwindSafe(run(&inner, &tenant, &node, guard, reason)).catch_unwind();
        if whole.await.is_err() {
            tracing::error!("stopping the node panicked; stopping it again");
            let same = |attached: &Arc<TenantNode>| Arc::ptr_eq(attached, &node);
            if let Some((guard, node)) = inner.slots.begin_stop(tenant.id, same) {
                run(&inner, &tenant, &node, guard, reason).await;
            }
        }
        metrics::gauge!("berth_nodes_active").decrement(1.0);
        inner.reconcile(&tenant);
    };
    tasks.spawn(TaskKind::graceful("stop node"), stop.instrument(span));
}

/// Stops `node` to the end: no new leases, the node itself, then the leases.
pub(crate) async fn run(
    inner: &Arc<Inner>,
    tenant: &Tenant,
    node: &TenantNode,
    guard: SlotGuard,
    reason: StopReason,
) {
    // Polled once now: from here on nobody enters. It may be over at once, so
    // the wait below begins anew.
    let _ = futures::poll!(std::pin::pin!(node.gate.close()));
    failpoints::crash("stop.begun");
    let usage = node.handle.usage();
    let now = inner.clock.now();
    {
        let mut state = tenant.state.lock();
        state.record_usage(now, &usage);
        // Told until it has stopped.
        state.disk = Some(usage.disk());
    }
    let stopping = AssertUnwindSafe(node.handle.stop(reason)).catch_unwind();
    tokio::pin!(stopping);
    let stopped = match tokio::time::timeout(SLOW, stopping.as_mut()).await {
        Ok(stopped) => stopped,
        Err(_) => {
            tracing::warn!("the node takes more than {SLOW:?} to stop; waiting on");
            stopping.await
        }
    };
    let Rest { wake_in, disk } = stopped.unwrap_or_else(|_panic| {
        tracing::error!("stopping the node panicked");
        Rest::default()
    });
    // What it does not know is read from what it kept.
    tenant.state.lock().disk = disk;
    failpoints::crash("stop.stopped");
    // What they hold is an empty shell by now; another boot can do it no harm.
    if tokio::time::timeout(LEASES, node.gate.close())
        .await
        .is_err()
    {
        tracing::warn!(leases = node.gate.users(), "leases outlive their node");
    }
    node.set_down();
    match wake_in.filter(|_| reason.is_rest()) {
        Some(wait) => inner.alarms.set_in(tenant.id, alarms::Kind::Wake, wait),
        None => inner.alarms.clear(tenant.id, alarms::Kind::Wake),
    }
    failpoints::crash("stop.done");
    guard.rest();
    let outcome = match reason {
        StopReason::Owner => "owner",
        StopReason::Idle => "idle",
        StopReason::Suspended => "suspended",
        StopReason::HostShutdown | StopReason::HostRestart => "shutdown",
    };
    metrics::counter!("berth_node_stops_total", "reason" => outcome).increment(1);
    tracing::debug!(host = %inner.identity.host, "the node is down");
}

/// Removes everything of an archived tenant in the background.
pub(crate) fn begin_purge(inner: &Arc<Inner>, tenant: &Arc<Tenant>) {
    let Some(guard) = inner.slots.begin(tenant.id, Doing::Purging) else {
        return;
    };
    // An operator who came first keeps it.
    if tenant.state.lock().suspended.is_some() {
        return guard.rest();
    }
    let span = tracing::info_span!("purge", tenant_id = %tenant.id, label = %tenant.label);
    let (inner, tenant) = (inner.clone(), tenant.clone());
    let tasks = inner.tasks.clone();
    let purge = async move {
        if let Err(error) = purge(&inner, &tenant).await {
            tracing::warn!("failed to purge, trying again later: {error}");
            let again = inner.clock.now() + PURGE_AGAIN;
            tenant.state.lock().purge_at = Some(again);
        } else {
            inner.registry.write().remove(&tenant);
            inner.alarms.forget(tenant.id);
            inner.slots.feed.removed(tenant.id, tenant.account);
            tracing::info!("the tenant is purged");
        }
        guard.rest();
    };
    tasks.spawn(TaskKind::graceful("purge tenant"), purge.instrument(span));
}

/// The data first: with the row gone nobody would come back for it.
async fn purge(inner: &Inner, tenant: &Tenant) -> Result<(), String> {
    let directories = [
        tenant.vfs_root(&inner.data_dir),
        tenant.sql_root(&inner.data_dir),
        log_dir(&inner.data_dir, tenant.id),
    ];
    failpoints::hit("purge.begun").map_err(|injected| injected.to_string())?;
    let removed = inner.launcher.purge(tenant.key(), &directories).await;
    removed.map_err(|error| error.to_string())?;
    failpoints::hit("purge.data-removed").map_err(|injected| injected.to_string())?;
    let change = tenant.change(None, inner.clock.now());
    let ended = inner.repositories.tenants.purge(change).await;
    match ended {
        // Ended by an attempt whose answer was lost, or another host's by now:
        // either way not ours any more.
        Ok(()) | Err(StorageError::Fenced) => {}
        Err(error) => return Err(error.to_string()),
    }
    failpoints::crash("purge.row-ended");
    Ok(())
}
