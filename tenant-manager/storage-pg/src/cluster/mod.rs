//! A private Postgres for one host: no TCP, a Unix socket in a directory that
//! only its user enters.
//!
//! Owns `<place>/{data,socket,log,lock}`, where the place is `postgres` in the
//! data directory or, when the server's user cannot get there, a directory of
//! its own under `/var/lib/berth`. Invariant: one host at a time, kept by a
//! lock on `lock` that ends with the host however it ends; whoever holds it
//! may stop a server that an earlier host left behind. Stops by
//! [`Running::stop`]. A host that is killed leaves its server running; the
//! next start stops that one first. (A death signal to the child would not be
//! a replacement: it fires when a mere thread ends and is lost when the user
//! changes.) A host that starts anew in place leaves it running by
//! [`Running::hand_over`], and takes it over after that: it is its child still.

mod binaries;
mod leftover;
mod place;
mod process;
mod server;

use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;

pub use place::{Account, place};

use crate::cluster::binaries::Binaries;
use crate::cluster::place::Layout;

/// What the server is started with.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// The host's data directory.
    pub data_dir: PathBuf,
    /// The cluster's own directory, if [`place`] was asked before; `None` asks
    /// it now.
    pub place: Option<PathBuf>,
    /// User and group of the server when this process is root, which Postgres
    /// refuses to be; `None` picks one. Ignored when it is not root.
    pub run_as: Option<(u32, u32)>,
    /// Directories with `postgres` and `initdb`; `None` looks where systems
    /// put them.
    pub search: Option<Vec<PathBuf>>,
    /// Where the cluster lives when its user cannot reach the data directory.
    pub elsewhere: PathBuf,
    /// How long the server may take to accept connections, recovery included.
    pub start_limit: Duration,
}

impl ClusterOptions {
    /// The usual options for a host's data directory.
    #[must_use]
    pub fn new(data_dir: PathBuf) -> Self {
        Self {
            data_dir,
            place: None,
            run_as: None,
            search: None,
            elsewhere: PathBuf::from("/var/lib/berth"),
            start_limit: Duration::from_secs(120),
        }
    }
}

/// Why there is no private server. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// Postgres is not installed.
    #[error(
        "no Postgres server was found: install it (Debian and Ubuntu: apt-get install postgresql) \
         or name a database with --database-url"
    )]
    MissingBinaries,
    /// The data was written by another major version.
    #[error(
        "the private database in {} was made by Postgres {data}, but only Postgres {binary} is \
         installed: install postgresql-{data}, or move the data with pg_upgrade", dir.display()
    )]
    ForeignVersion {
        /// Major version of the data.
        data: String,
        /// Major version of the newest program found.
        binary: String,
        /// The data.
        dir: PathBuf,
    },
    /// Another host holds it.
    #[error("{} is in use by another berth: stop it, or choose another --data-dir", .0.display())]
    InUse(PathBuf),
    /// This process is root and there is nobody it could run the server as.
    #[error(
        "Postgres does not run as root and no unprivileged user was found: \
         make one (useradd --system berth) or name a database with --database-url"
    )]
    NoUser,
    /// A file or directory.
    #[error("failed to {what} {}: {error}", path.display())]
    File {
        /// Verb.
        what: &'static str,
        /// Object.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A socket's path would be too long and no shorter one can be had.
    #[error("no private directory for the database's socket could be made under /tmp")]
    NoSocketDirectory,
    /// Making the cluster failed.
    #[error("initdb failed: {0}")]
    Initdb(String),
    /// The server ended or did not come up in time.
    #[error("the private database did not start: {reason}; its log is {}", log.display())]
    NotStarted {
        /// What was seen.
        reason: String,
        /// Its log.
        log: PathBuf,
    },
}

impl ClusterError {
    fn file(what: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::File { what, path, error }
    }
}

/// Starts and finds private servers.
#[derive(Debug)]
pub struct PrivateCluster;

