//! Making a cluster, and the life of its server process.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection};
use tokio::process::Command;
use tokio::time::Instant;

use super::ClusterError;
use super::binaries::Binaries;
use super::leftover;
use super::place::Layout;
use super::process::Process;

/// The control plane's database, and its owner.
pub(super) const DATABASE: &str = "berth";
const USER: &str = "berth";
/// Between two attempts to connect to a server that starts: it tells nobody
/// when it is ready.
const KNOCK: Duration = Duration::from_millis(50);
/// How much of the log an error quotes, bytes.
const QUOTE: usize = 600;
/// How long a server that was asked to leave at once may take.
const AT_ONCE: Duration = Duration::from_secs(5);
/// How long one may take to stop that is not to be kept.
const LEFT: Duration = Duration::from_secs(10);
/// How long making a cluster may take.
const INITDB: Duration = Duration::from_secs(120);

/// A server process of ours.
#[derive(Debug)]
pub(super) struct Server {
    process: Process,
}

/// How to reach the server; it trusts whoever can enter the socket's directory.
pub(super) fn connect_options(socket_dir: &Path, database: &str) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .socket(socket_dir)
        .port(5432)
        .username(USER)
        .database(database)
        .disable_statement_logging()
}

/// A command that runs as the cluster's user, with nothing of our environment,
/// and out of reach of keys pressed in our terminal.
fn command(program: &Path, layout: &Layout) -> Command {
    let mut command = std::process::Command::new(program);
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .current_dir("/")
        .stdin(Stdio::null())
        .process_group(0);
    if layout.account.hand_over {
        command.uid(layout.account.uid).gid(layout.account.gid);
    }
    command.into()
}

/// Makes the cluster, beside its place and then renamed: one that was
/// interrupted is made anew.
pub(super) async fn initdb(binaries: &Binaries, layout: &Layout) -> Result<(), ClusterError> {
    let beside = layout.data.with_file_name("data.new");
    match std::fs::remove_dir_all(&beside) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(ClusterError::file("remove", &beside)(error)),
    }
    tracing::info!("making a private database in {}", layout.data.display());
    let run = command(&binaries.initdb, layout)
        .arg("--pgdata")
        .arg(&beside)
        .args([
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-instructions",
        ])
        .arg(format!("--username={USER}"))
        .kill_on_drop(true)
        .output();
    let output = match tokio::time::timeout(INITDB, run).await {
        Ok(output) => output.map_err(ClusterError::file("run", &binaries.initdb))?,
        Err(_) => {
            return Err(ClusterError::Initdb(format!(
                "it took more than {INITDB:?}"
            )));
        }
    };
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(ClusterError::Initdb(tail(text.trim())));
    }
    std::fs::rename(&beside, &layout.data).map_err(ClusterError::file("rename", &beside))
}

/// Starts the server and waits until it has the control plane's database.
pub(super) async fn start(
    binaries: &Binaries,
    layout: &Layout,
    socket_dir: &Path,
    limit: Duration,
) -> Result<Server, ClusterError> {
    remove_old_sockets(socket_dir);
    let log = layout.open_log()?;
    let errors = log.try_clone();
    let errors = errors.map_err(ClusterError::file("share", &layout.log))?;
    let child = command(&binaries.postgres, layout)
        .args(arguments(layout, socket_dir))
        // Its own file: whoever waits for our output must not wait for it.
        .stdout(log)
        .stderr(errors)
        .spawn()
        .map_err(ClusterError::file("run", &binaries.postgres))?;
    let mut server = Server {
        process: Process::Started(child),
    };
    match server.ready(socket_dir, limit).await {
        Ok(()) => Ok(server),
        Err(reason) => {
            server.stop(AT_ONCE).await;
            let text = std::fs::read_to_string(&layout.log).unwrap_or_default();
            Err(ClusterError::NotStarted {
                reason: format!("{reason}. It said: {}", tail(text.trim())),
                log: layout.log.clone(),
            })
        }
    }
}

/// What the server is started with.
fn arguments(layout: &Layout, socket_dir: &Path) -> Vec<OsString> {
    // A list in the server's syntax, of one quoted path.
    let quoted = socket_dir.display().to_string().replace('"', "\"\"");
    let socket = format!("unix_socket_directories=\"{quoted}\"");
    let settings = [
        "listen_addresses=",
        "port=5432",
        &socket,
        "unix_socket_permissions=0700",
        "logging_collector=off",
        "log_destination=stderr",
        "max_connections=50",
        "shared_buffers=32MB",
        "fsync=on",
        "synchronous_commit=on",
    ];
    let mut arguments = vec!["-D".into(), layout.data.clone().into_os_string()];
    for setting in settings {
        arguments.extend(["-c".into(), setting.into()]);
    }
    arguments
}

