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
mod error;
mod manager;
mod principal;
mod view;

pub use access::{Lease, TenantAccess};
pub use accounts::{AccountView, NewAccount, NewSession};
pub use error::{
    AccessError, AcquireError, AuthError, CreateError, NodeOpError, PromoteError, RegisterError,
    SignInError, SshAuthError, SshPasswordError,
};
pub use manager::Manager;
pub use principal::Principal;
pub use view::{Availability, NodeView, Reason, Usage};