/// A server that accepts connections. Dropped without [`Running::stop`] it is
/// asked to stop, and nobody waits for it.
#[derive(Debug)]
pub struct Running {
    layout: Layout,
    binaries: Binaries,
    socket_dir: PathBuf,
    server: server::Server,
    start_limit: Duration,
    /// Held as long as the server is ours.
    _lock: std::fs::File,
}

impl PrivateCluster {
    /// Starts the server, after making the cluster if there is none and after
    /// stopping a server that a killed host left behind; or takes over the one
    /// that this very process started before it was started anew.
    ///
    /// # Errors
    /// [`ClusterError`]; then nothing runs.
    pub async fn start(options: ClusterOptions) -> Result<Running, ClusterError> {
        let account = Account::choose(options.run_as)?;
        let place = match options.place {
            Some(given) => given,
            None => place(&options.data_dir, account, &options.elsewhere)?,
        };
        let layout = Layout::of(place, account)?;
        let lock = layout.lock()?;
        let binaries = Binaries::find(options.search.as_deref(), &layout.data)?;
        let socket_dir = layout.socket_dir()?;
        let inherited = server::inherited(&layout, &socket_dir).await;
        let server = match inherited {
            Some(server) => server,
            None => {
                leftover::stop(&layout.data).await?;
                if !layout.data.join("PG_VERSION").exists() {
                    server::initdb(&binaries, &layout).await?;
                }
                server::start(&binaries, &layout, &socket_dir, options.start_limit).await?
            }
        };
        Ok(Running {
            layout,
            binaries,
            socket_dir,
            server,
            start_limit: options.start_limit,
            _lock: lock,
        })
    }

    /// Stops the server of `data_dir` that this process started, or inherited
    /// from the program that it was, and that nobody here stands for: the start
    /// of a host was cut short.
    pub async fn stop_left(data_dir: &std::path::Path) {
        if let Some(place) = place::known(data_dir) {
            server::stop_left(&place.join("data")).await;
        }
    }

    /// How to connect to the server that another process runs for `data_dir`,
    /// if one runs.
    #[must_use]
    pub fn find(data_dir: &std::path::Path) -> Option<PgConnectOptions> {
        let data = place::known(data_dir)?.join("data");
        let (_, socket_dir) = leftover::postmaster(&data)?;
        Some(server::connect_options(&socket_dir, server::DATABASE))
    }
}

impl Running {
    /// How to connect to the control plane's database.
    #[must_use]
    pub fn connect_options(&self) -> PgConnectOptions {
        server::connect_options(&self.socket_dir, server::DATABASE)
    }

    /// The directory of its socket.
    #[must_use]
    pub fn socket_dir(&self) -> &std::path::Path {
        &self.socket_dir
    }

    /// The directory of its data.
    #[must_use]
    pub fn data_dir(&self) -> &std::path::Path {
        &self.layout.data
    }

    /// Its process, unless it has ended.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.server.pid()
    }

    /// Waits until the server ends by itself.
    ///
    /// # Errors
    /// When it cannot be waited for.
    ///
    /// # Cancel-Safety
    /// Safe.
    pub async fn ended(&mut self) -> std::io::Result<ExitStatus> {
        self.server.ended().await
    }

    /// Starts it again after it ended by itself; open pools reconnect.
    ///
    /// # Errors
    /// [`ClusterError`].
    ///
    /// # Cancel-Safety
    /// What was being started is asked to stop.
    pub async fn start_again(&mut self) -> Result<(), ClusterError> {
        leftover::stop(&self.layout.data).await?;
        let (layout, socket_dir) = (&self.layout, &self.socket_dir);
        self.server = server::start(&self.binaries, layout, socket_dir, self.start_limit).await?;
        Ok(())
    }

    /// Leaves it running for the program that this process is about to become.
    pub fn hand_over(self) {
        self.server.hand_over();
    }

    /// Stops it: open transactions are undone. After `grace` it is stopped
    /// harder, which costs a recovery at the next start and loses nothing. So is
    /// one whose start by [`Self::start_again`] was cut short.
    pub async fn stop(mut self, grace: Duration) {
        self.server.stop(grace).await;
        server::stop_left(&self.layout.data).await;
    }
}
