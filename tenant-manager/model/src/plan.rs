//! What an account may use.

use ipnet::IpNet;
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
    /// What one node may write to disk in a second, bytes; 0 = as much as it
    /// likes. Plans that were stored before there was this have the default.
    #[serde(default = "disk_bytes_per_second")]
    pub disk_bytes_per_second: u64,
    /// Processes of one node.
    pub processes: u32,
    /// Its nodes run whether somebody uses them or not. Plans that were stored
    /// before there was this say no.
    #[serde(default)]
    pub always_on: bool,
    /// Ranges of addresses that apps of its nodes may connect to besides the
    /// public internet. Plans that were stored before there was this have none.
    #[serde(default)]
    pub egress_allow: Vec<IpNet>,
}

fn disk_bytes_per_second() -> u64 {
    256 * MIB
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
            disk_bytes_per_second: disk_bytes_per_second(),
            processes: 64,
            always_on: false,
            egress_allow: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_that_was_stored_long_ago_gets_what_is_new_by_default() {
        let stored = r#"{"name":"old","nodes":5,"memory_bytes":268435456,
            "disk_bytes":2147483648,"processes":64}"#;
        let plan: Plan = serde_json::from_str(stored).unwrap();
        let now = Plan {
            name: "old".to_owned(),
            ..Plan::default()
        };
        assert_eq!(plan, now);
        let stored = serde_json::to_string(&Plan {
            disk_bytes_per_second: 0,
            egress_allow: vec!["10.1.0.0/16".parse().unwrap()],
            ..now
        });
        let stored = stored.unwrap();
        assert!(stored.contains(r#""egress_allow":["10.1.0.0/16"]"#));
        let plan: Plan = serde_json::from_str(&stored).unwrap();
        assert_eq!(plan.disk_bytes_per_second, 0);
        assert_eq!(plan.egress_allow.len(), 1);
    }
}
