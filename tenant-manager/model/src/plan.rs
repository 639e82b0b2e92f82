//! What an account may use.

use serde::{Deserialize, Serialize};

const MIB: u64 = 1 << 20;
/// Archived nodes that may be kept for each node of the plan: so that making
/// and archiving is no way around it.
const ARCHIVED_PER_NODE: u32 = 4;

/// Bounds of an account (how many nodes) and of each of its nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// Most nodes that are not archived.
    pub nodes: u32,
    /// Memory of one node, bytes.
    pub memory_bytes: u64,
    /// Disk of one node, bytes.
    pub disk_bytes: u64,
    /// Processes of one node.
    pub processes: u32,
    /// Its nodes run whether somebody uses them or not. Plans that were stored
    /// before there was this say no.
    #[serde(default)]
    pub always_on: bool,
}

impl Plan {
    /// Most nodes that are archived.
    #[must_use]
    pub fn archived_nodes(&self) -> u32 {
        self.nodes.saturating_mul(ARCHIVED_PER_NODE)
    }
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            name: "default".to_owned(),
            nodes: 5,
            memory_bytes: 256 * MIB,
            disk_bytes: 2048 * MIB,
            processes: 64,
            always_on: false,
        }
    }
}
