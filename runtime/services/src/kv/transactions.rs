//! Transactions that are open: lists of changes, made all at once on commit.
//!
//! Owns the changes of all open transactions of a node, in memory only.
//! Invariants: they are bounded in number and bytes; a transaction is of one
//! database and of the process that began it, and is nothing to anybody else.
//! It ends by commit, with its database or its process, and when it has not
//! been used for a while; [`Transactions::tend`] sees to the last two.

use std::collections::HashMap;
use std::time::Duration;

use node_store::Op;
use node_types::ProcessId;
use parking_lot::Mutex;
use tokio::sync::{Notify, broadcast};
use tokio::time::Instant;

use super::action::KvError;
use crate::NodeEvent;
use crate::database::{DbKey, Refusal};

/// Most transactions of one node.
pub(super) const MAX_OPEN: usize = 256;
/// Most transactions of one process.
pub(super) const MAX_OF_PROCESS: usize = 64;
/// Most bytes in the transactions of one node.
pub(super) const MAX_BYTES: usize = 64 << 20;
/// What a change counts for beside its key and value.
const CHANGE: usize = 256;
/// A transaction that is not used for so long is dropped.
pub(super) const IDLE: Duration = Duration::from_secs(300);
/// Random bits beyond these are dropped: readers of JSON that have floating
/// point numbers only keep the rest exactly.
const ID_BITS: u32 = 53;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    open: Mutex<Open>,
    /// The first one was begun.
    begun: Notify,
}

#[derive(Debug, Default)]
struct Open {
    by_id: HashMap<u64, Transaction>,
    bytes: usize,
}

#[derive(Debug)]
struct Transaction {
    owner: ProcessId,
    db: DbKey,
    ops: Vec<Op>,
    bytes: usize,
    used: Instant,
}

impl Transactions {
    /// Begins one; `random` gives random numbers.
    pub(super) fn begin(
        &self,
        owner: &ProcessId,
        db: &DbKey,
        mut random: impl FnMut() -> u64,
    ) -> Result<u64, KvError> {
        let mut open = self.open.lock();
        let own = open.by_id.values().filter(|tx| tx.owner == *owner).count();
        if open.by_id.len() >= MAX_OPEN || own >= MAX_OF_PROCESS {
            return Err(KvError::TooManyTransactions);
        }
        let id = loop {
            let id = random() >> (u64::BITS - ID_BITS);
            if !open.by_id.contains_key(&id) {
                break id;
            }
        };
        let transaction = Transaction {
            owner: owner.clone(),
            db: db.clone(),
            ops: Vec::new(),
            bytes: 0,
            used: Instant::now(),
        };
        open.by_id.insert(id, transaction);
        if open.by_id.len() == 1 {
            self.begun.notify_one();
        }
        Ok(id)
    }

    /// Adds a change.
    pub(super) fn push(
        &self,
        id: u64,
        owner: &ProcessId,
        db: &DbKey,
        op: Op,
    ) -> Result<(), KvError> {
        let mut open = self.open.lock();
        let size = CHANGE + size(&op);
        let all = open.bytes.saturating_add(size);
        let transaction = open.find(id, owner, db)?;
        transaction.used = Instant::now();
        if all > MAX_BYTES {
            return Err(KvError::TransactionsFull);
        }
        transaction.bytes += size;
        transaction.ops.push(op);
        open.bytes = all;
        Ok(())
    }

    /// Ends one and gives its changes.
    pub(super) fn take(&self, id: u64, owner: &ProcessId, db: &DbKey) -> Result<Vec<Op>, KvError> {
        let mut open = self.open.lock();
        open.find(id, owner, db)?;
        let taken = open.remove(id);
        Ok(taken.map(|transaction| transaction.ops).unwrap_or_default())
    }

    /// Ends those of a database that is removed.
    pub(super) fn end_of_database(&self, db: &DbKey) {
        self.open.lock().end(|transaction| transaction.db == *db);
    }

    /// Ends transactions whose process has ended, and those that are not used,
    /// until there are no more `events`.
    pub(super) async fn tend(&self, mut events: broadcast::Receiver<NodeEvent>) {
        loop {
            let idle_at = self.first_idle();
            let idle = tokio::time::sleep_until(idle_at.unwrap_or_else(Instant::now));
            tokio::select! {
                event = events.recv() => match event {
                    Ok(NodeEvent::Exited { process, .. }) => {
                        self.open.lock().end(|transaction| transaction.owner == process);
                    }
                    Ok(NodeEvent::Print { .. }) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return,
                },
                () = self.begun.notified() => {}
                () = idle, if idle_at.is_some() => {
                    let now = Instant::now();
                    self.open.lock().end(|transaction| transaction.used + IDLE <= now);
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

    /// How many are open, and their bytes.
    #[cfg(test)]
    pub(super) fn held(&self) -> (usize, usize) {
        let open = self.open.lock();
        (open.by_id.len(), open.bytes)
    }
}

impl Open {
    /// The transaction `id` if it is of this process and database. Upstream
    /// takes whatever number it is told and makes the changes in the database
    /// that the commit names.
    fn find(
        &mut self,
        id: u64,
        owner: &ProcessId,
        db: &DbKey,
    ) -> Result<&mut Transaction, KvError> {
        let found = self.by_id.get_mut(&id);
        let ours = found.filter(|transaction| transaction.owner == *owner && transaction.db == *db);
        Ok(ours.ok_or(Refusal::NoTx(id))?)
    }

    fn remove(&mut self, id: u64) -> Option<Transaction> {
        let removed = self.by_id.remove(&id)?;
        self.bytes = self.bytes.saturating_sub(removed.bytes);
        Some(removed)
    }

    fn end(&mut self, which: impl Fn(&Transaction) -> bool) {
        let bytes = &mut self.bytes;
        self.by_id.retain(|_, transaction| {
            let ends = which(transaction);
            if ends {
                *bytes = bytes.saturating_sub(transaction.bytes);
            }
            !ends
        });
    }
}

/// Bytes of key and value.
pub(super) fn size(op: &Op) -> usize {
    match op {
        Op::Put(key, value) => key.len() + value.len(),
        Op::Delete(key) => key.len(),
    }
}

#[cfg(test)]
mod tests;
