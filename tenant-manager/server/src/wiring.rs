//! Puts a host together and takes it apart again.
//!
//! The only place that knows all crates. Invariant: what was started before a
//! failure is stopped again, so no private database outlives a failed start.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use lifecycle::{Clock, Entropy, OsEntropy, PooledEntropy, SystemClock, TaskKind, Tasks};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use node_api::StopReason;
use node_egress::{Dialer, EgressOptions};
use node_engine::{Engine, EngineOptions, WorkerCommand};
use node_runtime::{Distro, HostStore, Launcher, LauncherOptions, LogFiles};
use tenant_manager::{HostIdentity, Manager, ManagerLimits, ManagerOptions};
use tenant_model::Plan;

use crate::config::Config;
use crate::database::Database;
use crate::doors::{self, Doors};
use crate::gauge::ProcGauge;
use crate::listeners::Listeners;
use crate::restart::Asker;
use crate::signals::Ends;

/// How long requests in flight may take when the host ends: somebody waits for
/// that.
const REQUESTS_GRACE: Duration = Duration::from_secs(5);
/// The same when it starts anew: everybody else waits in the backlog.
const REQUESTS_GRACE_BEFORE_RESTART: Duration = Duration::from_secs(10);
/// How long nodes may take to stop when the host goes down.
const NODES_GRACE: Duration = Duration::from_secs(10);
/// How long doors may take to tell their users and close; more than each of
/// them gives its own connections.
const DOORS_GRACE: Duration = Duration::from_secs(8);
/// How long each part of the rest may take.
const REST_GRACE: Duration = Duration::from_secs(5);
/// How often figures are folded that nobody has asked for yet.
const METRICS_UPKEEP: Duration = Duration::from_secs(5);

/// Why a host goes down.
#[derive(Debug)]
pub enum Down<'a> {
    /// It ends.
    ForGood,
    /// It starts anew in place, unless it is told to end meanwhile.
    Restart(&'a mut Ends),
}

/// What was prepared before privileges were dropped.
pub struct Prepared {
    /// The data directory as this process reaches it.
    pub home: PathBuf,
    /// The host's own apps.
    pub distro: Distro,
    /// Machine code of their components, made by the build.
    pub artifacts: PathBuf,
}

/// A host that accepts.
pub struct Host {
    manager: Manager,
    store: HostStore,
    database: Database,
    doors: Doors,
    front: Tasks,
    guests: Tasks,
}

/// What a host runs on, before there are nodes and doors.
pub struct Ground {
    /// State of all nodes.
    pub store: HostStore,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// All metrics.
    pub metrics: PrometheusHandle,
    launcher: Arc<Launcher>,
    logs: Arc<LogFiles>,
}

/// Starts everything; returns when all doors accept.
///
/// # Errors
/// What could not be started, and what to do.
pub async fn start(
    config: &Config,
    listeners: Listeners,
    prepared: Prepared,
    restart: Asker,
    front: &Tasks,
    guests: &Tasks,
) -> anyhow::Result<Host> {
    let metrics = start_metrics(front)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let database = Database::open(config, &prepared.home, front).await?;
    let built = async {
        let home = prepared.home.clone();
        let ground = ground(config, prepared, clock, metrics, front, guests).await?;
        let manager = manager(config, &home, &database, &ground, front).await?;
        Ok((home, ground, manager))
    };
    let (home, ground, manager) = match built.await {
        Ok(built) => built,
        Err(error) => {
            database.close().await;
            return Err(error);
        }
    };
    let opening = doors::Opening {
        config,
        home: &home,
        manager: &manager,
        ground: &ground,
        pg: &database.pg,
        restart,
    };
    match opening.open(listeners, front.child()).await {
        Ok(doors) => Ok(Host {
            manager,
            store: ground.store,
            database,
            doors,
            front: front.clone(),
            guests: guests.clone(),
        }),
        Err(error) => {
            manager.shutdown(Duration::from_secs(5)).await;
            database.close().await;
            Err(error)
        }
    }
}

/// Starts counting. Between two questions figures would pile up, so they are
/// folded now and then.
fn start_metrics(front: &Tasks) -> anyhow::Result<PrometheusHandle> {
    let metrics = PrometheusBuilder::new()
        .install_recorder()
        .context("start metrics")?;
    let folded = metrics.clone();
    front.spawn(TaskKind::abortable("metrics"), async move {
        let mut ticks = tokio::time::interval(METRICS_UPKEEP);
        loop {
            ticks.tick().await;
            folded.run_upkeep();
        }
    });
    Ok(metrics)
}

