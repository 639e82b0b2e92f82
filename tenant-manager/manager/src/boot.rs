//! Booting a node, which is also waking it: single-flight, admitted in two
//! levels, and without a word to the database.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use lifecycle::TaskKind;
use node_api::{LaunchError, NodeHandle, NodeStatus, StopReason};
use tenant_model::DesiredState;
use tokio::time::Instant;
use tracing::Instrument;

use crate::fabric::Port;
use crate::manager::Inner;
use crate::slots::{Doing, SlotGuard, TenantNode};
use crate::stop;
use crate::tenant::Tenant;

/// Starts booting in the background, unless something is being done already.
pub(crate) fn begin(inner: &Arc<Inner>, tenant: &Arc<Tenant>) {
    let Some(guard) = inner.slots.begin(tenant.id, Doing::Booting) else {
        return;
    };
    {
        let mut state = tenant.state.lock();
        // A fresh boot is what a restart asked for.
        state.restart = false;
        state.queued = true;
    }
    let span = tracing::info_span!("boot", tenant_id = %tenant.id, label = %tenant.label);
    let (inner, tenant) = (inner.clone(), tenant.clone());
    let tasks = inner.tasks.clone();
    let boot = async move {
        run(&inner, &tenant, guard).await;
        inner.reconcile(&tenant);
    };
    tasks.spawn(TaskKind::graceful("boot node"), boot.instrument(span));
}

/// Boots to the end. Waiters are released when the guard goes, at every return.
async fn run(inner: &Arc<Inner>, tenant: &Arc<Tenant>, guard: SlotGuard) {
    let cancelled = guard.cancelled();
    let permit = tokio::select! {
        biased;
        () = cancelled.cancelled() => return guard.rest(),
        permit = inner.admission.enter(&tenant.permits) => permit,
    };
    let Ok(permit) = permit else {
        failed(
            inner,
            tenant,
            "the host has too many nodes to start".to_owned(),
        );
        return guard.rest();
    };
    tenant.state.lock().queued = false;
    inner.slots.feed.changed(tenant.id);
    let began = Instant::now();
    let launched = launch(inner, tenant, permit).await;
    metrics::histogram!("berth_node_boot_seconds").record(began.elapsed().as_secs_f64());
    match launched {
        Ok((handle, login)) => became_active(inner, tenant, guard, handle, login).await,
        Err(reason) => {
            metrics::counter!("berth_node_boots_total", "outcome" => "failed").increment(1);
            tracing::warn!("failed to boot the node: {reason}");
            failed(inner, tenant, reason);
            guard.rest();
        }
    }
}

/// Runs the launcher. It cannot be dropped half-way, so when it takes too long
/// only its place among the boots is given up.
async fn launch(
    inner: &Arc<Inner>,
    tenant: &Arc<Tenant>,
    permit: crate::admission::BootPermit,
) -> Result<(Arc<dyn NodeHandle>, u64), String> {
    let (spec, login) = tenant
        .spec(
            &inner.data_dir,
            &inner.identity.kek,
            Port::new(inner, tenant),
        )
        .map_err(|error| error.to_string())?;
    let launching = AssertUnwindSafe(inner.launcher.launch(spec)).catch_unwind();
    tokio::pin!(launching);
    let deadline = inner.limits.boot_deadline;
    let launched = match tokio::time::timeout(deadline, launching.as_mut()).await {
        Ok(launched) => launched,
        Err(_) => {
            tracing::warn!("the node takes more than {deadline:?} to boot");
            drop(permit);
            launching.await
        }
    };
    match launched {
        Ok(Ok(handle)) => Ok((handle, login)),
        Ok(Err(error)) => Err(for_its_owner(&error)),
        Err(_panic) => {
            tracing::error!("booting the node panicked");
            Err("an internal error; the operator has been told".to_owned())
        }
    }
}

