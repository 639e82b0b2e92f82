//! One tenant's share of the store.
//!
//! Reads that memory can answer, and small writes, happen in place; whatever
//! may wait for the disk or copy much goes to the blocking pool. Writers of one
//! keyspace take turns, so its byte count is exact.

use std::sync::Arc;

use bytes::Bytes;
use rocksdb::{DB, ErrorKind, ReadOptions, ReadTier, WriteBatch, WriteOptions};
use tokio::sync::OwnedMutexGuard;

use crate::accounts::Account;
use crate::keys::{Owner, end_of, user_part};
use crate::store::{Access, Shared};
use crate::{Space, StoreError};

/// Largest value written on an async thread.
const INLINE_BYTES: usize = 16 * 1024;
/// Most entries of one [`Keyspace::scan`].
const SCAN_ITEMS: usize = 10_000;
/// Bytes after which a scan ends early; at least one entry is returned.
const SCAN_BYTES: usize = 16 << 20;

/// The keys of one life of a tenant. Clones are the same keyspace.
#[derive(Debug, Clone)]
pub struct Keyspace {
    shared: Arc<Shared>,
    owner: Owner,
    account: Account,
}

/// Part of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// Keys, without the space, and values; ascending.
    pub entries: Vec<(Bytes, Bytes)>,
    /// Whether there is more after the last entry.
    pub more: bool,
}

impl Keyspace {
    pub(crate) fn new(shared: Arc<Shared>, owner: Owner) -> Self {
        let account = shared.accounts.of(owner);
        Self {
            shared,
            owner,
            account,
        }
    }

