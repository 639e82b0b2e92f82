//! The process table of one node: who exists, what they hold.
//!
//! Owns every capability of the node. Invariant: a capability gets in only
//! through a method here, within the bounds of [`CapSet`]. The caller wraps
//! the table in a lock; no method blocks.

use std::collections::HashMap;

use node_types::{Address, Capability, Edition, NodeName, OnExit, ProcessId};

use crate::caps::{CapSet, Inserted};

/// One process, running or waiting to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessEntry {
    /// VFS path of its component; empty for runtime modules.
    pub wasm_bytes_handle: String,
    /// The interface version its package states, as given.
    pub wit_version: Option<u32>,
    /// The interface its component was built for; `None` for modules and as
    /// long as nobody has looked.
    pub edition: Option<Edition>,
    /// What happens when it ends, as it is stored.
    pub on_exit: OnExit,
    /// What happens instead until the node stops.
    pub(crate) on_exit_now: Option<OnExit>,
    /// Whether every process of the node may message it.
    pub public: bool,
    /// Whether it is part of the runtime.
    pub module: bool,
    pub(crate) capabilities: CapSet,
}

impl ProcessEntry {
    /// A Wasm process that holds nothing yet.
    #[must_use]
    pub fn userspace(
        wasm_bytes_handle: impl Into<String>,
        wit_version: Option<u32>,
        edition: Option<Edition>,
        on_exit: OnExit,
        public: bool,
    ) -> Self {
        Self {
            wasm_bytes_handle: wasm_bytes_handle.into(),
            wit_version,
            edition,
            on_exit,
            on_exit_now: None,
            public,
            module: false,
            capabilities: CapSet::default(),
        }
    }

    /// A runtime module that holds nothing yet.
    #[must_use]
    pub fn module(public: bool) -> Self {
        Self {
            wasm_bytes_handle: String::new(),
            wit_version: None,
            edition: None,
            on_exit: OnExit::None,
            on_exit_now: None,
            public,
            module: true,
            capabilities: CapSet::default(),
        }
    }

    /// The same entry holding `capabilities` too, as far as they fit.
    #[must_use]
    pub fn with_capabilities(mut self, capabilities: impl IntoIterator<Item = Capability>) -> Self {
        for capability in capabilities {
            self.capabilities.insert(capability);
        }
        self
    }

    /// What it holds.
    #[must_use]
    pub fn capabilities(&self) -> &CapSet {
        &self.capabilities
    }

    /// What happens when it ends now.
    #[must_use]
    pub fn on_exit_now(&self) -> &OnExit {
        self.on_exit_now.as_ref().unwrap_or(&self.on_exit)
    }

    /// Whether a change to it must be written to the process map on disk.
    #[must_use]
    pub fn is_persistent(&self) -> bool {
        self.module || self.on_exit != OnExit::None
    }
}

/// What came of giving capabilities to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Granted {
    /// It holds something that it did not hold before.
    pub changed: bool,
    /// So many did not fit.
    pub full: usize,
}

/// All processes of one node.
#[derive(Debug, Clone)]
pub struct ProcessTable {
    our: NodeName,
    kernel: Address,
    network: Capability,
    entries: HashMap<ProcessId, ProcessEntry>,
}

impl ProcessTable {
    /// The empty table of node `our`.
    #[must_use]
    pub fn new(our: NodeName) -> Self {
        let network = Capability::network(&our);
        Self {
            kernel: network.issuer.clone(),
            network,
            our,
            entries: HashMap::new(),
        }
    }

    /// The node's name.
    #[must_use]
    pub fn our(&self) -> &NodeName {
        &self.our
    }

    /// The kernel's address on this node.
    #[must_use]
    pub fn kernel(&self) -> &Address {
        &self.kernel
    }

    /// The address of `id` on this node.
    #[must_use]
    pub fn address(&self, id: &ProcessId) -> Address {
        Address::new(self.our.clone(), id.clone())
    }

    /// Enters the runtime modules, each with whether it is public: every one
    /// may message every other and use the network. Those already entered
    /// keep what they hold.
    pub fn bootstrap_modules(&mut self, modules: impl IntoIterator<Item = (ProcessId, bool)>) {
        let modules: Vec<_> = modules.into_iter().collect();
        let mut rights: Vec<_> = modules
            .iter()
            .map(|(id, _)| Capability::messaging(self.address(id)))
            .collect();
        rights.push(self.network.clone());
        for (id, public) in modules {
            let entry = ProcessEntry::module(public).with_capabilities(rights.iter().cloned());
            self.upsert(id, entry);
        }
    }

    /// Enters a process, in place of any with that id.
    pub fn insert(&mut self, id: ProcessId, entry: ProcessEntry) -> Option<ProcessEntry> {
        self.entries.insert(id, entry)
    }