/// What the owner may read: not where on the host something went wrong.
fn for_its_owner(error: &LaunchError) -> String {
    tracing::warn!("failed to launch: {error}");
    match error {
        LaunchError::Storage(_) => "its stored data could not be read or written".to_owned(),
        LaunchError::Packages(_) => "the host's own packages could not be loaded".to_owned(),
        LaunchError::Resources(what) => format!("the host is out of {what}"),
    }
}

async fn became_active(
    inner: &Arc<Inner>,
    tenant: &Arc<Tenant>,
    guard: SlotGuard,
    handle: Arc<dyn NodeHandle>,
    login: u64,
) {
    let now = inner.clock.now();
    let node = TenantNode::new(handle, login, Instant::now());
    let wanted = !guard.cancelled().is_cancelled();
    let generation = {
        let mut state = tenant.state.lock();
        state.last_started = Some(now);
        state.usage.get_or_insert_default().begin(now);
        state.breaker.succeeded(Instant::now());
        let wanted = wanted && state.desired == DesiredState::Running && !state.lost;
        // Whoever wants a restart wants the boot after it too.
        state.boot_wanted &= !wanted || state.restart;
        wanted.then_some(state.generation)
    };
    let Some(generation) = generation else {
        let reason = if inner.slots.is_closing() {
            StopReason::HostShutdown
        } else {
            StopReason::Owner
        };
        return stop::run(inner, tenant, &node, guard, reason).await;
    };
    metrics::counter!("berth_node_boots_total", "outcome" => "ok").increment(1);
    metrics::gauge!("berth_nodes_active").increment(1.0);
    inner.recorder.started(tenant.id, generation, now);
    watch(inner, tenant, &node);
    guard.attach(node.clone());
    // A password set while it booted: whoever set it may have found no node.
    tenant.catch_up_login(&node, &inner.identity.kek);
    tracing::info!("the node is active");
}

/// Keeps the failure, and comes back when it may be tried again.
pub(crate) fn failed(inner: &Arc<Inner>, tenant: &Arc<Tenant>, reason: String) {
    let wait = tenant.state.lock().breaker.failed(reason, Instant::now());
    inner.slots.feed.changed(tenant.id);
    let (inner, tenant) = (inner.clone(), tenant.clone());
    let tasks = inner.tasks.clone();
    tasks.spawn(TaskKind::abortable("retry boot"), async move {
        tokio::time::sleep(wait).await;
        inner.reconcile(&tenant);
    });
}

/// Sees when the node ends by itself, and clears it away.
fn watch(inner: &Arc<Inner>, tenant: &Arc<Tenant>, node: &Arc<TenantNode>) {
    let (inner, tenant, node) = (inner.clone(), tenant.clone(), node.clone());
    let tasks = inner.tasks.clone();
    tasks.spawn(TaskKind::abortable("watch node"), async move {
        let mut status = node.handle.status();
        let over = |status: &NodeStatus| {
            matches!(
                status,
                NodeStatus::Broken(_) | NodeStatus::Stopping | NodeStatus::Stopped
            )
        };
        let failure = match status.wait_for(over).await.as_deref() {
            Ok(NodeStatus::Broken(reason)) => Some(reason.clone()),
            // A process asked for it that may command the kernel: the node
            // rests until somebody uses it.
            Ok(_) => None,
            Err(_) => Some("it ended by itself".to_owned()),
        };
        let same = |attached: &Arc<TenantNode>| Arc::ptr_eq(attached, &node);
        // Not attached any more: someone stopped it, and that is what was seen.
        let Some((guard, node)) = inner.slots.begin_stop(tenant.id, same) else {
            return;
        };
        if let Some(reason) = failure {
            tracing::warn!(tenant_id = %tenant.id, "the node failed: {reason}");
            metrics::counter!("berth_node_failures_total").increment(1);
            failed(&inner, &tenant, reason);
        }
        // Not in this task, which shutdown drops where it stands.
        stop::spawn(&inner, &tenant, node, guard, StopReason::Owner);
    });
}
