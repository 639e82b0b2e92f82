//! `kv:distro:sys`: key-value databases of a node.
//!
//! Owns the node's databases in the host's store, and the transactions that are
//! open. Invariants: a database is used only by those who hold the right to,
//! which [`crate::database`] describes; no bytes are written that the node's
//! disk quota has not been charged for; requests of one process are done in the
//! order they came, at once where that takes no waiting, else beside those of
//! the others; an acknowledged change survives a kill of the host, and within a
//! second a power cut. The module stops when its inbox closes, after finishing
//! what it has taken out, or when its tasks are cancelled, after finishing what
//! is under way; transactions that are open then are dropped.

pub(crate) mod action;
pub(crate) mod codec;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use lifecycle::Tasks;
use node_store::{Databases, Op, Opened};
use node_types::{Address, KernelMessage, Message, NodeName, ProcessId, Request};

use crate::callers::{self, Serve};
use crate::database::{DbKey, Kind, Refusal, Rights, Transactions};
use crate::dialect::{Dialect, reply};
use crate::stored::{Admitted, Denial, Stored};
use crate::{Inbox, KernelPort, Service, module};
use action::{Action, KvError, Outcome};
use codec::Asked;

/// Longest request that is looked at where it arrives: one with the longest
/// key is shorter.
const SMALL_BODY: usize = 16 << 10;
/// What a change counts for in the node's write rate, beside key and value.
const CHANGE: u64 = 256;

/// The key-value module of one node.
#[derive(Debug)]
pub struct Kv {
    id: ProcessId,
    us: Address,
    port: Arc<dyn KernelPort>,
    tasks: Tasks,
    stored: Stored,
    databases: Databases,
    transactions: Transactions<Op>,
}

impl Kv {
    /// The databases in what the node has `stored`.
    #[must_use]
    pub fn new(port: Arc<dyn KernelPort>, stored: Stored, tasks: Tasks) -> Arc<Self> {
        let id = module("kv");
        Arc::new(Self {
            us: Address::new(port.our().clone(), id.clone()),
            id,
            port,
            tasks,
            databases: stored.keys().databases(),
            stored,
            transactions: Transactions::default(),
        })
    }

    /// Does what `process` asks if that takes no waiting; `None` if it would.
    fn perform_now(
        &self,
        process: &ProcessId,
        asked: &Asked,
        blob: Option<&Bytes>,
    ) -> Result<Option<Outcome>, KvError> {
        let key = self.check(process, asked)?;
        let name = stored_name(&key);
        match &asked.action {
            Action::Open | Action::RemoveDb | Action::Commit { .. } | Action::Backup => Ok(None),
            Action::Get(wanted) => match self.databases.try_get(&name, wanted.checked()?) {
                Some(found) => value(found?).map(Some),
                None => Ok(None),
            },
            Action::Set { tx_id: None, .. } | Action::Delete { tx_id: None, .. } => {
                self.write_now(&name, change(&asked.action, blob)?)
            }
            Action::Set { .. } | Action::Delete { .. } | Action::BeginTx => {
                match self.databases.try_exists(&name) {
                    Some(exists) => {
                        existing(exists?)?;
                        self.in_transaction(process, &key, &asked.action, blob)
                            .map(Some)
                    }
                    None => Ok(None),
                }
            }
        }
    }

    /// Does what `process` asks.
    async fn perform(
        &self,
        process: &ProcessId,
        asked: &Asked,
        blob: Option<&Bytes>,
    ) -> Result<Outcome, KvError> {
        let key = self.check(process, asked)?;
        let name = stored_name(&key);
        match &asked.action {
            Action::Open => {
                self.open(&name).await?;
                self.rights().grant(process, &key);
                Ok(Outcome::Done)
            }
            Action::RemoveDb => self.remove(&key, &name).await,
            Action::Get(wanted) => value(self.databases.get(&name, wanted.checked()?).await?),
            Action::Set { tx_id: None, .. } | Action::Delete { tx_id: None, .. } => {
                let op = change(&asked.action, blob)?;
                self.write(&name, vec![op]).await
            }
            Action::Set { .. } | Action::Delete { .. } | Action::BeginTx => {
                existing(self.databases.exists(&name).await?)?;
                self.in_transaction(process, &key, &asked.action, blob)
            }
            Action::Commit { tx_id } => {
                existing(self.databases.exists(&name).await?)?;
                // Done or not, the transaction is over: all of it or nothing.
                let (ops, _) = self.transactions.take(*tx_id, process, &key)?;
                self.write(&name, ops).await
            }
            Action::Backup => {
                self.stored.keys().sync().await?;
                Ok(Outcome::Done)
            }
        }
    }

