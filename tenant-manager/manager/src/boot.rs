//! Booting a node, which is also waking it: single-flight, admitted in two
//! levels and given a place, and without a word to the database.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use lifecycle::{TaskKind, failpoints};
use node_api::{LaunchError, NodeHandle, NodeStatus, StopReason};
use tenant_model::Generation;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::admission::BootPermit;
use crate::alarms;
use crate::fabric::Port;
use crate::manager::Inner;
use crate::places::{self, Place};
use crate::reconcile::Observed;
use crate::slots::{Doing, SlotGuard, TenantNode};
use crate::stop;
use crate::tenant::Tenant;

/// A boot that found no room is not tried again before this, unless somebody
/// comes.
pub(crate) const ROOM_AGAIN: Duration = Duration::from_secs(2);
/// How long a boot waits for room.
const ROOM_PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks for room; doubles.
const ROOM_LOOK: Duration = Duration::from_millis(50);
const ROOM_LONGEST_LOOK: Duration = Duration::from_millis(400);

/// What a boot is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A request.
    Http,
    /// A terminal or a command line.
    Ssh,
    /// A connection through a tunnel.
    Tunnel,
    /// Its owner or an operator said so.
    Api,
    /// A message of another node.
    Peer,
    /// One of its timers.
    Timer,
    /// It is to run whenever the host does, or was being made.
    Start,
}

impl Cause {
    fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Ssh => "ssh",
            Self::Tunnel => "tunnel",
            Self::Api => "api",
            Self::Peer => "peer",
            Self::Timer => "timer",
            Self::Start => "start",
        }
    }

    /// Whether somebody waits for it.
    fn is_urgent(self) -> bool {
        !matches!(self, Self::Timer | Self::Start)
    }
}

/// Starts booting in the background, unless something is being done already.
pub(crate) fn begin(inner: &Arc<Inner>, tenant: &Arc<Tenant>, cause: Cause) {
    let Some(guard) = inner.slots.begin(tenant.id, Doing::Booting) else {
        return;
    };
    if cause.is_urgent() {
        guard.hurried().cancel();
    }
    metrics::counter!("berth_node_wakes_total", "door" => cause.as_str()).increment(1);
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
        let whole = AssertUnwindSafe(run(&inner, &tenant, guard)).catch_unwind();
        if whole.await.is_err() {
            tracing::error!("booting the node panicked");
            // Attached it stays, whatever came after that.
            if inner.slots.observe(tenant.id).0 != Observed::Active {
                did_not_boot(&inner, &tenant, INTERNAL.to_owned());
            }
        }
        inner.reconcile(&tenant);
    };
    tasks.spawn(TaskKind::graceful("boot node"), boot.instrument(span));
}

/// Boots to the end. Waiters are released when the guard goes, at every return.
async fn run(inner: &Arc<Inner>, tenant: &Arc<Tenant>, guard: SlotGuard) {
    let (cancelled, hurried) = (guard.cancelled(), guard.hurried());
    let mut phase = Phase::begin();
    let admitted = tokio::select! {
        biased;
        () = cancelled.cancelled() => return guard.rest(),
        admitted = admit(inner, tenant, &hurried) => admitted,
    };
    let Some((permit, place)) = admitted else {
        no_room(inner, tenant);
        return guard.rest();
    };
    phase.ended("admission");
    tenant.state.lock().queued = false;
    inner.slots.feed.changed(tenant.id);
    let launched = launch(inner, tenant, permit).await;
    phase.ended("launch");
    match launched {
        Ok((handle, login)) => {
            let node = TenantNode::new(handle, login, place, Instant::now());
            became_active(inner, tenant, guard, node).await;
        }
        Err(reason) => {
            did_not_boot(inner, tenant, reason);
            guard.rest();
        }
    }
}

/// What the owner reads of a fault of ours.
const INTERNAL: &str = "an internal error; the operator has been told";

/// Tells how long each step takes.
struct Phase(Instant);

impl Phase {
    fn begin() -> Self {
        Self(Instant::now())
    }

    fn ended(&mut self, phase: &'static str) {
        let now = Instant::now();
        let took = now.duration_since(self.0).as_secs_f64();
        metrics::histogram!("berth_boot_phase_seconds", "phase" => phase).record(took);
        self.0 = now;
    }
}

/// Waits for its turn and for a place. Whoever finds no place waits for one
/// without holding up the others.
async fn admit(
    inner: &Arc<Inner>,
    tenant: &Tenant,
    hurried: &CancellationToken,
) -> Option<(BootPermit, Place)> {
    let deadline = Instant::now() + ROOM_PATIENCE;
    let (mut look, mut victims) = (ROOM_LOOK, places::MAX_VICTIMS);
    loop {
        let permit = inner.admission.enter(&tenant.permits, hurried).await.ok()?;
        let none = match places::take(inner, hurried.is_cancelled(), &mut victims).await {
            Ok(place) => return Some((permit, place)),
            Err(none) => none,
        };
        drop(permit);
        if Instant::now() >= deadline {
            tracing::warn!("no room for one more node: out of {}", none.0);
            return None;
        }
        tokio::time::sleep(look).await;
        look = (look * 2).min(ROOM_LONGEST_LOOK);
    }
}

