//! `berth serve`: from configuration to a host that accepts, and back.
//!
//! Order up: data directory and packages (as whoever started us), ports,
//! unprivileged user, database, store, engine, nodes, doors. Order down: nodes
//! stop while doors can still tell their users why, doors close, the store is
//! synced, the database ends. A second signal ends at once.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use lifecycle::{TaskKind, Tasks};
use node_runtime::Distro;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::commands::say;
use crate::config::Config;
use crate::privileges::Privileges;
use crate::runtimes::Runtimes;
use crate::telemetry;
use crate::wiring::{self, Listeners, Prepared};

/// How long nodes may take to stop when the host goes down.
const NODES_GRACE: Duration = Duration::from_secs(10);
/// How long doors may take to tell their users and close; more than each of
/// them gives its own connections.
const DOORS_GRACE: Duration = Duration::from_secs(8);
/// How long the rest may take.
const REST_GRACE: Duration = Duration::from_secs(5);

/// Runs a host until SIGTERM or SIGINT.
///
/// # Errors
/// One sentence saying what is missing and what to do.
pub fn run(config: &Config) -> anyhow::Result<()> {
    telemetry::start();
    arm_failpoints()?;
    raise_descriptor_limit();
    let privileges = Privileges::find(config.run_as.as_deref())?;
    let listeners = Listeners {
        http: listen("http", config.http)?,
        ssh: listen("ssh", config.ssh)?,
        metrics: listen("metrics", config.metrics)?,
    };
    let prepared = prepare(config, privileges.as_ref())?;
    if let Some(privileges) = &privileges {
        privileges.drop_to()?;
        tracing::info!(user = privileges.name(), "dropped root privileges");
    }
    let runtimes = Runtimes::start()?;
    let done = runtimes
        .front
        .block_on(serve(config, listeners, prepared, &runtimes));
    runtimes.end();
    done
}

/// For tests of this project only; see [`lifecycle::failpoints`].
fn arm_failpoints() -> anyhow::Result<()> {
    match std::env::var("BERTH_FAILPOINTS") {
        Ok(text) => lifecycle::failpoints::arm(&text).map_err(anyhow::Error::msg),
        Err(_unset) => Ok(()),
    }
}

/// Each node needs a few descriptors; take what the system allows.
fn raise_descriptor_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!("failed to raise the limit of open files: {error}");
    }
}

/// Binds a port while privileged ones can still be bound.
fn listen(flag: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).with_context(|| {
        format!(
            "listen on {address}; is another host running? choose another address with --{flag}"
        )
    })?;
    listener.set_nonblocking(true).context("prepare a port")?;
    Ok(listener)
}

/// Makes the data directory and unpacks the packages, as whoever started us.
fn prepare(config: &Config, privileges: Option<&Privileges>) -> anyhow::Result<Prepared> {
    let data = &config.data_dir;
    let fresh = !data.exists();
    std::fs::create_dir_all(data).with_context(|| format!("create {}", data.display()))?;
    if fresh {
        private(data)?;
    }
    let distro = Distro::load(&config.packages, &data.join("packages"))?;
    let mut home = data.clone();
    if let Some(privileges) = privileges {
        privileges.own(data)?;
        privileges.place_cluster(data)?;
        if !privileges.can_reach(data) {
            // Entered while we still may; the user reaches it from inside.
            std::env::set_current_dir(data).with_context(|| format!("enter {}", data.display()))?;
            home = PathBuf::from(".");
        }
    }
    let distro = distro.seen_from(data, &home);
    let artifacts = distro.artifacts.clone();
    Ok(Prepared {
        home,
        distro,
        artifacts,
    })
}

fn private(directory: &Path) -> anyhow::Result<()> {
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700))
        .with_context(|| format!("make {} private", directory.display()))
}

async fn serve(
    config: &Config,
    listeners: Listeners,
    prepared: Prepared,
    runtimes: &Runtimes,
) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("watch for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("watch for SIGINT")?;
    let root = CancellationToken::new();
    let front = Tasks::new(runtimes.front.handle().clone(), &root);
    let guests = Tasks::new(runtimes.guests.handle().clone(), &root);
    let starting = wiring::start(config, listeners, prepared, &front, &guests);
    let host = tokio::select! {
        started = starting => started?,
        _ = terminate.recv() => bail!("stopped by a signal before the host was ready"),
        _ = interrupt.recv() => bail!("stopped by a signal before the host was ready"),
    };
    say(&format!("berth ready {}", host.ready_json()))?;
    let ready = host.ready_json();
    tracing::info!(
        dashboard = ready["dashboard"].as_str(),
        ssh = ready["ssh"].as_str(),
        "ready; `berth operator create EMAIL` makes an operator"
    );

    let failed = tokio::select! {
        biased;
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
        reason = host.failed() => Some(reason),
    };
    front.spawn(TaskKind::abortable("second signal"), async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::warn!("second signal: ending at once");
        std::process::exit(1);
    });
    tracing::info!("stopping");
    host.stop(NODES_GRACE, DOORS_GRACE, REST_GRACE).await;
    match failed {
        Some(reason) => bail!(reason),
        None => Ok(()),
    }
}
