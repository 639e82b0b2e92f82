//! What is said about the verbosity of single processes, in the node's store.
//!
//! One key, read at boot and written whole at each change.

use std::sync::Arc;

use async_trait::async_trait;
use node_services::terminal::OverrideStore;
use node_store::{Keyspace, Space};

const KEY: &[u8] = b"verbosity";

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct StoredOverrides {
    loaded: Option<Vec<u8>>,
    keyspace: Keyspace,
}

impl StoredOverrides {
    /// Loads what is stored.
    pub(crate) async fn load(keyspace: Keyspace) -> Arc<Self> {
        let loaded = match keyspace.get(Space::Terminal, KEY).await {
            Ok(loaded) => loaded.map(Vec::from),
            Err(error) => {
                tracing::warn!("failed to load the verbosity of processes: {error}");
                None
            }
        };
        Arc::new(Self { loaded, keyspace })
    }
}

#[async_trait]
impl OverrideStore for StoredOverrides {
    fn load(&self) -> Option<Vec<u8>> {
        self.loaded.clone()
    }

    async fn save(&self, saved: Vec<u8>) -> Result<(), String> {
        self.keyspace
            .put(Space::Terminal, KEY, saved.into())
            .await
            .map_err(|error| error.to_string())
    }
}
