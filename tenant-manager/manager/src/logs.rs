//! A node's log, and where its apps connected to, for its owner.
//!
//! Reading touches no node: it neither wakes one nor keeps it awake. A follower
//! ends with the host, with the session that opened it, and with the tenant.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use node_api::{
    EgressPage, EgressQuery, LogError, LogPage, LogPlace, LogQuery, LogRecord, NodeLogs,
};
use tenant_model::{SessionId, TenantId};
use tokio::sync::{broadcast, watch};

use crate::error::NodeOpError;
use crate::manager::{Inner, Manager};
use crate::principal::Principal;
use crate::tenant::Tenant;

/// Records read at once by a follower.
const BATCH: usize = 500;

/// Where a tenant's log is, in the data directory of its host. Not among its
/// files: no app reaches it, and it does not count as theirs.
#[must_use]
pub fn log_dir(data_dir: &Path, tenant: TenantId) -> PathBuf {
    data_dir.join("logs").join(tenant.to_string())
}

impl Manager {
    /// Part of a node's log.
    ///
    /// # Errors
    /// [`NodeOpError::NotFound`], or [`NodeOpError::Unavailable`] if it cannot
    /// be read.
    pub async fn node_log(
        &self,
        principal: &Principal,
        label: &str,
        query: LogQuery,
    ) -> Result<LogPage, NodeOpError> {
        let tenant = self.owned(principal, label).ok_or(NodeOpError::NotFound)?;
        self.0.read_log(&tenant, query).await
    }

    /// Part of what the apps of a node connected to, or tried to.
    ///
    /// # Errors
    /// [`NodeOpError::NotFound`], or [`NodeOpError::Unavailable`] if it cannot
    /// be read.
    pub async fn node_egress(
        &self,
        principal: &Principal,
        label: &str,
        query: EgressQuery,
    ) -> Result<EgressPage, NodeOpError> {
        let tenant = self.owned(principal, label).ok_or(NodeOpError::NotFound)?;
        self.0.read_egress(&tenant, query).await
    }

    /// A node's log from `query` on, as it grows.
    ///
    /// # Errors
    /// [`NodeOpError::NotFound`].
    pub fn follow_log(
        &self,
        principal: &Principal,
        label: &str,
        query: LogQuery,
    ) -> Result<LogFollower, NodeOpError> {
        let tenant = self.owned(principal, label).ok_or(NodeOpError::NotFound)?;
        Ok(self.0.follow(&tenant, principal, query))
    }
}

impl Inner {
    pub(crate) async fn read_log(
        &self,
        tenant: &Tenant,
        query: LogQuery,
    ) -> Result<LogPage, NodeOpError> {
        let dir = log_dir(&self.data_dir, tenant.id);
        read(&*self.logs, &dir, query).await
    }

    pub(crate) async fn read_egress(
        &self,
        tenant: &Tenant,
        query: EgressQuery,
    ) -> Result<EgressPage, NodeOpError> {
        let dir = log_dir(&self.data_dir, tenant.id);
        let page = self.logs.egress(&dir, query).await;
        page.map_err(|error| not_read(&error))
    }

    /// Follows a log until `principal`'s session ends.
    pub(crate) fn follow(
        self: &Arc<Self>,
        tenant: &Tenant,
        principal: &Principal,
        query: LogQuery,
    ) -> LogFollower {
        let dir = log_dir(&self.data_dir, tenant.id);
        LogFollower {
            manager: Arc::downgrade(self),
            tenant: tenant.id,
            session: principal.session(),
            ended: self.accounts.ended_sessions(),
            stop: self.tasks.token().clone(),
            changes: self.logs.changes(&dir),
            logs: self.logs.clone(),
            dir,
            query,
            read: VecDeque::new(),
            waits: false,
        }
    }
}

async fn read(logs: &dyn NodeLogs, dir: &Path, query: LogQuery) -> Result<LogPage, NodeOpError> {
    let page = logs.read(dir, query).await;
    page.map_err(|error| not_read(&error))
}

/// What whoever asked is told; the operator reads the rest.
fn not_read(error: &LogError) -> NodeOpError {
    tracing::warn!("{error}");
    NodeOpError::Unavailable("the node's log cannot be read just now".to_owned())
}

/// What a follower of a log is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Followed {
    /// The next record.
    Record(LogRecord),
    /// So many records are not kept any more.
    Missing(u64),
}

/// Follows one log. Holding it keeps nothing awake.
#[derive(Debug)]
pub struct LogFollower {
    manager: Weak<Inner>,
    tenant: TenantId,
    session: SessionId,
    ended: broadcast::Receiver<SessionId>,
    stop: tokio_util::sync::CancellationToken,
    changes: watch::Receiver<()>,
    logs: Arc<dyn NodeLogs>,
    dir: PathBuf,
    query: LogQuery,
    read: VecDeque<Followed>,
    /// Everything there is has been read.
    waits: bool,
}

impl LogFollower {
    /// The next thing to tell; `None` when it is over.
    ///
    /// # Cancel-Safety
    /// Safe.
    pub async fn next(&mut self) -> Option<Followed> {
        loop {
            if let Some(next) = self.read.pop_front() {
                return Some(next);
            }
            if self.waits {
                self.wait().await?;
            }
            // Gone, or given to another host.
            self.manager.upgrade()?.registry.read().get(self.tenant)?;
            self.fill().await?;
        }
    }

    /// Waits for the log to grow.
    async fn wait(&mut self) -> Option<()> {
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return None,
                ended = self.ended.recv() => match ended {
                    Ok(session) if session != self.session => {}
                    // One of those that were missed may be ours: whoever reads
                    // asks again if it is not.
                    _ => return None,
                },
                changed = self.changes.changed() => return changed.ok(),
            }
        }
    }

    async fn fill(&mut self) -> Option<()> {
        // Before reading: what comes meanwhile is read next time.
        self.changes.mark_unchanged();
        let page = read(&*self.logs, &self.dir, self.query).await.ok()?;
        if let LogPlace::After(number) = self.query.place {
            if page.newest < number {
                // Another log is here now, and is told from its beginning.
                let begun_anew = page.newest > 0;
                self.query.place = LogPlace::After(0);
                self.waits = !begun_anew;
                return Some(());
            }
            if page.missing > 0 {
                self.read.push_back(Followed::Missing(page.missing));
            }
            self.waits = !page.more;
        } else {
            self.waits = true;
        }
        let last = page.records.last().map(|record| record.number);
        let seen = if self.waits { Some(page.newest) } else { last };
        self.read
            .extend(page.records.into_iter().map(Followed::Record));
        self.query.limit = BATCH;
        self.query.place = LogPlace::After(seen.unwrap_or_default());
        Some(())
    }
}
