//! What a node needs to run: identity, keys, limits, place on disk.

use std::path::PathBuf;
use std::sync::Arc;

use ipnet::IpNet;
use node_types::NodeName;

use crate::{Keyfile, Secret, Transport};

/// Names a tenant's share of every host-wide store.
///
/// The incarnation changes when a tenant is purged and its label given out
/// again, so that nothing of the old one can be read by the new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TenantKey {
    /// The tenant's row id as a 128-bit number.
    pub tenant: u128,
    /// Counts lives of the tenant's data.
    pub incarnation: u32,
}

/// Everything that makes one boot of a node.
#[derive(Debug, Clone)]
pub struct NodeSpec {
    /// Whose data.
    pub key: TenantKey,
    /// Raised by the database at each placement and host start.
    pub generation: u64,
    /// The node's name in the network.
    pub name: NodeName,
    /// Unwrapped keys.
    pub secrets: NodeSecrets,
    /// What proves the owner's password on the node's own login page.
    pub login: LoginVerifiers,
    /// Bounds on what the node may use.
    pub limits: NodeLimits,
    /// Directory of the tenant's files; created if absent.
    pub vfs_root: PathBuf,
    /// Directory of the tenant's SQLite databases; created with the first.
    pub sql_root: PathBuf,
    /// Directory of the tenant's log, which no app reaches; created if absent.
    pub log_dir: PathBuf,
    /// Its way to other nodes, which speaks for this node only.
    pub transport: Arc<dyn Transport>,
    /// Ranges of addresses that its apps may connect to besides the public
    /// internet, from its plan.
    pub egress_allow: Vec<IpNet>,
}

/// A node's secrets, 32 bytes each.
#[derive(Debug, Clone)]
pub struct NodeSecrets {
    /// Seed of the Ed25519 networking key.
    pub networking_key: Secret<[u8; 32]>,
    /// HMAC key of the node's login cookies.
    pub jwt_secret: Secret<[u8; 32]>,
    /// Reserved for encrypting files.
    pub file_key: Secret<[u8; 32]>,
}

/// Verifiers of the node password, one per hash generation. Each is the
/// SHA-256 of the text `0x<64 hex>` that a client of that generation sends,
/// so neither the password nor the text itself is kept.
#[derive(Debug, Clone)]
pub struct LoginVerifiers {
    /// Of `0x` + hex of SHA-256(password): clients up to 0.9.
    pub sha256: [u8; 32],
    /// Of `0x` + hex of Argon2id(password, salt = node name): clients from 1.0.
    pub argon2id: [u8; 32],
    /// The node's keys sealed with the password.
    pub keyfile: Keyfile,
}

/// Bounds of one node, from its plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeLimits {
    /// Sum of all its processes' linear memories, bytes.
    pub memory_bytes: u64,
    /// Files, databases and state together, bytes.
    pub disk_bytes: u64,
    /// What it may write to disk in a second, when there was much, bytes; 0 = as
    /// much as it likes.
    pub disk_bytes_per_second: u64,
    /// Processes in its process map.
    pub processes: u32,
    /// Largest message from outside the node, bytes.
    pub public_message_bytes: u64,
    /// Largest local blob and tunnelled RPC body, bytes.
    pub local_message_bytes: u64,
}

impl Default for NodeLimits {
    /// The default plan of the contract.
    fn default() -> Self {
        const MIB: u64 = 1 << 20;
        Self {
            memory_bytes: 256 * MIB,
            disk_bytes: 2048 * MIB,
            disk_bytes_per_second: 256 * MIB,
            processes: 64,
            public_message_bytes: 10 * MIB,
            local_message_bytes: 128 * MIB,
        }
    }
}
