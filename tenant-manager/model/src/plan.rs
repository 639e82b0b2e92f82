//! What an account may use.

use serde::{Deserialize, Serialize};

const MIB: u64 = 1 << 20;

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
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            name: "default".to_owned(),
            nodes: 5,
            memory_bytes: 256 * MIB,
            disk_bytes: 2048 * MIB,
            processes: 64,
        }
    }
}
