//! Puts a host together and takes it apart again.
//!
//! The only place that knows all crates. Invariant: what was started before a
//! failure is stopped again, so no private database outlives a failed start.

use std::future::Future;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use lifecycle::{Clock, Entropy, OsEntropy, PooledEntropy, SystemClock, TaskKind, Tasks};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use node_engine::{Engine, EngineOptions, WorkerCommand};
use node_runtime::{Distro, HostStore, Launcher, LauncherOptions, LogFiles};
use serde_json::json;
use tenant_manager::{HostIdentity, Manager, ManagerLimits, ManagerOptions};
use tenant_model::Plan;

use crate::config::Config;
use crate::database::Database;
use crate::gauge::ProcGauge;
use crate::ops::{Ops, Readiness};

/// The port every tenant is told for HTTP through its tunnel.
const LOCAL_HTTP_PORT: u16 = 8080;

/// Ports bound before privileges were dropped.
pub struct Listeners {
    /// Front door.
    pub http: TcpListener,
    /// SSH gateway.
    pub ssh: TcpListener,
    /// Operations port.
    pub metrics: TcpListener,
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
    ready: serde_json::Value,
    manager: Manager,
    store: HostStore,
    database: Database,
    doors: Tasks,
    front: Tasks,
    guests: Tasks,
}

/// What a host runs on, before there are nodes and doors.
struct Ground {
    store: HostStore,
    launcher: Arc<Launcher>,
    logs: Arc<LogFiles>,
    clock: Arc<dyn Clock>,
    metrics: PrometheusHandle,
}

/// Starts everything; returns when all doors accept.
///
/// # Errors
/// What could not be started, and what to do.
pub async fn start(
    config: &Config,
    listeners: Listeners,
    prepared: Prepared,
    front: &Tasks,
    guests: &Tasks,
) -> anyhow::Result<Host> {
    let metrics = PrometheusBuilder::new()
        .install_recorder()
        .context("start metrics")?;
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
    let doors = front.child();
    match open_doors(
        config, &home, listeners, &manager, &ground, &database, &doors,
    )
    .await
    {
        Ok(ready) => Ok(Host {
            ready,
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
    let launcher = Launcher::new(LauncherOptions {
        engine,
        store: store.clone(),
        distro,
        clock: clock.clone(),
        entropy: Arc::new(PooledEntropy::default()),
        logs: logs.clone(),
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
        processes: config.plan.processes,
        always_on: config.plan.always_on,
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

async fn open_doors(
    config: &Config,
    home: &Path,
    listeners: Listeners,
    manager: &Manager,
    ground: &Ground,
    database: &Database,
    doors: &Tasks,
) -> anyhow::Result<serde_json::Value> {
    let adopt = |listener: TcpListener| {
        tokio::net::TcpListener::from_std(listener).context("take over a port")
    };
    let ssh_options = ssh_gateway::Options::new(config.ssh, home.join("ssh_host_ed25519_key"));
    let ssh =
        ssh_gateway::adopt(adopt(listeners.ssh)?, ssh_options, manager.clone(), doors).await?;
    let web_options = web::Options {
        http: config.http,
        domain: config.domain.clone(),
        node_domain: config.node_domain.clone(),
        node_suffix: config.node_suffix.clone(),
        public_url: config.public_url.clone(),
        trusted_proxies: config
            .trusted_proxy
            .iter()
            .copied()
            .map(Into::into)
            .collect(),
        ssh_host: config.domain.clone(),
        ssh_port: ssh.local_addr().port(),
        local_http_port: LOCAL_HTTP_PORT,
        allow_shared_domain: true,
        rate_limits: web::RateLimits {
            count_loopback: config.limit_loopback,
            ..Default::default()
        },
    };
    let web = web::adopt(
        adopt(listeners.http)?,
        web_options,
        manager.clone(),
        doors,
        ground.clock.clone(),
    )?;
    let control = crate::control::bind(home)?;
    let metrics = adopt(listeners.metrics)?;
    let metrics_address = metrics
        .local_addr()
        .context("look at the operations port")?;
    let ready = json!({
        "dashboard": web.dashboard_url(),
        "ssh": ssh.local_addr().to_string(),
        "metrics": metrics_address.to_string(),
        "net_ws": null,
        "net_tcp": null,
        "pid": std::process::id(),
    });
    tracing::info!(fingerprint = ssh.host_key_fingerprint(), "SSH host key");
    let readiness = Arc::new(DatabaseAnswers(database.pg.clone()));
    let ops = Arc::new(Ops::new(ground.metrics.clone(), readiness));
    doors.spawn(TaskKind::essential("ssh gateway"), ssh.serve());
    doors.spawn(TaskKind::essential("web"), web.serve());
    doors.spawn(
        TaskKind::essential("control socket"),
        crate::control::serve(control, manager.clone(), doors.clone()),
    );
    doors.spawn(
        TaskKind::essential("operations port"),
        crate::ops::serve(metrics, ops, doors.clone()),
    );
    Ok(ready)
}

/// Ready means: the database answers. (That doors are open shows in asking.)
struct DatabaseAnswers(tenant_storage_pg::Pg);

#[async_trait::async_trait]
impl Readiness for DatabaseAnswers {
    async fn ready(&self) -> Result<(), String> {
        self.0
            .ping()
            .await
            .map_err(|error| format!("the database does not answer: {error}"))
    }
}

impl Host {
    /// What the ready line tells.
    #[must_use]
    pub fn ready_json(&self) -> &serde_json::Value {
        &self.ready
    }

    /// Waits for what a host cannot go on without to fail; the sentence to end
    /// with.
    pub async fn failed(&self) -> String {
        tokio::select! {
            () = self.doors.token().cancelled() => "a door failed; see the log".to_owned(),
            () = self.store.failed() => {
                "the store cannot be written any more: check the disk, then start again".to_owned()
            }
        }
    }

    /// Stops everything in order; each part has its grace period.
    pub async fn stop(self, nodes: Duration, doors: Duration, rest: Duration) {
        // First the nodes: that tells open terminals why, through doors that
        // still work. New requests are refused by the manager meanwhile.
        stage("nodes", self.manager.shutdown(nodes)).await;
        stage("doors", self.doors.shutdown(doors)).await;
        stage("guests", self.guests.shutdown(rest)).await;
        let synced = stage("store", tokio::time::timeout(rest, self.store.close())).await;
        match synced {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!("failed to sync the store: {error}"),
            Err(_elapsed) => tracing::error!("the store is still in use; ending without it"),
        }
        stage("database", self.database.close()).await;
        stage("rest", self.front.shutdown(rest)).await;
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
