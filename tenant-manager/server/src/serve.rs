//! `berth serve`: from configuration to a host that accepts, and back.
//!
//! Order up: ports (handed over or bound), data directory and packages (as
//! whoever started us), unprivileged user, database, store, engine, nodes,
//! doors. Order down: see [`wiring::Host::stop`]. SIGUSR2 and `berth restart`
//! make it start anew in place ([`crate::restart`]); a signal to end during that
//! means just to end, and is never lost between two programs. A second one ends
//! at once.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use lifecycle::{TaskKind, Tasks};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use node_runtime::Distro;
use tokio_util::sync::CancellationToken;

use crate::commands::say;
use crate::config::Config;
use crate::database::Database;
use crate::listeners::Listeners;
use crate::notify::{self, State};
use crate::privileges::Privileges;
use crate::restart::{self, Asked, Started};
use crate::runtimes::Runtimes;
use crate::signals::{self, Again, Ends};
use crate::telemetry;
use crate::wiring::{self, Down, Host, Prepared};

/// How long a signal that came while there were no async threads may take to
/// be heard.
const LATE_SIGNAL: Duration = Duration::from_millis(10);

/// How long a private database may take to end that nobody takes over.
const DATABASE_GRACE: Duration = Duration::from_secs(10);
/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(20);
/// How long what a start that was cut short has begun may take to end.
const UNREADY_GRACE: Duration = Duration::from_secs(25);

/// How serving ended, unless it failed.
enum End {
    /// For good.
    Done,
    /// Everything is down, and this process is to start anew.
    Again {
        /// Open still.
        listeners: Listeners,
        /// Heard from since the new start was decided.
        ends: Ends,
        /// The private database that was left running.
        database: Option<u32>,
    },
}

/// What a host serves with.
struct Ground<'a> {
    config: &'a Config,
    started: &'a Started,
    unprivileged: bool,
}

/// Runs a host until SIGTERM or SIGINT, or until it becomes another program.
///
/// # Errors
/// One sentence saying what is missing and what to do.
pub fn run(config: &Config, started: Started) -> anyhow::Result<()> {
    hide()?;
    signals::hold_back()?;
    telemetry::start();
    arm_failpoints()?;
    raise_descriptor_limit();
    let privileges = Privileges::find(config.run_as.as_deref())?;
    let listeners = Listeners::open(config)?;
    let inside = started.handed.as_ref().is_some_and(|handed| handed.inside);
    let prepared = prepare(config, privileges.as_ref(), inside)?;
    let inside = prepared.home == Path::new(".");
    if let Some(privileges) = &privileges {
        privileges.drop_to()?;
        tracing::info!(user = privileges.name(), "dropped root privileges");
    }
    let unprivileged = privileges.is_some();
    let ground = Ground {
        config,
        started: &started,
        unprivileged,
    };
    let ends = Ends::listen()?;
    let runtimes = Runtimes::start()?;
    let serving = serve(&ground, ends, listeners, prepared, &runtimes);
    let ended = runtimes.front.block_on(serving);
    runtimes.end();
    let End::Again {
        listeners,
        ends,
        database,
    } = ended?
    else {
        return Ok(());
    };
    let again = || {
        // From here on a signal waits for the next program to hear it.
        signals::hold_back()?;
        if was_told(ends) {
            return Ok(());
        }
        Err(started.again(listeners, unprivileged, inside))
    };
    let stayed = again();
    end_database(database);
    stayed
}

/// Keeps others of the same user from reading our memory and environment, which
/// hold keys; a program that starts is open to them.
fn hide() -> anyhow::Result<()> {
    nix::sys::prctl::set_dumpable(false).context("hide the memory of this process")
}

/// Whether there was a signal to end, also while no async thread listened.
fn was_told(mut ends: Ends) -> bool {
    if ends.were_told() {
        return true;
    }
    let late = async {
        let told = tokio::time::timeout(LATE_SIGNAL, ends.told());
        told.await.is_ok()
    };
    small_runtime().is_ok_and(|runtime| runtime.block_on(late))
}

/// For the moment after the threads have ended.
fn small_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

