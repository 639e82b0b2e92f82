//! `sqlite:distro:sys`: the SQL databases of a node's packages.
//!
//! Owns one directory of the host per node, through `node_sql`. Invariants: a
//! package makes and removes its own databases only, and whoever reads or
//! writes one holds the right to; no bytes are written that the node's disk
//! quota has not been charged for; requests of one process are done in the
//! order they came, those of different processes side by side up to a bound.
//! SQL runs in the blocking pool. What was acknowledged survives a kill of the
//! host, and within a second a power cut. The module stops when its inbox
//! closes, after finishing what it has taken out, or when its tasks are
//! cancelled: then statements under way are interrupted. Either way the
//! databases are synced and closed.

pub(crate) mod action;
mod budget;
pub(crate) mod codec;
pub(crate) mod params;
mod perform;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lifecycle::Tasks;
use node_sql::{Databases, SqlError, Statement};
use node_types::{Address, KernelMessage, Message, NodeName, ProcessId, Request};
use tokio::sync::{Notify, OnceCell, Semaphore};

use crate::callers::{self, Serve};
use crate::database::Transactions;
use crate::dialect::{Dialect, reply};
use crate::quota::DiskQuota;
use crate::{Inbox, KernelPort, Service, module};
use action::{Outcome, SqliteError};
use budget::QuotaBudget;
use codec::Asked;

pub use node_sql::Limits;

/// Statements of one node that run at the same time.
const CONCURRENT: usize = 2;
/// Statements of all nodes of a host that run at the same time: a part of the
/// threads that nodes share for what waits, so that the rest go on.
pub const CONCURRENT_ON_HOST: usize = 8;
/// How long a commit may wait for others before all are synced together.
const SYNC_DELAY: Duration = Duration::from_millis(400);
/// How long after a failed sync it is tried again.
const SYNC_AGAIN: Duration = Duration::from_secs(5);
/// Databases that nobody uses for so long are closed until the next use: each
/// holds descriptors and memory.
const CLOSE_IDLE: Duration = Duration::from_secs(60);
/// A statement that began just after the others were interrupted runs no
/// longer than this.
const INTERRUPT_AGAIN: Duration = Duration::from_millis(50);

/// What a node's databases are made of.
#[derive(Debug)]
pub struct Options {
    /// The directory of the node's databases; made with the first of them.
    pub root: PathBuf,
    /// The node's disk budget, as its databases see it.
    pub quota: Arc<DiskQuota>,
    /// Bounds on statements and on what is kept open.
    pub limits: Limits,
    /// [`CONCURRENT_ON_HOST`] permits that all nodes of the host share.
    pub turns: Arc<Semaphore>,
}

/// The SQLite module of one node.
#[derive(Debug)]
pub struct Sqlite {
    id: ProcessId,
    us: Address,
    port: Arc<dyn KernelPort>,
    tasks: Tasks,
    quota: Arc<DiskQuota>,
    databases: Arc<Databases>,
    transactions: Transactions<Statement>,
    /// Set once what is on disk has been counted.
    measured: OnceCell<()>,
    slots: Semaphore,
    /// Those of the host, taken after one of the node's.
    turns: Arc<Semaphore>,
    /// Something was written since the last sync.
    written: Notify,
    /// A database was used since idle ones were last closed.
    used: Notify,
}

impl Sqlite {
    /// The databases in `options.root`. Touches no disk: they are counted
    /// later, by the running module or before the first change.
    #[must_use]
    pub fn new(options: Options, port: Arc<dyn KernelPort>, tasks: Tasks) -> Arc<Self> {
        let databases = Databases::new(node_sql::Options {
            root: options.root,
            budget: Arc::new(QuotaBudget(options.quota.clone())),
            limits: options.limits,
        });
        let id = module("sqlite");
        Arc::new(Self {
            us: Address::new(port.our().clone(), id.clone()),
            id,
            port,
            tasks,
            quota: options.quota,
            databases: Arc::new(databases),
            transactions: Transactions::default(),
            measured: OnceCell::new(),
            slots: Semaphore::new(CONCURRENT),
            turns: options.turns,
            written: Notify::new(),
            used: Notify::new(),
        })
    }

    /// Charges what is on disk to the quota, once. Done by itself before the
    /// first change.
    ///
    /// # Errors
    /// Why it cannot be counted.
    pub async fn count(&self) -> io::Result<()> {
        self.measure()
            .await
            .map_err(|error| io::Error::other(error.to_string()))
    }

