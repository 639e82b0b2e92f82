//! The three changes: making a database, removing it, and a commit to it.
//!
//! Invariant: each is one atomic write, in which the counts of the database and
//! of the keyspace change with the contents. Each may be run twice: first in
//! haste, then with time; the keyspace's turn is held over both. Holds nothing.

use std::collections::BTreeMap;

use bytes::Bytes;
use rocksdb::{DB, ErrorKind, ReadOptions, WriteBatch};

use super::registry::{Head, Record, head, record};
use super::{MAX_DATABASES, Op};
use crate::StoreError;
use crate::keys::{Owner, end_of};
use crate::turn::{Admission, Halt, Speed, Turn, cost, read};

/// Up to so many entries of a removed database are deleted one by one: a
/// deleted range makes reads of everybody's keys slower until it is compacted
/// away, so it has to be worth it.
const ONE_BY_ONE: usize = 1_000;
/// Deleted keys to walk over while looking for those.
const MOST_SKIPPED: u64 = 10_000;

/// What became of opening a database.
pub(super) enum Made<P> {
    Existed,
    Created(P),
    Refused,
    TooMany,
}

/// What became of a commit.
pub(super) enum Committed<P> {
    Missing,
    Refused,
    Unchanged(P),
    Written(P),
}

/// A removed database.
#[derive(Debug, Clone, Copy)]
pub(super) struct Removed {
    pub(super) freed: u64,
    pub(super) number: u64,
    /// Whether there were many entries, of which whole files may be left.
    pub(super) ranged: bool,
}

/// Makes a database unless it exists.
pub(super) struct Make<F, P> {
    pub(super) head_key: Vec<u8>,
    pub(super) key: Vec<u8>,
    pub(super) admission: Admission<F, P>,
}

impl<P, F: FnOnce(i64) -> Option<P>> Make<F, P> {
    pub(super) fn run(&mut self, turn: &mut Turn, speed: Speed) -> Result<Made<P>, Halt> {
        let used = turn.used(speed)?;
        if record(turn.db(), &self.key, speed)?.is_some() {
            return Ok(Made::Existed);
        }
        let stored = head(turn.db(), &self.head_key, speed)?;
        let mut head = stored.unwrap_or(Head::FIRST);
        if head.databases >= MAX_DATABASES {
            return Ok(Made::TooMany);
        }
        let record = Record::new(head.next, &self.key);
        head.next += 1;
        head.databases += 1;
        let mut added = record.bytes;
        if stored.is_none() {
            added += Head::cost(&self.head_key);
        }
        let Some(permit) = self.admission.get(added.cast_signed()) else {
            return Ok(Made::Refused);
        };
        let mut batch = WriteBatch::default();
        batch.put(&self.head_key, head.to_value());
        batch.put(&self.key, record.to_value());
        match turn.write(batch, used.saturating_add(added), speed) {
            Ok(()) => Ok(Made::Created(permit)),
            Err(halt) => {
                self.admission.keep(permit);
                Err(halt)
            }
        }
    }
}

/// Changes entries of a database.
pub(super) struct Commit<F, P> {
    pub(super) owner: Owner,
    pub(super) key: Vec<u8>,
    pub(super) ops: Vec<Op>,
    pub(super) admission: Admission<F, P>,
}

impl<P, F: FnOnce(i64) -> Option<P>> Commit<F, P> {
    pub(super) fn run(&mut self, turn: &mut Turn, speed: Speed) -> Result<Committed<P>, Halt> {
        let used = turn.used(speed)?;
        let Some(mut record) = record(turn.db(), &self.key, speed)? else {
            return Ok(Committed::Missing);
        };
        let mut batch = WriteBatch::default();
        let (mut added, mut freed) = (0_u64, 0_u64);
        for (key, value) in last_of_each(&self.ops) {
            let full = self.owner.entry_key(record.number, key)?;
            let old = turn.db().get_pinned_opt(&full, &read(speed))?;
            let old = old.map_or(0, |value| cost(&full, value.len()));
            match value {
                Some(value) => {
                    batch.put(&full, value);
                    added += cost(&full, value.len());
                }
                None if old == 0 => continue,
                None => batch.delete(&full),
            }
            freed += old;
        }
        let growth = added.cast_signed() - freed.cast_signed();
        let Some(permit) = self.admission.get(growth) else {
            return Ok(Committed::Refused);
        };
        if batch.is_empty() {
            return Ok(Committed::Unchanged(permit));
        }
        let after = |bytes: u64| bytes.saturating_sub(freed).saturating_add(added);
        record.bytes = after(record.bytes);
        batch.put(&self.key, record.to_value());
        match turn.write(batch, after(used), speed) {
            Ok(()) => Ok(Committed::Written(permit)),
            Err(halt) => {
                self.admission.keep(permit);
                Err(halt)
            }
        }
    }
}

/// The last word about each key; `None` deletes it.
fn last_of_each(ops: &[Op]) -> BTreeMap<&[u8], Option<&Bytes>> {
    let said = ops.iter().map(|op| match op {
        Op::Put(key, value) => (&key[..], Some(value)),
        Op::Delete(key) => (&key[..], None),
    });
    said.collect()
}

/// Removes the database whose record is under `key`, if there is one.
pub(super) fn remove(turn: &mut Turn, owner: Owner, key: &[u8]) -> Result<Option<Removed>, Halt> {
    let speed = Speed::MayWait;
    let used = turn.used(speed)?;
    let Some(record) = record(turn.db(), key, speed)? else {
        return Ok(None);
    };
    let head_key = owner.registry_head();
    let mut head = head(turn.db(), &head_key, speed)?.unwrap_or(Head {
        next: record.number + 1,
        databases: 1,
    });
    head.databases = head.databases.saturating_sub(1);
    let mut batch = WriteBatch::default();
    batch.put(&head_key, head.to_value());
    batch.delete(key);
    let entries = owner.entry_key(record.number, b"")?;
    let ranged = clear(turn.db(), &entries, &mut batch)?;
    turn.write(batch, used.saturating_sub(record.bytes), speed)?;
    Ok(Some(Removed {
        freed: record.bytes,
        number: record.number,
        ranged,
    }))
}

/// Deletes all keys that begin with `prefix`; returns whether as a range.
fn clear(db: &DB, prefix: &[u8], batch: &mut WriteBatch) -> Result<bool, StoreError> {
    let end = end_of(prefix);
    let mut options = ReadOptions::default();
    options.set_iterate_upper_bound(end.clone());
    options.set_max_skippable_internal_keys(MOST_SKIPPED);
    options.fill_cache(false);
    let mut iterator = db.raw_iterator_opt(options);
    iterator.seek(prefix);
    let mut keys = Vec::new();
    while let Some(key) = iterator.key() {
        if keys.len() == ONE_BY_ONE {
            batch.delete_range(prefix, &end[..]);
            return Ok(true);
        }
        keys.push(key.to_vec());
        iterator.next();
    }
    match iterator.status() {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::Incomplete => {
            batch.delete_range(prefix, &end[..]);
            return Ok(true);
        }
        Err(error) => return Err(error.into()),
    }
    for key in keys {
        batch.delete(key);
    }
    Ok(false)
}
