//! The process map on disk: which processes a node has when it boots.
//!
//! Invariant: what [`ProcessMap::save`] returned for survives a kill of the
//! host; saves happen one after the other, so an older map never replaces a
//! newer one. [`ProcessMap::save_soon`] is for callers that cannot wait.

use node_kernel::{PersistedTable, ProcessTable};
use node_store::{Keyspace, Space, StoreError};
use parking_lot::RwLock;
use tokio::sync::{Mutex, Notify};

/// Key of the map in [`Space::Kernel`].
const KEY: &[u8] = b"process-map";

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct ProcessMap {
    keyspace: Keyspace,
    /// Held while a map is written.
    writing: Mutex<()>,
    dirty: Notify,
}

/// Why a map could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MapError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is stored is not a process map.
    #[error("the stored process map is damaged: {0}")]
    Damaged(#[from] serde_json::Error),
}

impl ProcessMap {
    pub(crate) fn new(keyspace: Keyspace) -> Self {
        Self {
            keyspace,
            writing: Mutex::new(()),
            dirty: Notify::new(),
        }
    }

    /// The stored map; empty for a new node.
    pub(crate) async fn load(&self) -> Result<PersistedTable, MapError> {
        match self.keyspace.get(Space::Kernel, KEY).await? {
            Some(bytes) => Ok(serde_json::from_slice(&bytes)?),
            None => Ok(PersistedTable::default()),
        }
    }

    /// Writes the map as it is now.
    pub(crate) async fn save(&self, table: &RwLock<ProcessTable>) -> Result<(), MapError> {
        let _turn = self.writing.lock().await;
        let snapshot = table.read().persisted();
        let bytes = serde_json::to_vec(&snapshot)?;
        self.keyspace.put(Space::Kernel, KEY, bytes.into()).await?;
        Ok(())
    }

    /// Has the map written soon, by the task that waits in [`Self::due`].
    pub(crate) fn save_soon(&self) {
        self.dirty.notify_one();
    }

    /// Waits for a [`Self::save_soon`].
    ///
    /// # Cancel-Safety
    /// Safe.
    pub(crate) async fn due(&self) {
        self.dirty.notified().await;
    }
}