    async fn measure(&self) -> Result<(), SqliteError> {
        self.measured
            .get_or_try_init(|| async { self.blocking(Databases::measure).await })
            .await?;
        Ok(())
    }

    /// Does `work` in the blocking pool.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Databases) -> Result<T, SqlError> + Send + 'static,
    ) -> Result<T, SqliteError> {
        let databases = self.databases.clone();
        let done = self.tasks.blocking(move || work(&databases)).await;
        Ok(done.ok_or_else(SqliteError::panicked)??)
    }

    /// Handles one message and answers it.
    async fn handle(&self, mut message: KernelMessage) {
        let blob = message.lazy_load_blob.take().map(|blob| blob.bytes);
        let Message::Request(request) = &message.message else {
            return;
        };
        match codec::decode(&request.body) {
            Ok((asked, action)) => {
                let caller = &message.source.process;
                let doing = self.perform(caller, &asked, action, blob.as_deref());
                let outcome = doing.await;
                self.respond(&message, request, Some(&asked), outcome);
            }
            Err(refusal) => self.respond(&message, request, None, Err(refusal.into())),
        }
    }

    fn respond(
        &self,
        message: &KernelMessage,
        request: &Request,
        asked: Option<&Asked>,
        outcome: Result<Outcome, SqliteError>,
    ) {
        // Failures are told to those as well who did not ask.
        let wanted = request.expects_response.is_some() || message.rsvp.is_some();
        if !wanted && outcome.is_ok() {
            return;
        }
        let old_shape = asked.is_some_and(|asked| asked.old_shape);
        let dialect = Dialect::of_answer(&*self.port, message, old_shape);
        let answer = codec::encode(dialect, asked, outcome);
        reply(&*self.port, &self.us, message, request, answer);
    }

    /// Syncs what was written, many commits at a time. Never ends.
    async fn keep_synced(&self) {
        let mut failing = false;
        loop {
            self.written.notified().await;
            tokio::time::sleep(SYNC_DELAY).await;
            let synced = self.blocking(Databases::sync).await;
            if let Err(error) = &synced {
                if !failing {
                    tracing::warn!("failed to sync databases of {}: {error}", self.us.node);
                }
                self.written.notify_one();
                tokio::time::sleep(SYNC_AGAIN).await;
            }
            failing = synced.is_err();
        }
    }

    /// Closes databases that nobody uses any more. Never ends.
    async fn close_idle(&self) {
        loop {
            self.used.notified().await;
            tokio::time::sleep(CLOSE_IDLE).await;
            let closing = self.blocking(|databases| {
                databases.close_idle(CLOSE_IDLE);
                Ok(())
            });
            if let Err(error) = closing.await {
                tracing::warn!("failed to close databases of {}: {error}", self.us.node);
            }
        }
    }

    /// Makes what was written durable, and closes the databases.
    async fn close(&self) {
        let closing = self.blocking(|databases| {
            let synced = databases.sync();
            databases.close();
            synced
        });
        if let Err(error) = closing.await {
            tracing::warn!("failed to sync databases of {}: {error}", self.us.node);
        }
    }
}

#[async_trait]
impl Service for Sqlite {
    fn id(&self) -> &ProcessId {
        &self.id
    }

    async fn run(self: Arc<Self>, inbox: Inbox) {
        let events = self.port.events();
        if let Err(error) = self.measure().await {
            // Tried again before the first change, which is told about it.
            tracing::warn!("failed to count the databases of {}: {error}", self.us.node);
        }
        let serving = callers::run(self.clone(), "sqlite-caller", inbox);
        tokio::pin!(serving);
        let ended = tokio::select! {
            // First, so that what waits is dropped before what runs is cut.
            biased;
            () = &mut serving => true,
            () = self.tasks.token().cancelled() => false,
            () = self.keep_synced() => false,
            () = self.close_idle() => false,
            () = self.transactions.tend(events) => false,
        };
        if !ended {
            loop {
                self.databases.interrupt_all();
                tokio::select! {
                    () = &mut serving => break,
                    () = tokio::time::sleep(INTERRUPT_AGAIN) => {}
                }
            }
        }
        self.close().await;
    }
}

#[async_trait]
impl Serve for Sqlite {
    fn node(&self) -> &NodeName {
        &self.us.node
    }

    fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    async fn serve(&self, message: KernelMessage) {
        self.handle(message).await;
    }
}

#[cfg(test)]
mod tests;
