//! State of processes in the node's keyspace, charged to its quota.

use std::sync::Arc;

use bytes::Bytes;
use node_store::{Keyspace, Space, StoreError};
use node_types::ProcessId;

use crate::quota::{DiskQuota, QuotaExceeded};
use crate::stored::{Admitted, Denial, Stored};

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
pub struct StateStore(Stored);

impl StateStore {
    /// The state in `keys`, charged to the budget that `quota` is a handle of.
    #[must_use]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "every other module is given its quota so"
    )]
    pub fn new(keys: Keyspace, quota: Arc<DiskQuota>) -> Self {
        Self(Stored::new(keys, &quota))
    }

    /// The whole of what the node stores, to be shared with its databases.
    #[must_use]
    pub fn stored(&self) -> &Stored {
        &self.0
    }

    /// What `process` saved last.
    ///
    /// # Errors
    /// [`StateError::Store`].
    pub async fn get(&self, process: &ProcessId) -> Result<Option<Bytes>, StateError> {
        let key = process.as_str().as_bytes();
        Ok(self.0.keys().get(Space::State, key).await?)
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
        let quota = self.0.state();
        quota.pace(state.len() as u64).await;
        let denial = Denial::default();
        let admit = Admitted::by(quota, &denial);
        let key = process.as_str().as_bytes();
        let keys = self.0.keys();
        match keys.put_if(Space::State, key, state, admit).await? {
            Some(admitted) => {
                admitted.commit();
                Ok(())
            }
            None => Err(denial.why().into()),
        }
    }

    /// Forgets the state of `process`; fine if there is none.
    ///
    /// # Errors
    /// [`StateError::Store`].
    pub async fn delete(&self, process: &ProcessId) -> Result<(), StateError> {
        self.count().await?;
        let key = process.as_str().as_bytes();
        let freed = self.0.keys().delete(Space::State, key).await?;
        self.0.state().refund(freed);
        Ok(())
    }

    /// Returns once all state saved so far survives a power cut: within about
    /// half a second.
    ///
    /// # Errors
    /// [`StateError::Store`].
    pub async fn sync(&self) -> Result<(), StateError> {
        Ok(self.0.keys().sync().await?)
    }

    /// Charges what was saved in earlier lives of the node, once. Done by
    /// itself before the first change.
    ///
    /// # Errors
    /// [`StateError::Store`].
    pub async fn count(&self) -> Result<(), StateError> {
        Ok(self.0.count().await?)
    }
}
