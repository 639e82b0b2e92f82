//! State of processes in the node's keyspace, charged to its quota.

use std::sync::Arc;

use bytes::Bytes;
use node_store::{Keyspace, Space, StoreError};
use node_types::ProcessId;
use tokio::sync::OnceCell;

use crate::quota::{Charge, DiskQuota, QuotaExceeded};

/// Largest state of one process. Enough for any state that is rewritten as a
/// whole at each change; more belongs into files.
pub const MAX_STATE_BYTES: usize = 16 << 20;

/// Why state was not saved or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// More than [`MAX_STATE_BYTES`].
    #[error(
        "state limit reached: a process may save {most} MiB and wanted to save {0} bytes; keep large data in files",
        most = MAX_STATE_BYTES >> 20
    )]
    TooLarge(usize),
    /// The node's disk quota is used up.
    #[error(transparent)]
    Quota(#[from] QuotaExceeded),
    /// The host's store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The saved state of a node's processes. Clones are the same store.
#[derive(Debug, Clone)]
pub struct StateStore {
    keys: Keyspace,
    quota: Arc<DiskQuota>,
    /// Set once what was there at boot is charged.
    counted: Arc<OnceCell<()>>,
}

impl StateStore {
    /// The state in `keys`, charged to `quota`.
    #[must_use]
    pub fn new(keys: Keyspace, quota: Arc<DiskQuota>) -> Self {
        Self {
            keys,
            quota,
            counted: Arc::default(),
        }
    }

    /// What `process` saved last.
    ///
    /// # Errors
    /// [`StateError::Store`].
    pub async fn get(&self, process: &ProcessId) -> Result<Option<Bytes>, StateError> {
        let key = process.as_str().as_bytes();
        Ok(self.keys.get(Space::State, key).await?)
    }

    /// Saves the state of `process`. On return it survives a kill of the host,
    /// and within a second a power cut.
    ///
    /// # Errors
    /// [`StateError`]; then the old state stands.
    pub async fn set(&self, process: &ProcessId, state: Bytes) -> Result<(), StateError> {
        if state.len() > MAX_STATE_BYTES {
            return Err(StateError::TooLarge(state.len()));
        }
        self.count().await?;
        let quota = self.quota.clone();
        let (refusal, refused) = std::sync::mpsc::sync_channel(1);
        let admit = move |growth: i64| match Admitted::new(&quota, growth) {
            Ok(admitted) => Some(admitted),
            Err(error) => {
                let _ = refusal.try_send(error);
                None
            }
        };
        let key = process.as_str().as_bytes();
        match self.keys.put_if(Space::State, key, state, admit).await? {
            Some(admitted) => {
                admitted.commit();
                Ok(())
            }
            None => Err(refused
                .try_recv()
                .unwrap_or(QuotaExceeded { wanted: 0, left: 0 })
                .into()),
        }
    }

    /// Forgets the state of `process`; fine if there is none.
    ///
    /// # Errors
    /// [`StateError::Store`].
    pub async fn delete(&self, process: &ProcessId) -> Result<(), StateError> {
        self.count().await?;
        let key = process.as_str().as_bytes();
        let freed = self.keys.delete(Space::State, key).await?;
        self.quota.refund(freed);
        Ok(())
    }

    /// Charges what was saved in earlier lives of the node, once. Done by
    /// itself before the first change.
    ///
    /// # Errors
    /// [`StateError::Store`].
    pub async fn count(&self) -> Result<(), StateError> {
        self.counted
            .get_or_try_init(|| async {
                self.quota.add_existing(self.keys.bytes_used().await?);
                Ok::<(), StateError>(())
            })
            .await?;
        Ok(())
    }
}

/// A change of size that the quota agreed to.
enum Admitted {
    Grows(Charge),
    Shrinks(Arc<DiskQuota>, u64),
}

impl Admitted {
    fn new(quota: &Arc<DiskQuota>, growth: i64) -> Result<Self, QuotaExceeded> {
        match u64::try_from(growth) {
            Ok(growth) => Ok(Self::Grows(quota.charge(growth)?)),
            Err(_) => Ok(Self::Shrinks(quota.clone(), growth.unsigned_abs())),
        }
    }

    fn commit(self) {
        match self {
            Self::Grows(charge) => charge.commit(),
            Self::Shrinks(quota, freed) => quota.refund(freed),
        }
    }
}