async fn ground(
    config: &Config,
    prepared: Prepared,
    clock: Arc<dyn Clock>,
    metrics: PrometheusHandle,
    front: &Tasks,
    guests: &Tasks,
) -> anyhow::Result<Ground> {
    let Prepared {
        home,
        distro,
        artifacts,
    } = prepared;
    let (path, tasks) = (home.join("store"), front.clone());
    let store = front
        .blocking(move || HostStore::open(&path, &tasks))
        .await
        .context("open the host's store")??;
    // The kernel follows this link to the running binary whatever its path.
    let worker = WorkerCommand {
        program: PathBuf::from("/proc/self/exe"),
        args: vec!["__compile-worker".into()],
    };
    let mut options = EngineOptions::new(home.join("components"), worker);
    options.extra_artifact_dirs = vec![artifacts];
    let engine = Engine::new(options, guests)?;
    let logs = LogFiles::new(front.clone());
    let dialer = Dialer::new(&EgressOptions {
        name_servers: config.egress_dns.clone(),
    })
    .context("prepare for connections of apps")?;
    let launcher = Launcher::new(LauncherOptions {
        engine,
        store: store.clone(),
        distro,
        clock: clock.clone(),
        entropy: Arc::new(PooledEntropy::default()),
        logs: logs.clone(),
        dialer,
        tasks: guests.clone(),
        tls: config
            .public_url
            .as_ref()
            .is_some_and(|url| url.starts_with("https://")),
    })
    .await?;
    Ok(Ground {
        store,
        launcher,
        logs,
        clock,
        metrics,
    })
}

async fn manager(
    config: &Config,
    home: &Path,
    database: &Database,
    ground: &Ground,
    front: &Tasks,
) -> anyhow::Result<Manager> {
    let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
    let identity = HostIdentity::load_or_create(home, &*entropy)?;
    let plan = Plan {
        name: "default".into(),
        nodes: config.plan.nodes,
        memory_bytes: config.plan.memory_bytes,
        disk_bytes: config.plan.disk_bytes,
        disk_bytes_per_second: config.plan.disk_bytes_per_second,
        processes: config.plan.processes,
        always_on: config.plan.always_on,
        egress_allow: config.plan.egress_allow.clone(),
    };
    let mut limits = ManagerLimits::default();
    limits.max_awake = config.max_awake.unwrap_or(limits.max_awake);
    let options = ManagerOptions {
        repositories: database.pg.repositories(),
        launcher: ground.launcher.clone(),
        logs: ground.logs.clone(),
        gauge: Arc::new(ProcGauge),
        clock: ground.clock.clone(),
        entropy,
        tasks: front.child(),
        data_dir: home.to_owned(),
        identity,
        node_suffix: config.node_suffix.clone(),
        plan,
        idle_after: config.idle_after.unwrap_or(Duration::ZERO),
        limits,
    };
    Ok(Manager::start(options).await?)
}

impl Host {
    /// What the ready line tells.
    #[must_use]
    pub fn ready_json(&self) -> &serde_json::Value {
        self.doors.ready_json()
    }

    /// Waits for what a host cannot go on without to fail; the sentence to end
    /// with.
    pub async fn failed(&self) -> String {
        tokio::select! {
            () = self.doors.failed() => "a door failed; see the log".to_owned(),
            () = self.store.failed() => {
                "the store cannot be written any more: check the disk, then start again".to_owned()
            }
        }
    }

    /// Stops everything in order; each part has its grace period.
    ///
    /// First the doors accept nothing more and everybody who asked gets an
    /// answer, from nodes that still run: neither a new start nor an end loses
    /// a request. Then the nodes stop, which tells open terminals why, through
    /// doors that still work; then the doors close, and the rest ends.
    ///
    /// Gives the private database if that was left running.
    pub async fn stop(self, down: Down<'_>) -> Option<u32> {
        let (reason, grace) = match &down {
            Down::ForGood => (StopReason::HostShutdown, REQUESTS_GRACE),
            Down::Restart(_) => (StopReason::HostRestart, REQUESTS_GRACE_BEFORE_RESTART),
        };
        let answered = stage("requests", self.doors.finish(grace)).await;
        if !answered {
            tracing::warn!("some requests took too long to be waited for");
        }
        stage("nodes", self.manager.shutdown_for(reason, NODES_GRACE)).await;
        stage("doors", self.doors.close(DOORS_GRACE)).await;
        stage("guests", self.guests.shutdown(REST_GRACE)).await;
        let closing = tokio::time::timeout(REST_GRACE, self.store.close());
        match stage("store", closing).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!("failed to sync the store: {error}"),
            Err(_elapsed) => tracing::error!("the store is still in use; ending without it"),
        }
        let handed_over = match down {
            Down::ForGood => false,
            Down::Restart(ends) => !ends.were_told(),
        };
        let kept = if handed_over {
            stage("database", self.database.hand_over()).await
        } else {
            stage("database", self.database.close()).await;
            None
        };
        stage("rest", self.front.shutdown(REST_GRACE)).await;
        kept
    }
}

/// One step of the way down, with its time in the log: a slow end explains
/// itself.
async fn stage<T>(name: &'static str, step: impl Future<Output = T>) -> T {
    let begun = tokio::time::Instant::now();
    let done = step.await;
    tracing::info!(stage = name, elapsed = ?begun.elapsed(), "stopped");
    done
}
