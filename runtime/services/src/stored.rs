//! What a node keeps in the host's store, as far as its disk quota goes.
//!
//! Owns the keyspace and the handles of the quota that it is charged to.
//! Invariants: what earlier lives of the node left is charged once, before the
//! first change; bytes are charged before they are written and given back after
//! they are gone. Holds no task.

use std::sync::{Arc, OnceLock};

use node_store::{DatabaseError, Keyspace, StoreError};
use tokio::sync::OnceCell;

use crate::quota::{Charge, DiskQuota, QuotaExceeded, Store};

/// A node's keyspace and who pays for it. Clones are the same.
#[derive(Debug, Clone)]
pub struct Stored {
    keys: Keyspace,
    state: Arc<DiskQuota>,
    databases: Arc<DiskQuota>,
    /// Set once what was there at boot is charged.
    counted: Arc<OnceCell<()>>,
}

impl Stored {
    /// What is in `keys`, charged to the budget that `quota` is a handle of:
    /// databases as such, the rest as state.
    pub(crate) fn new(keys: Keyspace, quota: &DiskQuota) -> Self {
        Self {
            keys,
            state: quota.of(Store::State),
            databases: quota.of(Store::KeyValue),
            counted: Arc::default(),
        }
    }

    pub(crate) fn keys(&self) -> &Keyspace {
        &self.keys
    }

    /// Who pays for state.
    pub(crate) fn state(&self) -> &Arc<DiskQuota> {
        &self.state
    }

    /// Who pays for databases.
    pub(crate) fn databases(&self) -> &Arc<DiskQuota> {
        &self.databases
    }

    /// Charges what was stored in earlier lives of the node, once.
    pub(crate) async fn count(&self) -> Result<(), StoreError> {
        self.counted
            .get_or_try_init(|| async {
                let databases = self.keys.databases().bytes_used().await;
                let databases = databases.map_err(|error| match error {
                    DatabaseError::Store(error) => error,
                    other => StoreError::Other(other.to_string()),
                })?;
                let all = self.keys.bytes_used().await?;
                self.databases.add_existing(databases);
                self.state.add_existing(all.saturating_sub(databases));
                Ok::<(), StoreError>(())
            })
            .await?;
        Ok(())
    }

    /// Whether that is done.
    pub(crate) fn is_counted(&self) -> bool {
        self.counted.initialized()
    }
}

/// A change of size that the quota agreed to.
#[derive(Debug)]
pub(crate) enum Admitted {
    Grows(Charge),
    Shrinks(Arc<DiskQuota>, u64),
}

/// Why the quota did not agree, once it was asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Denial(Arc<OnceLock<QuotaExceeded>>);

impl Admitted {
    /// Asks `quota` for so many bytes more.
    pub(crate) fn new(quota: &Arc<DiskQuota>, growth: i64, denial: &Denial) -> Option<Self> {
        let Ok(growth) = u64::try_from(growth) else {
            return Some(Self::Shrinks(quota.clone(), growth.unsigned_abs()));
        };
        match quota.charge(growth) {
            Ok(charge) => Some(Self::Grows(charge)),
            Err(error) => {
                let _ = denial.0.set(error);
                None
            }
        }
    }

    /// The same as a function for the store to call.
    pub(crate) fn by(
        quota: &Arc<DiskQuota>,
        denial: &Denial,
    ) -> impl FnOnce(i64) -> Option<Self> + Send + 'static + use<> {
        let (quota, denial) = (quota.clone(), denial.clone());
        move |growth| Self::new(&quota, growth, &denial)
    }

    /// The change is made.
    pub(crate) fn commit(self) {
        match self {
            Self::Grows(charge) => charge.commit(),
            Self::Shrinks(quota, freed) => quota.refund(freed),
        }
    }
}

impl Denial {
    /// What the quota said.
    pub(crate) fn why(&self) -> QuotaExceeded {
        let said = self.0.get().copied();
        said.unwrap_or(QuotaExceeded { wanted: 0, left: 0 })
    }
}
