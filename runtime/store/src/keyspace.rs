//! One tenant's share of the store.
//!
//! Reads that memory can answer, and small writes, happen in place; whatever
//! may wait for the disk or copy much goes to the blocking pool. Writers of one
//! keyspace take turns, so its byte count is exact.

use std::sync::Arc;

use bytes::Bytes;
use rocksdb::{DB, ErrorKind, ReadOptions, WriteBatch};

use crate::accounts::Account;
use crate::keys::{Owner, end_of, user_part};
use crate::store::Shared;
use crate::turn::{Admission, Halt, INLINE_BYTES, Speed, Turn, cost, read};
use crate::{Databases, Space, StoreError};

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
        let turn = Turn::wait(&self.shared, self.owner, &self.account).await?;
        turn.make(&self.shared, true, Turn::used).await
    }

    /// Returns once everything acknowledged so far survives a power cut. Waits
    /// for a sync that all writers share, about half a second.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel-Safety
    /// Safe.
    pub async fn sync(&self) -> Result<(), StoreError> {
        self.shared.synced().await
    }

    /// The key-value databases of the keyspace.
    #[must_use]
    pub fn databases(&self) -> Databases {
        Databases::new(self.shared.clone(), self.owner, self.account.clone())
    }

    async fn write<P: Send + 'static>(
        &self,
        space: Space,
        key: &[u8],
        value: Option<Bytes>,
        admit: impl FnOnce(i64) -> Option<P> + Send + 'static,
    ) -> Result<Option<P>, StoreError> {
        let small = value.as_ref().is_none_or(|v| v.len() <= INLINE_BYTES);
        let mut write = Write {
            key: self.owner.key(space, key)?,
            value,
            admission: Admission::new(admit),
        };
        let turn = Turn::wait(&self.shared, self.owner, &self.account).await?;
        let run = move |turn: &mut Turn, speed| write.run(turn, speed);
        Ok(match turn.make(&self.shared, small, run).await? {
            Done::Written(permit) => {
                self.shared.written();
                Some(permit)
            }
            Done::Unchanged(permit) => Some(permit),
            Done::Refused => None,
        })
    }
}

enum Done<P> {
    Written(P),
    Unchanged(P),
    Refused,
}

/// A write of one key.
struct Write<F, P> {
    key: Vec<u8>,
    value: Option<Bytes>,
    admission: Admission<F, P>,
}

impl<P, F: FnOnce(i64) -> Option<P>> Write<F, P> {
    fn run(&mut self, turn: &mut Turn, speed: Speed) -> Result<Done<P>, Halt> {
        let used = turn.used(speed)?;
        let old = turn.db().get_pinned_opt(&self.key, &read(speed))?;
        let old = old.map_or(0, |value| cost(&self.key, value.len()));
        let new = match &self.value {
            Some(value) => cost(&self.key, value.len()),
            None => 0,
        };
        let growth = new.cast_signed() - old.cast_signed();
        let Some(permit) = self.admission.get(growth) else {
            return Ok(Done::Refused);
        };
        let mut batch = WriteBatch::default();
        match &self.value {
            Some(value) => batch.put(&self.key, value),
            None if old == 0 => return Ok(Done::Unchanged(permit)),
            None => batch.delete(&self.key),
        }
        let used = used.saturating_sub(old).saturating_add(new);
        match turn.write(batch, used, speed) {
            Ok(()) => Ok(Done::Written(permit)),
            Err(halt) => {
                self.admission.keep(permit);
                Err(halt)
            }
        }
    }
}

/// Entries whose key begins with `prefix`, from `start` on.
pub(crate) fn scan(db: &DB, prefix: &[u8], start: &[u8], limit: usize) -> Result<Scan, StoreError> {
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
