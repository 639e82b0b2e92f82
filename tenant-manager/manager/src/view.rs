//! What people are shown.

use lifecycle::Timestamp;
use node_api::DiskUse;
use tenant_model::{Label, NodeStatus};

/// A node as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeView {
    /// Its label.
    pub label: Label,
    /// Its name in the network.
    pub name: String,
    /// How it is.
    pub status: NodeStatus,
    /// Why it is so, if there is something to say.
    pub status_reason: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last became active.
    pub last_started_at: Option<Timestamp>,
    /// When everything of it is to be removed, if it is.
    pub purge_at: Option<Timestamp>,
    /// Name of its plan.
    pub plan: String,
    /// What it uses.
    pub usage: Usage,
}

/// What a node uses: now, or when it last ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Memory now, bytes.
    pub memory_bytes: u64,
    /// Disk, by what keeps it.
    pub disk: DiskUse,
}

/// Whether a label can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Availability {
    /// It can.
    pub available: bool,
    /// Why not.
    pub reason: Option<Reason>,
}

/// Why a label cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Another node has it.
    Taken,
    /// The host keeps it for itself.
    Reserved,
    /// It breaks the rule.
    Invalid,
}
