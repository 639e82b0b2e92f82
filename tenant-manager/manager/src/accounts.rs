//! Accounts and sessions.

use lifecycle::Timestamp;
use node_api::Secret;
use tenant_model::{AccountId, Email, Plan, Role};

/// An account just made, signed in.
#[derive(Debug)]
pub struct NewAccount {
    /// Its id.
    pub account_id: AccountId,
    /// Token of its first session.
    pub token: Secret<String>,
}

/// A session just begun.
#[derive(Debug)]
pub struct NewSession {
    /// Its token, told once.
    pub token: Secret<String>,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// An account as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountView {
    /// Its id.
    pub account_id: AccountId,
    /// Its address.
    pub email: Email,
    /// What it may do.
    pub role: Role,
    /// What it may use.
    pub plan: Plan,
}