    /// The value of `key`, if there is one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let full = self.owner.key(space, key)?;
        if !space.is_bulky() {
            let access = self.shared.access()?;
            match access.db.get_opt(&full, &read(Speed::NoWait)) {
                Ok(value) => return Ok(value.map(Bytes::from)),
                Err(error) if error.kind() == ErrorKind::Incomplete => {}
                Err(error) => return self.shared.watch(Err(error.into())),
            }
        }
        self.shared
            .blocking(move |db| Ok(db.get(&full)?.map(Bytes::from)))
            .await
    }

    /// Sets the value of `key`. On return it survives a kill of the host, and
    /// a power cut a second later.
    ///
    /// # Errors
    /// [`StoreError`]; then the old value stands.
    ///
    /// # Cancel-Safety
    /// Either value may stand.
    pub async fn put(&self, space: Space, key: &[u8], value: Bytes) -> Result<(), StoreError> {
        self.write(space, key, Some(value), |_| Some(()))
            .await
            .map(drop)
    }

    /// Like [`Self::put`], if `admit` agrees to the bytes the keyspace grows by
    /// (negative if it shrinks). What `admit` returned is handed back, or
    /// dropped if the write fails; `None` means that it refused.
    ///
    /// # Errors
    /// [`StoreError`]; then the old value stands.
    ///
    /// # Cancel-Safety
    /// Either value may stand.
    pub async fn put_if<P: Send + 'static>(
        &self,
        space: Space,
        key: &[u8],
        value: Bytes,
        admit: impl FnOnce(i64) -> Option<P> + Send + 'static,
    ) -> Result<Option<P>, StoreError> {
        self.write(space, key, Some(value), admit).await
    }

    /// Removes `key`. Returns the bytes freed; 0 if it was not there.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel-Safety
    /// It may be removed or not.
    pub async fn delete(&self, space: Space, key: &[u8]) -> Result<u64, StoreError> {
        let growth = self
            .write(space, key, None, |growth: i64| Some(growth))
            .await?;
        Ok(growth.unwrap_or_default().unsigned_abs())
    }

    /// Entries of `space` whose key starts with `prefix`, after key `after`,
    /// at most `limit` and never more than one scan's bound.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn scan(
        &self,
        space: Space,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Scan, StoreError> {
        let prefix = self.owner.key(space, prefix)?;
        let mut start = prefix.clone();
        if let Some(after) = after {
            let mut next = self.owner.key(space, after)?;
            next.push(0);
            start = start.max(next);
        }
        let limit = limit.min(SCAN_ITEMS);
        self.shared
            .blocking(move |db| scan(db, &prefix, &start, limit))
            .await
    }

    /// Bytes of all keys and values of this keyspace.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn bytes_used(&self) -> Result<u64, StoreError> {
        let mut used = self.account.lock().await;
        if let Some(used) = *used {
            return Ok(used);
        }
        let key = self.owner.usage_key();
        let read = self
            .shared
            .blocking(move |db| stored_usage(db, &key, Speed::MayWait));
        let number = read.await?.unwrap_or_default();
        *used = Some(number);
        Ok(number)
    }

    async fn write<P: Send + 'static>(
        &self,
        space: Space,
        key: &[u8],
        value: Option<Bytes>,
        admit: impl FnOnce(i64) -> Option<P> + Send + 'static,
    ) -> Result<Option<P>, StoreError> {
        let mut job = Write {
            key: self.owner.key(space, key)?,
            usage_key: self.owner.usage_key(),
            used: self.account.clone().lock_owned().await,
            access: self.shared.access()?,
            admit: Some(admit),
            permit: None,
            value,
        };
        let small = job.value.as_ref().is_none_or(|v| v.len() <= INLINE_BYTES);
        let mut done = None;
        if small {
            done = self.shared.watch(job.run(Speed::NoWait))?;
        }
        let done = match done {
            Some(done) => done,
            None => {
                let run = move || job.run(Speed::MayWait);
                // With `MayWait` it is always done.
                self.shared.off_thread(run).await?.unwrap_or(Done::Refused)
            }
        };
        Ok(match done {
            Done::Written(permit) => {
                self.shared.written();
                Some(permit)
            }
            Done::Unchanged(permit) => Some(permit),
            Done::Refused => None,
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speed {
    /// Only what memory can do at once.
    NoWait,
    /// Disk and write stalls are waited for.
    MayWait,
}

fn read(speed: Speed) -> ReadOptions {
    let mut options = ReadOptions::default();
    if speed == Speed::NoWait {
        options.set_read_tier(ReadTier::BlockCache);
    }
    options
}

fn stored_usage(db: &DB, key: &[u8], speed: Speed) -> Result<Option<u64>, StoreError> {
    match db.get_opt(key, &read(speed)) {
        Ok(Some(bytes)) => match bytes.as_slice().try_into() {
            Ok(bytes) => Ok(Some(u64::from_be_bytes(bytes))),
            Err(_) => Err(StoreError::Corrupt("a byte count is malformed".to_owned())),
        },
        Ok(None) => Ok(Some(0)),
        Err(error) if error.kind() == ErrorKind::Incomplete => Ok(None),
        Err(error) => Err(error.into()),
    }
}

enum Done<P> {
    Written(P),
    Unchanged(P),
    Refused,
}

/// A write under way; moves to the blocking pool if it would wait.
struct Write<F, P> {
    key: Vec<u8>,
    usage_key: Vec<u8>,
    used: OwnedMutexGuard<Option<u64>>,
    access: Access,
    /// Taken when asked.
    admit: Option<F>,
    /// What `admit` gave.
    permit: Option<P>,
    value: Option<Bytes>,
}

impl<P, F: FnOnce(i64) -> Option<P>> Write<F, P> {
    /// Does it; `None` if that would wait and `speed` forbids to.
    fn run(&mut self, speed: Speed) -> Result<Option<Done<P>>, StoreError> {
        let db = &self.access.db;
        let used = match *self.used {
            Some(used) => used,
            None => match stored_usage(db, &self.usage_key, speed)? {
                Some(used) => *self.used.insert(used),
                None => return Ok(None),
            },
        };
        let old = match db.get_pinned_opt(&self.key, &read(speed)) {
            Ok(value) => value.map_or(0, |value| cost(&self.key, value.len())),
            Err(error) if error.kind() == ErrorKind::Incomplete => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let new = match &self.value {
            Some(value) => cost(&self.key, value.len()),
            None => 0,
        };
        if let Some(admit) = self.admit.take() {
            self.permit = admit(new.cast_signed() - old.cast_signed());
        }
        let Some(permit) = self.permit.take() else {
            return Ok(Some(Done::Refused));
        };
        if self.value.is_none() && old == 0 {
            return Ok(Some(Done::Unchanged(permit)));
        }
        let used = used.saturating_sub(old).saturating_add(new);
        let mut batch = WriteBatch::default();
        match &self.value {
            Some(value) => batch.put(&self.key, value),
            None => batch.delete(&self.key),
        }
        batch.put(&self.usage_key, used.to_be_bytes());
        let mut options = WriteOptions::default();
        options.set_no_slowdown(speed == Speed::NoWait);
        match db.write_opt(batch, &options) {
            Ok(()) => {
                *self.used = Some(used);
                Ok(Some(Done::Written(permit)))
            }
            Err(error) if error.kind() == ErrorKind::Incomplete && speed == Speed::NoWait => {
                self.permit = Some(permit);
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Bytes an entry counts for; never 0.
fn cost(key: &[u8], value: usize) -> u64 {
    (key.len() + value) as u64
}

fn scan(db: &DB, prefix: &[u8], start: &[u8], limit: usize) -> Result<Scan, StoreError> {
    let mut options = ReadOptions::default();
    options.set_iterate_upper_bound(end_of(prefix));
    options.fill_cache(false);
    let mut iterator = db.raw_iterator_opt(options);
    iterator.seek(start);
    let mut found = Scan {
        entries: Vec::new(),
        more: false,
    };
    let mut bytes = 0;
    while let Some((key, value)) = iterator.item() {
        let enough = !found.entries.is_empty() && bytes + value.len() > SCAN_BYTES;
        if found.entries.len() >= limit || enough {
            found.more = true;
            break;
        }
        bytes += value.len();
        found.entries.push((
            Bytes::copy_from_slice(user_part(key)),
            Bytes::copy_from_slice(value),
        ));
        iterator.next();
    }
    iterator.status()?;
    Ok(found)
}