    /// The database that is asked for, if its name is one and `process` has the
    /// right to do this with it.
    fn check(&self, process: &ProcessId, asked: &Asked) -> Result<DbKey, KvError> {
        let key = DbKey::parse(&asked.package, &asked.db)?;
        let rights = self.rights();
        match &asked.action {
            Action::Open | Action::RemoveDb => rights.may_open(process, &key)?,
            Action::Get(_) => rights.check(process, &key, Kind::Read)?,
            Action::Set { .. }
            | Action::Delete { .. }
            | Action::BeginTx
            | Action::Commit { .. } => rights.check(process, &key, Kind::Write)?,
            // Nobody was asked for a right upstream; here whoever has any.
            Action::Backup => rights
                .may_open(process, &key)
                .or_else(|_| rights.check(process, &key, Kind::Write))
                .or_else(|_| rights.check(process, &key, Kind::Read))?,
        }
        Ok(key)
    }

    fn rights(&self) -> Rights<'_> {
        Rights {
            us: &self.us,
            port: &*self.port,
        }
    }

    /// What needs nothing of the store but that the database is there.
    fn in_transaction(
        &self,
        process: &ProcessId,
        key: &DbKey,
        action: &Action,
        blob: Option<&Bytes>,
    ) -> Result<Outcome, KvError> {
        let (Action::Set { tx_id, .. } | Action::Delete { tx_id, .. }) = action else {
            let random = || self.port.new_message_id().0;
            let id = self.transactions.begin(process, key, random)?;
            return Ok(Outcome::Begun(id));
        };
        let op = change(action, blob)?;
        let id = tx_id.unwrap_or_default();
        let bytes = size(&op);
        self.transactions
            .add::<KvError>(id, process, key, (op, bytes))?;
        Ok(Outcome::Done)
    }

    async fn open(&self, name: &[u8]) -> Result<(), KvError> {
        self.stored.count().await?;
        let quota = self.stored.databases();
        quota.pace(CHANGE).await;
        let denial = Denial::default();
        let admit = Admitted::by(quota, &denial);
        match self.databases.open(name, admit).await? {
            Opened::Existed => {}
            Opened::Created(admitted) => admitted.commit(),
            Opened::Refused => return Err(denial.why().into()),
        }
        Ok(())
    }

    async fn remove(&self, key: &DbKey, name: &[u8]) -> Result<Outcome, KvError> {
        self.stored.count().await?;
        let quota = self.stored.databases();
        quota.pace(CHANGE).await;
        let freed = self.databases.remove(name).await?;
        let freed = freed.ok_or(Refusal::NoDb)?;
        quota.refund(freed);
        self.transactions.end_of_database(key);
        Ok(Outcome::Done)
    }

    async fn write(&self, name: &[u8], ops: Vec<Op>) -> Result<Outcome, KvError> {
        self.stored.count().await?;
        let quota = self.stored.databases();
        quota.pace(weight(&ops)).await;
        let denial = Denial::default();
        let admit = Admitted::by(quota, &denial);
        match self.databases.commit(name, ops, admit).await? {
            Some(admitted) => {
                admitted.commit();
                Ok(Outcome::Done)
            }
            None => Err(denial.why().into()),
        }
    }

    fn write_now(&self, name: &[u8], op: Op) -> Result<Option<Outcome>, KvError> {
        if !self.stored.is_counted() {
            return Ok(None);
        }
        let quota = self.stored.databases();
        let ops = vec![op];
        let weight = weight(&ops);
        let denial = Denial::default();
        let mut too_fast = false;
        let admit = |growth| {
            let admitted = Admitted::new(quota, growth, &denial)?;
            // Last, so that only what is about to be written counts as written.
            too_fast = !quota.pace_now(weight);
            (!too_fast).then_some(admitted)
        };
        let Some(done) = self.databases.try_commit(name, ops, admit) else {
            return Ok(None);
        };
        match done? {
            Some(admitted) => {
                admitted.commit();
                Ok(Some(Outcome::Done))
            }
            None if too_fast => Ok(None),
            None => Err(denial.why().into()),
        }
    }

    fn respond(
        &self,
        message: &KernelMessage,
        request: &Request,
        asked: Option<&Asked>,
        outcome: Result<Outcome, KvError>,
    ) {
        // Failures are answered even if nobody has asked.
        let wanted = request.expects_response.is_some() || message.rsvp.is_some();
        if !wanted && outcome.is_ok() {
            return;
        }
        let old_shape = asked.is_some_and(|asked| asked.old_shape);
        let dialect = Dialect::of_answer(&*self.port, message, old_shape);
        let answer = codec::encode(dialect, asked, outcome);
        reply(&*self.port, &self.us, message, request, answer);
    }
}

