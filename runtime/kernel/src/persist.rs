//! What of the process table outlives the node: every process with an on-exit
//! behaviour, and what the runtime modules have been granted.

use std::collections::BTreeMap;

use node_types::{Capability, Edition, OnExit, ProcessId};
use serde::{Deserialize, Serialize};

use crate::table::{ProcessEntry, ProcessTable};

/// The process map as it is stored; any serde format with string keys will do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PersistedTable {
    /// Every process worth keeping.
    pub processes: BTreeMap<ProcessId, PersistedProcess>,
}

/// One stored process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersistedProcess {
    /// VFS path of its component.
    pub wasm_bytes_handle: String,
    /// The interface version its package states.
    pub wit_version: Option<u32>,
    /// The interface its component was built for.
    #[serde(default)]
    pub edition: Option<Edition>,
    /// What happens when it ends.
    pub on_exit: OnExit,
    /// Whether every process may message it.
    pub public: bool,
    /// Whether it is a runtime module; then only its capabilities count.
    #[serde(default)]
    pub module: bool,
    /// What it holds.
    #[serde(with = "stored_capabilities")]
    pub capabilities: Vec<Capability>,
}

/// Capabilities as they are stored: as everywhere, and those of other nodes
/// with their signature, which maps of older hosts do not have.
mod stored_capabilities {
    use node_types::{Address, CapSignature, Capability};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Stored {
        issuer: Address,
        params: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signature: Option<Vec<u8>>,
    }

    pub(super) fn serialize<S: Serializer>(
        capabilities: &[Capability],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(capabilities.iter().map(|held| Stored {
            issuer: held.issuer.clone(),
            params: held.params.clone(),
            signature: held.signature().map(|bytes| bytes.as_bytes().to_vec()),
        }))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Capability>, D::Error> {
        let stored = Vec::<Stored>::deserialize(deserializer)?;
        Ok(stored
            .into_iter()
            .map(|held| {
                // One of a wrong length proves nothing: as if there were none.
                let signature = held
                    .signature
                    .and_then(|bytes| <[u8; 64]>::try_from(bytes).ok())
                    .map(CapSignature::new);
                Capability::new(held.issuer, held.params).with_signature(signature)
            })
            .collect())
    }
}

impl From<&ProcessEntry> for PersistedProcess {
    fn from(entry: &ProcessEntry) -> Self {
        let ProcessEntry {
            wasm_bytes_handle,
            wit_version,
            edition,
            on_exit,
            on_exit_now: _,
            public,
            module,
            capabilities,
        } = entry;
        Self {
            wasm_bytes_handle: wasm_bytes_handle.clone(),
            wit_version: *wit_version,
            edition: *edition,
            on_exit: on_exit.clone(),
            public: *public,
            module: *module,
            capabilities: capabilities.to_vec(),
        }
    }
}

impl ProcessTable {
    /// What is to be stored now.
    #[must_use]
    pub fn persisted(&self) -> PersistedTable {
        let processes = self
            .iter()
            .filter(|(_, entry)| entry.is_persistent())
            .map(|(id, entry)| (id.clone(), entry.into()))
            .collect();
        PersistedTable { processes }
    }

    /// Enters what was stored. The modules must be in the table already: they
    /// get back what they held, and modules that are no more are left out, as
    /// is anything that would pass for a module.
    pub fn restore(&mut self, stored: PersistedTable) {
        for (id, process) in stored.processes {
            let is_module = self.get(&id).map(|entry| entry.module);
            match (is_module, process.module) {
                (Some(true), true) => {
                    self.grant(&id, process.capabilities);
                }
                (None | Some(false), false) => {
                    let entry = ProcessEntry::userspace(
                        process.wasm_bytes_handle,
                        process.wit_version,
                        process.edition,
                        process.on_exit,
                        process.public,
                    );
                    self.insert(id, entry.with_capabilities(process.capabilities));
                }
                (None | Some(false), true) | (Some(true), false) => {}
            }
        }
    }
}
