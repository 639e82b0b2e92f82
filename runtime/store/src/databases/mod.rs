//! Key-value databases within a keyspace.
//!
//! Owns the registry, which says what number a name has, and the entries filed
//! under numbers. Invariants: no number is given twice in a keyspace, so that
//! what may be left of a removed database belongs to nothing; a change of a
//! database, its byte count and that of the keyspace are one atomic write, as
//! durable as those of a [`crate::Keyspace`]; no database sees another's keys.
//! Holds no task; a call ends when it has returned.

mod change;
mod look;
mod registry;

use std::sync::Arc;

use bytes::Bytes;
use rocksdb::DB;

use crate::accounts::Account;
use crate::keys::{Owner, end_of};
use crate::keyspace::scan;
use crate::store::Shared;
use crate::turn::{Admission, Halt, INLINE_BYTES, Speed, Turn, settled};
use crate::{MAX_KEY_BYTES, StoreError};
use change::{Commit, Committed, Made, Make, Removed};
use look::{Look, found};
use registry::{Head, Record, record};

/// Most databases of one keyspace.
pub const MAX_DATABASES: u32 = 1024;
/// Largest value in a database, in bytes.
pub const MAX_VALUE_BYTES: usize = 64 << 20;
/// Most changes made on an async thread at once.
const INLINE_OPS: usize = 64;
/// A commit of more has to wait for one of few places.
const BULK_BYTES: usize = 1 << 20;

/// The databases of one life of a tenant. Clones are the same ones.
#[derive(Debug, Clone)]
pub struct Databases {
    shared: Arc<Shared>,
    owner: Owner,
    account: Account,
}

/// A database and its size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// Its name.
    pub name: Bytes,
    /// Bytes of its keys and values, and of what is stored about it.
    pub bytes: u64,
}

/// A change of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Sets the value of a key.
    Put(Bytes, Bytes),
    /// Removes a key; fine if it is not there.
    Delete(Bytes),
}

/// What became of [`Databases::open`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened<P> {
    /// It was there.
    Existed,
    /// It was made; this is what was given for it.
    Created(P),
    /// It was not there, and its bytes were refused.
    Refused,
}