/// The host has no room for it now: no fault of the node's.
fn no_room(inner: &Inner, tenant: &Tenant) {
    metrics::counter!("berth_node_boots_total", "outcome" => "no_room").increment(1);
    tenant.state.lock().no_room = Some(Instant::now());
    inner
        .alarms
        .set_in(tenant.id, alarms::Kind::Retry, ROOM_AGAIN + ROOM_LOOK);
}

/// Runs the launcher. It cannot be dropped half-way, so when it takes too long
/// only its place among the boots is given up.
async fn launch(
    inner: &Arc<Inner>,
    tenant: &Arc<Tenant>,
    permit: BootPermit,
) -> Result<(Arc<dyn NodeHandle>, u64), String> {
    let (spec, login) = tenant
        .spec(
            &inner.data_dir,
            &inner.identity.kek,
            Port::new(inner, tenant),
        )
        .map_err(|error| error.to_string())?;
    failpoints::hit("boot.admitted").map_err(|injected| injected.to_string())?;
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
            Err(INTERNAL.to_owned())
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

/// The node runs: it is attached, or stopped if nobody wants it any more.
/// Whatever goes wrong here, it is never left running without a slot.
async fn became_active(
    inner: &Arc<Inner>,
    tenant: &Arc<Tenant>,
    guard: SlotGuard,
    node: Arc<TenantNode>,
) {
    let decided = AssertUnwindSafe(|| still_wanted(inner, tenant, &guard));
    match std::panic::catch_unwind(decided) {
        Ok(Some(generation)) => attach(inner, tenant, guard, &node, generation),
        Ok(None) => {
            let reason = if inner.slots.is_closing() {
                inner.slots.closing_reason()
            } else {
                tenant.state.lock().stop_reason()
            };
            stop::run(inner, tenant, &node, guard, reason).await;
        }
        Err(_panic) => {
            did_not_boot(inner, tenant, INTERNAL.to_owned());
            stop::run(inner, tenant, &node, guard, StopReason::Idle).await;
        }
    }
}

/// Notes that the node runs; the generation under which, if it may go on.
fn still_wanted(inner: &Inner, tenant: &Tenant, guard: &SlotGuard) -> Option<Generation> {
    let wanted = !guard.cancelled().is_cancelled() && failpoints::hit("boot.launched").is_ok();
    let now = inner.clock.now();
    let mut state = tenant.state.lock();
    state.last_started = Some(now);
    state.usage.get_or_insert_default().begin(now);
    state.breaker.succeeded(Instant::now());
    state.no_room = None;
    let wanted = wanted && state.may_run();
    // Whoever wants a restart wants the boot after it too.
    if wanted && !state.restart {
        state.granted();
    }
    wanted.then_some(state.generation)
}

fn attach(
    inner: &Arc<Inner>,
    tenant: &Arc<Tenant>,
    guard: SlotGuard,
    node: &Arc<TenantNode>,
    generation: Generation,
) {
    metrics::counter!("berth_node_boots_total", "outcome" => "ok").increment(1);
    metrics::gauge!("berth_nodes_active").increment(1.0);
    inner.alarms.clear(tenant.id, alarms::Kind::Wake);
    inner
        .recorder
        .started(tenant.id, generation, inner.clock.now());
    watch(inner, tenant, node);
    guard.attach(node.clone());
    failpoints::crash("boot.attached");
    // A password set while it booted: whoever set it may have found no node.
    tenant.catch_up_login(node, &inner.identity.kek);
    tracing::info!("the node is active");
}

/// A boot that did not come to its end.
fn did_not_boot(inner: &Arc<Inner>, tenant: &Arc<Tenant>, reason: String) {
    metrics::counter!("berth_node_boots_total", "outcome" => "failed").increment(1);
    tracing::warn!("failed to boot the node: {reason}");
    failed(inner, tenant, reason);
}

/// Keeps the failure, and comes back when it may be tried again.
pub(crate) fn failed(inner: &Arc<Inner>, tenant: &Arc<Tenant>, reason: String) {
    let wait = tenant.state.lock().breaker.failed(reason, Instant::now());
    inner.slots.feed.changed(tenant.id);
    inner.alarms.set_in(tenant.id, alarms::Kind::Retry, wait);
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
            // A process asked for it that may command the kernel. One that is
            // to run always is tried again, later and later; another rests
            // until somebody uses it.
            Ok(_) if tenant.plan.always_on => Some("it ended itself".to_owned()),
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
