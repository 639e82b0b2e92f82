//! When tenants are to be woken: the one table of the host that is about all
//! of them.
//!
//! Owns a column family of its own, so that no key of a tenant's is ever one
//! of its keys or in one range with them. Invariants: a tenant without an
//! entry waits for nothing, so reading the table costs by those that do;
//! removing a tenant removes its entry in the same write. Writes are as
//! durable as those of a [`crate::Keyspace`].

use std::sync::Arc;

use rocksdb::{ColumnFamily, DB, ErrorKind, ReadOptions, WriteOptions};

use crate::StoreError;
use crate::keys::Owner;
use crate::store::Shared;

/// The column family.
pub(crate) const FAMILY: &str = "alarms";
/// Value of a tenant that runs. On disk: never change it or the next.
const RUNNING: u8 = 0;
/// First byte of the value of one that sleeps; 8 bytes of time follow.
const AT: u8 = 1;

/// When a tenant is to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// At this time, in milliseconds since 1970 UTC.
    At(i64),
    /// It runs, or ran when its host died.
    Running,
}

/// An entry of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alarm {
    /// The tenant.
    pub tenant: u128,
    /// Which life of it.
    pub incarnation: u32,
    /// When.
    pub due: Due,
}

/// The table. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Alarms(pub(crate) Arc<Shared>);

impl Due {
    fn to_value(self) -> Vec<u8> {
        match self {
            Self::Running => vec![RUNNING],
            Self::At(millis) => {
                let mut value = vec![AT];
                value.extend_from_slice(&millis.to_be_bytes());
                value
            }
        }
    }

    fn of_value(value: &[u8]) -> Option<Self> {
        match value.split_first()? {
            (&RUNNING, []) => Some(Self::Running),
            (&AT, millis) => Some(Self::At(i64::from_be_bytes(millis.try_into().ok()?))),
            _ => None,
        }
    }
}

impl Alarms {
    /// Says when a tenant is to be woken, or that it runs.
    ///
    /// # Errors
    /// [`StoreError`]; then the old entry stands.
    pub async fn set(&self, tenant: u128, incarnation: u32, due: Due) -> Result<(), StoreError> {
        self.write(tenant, incarnation, Some(due)).await
    }

    /// Says that a tenant waits for nothing.
    ///
    /// # Errors
    /// [`StoreError`]; then the old entry stands.
    pub async fn clear(&self, tenant: u128, incarnation: u32) -> Result<(), StoreError> {
        self.write(tenant, incarnation, None).await
    }

    /// All entries. One that nobody can read counts as running, so that its
    /// tenant is looked at.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn all(&self) -> Result<Vec<Alarm>, StoreError> {
        self.0.blocking(all).await
    }

    async fn write(
        &self,
        tenant: u128,
        incarnation: u32,
        due: Option<Due>,
    ) -> Result<(), StoreError> {
        let key = Owner {
            tenant,
            incarnation,
        }
        .prefix();
        let value = due.map(Due::to_value);
        let access = self.0.access()?;
        // In place unless it would have to wait.
        let done = match write(&access.db, &key, value.as_deref(), true) {
            Err(error) if error.kind() == ErrorKind::Incomplete => None,
            done => Some(self.0.watch(done.map_err(StoreError::from))?),
        };
        if done.is_none() {
            let write = move || Ok(write(&access.db, &key, value.as_deref(), false)?);
            self.0.off_thread(write).await?;
        }
        self.0.written();
        Ok(())
    }
}

fn write(
    db: &DB,
    key: &[u8],
    value: Option<&[u8]>,
    no_slowdown: bool,
) -> Result<(), rocksdb::Error> {
    let mut options = WriteOptions::default();
    options.set_no_slowdown(no_slowdown);
    let mut batch = rocksdb::WriteBatch::default();
    // It is there since the store was opened.
    if let Some(family) = family(db) {
        match value {
            Some(value) => batch.put_cf(family, key, value),
            None => batch.delete_cf(family, key),
        }
    }
    db.write_opt(batch, &options)
}

fn all(db: &DB) -> Result<Vec<Alarm>, StoreError> {
    let Some(family) = family(db) else {
        return Ok(Vec::new());
    };
    let mut options = ReadOptions::default();
    options.fill_cache(false);
    let mut iterator = db.raw_iterator_cf_opt(family, options);
    iterator.seek_to_first();
    let mut found = Vec::new();
    while let Some((key, value)) = iterator.item() {
        match Owner::of_prefix(key) {
            Some(owner) => found.push(Alarm {
                tenant: owner.tenant,
                incarnation: owner.incarnation,
                due: Due::of_value(value).unwrap_or(Due::Running),
            }),
            None => tracing::warn!("a key of the table of alarms is malformed"),
        }
        iterator.next();
    }
    iterator.status()?;
    Ok(found)
}

/// The column family of an open store.
pub(crate) fn family(db: &DB) -> Option<&ColumnFamily> {
    db.cf_handle(FAMILY)
}