/// What the store calls a database: package and name, between which there is a
/// slash that neither can have.
fn stored_name(key: &DbKey) -> Vec<u8> {
    format!("{}/{}", key.package, key.name.as_str()).into_bytes()
}

/// The change that `action` is. Upstream silently leaves a value that is
/// missing out of a transaction; a write that is lost must be told of.
fn change(action: &Action, blob: Option<&Bytes>) -> Result<Op, KvError> {
    match action {
        Action::Set { key, .. } => {
            let value = blob.ok_or(KvError::NoValue)?;
            Ok(Op::Put(key.checked()?.clone(), value.clone()))
        }
        Action::Delete { key, .. } => Ok(Op::Delete(key.checked()?.clone())),
        // No other action is asked to be one.
        _ => Err(KvError::NoValue),
    }
}

fn value(found: Option<Bytes>) -> Result<Outcome, KvError> {
    found.map(Outcome::Value).ok_or(KvError::KeyNotFound)
}

fn existing(exists: bool) -> Result<(), Refusal> {
    if exists { Ok(()) } else { Err(Refusal::NoDb) }
}

/// Bytes of key and value.
fn size(op: &Op) -> usize {
    match op {
        Op::Put(key, value) => key.len() + value.len(),
        Op::Delete(key) => key.len(),
    }
}

/// What changes count for in the node's write rate.
fn weight(ops: &[Op]) -> u64 {
    let of_each = |op| CHANGE + size(op) as u64;
    ops.iter().map(of_each).sum()
}

fn blob_of(message: &KernelMessage) -> Option<&Bytes> {
    message.lazy_load_blob.as_ref().map(|blob| &blob.bytes)
}

#[async_trait]
impl Service for Kv {
    fn id(&self) -> &ProcessId {
        &self.id
    }

    async fn run(self: Arc<Self>, inbox: Inbox) {
        let events = self.port.events();
        if let Err(error) = self.stored.count().await {
            // Tried again before the first change, which is told about it.
            tracing::warn!("failed to count the databases of {}: {error}", self.us.node);
        }
        tokio::select! {
            // First, so that what a process left does not meet its next life.
            biased;
            () = self.transactions.tend(events) => {}
            () = callers::run(self.clone(), "kv-caller", inbox) => {}
        }
    }
}

#[async_trait]
impl Serve for Kv {
    fn node(&self) -> &NodeName {
        &self.us.node
    }

    fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    fn serve_now(&self, message: KernelMessage) -> Option<KernelMessage> {
        let Message::Request(request) = &message.message else {
            return None;
        };
        if request.body.len() > SMALL_BODY {
            return Some(message);
        }
        let (asked, done) = match codec::decode(&request.body) {
            Ok(asked) => {
                let source = &message.source.process;
                let done = self.perform_now(source, &asked, blob_of(&message));
                match done.transpose() {
                    Some(done) => (Some(asked), done),
                    None => return Some(message),
                }
            }
            Err(error) => (None, Err(error)),
        };
        self.respond(&message, request, asked.as_ref(), done);
        None
    }

    async fn serve(&self, message: KernelMessage) {
        let Message::Request(request) = &message.message else {
            return;
        };
        let (asked, done) = match codec::decode(&request.body) {
            Ok(asked) => {
                let source = &message.source.process;
                let done = self.perform(source, &asked, blob_of(&message)).await;
                (Some(asked), done)
            }
            Err(error) => (None, Err(error)),
        };
        self.respond(&message, request, asked.as_ref(), done);
    }
}

#[cfg(test)]
mod tests;
