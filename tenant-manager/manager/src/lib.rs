//! Who may use which node, and which nodes run: accounts, sessions, tenants,
//! and the life of every node of this host.
//!
//! Owns the slots: for each tenant, who may touch its node now. Invariants: at
//! most one node runs for a tenant; nobody gets a node without a
//! [`TenantAccess`] and a [`Lease`]; a warm node is used, and a sleeping one
//! woken, without the database. Stops by [`Manager::shutdown`].

#![forbid(unsafe_code)]

mod access;
mod accounts;
mod admission;
mod alarms;
mod boot;
mod breaker;
mod census;
mod changes;
mod create;
mod disk;
mod doors;
mod error;
mod fabric;
mod hashing;
mod keyfile;
mod keys;
mod links;
mod logs;
mod manager;
mod node_password;
mod nodes;
mod operator;
mod places;
mod principal;
mod reconcile;
mod recorder;
mod registry;
mod slots;
mod ssh_auth;
mod ssh_password;
mod stop;
mod tenant;
pub mod testing;
mod upkeep;
mod usage;
mod view;

pub use access::{Lease, TenantAccess};
pub use accounts::{AccountView, Accounts, NewAccount, NewSession};
pub use changes::NodeChanges;
pub use error::{
    AccessError, AcquireError, AuthError, CreateError, NodeOpError, NodePasswordError,
    PromoteError, RedeemError, RegisterError, SignInError, SshAuthError, SshPasswordError,
};
pub use keys::{HostIdentity, IdentityError};
pub use links::OpenTicket;
pub use logs::{Followed, LogFollower, log_dir};
pub use manager::{Manager, ManagerLimits, ManagerOptions, StartError};
pub use operator::{NodeQuery, NodesPage, Operator, OperatorNodeView};
pub use places::{HostGauge, HostUse, Share};
pub use principal::Principal;
pub use usage::{PlanLimits, UsageSample, UsageView};
pub use view::{Availability, NodeView, Reason, Usage};