/// Why a database was not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseError {
    /// There is none of this name.
    #[error("there is no such database: open it first")]
    Missing,
    /// There are [`MAX_DATABASES`].
    #[error("the node has {most} databases, as many as it may: remove one", most = MAX_DATABASES)]
    TooMany,
    /// More than [`MAX_VALUE_BYTES`].
    #[error(
        "a value has {0} bytes, more than {most}: keep large data in files",
        most = MAX_VALUE_BYTES
    )]
    ValueTooLarge(usize),
    /// The store failed, or a key or name is too long.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Databases {
    pub(crate) fn new(shared: Arc<Shared>, owner: Owner, account: Account) -> Self {
        Self {
            shared,
            owner,
            account,
        }
    }

    /// Makes the database `name` unless it is there, if `admit` agrees to the
    /// bytes that takes.
    ///
    /// # Errors
    /// [`DatabaseError::TooMany`], [`DatabaseError::Store`].
    ///
    /// # Cancel-Safety
    /// It may be there or not.
    pub async fn open<P: Send + 'static>(
        &self,
        name: &[u8],
        admit: impl FnOnce(i64) -> Option<P> + Send + 'static,
    ) -> Result<Opened<P>, DatabaseError> {
        if self.exists(name).await? {
            return Ok(Opened::Existed);
        }
        let mut make = Make {
            head_key: self.owner.registry_head(),
            key: self.owner.registry_key(name)?,
            admission: Admission::new(admit),
        };
        let run = move |turn: &mut Turn, speed| make.run(turn, speed);
        match self.turn().await?.make(&self.shared, true, run).await? {
            Made::Existed => Ok(Opened::Existed),
            Made::Created(permit) => {
                self.shared.written();
                Ok(Opened::Created(permit))
            }
            Made::Refused => Ok(Opened::Refused),
            Made::TooMany => Err(DatabaseError::TooMany),
        }
    }

    /// Whether there is a database `name`.
    ///
    /// # Errors
    /// [`DatabaseError::Store`].
    pub async fn exists(&self, name: &[u8]) -> Result<bool, DatabaseError> {
        if let Some(known) = self.try_exists(name) {
            return known;
        }
        let key = self.owner.registry_key(name)?;
        let find = move |db: &DB| settled(record(db, &key, Speed::MayWait));
        Ok(self.shared.blocking(find).await?.is_some())
    }

    /// The same if memory can tell, else `None`.
    #[must_use]
    pub fn try_exists(&self, name: &[u8]) -> Option<Result<bool, DatabaseError>> {
        self.in_place(|db| {
            let key = self.owner.registry_key(name)?;
            Ok(record(db, &key, Speed::NoWait)?.is_some())
        })
    }

    /// The value of `key` in the database `name`, if there is one.
    ///
    /// # Errors
    /// [`DatabaseError::Missing`], [`DatabaseError::Store`].
    pub async fn get(&self, name: &[u8], key: &[u8]) -> Result<Option<Bytes>, DatabaseError> {
        if let Some(done) = self.try_get(name, key) {
            return done;
        }
        let look = self.look(name, key)?;
        let look = move |db: &DB| settled(look.run(db, Speed::MayWait));
        found(self.shared.blocking(look).await?)
    }

    /// The same if memory can tell at once, else `None`.
    #[must_use]
    pub fn try_get(&self, name: &[u8], key: &[u8]) -> Option<Result<Option<Bytes>, DatabaseError>> {
        let done = self.in_place(|db| self.look(name, key)?.run(db, Speed::NoWait))?;
        Some(done.and_then(found))
    }

    /// Makes all changes `ops` of the database `name` or none, if `admit`
    /// agrees to the bytes it grows by (negative if it shrinks). Of several
    /// changes of a key the last counts. What `admit` returned is handed back,
    /// or dropped on failure; `None` means that it refused. On return the
    /// changes survive a kill of the host, and a power cut a second later.
    ///
    /// # Errors
    /// [`DatabaseError`]; then nothing is changed.
    ///
    /// # Cancel-Safety
    /// All may be changed, or nothing.
    pub async fn commit<P: Send + 'static>(
        &self,
        name: &[u8],
        ops: Vec<Op>,
        admit: impl FnOnce(i64) -> Option<P> + Send + 'static,
    ) -> Result<Option<P>, DatabaseError> {
        let size = size(&ops)?;
        let small = is_small(&ops, size);
        let mut commit = self.prepare(name, ops, admit)?;
        let turn = self.turn().await?;
        let _place = if size > BULK_BYTES {
            let place = self.shared.bulk.acquire().await;
            Some(place.map_err(|_| StoreError::Closed)?)
        } else {
            None
        };
        let run = move |turn: &mut Turn, speed| commit.run(turn, speed);
        let done = turn.make(&self.shared, small, run).await?;
        self.committed(done)
    }

    /// The same if that can be done at once, else `None`; then nothing is
    /// changed, and what `admit` returned is dropped.
    pub fn try_commit<P>(
        &self,
        name: &[u8],
        ops: Vec<Op>,
        admit: impl FnOnce(i64) -> Option<P>,
    ) -> Option<Result<Option<P>, DatabaseError>> {
        let prepared = size(&ops).and_then(|size| {
            let small = is_small(&ops, size);
            Ok((small, self.prepare(name, ops, admit)?))
        });
        let mut commit = match prepared {
            Ok((true, commit)) => commit,
            Ok((false, _)) => return None,
            Err(error) => return Some(Err(error)),
        };
        let mut turn = match Turn::now(&self.shared, self.owner, &self.account)? {
            Ok(turn) => turn,
            Err(error) => return Some(Err(error.into())),
        };
        let done = self.watched(commit.run(&mut turn, Speed::NoWait))?;
        Some(done.and_then(|done| self.committed(done)))
    }

    /// Removes the database `name` with all its entries. Returns the bytes
    /// freed; `None` if there is no such database.
    ///
    /// # Errors
    /// [`DatabaseError::Store`]; then it is there as before.
    ///
    /// # Cancel-Safety
    /// It may be removed or not.
    pub async fn remove(&self, name: &[u8]) -> Result<Option<u64>, DatabaseError> {
        let owner = self.owner;
        let key = owner.registry_key(name)?;
        let run = move |turn: &mut Turn, _: Speed| change::remove(turn, owner, &key);
        let removed = self.turn().await?.make(&self.shared, false, run).await?;
        let Some(removed) = removed else {
            return Ok(None);
        };
        self.shared.written();
        if removed.ranged
            && let Err(error) = self.free_files(removed).await
        {
            // It is removed all the same; compaction will free the rest.
            tracing::warn!("failed to free the files of a removed database: {error}");
        }
        Ok(Some(removed.freed))
    }

    /// All databases, by name.
    ///
    /// # Errors
    /// [`DatabaseError::Store`].
    pub async fn list(&self) -> Result<Vec<Database>, DatabaseError> {
        let prefix = self.owner.registry_key(b"")?;
        let list = move |db: &DB| scan(db, &prefix, &prefix, MAX_DATABASES as usize);
        let entries = self.shared.blocking(list).await?.entries;
        let mut databases = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let record = self.shared.watch(Record::of_value(&value))?;
            databases.push(Database {
                // The keys of a scan have the byte that says what they are.
                name: key.slice(1..),
                bytes: record.bytes,
            });
        }
        Ok(databases)
    }

    /// Bytes of all databases, with what is stored about them.
    ///
    /// # Errors
    /// [`DatabaseError::Store`].
    pub async fn bytes_used(&self) -> Result<u64, DatabaseError> {
        let key = self.owner.registry_head();
        let find = self.shared.blocking(move |db| {
            let head = settled(registry::head(db, &key, Speed::MayWait))?;
            Ok(head.map(|_| Head::cost(&key)))
        });
        let Some(head) = find.await? else {
            return Ok(0);
        };
        let databases = self.list().await?;
        let sum: u64 = databases.iter().map(|database| database.bytes).sum();
        Ok(head + sum)
    }

    async fn turn(&self) -> Result<Turn, StoreError> {
        Turn::wait(&self.shared, self.owner, &self.account).await
    }

    fn look(&self, name: &[u8], key: &[u8]) -> Result<Look, StoreError> {
        // Here, so that the name does not matter for what is said of the key.
        self.owner.entry_key(0, key)?;
        Ok(Look {
            owner: self.owner,
            registry_key: self.owner.registry_key(name)?,
            key: Bytes::copy_from_slice(key),
        })
    }

    fn prepare<P, F: FnOnce(i64) -> Option<P>>(
        &self,
        name: &[u8],
        ops: Vec<Op>,
        admit: F,
    ) -> Result<Commit<F, P>, DatabaseError> {
        Ok(Commit {
            owner: self.owner,
            key: self.owner.registry_key(name)?,
            ops,
            admission: Admission::new(admit),
        })
    }

    fn committed<P>(&self, done: Committed<P>) -> Result<Option<P>, DatabaseError> {
        match done {
            Committed::Missing => Err(DatabaseError::Missing),
            Committed::Refused => Ok(None),
            Committed::Unchanged(permit) => Ok(Some(permit)),
            Committed::Written(permit) => {
                self.shared.written();
                Ok(Some(permit))
            }
        }
    }

    /// Does `work` on this thread; `None` if that would wait.
    fn in_place<T>(
        &self,
        work: impl FnOnce(&DB) -> Result<T, Halt>,
    ) -> Option<Result<T, DatabaseError>> {
        let done = match self.shared.access() {
            Ok(access) => work(&access.db),
            Err(error) => Err(error.into()),
        };
        self.watched(done)
    }

    fn watched<T>(&self, done: Result<T, Halt>) -> Option<Result<T, DatabaseError>> {
        if matches!(done, Err(Halt::WouldWait)) {
            return None;
        }
        let done = self.shared.watch(settled(done));
        Some(done.map_err(DatabaseError::from))
    }

    /// Frees files that hold nothing but entries of a removed database. Only
    /// once the removal is on disk: a power cut in between would bring the
    /// database back without them.
    async fn free_files(&self, removed: Removed) -> Result<(), StoreError> {
        let from = self.owner.entry_key(removed.number, b"")?;
        let to = end_of(&from);
        let shared = self.shared.clone();
        let free = self.shared.blocking(move |db| {
            shared.flush(db)?;
            Ok(db.delete_file_in_range(&from, &to)?)
        });
        free.await
    }
}

/// Bytes of all keys and values of `ops`, each of which is checked.
fn size(ops: &[Op]) -> Result<usize, DatabaseError> {
    let mut size = 0_usize;
    for op in ops {
        let (key, value) = match op {
            Op::Put(key, value) => (key.len(), value.len()),
            Op::Delete(key) => (key.len(), 0),
        };
        if key > MAX_KEY_BYTES {
            return Err(StoreError::KeyTooLong(key).into());
        }
        if value > MAX_VALUE_BYTES {
            return Err(DatabaseError::ValueTooLarge(value));
        }
        size = size.saturating_add(key + value);
    }
    Ok(size)
}

fn is_small(ops: &[Op], size: usize) -> bool {
    size <= INLINE_BYTES && ops.len() <= INLINE_OPS
}