/// Ends a private database, a child of ours that nobody is to take over.
fn end_database(database: Option<u32>) {
    let pid = database.and_then(|pid| i32::try_from(pid).ok());
    let Some(pid) = pid.map(Pid::from_raw) else {
        return;
    };
    if let Err(error) = kill(pid, Signal::SIGINT) {
        tracing::warn!("failed to end the private database: {error}");
        return;
    }
    let ended = async {
        while matches!(
            waitpid(pid, Some(WaitPidFlag::WNOHANG)),
            Ok(WaitStatus::StillAlive)
        ) {
            tokio::time::sleep(LOOK).await;
        }
    };
    let waited = small_runtime().is_ok_and(|runtime| {
        let limited = async { tokio::time::timeout(DATABASE_GRACE, ended).await };
        runtime.block_on(limited).is_ok()
    });
    if !waited {
        tracing::warn!("the private database takes long to end; not waiting for it");
    }
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

/// Makes the data directory and unpacks the packages, as whoever started us;
/// from `inside` it if an earlier program of this process entered it.
fn prepare(
    config: &Config,
    privileges: Option<&Privileges>,
    inside: bool,
) -> anyhow::Result<Prepared> {
    let data = if inside {
        Path::new(".")
    } else {
        &config.data_dir
    };
    let fresh = !data.exists();
    std::fs::create_dir_all(data).with_context(|| format!("create {}", data.display()))?;
    if fresh {
        private(data)?;
    }
    let distro = Distro::load(&config.packages, &data.join("packages"))?;
    let mut home = data.to_owned();
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
    ground: &Ground<'_>,
    mut ends: Ends,
    listeners: Listeners,
    prepared: Prepared,
    runtimes: &Runtimes,
) -> anyhow::Result<End> {
    let mut again = Again::watch()?;
    let root = CancellationToken::new();
    let front = Tasks::new(runtimes.front.handle().clone(), &root);
    let guests = Tasks::new(runtimes.guests.handle().clone(), &root);
    let kept = listeners.duplicate()?;
    let (asker, mut asked) = restart::asking();
    let handed_over = listeners.handed_over;
    let home = prepared.home.clone();
    let starting = wiring::start(ground.config, listeners, prepared, asker, &front, &guests);
    let started = tokio::select! {
        biased;
        () = ends.told() => None,
        started = starting => Some(started),
    };
    let Some(Ok(host)) = started else {
        if started.is_none() {
            tracing::info!("told to end before the host was ready");
            notify::tell(State::Stopping);
        }
        let ended = async {
            guests.shutdown(UNREADY_GRACE).await;
            front.shutdown(UNREADY_GRACE).await;
            Database::end_left(ground.config, &home).await;
        };
        tokio::select! {
            () = ended => {}
            () = ends.told() => end_at_once(),
        }
        return started.map_or(Ok(End::Done), |failed| failed.map(|_host| End::Done));
    };
    if let Err(error) = say(&format!("berth ready {}", host.ready_json())) {
        if !handed_over {
            drop(kept);
            host.stop(Down::ForGood).await;
            return Err(error.context("say that the host is ready"));
        }
        // Whoever read that the program before was ready may have gone.
        tracing::warn!("failed to say that the host is ready again: {error:#}");
    }
    notify::tell(State::Ready);
    let ready = host.ready_json();
    tracing::info!(
        dashboard = ready["dashboard"].as_str(),
        ssh = ready["ssh"].as_str(),
        "ready; `berth operator create EMAIL` makes an operator"
    );
    match until_asked(ground, &host, &mut ends, &mut again, &mut asked).await {
        Next::Restart => start_anew(host, ends, kept, &front).await,
        next => {
            // New connections are refused while the others are looked after.
            drop(kept);
            end_at_once_when_told(ends, &front);
            tracing::info!("stopping");
            notify::tell(State::Stopping);
            host.stop(Down::ForGood).await;
            match next {
                Next::Fail(reason) => bail!(reason),
                _ => Ok(End::Done),
            }
        }
    }
}

/// What a host that serves does next.
enum Next {
    Stop,
    Restart,
    Fail(String),
}

/// Serves until there is something else to do. A new start that could not be
/// made is refused, and nothing happens.
async fn until_asked(
    ground: &Ground<'_>,
    host: &Host,
    ends: &mut Ends,
    again: &mut Again,
    asked: &mut Asked,
) -> Next {
    loop {
        let answer = tokio::select! {
            biased;
            () = ends.told() => return Next::Stop,
            reason = host.failed() => return Next::Fail(reason),
            () = again.told() => None,
            Some(answer) = asked.recv() => Some(answer),
        };
        let checked = tokio::select! {
            biased;
            () = ends.told() => return Next::Stop,
            checked = ground.started.check(ground.config, ground.unprivileged) => checked,
        };
        let checked = checked.map_err(|error| format!("{error:#}"));
        if let Err(reason) = &checked {
            tracing::error!("not starting anew, serving on: {reason}");
        }
        let done = checked.is_ok();
        if let Some(answer) = answer {
            // Who asked may have gone.
            let _ = answer.send(checked);
        }
        if done {
            return Next::Restart;
        }
    }
}

/// Takes everything down but the sockets and the private database.
async fn start_anew(
    host: Host,
    mut told: Ends,
    kept: Listeners,
    front: &Tasks,
) -> anyhow::Result<End> {
    tracing::info!("starting anew");
    notify::tell(State::Reloading);
    let mut ends = Ends::watch()?;
    front.spawn(TaskKind::abortable("signals of a new start"), async move {
        told.told().await;
        tracing::info!("told to end: not starting anew");
        notify::tell(State::Stopping);
        told.told().await;
        end_at_once();
    });
    let database = host.stop(Down::Restart(&mut ends)).await;
    Ok(End::Again {
        listeners: kept,
        ends,
        database,
    })
}

fn end_at_once_when_told(mut ends: Ends, front: &Tasks) {
    front.spawn(TaskKind::abortable("second signal"), async move {
        ends.told().await;
        end_at_once();
    });
}

fn end_at_once() -> ! {
    tracing::warn!("second signal: ending at once");
    std::process::exit(1)
}