    /// Enters a process as a distro package brings it at every boot: all is
    /// taken from `entry`, except that capabilities already held are kept.
    pub fn upsert(&mut self, id: ProcessId, mut entry: ProcessEntry) {
        if let Some(old) = self.entries.remove(&id) {
            entry = entry.with_capabilities(old.capabilities.to_vec());
        }
        self.entries.insert(id, entry);
    }

    /// Removes a process with all it holds. What it issued stays with its
    /// holders; see [`Self::revoke_all_issued_by`].
    pub fn remove(&mut self, id: &ProcessId) -> Option<ProcessEntry> {
        self.entries.remove(id)
    }

    /// The entry of `id`.
    #[must_use]
    pub fn get(&self, id: &ProcessId) -> Option<&ProcessEntry> {
        self.entries.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: &ProcessId) -> Option<&mut ProcessEntry> {
        self.entries.get_mut(id)
    }

    /// All entries, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&ProcessId, &ProcessEntry)> {
        self.entries.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&ProcessId, &mut ProcessEntry)> {
        self.entries.iter_mut()
    }

    /// How many processes there are that are not modules.
    #[must_use]
    pub fn len_userspace(&self) -> usize {
        self.entries.values().filter(|entry| !entry.module).count()
    }

    /// Gives capabilities to a process, as far as they fit and if it exists;
    /// whether anything changed.
    pub fn grant(
        &mut self,
        id: &ProcessId,
        capabilities: impl IntoIterator<Item = Capability>,
    ) -> bool {
        self.grant_counted(id, capabilities).changed
    }

    /// [`Self::grant`], and how many did not fit.
    pub fn grant_counted(
        &mut self,
        id: &ProcessId,
        capabilities: impl IntoIterator<Item = Capability>,
    ) -> Granted {
        let mut granted = Granted::default();
        let Some(entry) = self.entries.get_mut(id) else {
            return granted;
        };
        for capability in capabilities {
            match entry.capabilities.insert(capability) {
                Inserted::Added | Inserted::Signed => granted.changed = true,
                Inserted::Present => {}
                Inserted::Full => granted.full += 1,
            }
        }
        granted
    }

    /// Takes capabilities from a process; whether anything changed.
    pub fn drop_caps<'a>(
        &mut self,
        id: &ProcessId,
        capabilities: impl IntoIterator<Item = &'a Capability>,
    ) -> bool {
        let Some(entry) = self.entries.get_mut(id) else {
            return false;
        };
        let mut changed = false;
        for capability in capabilities {
            changed |= entry.capabilities.remove(capability);
        }
        changed
    }

    /// Whether a process of this node holds `capability`.
    #[must_use]
    pub fn holds(&self, id: &ProcessId, capability: &Capability) -> bool {
        self.get(id)
            .is_some_and(|entry| entry.capabilities.contains(capability))
    }

    /// All that a process holds, sorted; empty when it does not exist.
    #[must_use]
    pub fn caps(&self, id: &ProcessId) -> Vec<Capability> {
        self.get(id)
            .map_or_else(Vec::new, |entry| entry.capabilities.to_vec())
    }

    pub(crate) fn may_use_network(&self, entry: &ProcessEntry) -> bool {
        entry.capabilities.contains(&self.network)
    }

    /// Takes from every process what `issuer` issued; returns who lost some.
    pub fn revoke_all_issued_by(&mut self, issuer: &Address) -> Vec<ProcessId> {
        let mut changed = Vec::new();
        for (id, entry) in self.iter_mut() {
            if entry.capabilities.remove_issuer(issuer) {
                changed.push(id.clone());
            }
        }
        changed
    }

    /// Of the capabilities that `sender` wants to hand on, those it may: its
    /// own and those it holds. The rest vanish without a word. The rule is the
    /// same for capabilities on a message and for those of a spawned child.
    /// Those of other nodes come with the signature they are held with; those
    /// of this one have none until they leave it.
    #[must_use]
    pub fn filter_attached(
        &self,
        sender: &ProcessId,
        capabilities: Vec<Capability>,
    ) -> Vec<Capability> {
        if capabilities.is_empty() {
            return capabilities;
        }
        let held = self.get(sender).map(|entry| &entry.capabilities);
        let issued = |capability: &Capability| capability.issuer.process == *sender;
        capabilities
            .into_iter()
            .filter_map(|capability| {
                if capability.issuer.node != self.our {
                    return held?.get(&capability);
                }
                let may =
                    issued(&capability) || held.is_some_and(|held| held.contains(&capability));
                may.then(|| capability.with_signature(None))
            })
            .collect()
    }
}
