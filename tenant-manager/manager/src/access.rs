//! The right to reach a tenant, and the right to use its running node.

use std::sync::Arc;

use lifecycle::GateGuard;
use node_api::NodeHandle;
use node_types::NodeName;
use tenant_model::{Label, TenantId};

use crate::boot::Cause;

/// Which way someone comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// The proxy.
    Http,
    /// A terminal or a command line.
    Ssh,
    /// A connection through a tunnel.
    Tunnel,
}

impl From<Door> for Cause {
    fn from(door: Door) -> Self {
        match door {
            Door::Http => Self::Http,
            Door::Ssh => Self::Ssh,
            Door::Tunnel => Self::Tunnel,
        }
    }
}

/// Someone may reach this tenant: a visitor of its public pages, or its owner
/// by SSH. Only the manager makes one.
#[derive(Debug, Clone)]
pub struct TenantAccess {
    pub(crate) tenant: TenantId,
    pub(crate) label: Label,
    pub(crate) name: NodeName,
    pub(crate) door: Door,
}

impl TenantAccess {
    /// The tenant's label.
    #[must_use]
    pub fn label(&self) -> &Label {
        &self.label
    }

    /// Its node's name in the network.
    #[must_use]
    pub fn node_name(&self) -> &NodeName {
        &self.name
    }

    /// The same for a connection through its owner's tunnel.
    #[must_use]
    pub fn by_tunnel(&self) -> Self {
        Self {
            door: Door::Tunnel,
            ..self.clone()
        }
    }

    /// The tenant.
    #[must_use]
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }
}

/// A running node in use: as long as this lives the node does not hibernate,
/// and a stop waits for it. Drop it as soon as the node says that it stops.
#[derive(Debug)]
pub struct Lease {
    pub(crate) node: Arc<dyn NodeHandle>,
    pub(crate) access: TenantAccess,
    pub(crate) _guard: GateGuard,
}

impl Lease {
    /// The node.
    #[must_use]
    pub fn node(&self) -> &Arc<dyn NodeHandle> {
        &self.node
    }

    /// What gave the right to it.
    #[must_use]
    pub fn access(&self) -> &TenantAccess {
        &self.access
    }
}
