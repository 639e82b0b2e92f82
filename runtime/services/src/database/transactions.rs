//! Transactions that are open: changes that are gathered, and made all at once
//! on commit.
//!
//! Owns what all open transactions of a module have gathered, in memory only.
//! Invariants: they are bounded in number and bytes; a transaction is of one
//! database and of the process that began it, and is nothing to anybody else.
//! It ends by commit, with its database or its process, and when it has not
//! been used for a while; [`Transactions::tend`] sees to the last two.

use std::collections::HashMap;
use std::time::Duration;

use node_types::ProcessId;
use parking_lot::Mutex;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, broadcast};
use tokio::time::Instant;

use super::{DbKey, Refusal};
use crate::NodeEvent;

/// Most transactions of one node.
pub(crate) const MAX_OPEN: usize = 256;
/// Most transactions of one process.
pub(crate) const MAX_OF_PROCESS: usize = 64;
/// Most bytes in the transactions of one node.
pub(crate) const MAX_BYTES: usize = 64 << 20;
/// What a change counts for beside its own bytes.
pub(crate) const CHANGE: usize = 256;
/// A transaction that is not used for so long is dropped.
pub(crate) const IDLE: Duration = Duration::from_secs(300);
/// Random bits beyond these are dropped: readers of JSON that have floating
/// point numbers only keep the rest exactly.
const ID_BITS: u32 = 53;

/// Why there is no room for another transaction or another change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TransactionsFull {
    /// As many are open as may be.
    #[error(
        "too many transactions are open: a process may have {MAX_OF_PROCESS}, a node {MAX_OPEN}; commit some, or leave them alone for {minutes} minutes",
        minutes = IDLE.as_secs() / 60
    )]
    Many,
    /// They hold as much as they may.
    #[error(
        "the open transactions of the node may hold {most} MiB together: commit earlier",
        most = MAX_BYTES >> 20
    )]
    Large,
}

/// See the module's documentation. `T` is one change.
#[derive(Debug)]
pub(crate) struct Transactions<T> {
    open: Mutex<Open<T>>,
    /// The first one was begun.
    begun: Notify,
}

#[derive(Debug)]
struct Open<T> {
    by_id: HashMap<u64, Transaction<T>>,
    bytes: usize,
}

#[derive(Debug)]
struct Transaction<T> {
    owner: ProcessId,
    db: DbKey,
    changes: Vec<T>,
    bytes: usize,
    used: Instant,
}

impl<T> Default for Transactions<T> {
    fn default() -> Self {
        Self {
            open: Mutex::new(Open {
                by_id: HashMap::new(),
                bytes: 0,
            }),
            begun: Notify::new(),
        }
    }
}

impl<T> Transactions<T> {
    /// Begins one; `random` gives random numbers.
    pub(crate) fn begin(
        &self,
        owner: &ProcessId,
        db: &DbKey,
        mut random: impl FnMut() -> u64,
    ) -> Result<u64, TransactionsFull> {
        let mut open = self.open.lock();
        let own = open.by_id.values().filter(|tx| tx.owner == *owner).count();
        if open.by_id.len() >= MAX_OPEN || own >= MAX_OF_PROCESS {
            return Err(TransactionsFull::Many);
        }
        let id = loop {
            let id = random() >> (u64::BITS - ID_BITS);
            if id != 0 && !open.by_id.contains_key(&id) {
                break id;
            }
        };
        let transaction = Transaction {
            owner: owner.clone(),
            db: db.clone(),
            changes: Vec::new(),
            bytes: 0,
            used: Instant::now(),
        };
        open.by_id.insert(id, transaction);
        if open.by_id.len() == 1 {
            self.begun.notify_one();
        }
        Ok(id)
    }

    /// Adds a change of so many bytes.
    pub(crate) fn add<E: From<Refusal> + From<TransactionsFull>>(
        &self,
        id: u64,
        owner: &ProcessId,
        db: &DbKey,
        (change, bytes): (T, usize),
    ) -> Result<(), E> {
        let mut open = self.open.lock();
        let cost = bytes.saturating_add(CHANGE);
        let all = open.bytes.saturating_add(cost);
        let transaction = open.find(id, owner, db)?;
        transaction.used = Instant::now();
        if all > MAX_BYTES {
            return Err(TransactionsFull::Large.into());
        }
        transaction.bytes += cost;
        transaction.changes.push(change);
        open.bytes = all;
        Ok(())
    }

    /// Ends one and gives its changes, in the order they came, and what they
    /// count for.
    pub(crate) fn take(
        &self,
        id: u64,
        owner: &ProcessId,
        db: &DbKey,
    ) -> Result<(Vec<T>, usize), Refusal> {
        let mut open = self.open.lock();
        open.find(id, owner, db)?;
        let taken = open.by_id.remove(&id).ok_or(Refusal::NoTx(id))?;
        open.bytes = open.bytes.saturating_sub(taken.bytes);
        Ok((taken.changes, taken.bytes))
    }

    /// Ends those of a database that is removed.
    pub(crate) fn end_of_database(&self, db: &DbKey) {
        self.end(|transaction| transaction.db == *db);
    }

    /// Ends transactions whose process has ended, and those that are not used.
    /// Never returns.
    pub(crate) async fn tend(&self, mut events: broadcast::Receiver<NodeEvent>) {
        let mut more = true;
        loop {
            let idle_at = self.first_idle();
            let idle = tokio::time::sleep_until(idle_at.unwrap_or_else(Instant::now));
            tokio::select! {
                event = events.recv(), if more => match event {
                    Ok(NodeEvent::Exited { process, .. }) => {
                        self.end(|transaction| transaction.owner == process);
                    }
                    // Those of processes that ended unseen are idle from then on.
                    Ok(NodeEvent::Print { .. }) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => more = false,
                },
                () = self.begun.notified() => {}
                () = idle, if idle_at.is_some() => {
                    let now = Instant::now();
                    self.end(|transaction| transaction.used + IDLE <= now);
                }
            }
        }
    }

    /// When the first one has not been used for too long.
    fn first_idle(&self) -> Option<Instant> {
        let open = self.open.lock();
        let used = open.by_id.values().map(|transaction| transaction.used);
        Some(used.min()? + IDLE)
    }

    fn end(&self, which: impl Fn(&Transaction<T>) -> bool) {
        let mut open = self.open.lock();
        let Open { by_id, bytes } = &mut *open;
        by_id.retain(|_, transaction| {
            let ends = which(transaction);
            if ends {
                *bytes = bytes.saturating_sub(transaction.bytes);
            }
            !ends
        });
    }

    /// How many are open, and their bytes.
    #[cfg(test)]
    pub(crate) fn held(&self) -> (usize, usize) {
        let open = self.open.lock();
        (open.by_id.len(), open.bytes)
    }
}

impl<T> Open<T> {
    /// The transaction `id` if it is of this process and database. Upstream
    /// takes whatever number it is told and makes the changes in the database
    /// that the commit names.
    fn find(
        &mut self,
        id: u64,
        owner: &ProcessId,
        db: &DbKey,
    ) -> Result<&mut Transaction<T>, Refusal> {
        let found = self.by_id.get_mut(&id);
        let ours = found.filter(|transaction| transaction.owner == *owner && transaction.db == *db);
        ours.ok_or(Refusal::NoTx(id))
    }
}

#[cfg(test)]
mod tests;
