//! The control plane's database: one that was named, or a private one.
//!
//! Owns the private server while the host runs: if it ends by itself it is
//! started again, and open connections recover. Stops by [`Database::close`], or
//! is left to a successor by [`Database::hand_over`].

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use lifecycle::{Backoff, TaskKind, Tasks};
use tenant_storage_pg::Pg;
use tenant_storage_pg::cluster::{ClusterOptions, PrivateCluster, Running};
use tokio::sync::oneshot;

use crate::config::Config;
use crate::privileges::Privileges;

/// Shortest and longest pause before a server that ended is started again.
const RESTART: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));
/// How long the server may take to end.
const STOP_GRACE: Duration = Duration::from_secs(10);

/// How long it may take until the server is stopped, whatever is going on: more
/// than each way of stopping may take.
const KEEPER_GRACE: Duration = Duration::from_secs(20);

/// A database in use.
#[derive(Debug)]
pub struct Database {
    /// Connections, schema up to date.
    pub pg: Pg,
    keeper: Option<Keeper>,
}

impl Database {
    /// Connects, starting the private server if none was named, and brings the
    /// schema up to date.
    ///
    /// # Errors
    /// What is missing, and what to do.
    pub async fn open(config: &Config, home: &Path, tasks: &Tasks) -> anyhow::Result<Self> {
        let (pg, keeper) = match &config.database_url {
            Some(url) => (Pg::connect(url).await?, None),
            None => {
                let mut options = ClusterOptions::new(home.to_owned());
                options.run_as = Privileges::keeper(home, config.run_as.as_deref())?;
                let running = PrivateCluster::start(options).await?;
                let options = running.connect_options();
                let keeper = Keeper::start(running, tasks);
                match Pg::connect_with(options).await {
                    Ok(pg) => (pg, Some(keeper)),
                    Err(error) => {
                        keeper.stop().await;
                        return Err(error.into());
                    }
                }
            }
        };
        let database = Self { pg, keeper };
        match database
            .pg
            .migrate()
            .await
            .context("bring the database's schema up to date")
        {
            Ok(()) => Ok(database),
            Err(error) => {
                database.close().await;
                Err(error)
            }
        }
    }

    /// Connects to the database of the host that runs on this data directory,
    /// else like [`Self::open`].
    ///
    /// # Errors
    /// What is missing, and what to do.
    pub async fn open_beside(config: &Config, tasks: &Tasks) -> anyhow::Result<Self> {
        if config.database_url.is_none()
            && let Some(options) = PrivateCluster::find(&config.data_dir)
            && let Ok(pg) = Pg::connect_with(options).await
        {
            pg.migrate()
                .await
                .context("bring the database's schema up to date")?;
            return Ok(Self { pg, keeper: None });
        }
        Self::open(config, &config.data_dir, tasks).await
    }

    /// Ends a private server in `home` that a start left which was cut short, or
    /// that the program before handed over to it.
    pub async fn end_left(config: &Config, home: &Path) {
        if config.database_url.is_none() {
            PrivateCluster::stop_left(home).await;
        }
    }

    /// Closes connections and ends the private server.
    pub async fn close(self) {
        self.pg.close().await;
        if let Some(keeper) = self.keeper {
            keeper.stop().await;
        }
    }

    /// Closes connections and leaves the private server, if there is one that
    /// runs, to the program that this process becomes. Its process.
    pub async fn hand_over(self) -> Option<u32> {
        self.pg.close().await;
        self.keeper?.end(Last::HandOver).await
    }
}

/// Keeps a private server running.
#[derive(Debug)]
struct Keeper {
    stop: oneshot::Sender<Last>,
    stopped: oneshot::Receiver<Option<u32>>,
}

/// What is done with the server when nobody here needs it any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    Stop,
    HandOver,
}

impl Keeper {
    fn start(running: Running, tasks: &Tasks) -> Self {
        let (stop, asked) = oneshot::channel();
        let (done, stopped) = oneshot::channel();
        tasks.spawn(TaskKind::graceful("private postgres"), async move {
            let left = keep(running, asked).await;
            let _ = done.send(left);
        });
        Self { stop, stopped }
    }

    async fn stop(self) {
        self.end(Last::Stop).await;
    }

    /// The server that is left running, if one is.
    async fn end(self, last: Last) -> Option<u32> {
        let _ = self.stop.send(last);
        let Ok(stopped) = tokio::time::timeout(KEEPER_GRACE, self.stopped).await else {
            tracing::error!("the private postgres does not end; going on without it");
            return None;
        };
        stopped.ok().flatten()
    }
}

/// Keeps the server running until it is told what to do with it last. Gives the
/// one that is left running.
async fn keep(mut running: Running, mut asked: oneshot::Receiver<Last>) -> Option<u32> {
    let mut backoff = Backoff::new(RESTART.0, RESTART.1);
    let last = loop {
        tokio::select! {
            last = &mut asked => break last,
            ended = running.ended() => tracing::error!("the private postgres ended: {ended:?}"),
        }
        loop {
            tokio::select! {
                _ = &mut asked => return None,
                () = tokio::time::sleep(backoff.next_delay()) => {}
            }
            let started = tokio::select! {
                biased;
                _ = &mut asked => None,
                started = running.start_again() => Some(started),
            };
            match started {
                // Half a server is handed over to nobody.
                None => {
                    running.stop(STOP_GRACE).await;
                    return None;
                }
                Some(Ok(())) => break,
                Some(Err(error)) => tracing::error!("failed to start postgres again: {error}"),
            }
        }
        backoff.reset();
        tracing::info!("the private postgres runs again");
    };
    if last == Ok(Last::HandOver) {
        let pid = running.pid();
        running.hand_over();
        return pid;
    }
    running.stop(STOP_GRACE).await;
    None
}
