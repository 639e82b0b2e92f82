//! One writer's turn at a keyspace.
//!
//! Owns the lock under which a keyspace changes. Invariant: contents and byte
//! count change in one atomic write, so the count is exact. Whatever may wait
//! for the disk or copy much is done in the blocking pool. A turn ends when it
//! is dropped.

use rocksdb::{DB, ErrorKind, ReadOptions, ReadTier, WriteBatch, WriteOptions};
use tokio::sync::OwnedMutexGuard;

use crate::StoreError;
use crate::accounts::Account;
use crate::keys::Owner;
use crate::store::{Access, Shared};

/// Most bytes written on an async thread.
pub(crate) const INLINE_BYTES: usize = 16 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speed {
    /// Only what memory can do at once.
    NoWait,
    /// Disk and write stalls are waited for.
    MayWait,
}

/// Why a step was not done.
#[derive(Debug)]
pub(crate) enum Halt {
    /// It would have to wait and must not.
    WouldWait,
    Failed(StoreError),
}

impl From<rocksdb::Error> for Halt {
    fn from(error: rocksdb::Error) -> Self {
        if error.kind() == ErrorKind::Incomplete {
            Self::WouldWait
        } else {
            Self::Failed(error.into())
        }
    }
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

/// What became of something that was allowed to wait.
pub(crate) fn settled<D>(done: Result<D, Halt>) -> Result<D, StoreError> {
    done.map_err(|halt| match halt {
        Halt::Failed(error) => error,
        Halt::WouldWait => StoreError::Other("a call ended early".to_owned()),
    })
}

/// How to read at `speed`.
pub(crate) fn read(speed: Speed) -> ReadOptions {
    let mut options = ReadOptions::default();
    if speed == Speed::NoWait {
        options.set_read_tier(ReadTier::BlockCache);
    }
    options
}

/// Bytes an entry counts for; never 0.
pub(crate) fn cost(key: &[u8], value: usize) -> u64 {
    (key.len() + value) as u64
}

/// See the module's documentation.
pub(crate) struct Turn {
    usage_key: Vec<u8>,
    used: OwnedMutexGuard<Option<u64>>,
    access: Access,
}

impl Turn {
    /// Waits for the other writers of the keyspace.
    pub(crate) async fn wait(
        shared: &Shared,
        owner: Owner,
        account: &Account,
    ) -> Result<Self, StoreError> {
        let used = account.clone().lock_owned().await;
        Self::of(shared, owner, used)
    }

    /// The turn if nobody has it.
    pub(crate) fn now(
        shared: &Shared,
        owner: Owner,
        account: &Account,
    ) -> Option<Result<Self, StoreError>> {
        let used = account.clone().try_lock_owned().ok()?;
        Some(Self::of(shared, owner, used))
    }

    fn of(
        shared: &Shared,
        owner: Owner,
        used: OwnedMutexGuard<Option<u64>>,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            usage_key: owner.usage_key(),
            used,
            access: shared.access()?,
        })
    }

    /// Does `change`: here if it is `small` and waits for nothing, else in the
    /// blocking pool.
    pub(crate) async fn make<D: Send + 'static>(
        mut self,
        shared: &Shared,
        small: bool,
        mut change: impl FnMut(&mut Self, Speed) -> Result<D, Halt> + Send + 'static,
    ) -> Result<D, StoreError> {
        if small {
            match change(&mut self, Speed::NoWait) {
                Err(Halt::WouldWait) => {}
                done => return shared.watch(settled(done)),
            }
        }
        let rest = move || settled(change(&mut self, Speed::MayWait));
        shared.off_thread(rest).await
    }

    pub(crate) fn db(&self) -> &DB {
        &self.access.db
    }

    /// Bytes the keyspace uses.
    pub(crate) fn used(&mut self, speed: Speed) -> Result<u64, Halt> {
        if let Some(used) = *self.used {
            return Ok(used);
        }
        let stored = self.db().get_opt(&self.usage_key, &read(speed))?;
        let used = match stored {
            Some(bytes) => match bytes.as_slice().try_into() {
                Ok(bytes) => u64::from_be_bytes(bytes),
                Err(_) => {
                    return Err(StoreError::Corrupt("a byte count is malformed".to_owned()).into());
                }
            },
            None => 0,
        };
        *self.used = Some(used);
        Ok(used)
    }

    /// Writes `batch`, after which the keyspace uses `used` bytes.
    pub(crate) fn write(
        &mut self,
        mut batch: WriteBatch,
        used: u64,
        speed: Speed,
    ) -> Result<(), Halt> {
        batch.put(&self.usage_key, used.to_be_bytes());
        let mut options = WriteOptions::default();
        options.set_no_slowdown(speed == Speed::NoWait);
        self.db().write_opt(batch, &options)?;
        *self.used = Some(used);
        Ok(())
    }
}

/// Somebody who agrees to a change by its growth, and is asked once only.
pub(crate) struct Admission<F, P> {
    ask: Option<F>,
    given: Option<P>,
}

impl<P, F: FnOnce(i64) -> Option<P>> Admission<F, P> {
    pub(crate) fn new(ask: F) -> Self {
        Self {
            ask: Some(ask),
            given: None,
        }
    }

    /// What was given for a growth of so many bytes; `None` if that is refused.
    pub(crate) fn get(&mut self, growth: i64) -> Option<P> {
        if let Some(ask) = self.ask.take() {
            self.given = ask(growth);
        }
        self.given.take()
    }

    /// Keeps it for when the change is tried again.
    pub(crate) fn keep(&mut self, given: P) {
        self.given = Some(given);
    }
}
