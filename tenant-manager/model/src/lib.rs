//! The control plane's vocabulary: accounts, tenants, plans, and the traits
//! through which they are kept.
//!
//! Pure data. Invariant: whoever holds a [`Label`], an [`Email`] or a checked
//! password knows that it keeps the rules of its kind. Nothing here runs, so
//! nothing here stops.

#![forbid(unsafe_code)]

mod email;
mod id;
mod label;
mod password;
mod plan;
mod record;
mod repository;
mod state;

pub use email::{Email, EmailError};
pub use id::{AccountId, Generation, HostId, Incarnation, SessionId, TenantId};
pub use label::{Label, LabelError};
pub use password::{PasswordError, check_account_password, check_node_password};
pub use plan::Plan;
pub use record::{
    Account, Change, Credentials, Deed, Failures, Host, NewAccount, NewSession, NewTenant, Session,
    SshAccess, StoredVerifiers, Tenant, WrappedKeys,
};
pub use repository::{
    AccountRepository, Conflict, Repositories, SessionRepository, StorageError, TenantRepository,
};
pub use state::{DesiredState, NodeStatus, Role, UnknownName};