/// The server that this process started before it was started anew, if there
/// is one that runs with the arguments it would be started with now and answers.
/// Another child is stopped; a process that is none is left alone.
///
/// # Cancel-Safety
/// A server that was found is asked to stop.
pub(super) async fn inherited(layout: &Layout, socket_dir: &Path) -> Option<Server> {
    let mut server = Server::inherited(&layout.data)?;
    if server.serves(layout, socket_dir).await {
        tracing::info!("the private database runs on");
        return Some(server);
    }
    tracing::info!("the private database cannot be taken over as it is; starting it again");
    server.stop(LEFT).await;
    None
}

/// Stops the server of `data` if it is a child of this process that nobody here
/// stands for: taken over by nobody, or dropped while it started.
pub(super) async fn stop_left(data: &Path) {
    if let Some(mut server) = Server::inherited(data) {
        server.stop(LEFT).await;
    }
}

/// Nobody works on the data, so nobody listens on these.
fn remove_old_sockets(socket_dir: &Path) {
    for name in [".s.PGSQL.5432", ".s.PGSQL.5432.lock"] {
        // If it cannot be removed the server says so.
        let _ = std::fs::remove_file(socket_dir.join(name));
    }
}

/// The end of a text, cut at a character.
fn tail(text: &str) -> String {
    let from = text.len().saturating_sub(QUOTE);
    let from = (from..text.len()).find(|at| text.is_char_boundary(*at));
    text[from.unwrap_or(0)..].to_owned()
}

impl Server {
    /// The child of ours that is the server of `data`. Ours from now on: dropped,
    /// it is asked to stop.
    fn inherited(data: &Path) -> Option<Self> {
        let (pid, _) = leftover::postmaster(data)?;
        let process = Process::inherited(pid)?;
        Some(Self { process })
    }

    /// Whether it runs as it would be started now, and answers.
    async fn serves(&self, layout: &Layout, socket_dir: &Path) -> bool {
        let mut wanted = Vec::new();
        for argument in arguments(layout, socket_dir) {
            wanted.extend_from_slice(argument.as_bytes());
            wanted.push(0);
        }
        if self.process.arguments() != Some(wanted) {
            return false;
        }
        let options = connect_options(socket_dir, DATABASE);
        let knocking = tokio::time::timeout(AT_ONCE, options.connect());
        let Ok(Ok(connection)) = knocking.await else {
            return false;
        };
        // Dropping would do; closing spares the server a line in its log.
        let _ = connection.close().await;
        true
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.process.id()
    }

    pub(super) async fn ended(&mut self) -> std::io::Result<ExitStatus> {
        self.process.wait().await
    }

    async fn ready(&mut self, socket_dir: &Path, limit: Duration) -> Result<(), String> {
        let deadline = Instant::now() + limit;
        let options = connect_options(socket_dir, "postgres");
        let mut connection = loop {
            let refused = match options.connect().await {
                Ok(connection) => break connection,
                Err(error) => error,
            };
            if let Ok(Some(status)) = self.process.try_wait() {
                return Err(format!("it ended ({status})"));
            }
            if Instant::now() >= deadline {
                return Err(format!("it was not ready within {limit:?} ({refused})"));
            }
            tokio::time::sleep(KNOCK).await;
        };
        ensure_database(&mut connection)
            .await
            .map_err(|error| format!("its database could not be made ({error})"))?;
        // Dropping would do; closing spares the server a line in its log.
        let _ = connection.close().await;
        Ok(())
    }

    /// Stops it in order, then at once, then for good.
    pub(super) async fn stop(&mut self, grace: Duration) {
        for (signal, limit) in [(Signal::INT, grace), (Signal::QUIT, AT_ONCE)] {
            if !self.process.signal(signal) {
                return;
            }
            let ended = tokio::time::timeout(limit, self.process.wait());
            if ended.await.is_ok() {
                return;
            }
            tracing::warn!("the private database does not stop; asking harder");
        }
        self.process.signal(Signal::KILL);
        if let Err(error) = self.process.wait().await {
            tracing::warn!("failed to end the private database: {error}");
        }
    }

    /// Forgets it without stopping it.
    pub(super) fn hand_over(self) {
        std::mem::forget(self);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.signal(Signal::INT);
    }
}

async fn ensure_database(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let there: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
            .bind(DATABASE)
            .fetch_one(&mut *connection)
            .await?;
    if !there {
        sqlx::query("CREATE DATABASE berth")
            .execute(connection)
            .await?;
    }
    Ok(())
}
