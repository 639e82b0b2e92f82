//! Why an operation was refused, one type for each. `Display` is a sentence
//! for people; details of the database never reach it, they are logged.

use std::time::Duration;

use tenant_model::StorageError;

/// What people read while the database cannot be used.
const UNAVAILABLE: &str = "the service is busy or its database is away; try again in a moment";

/// Logs what the database said, and gives back the sentence for people.
pub(crate) fn unavailable(error: &StorageError) -> String {
    tracing::warn!("failed to use the database: {error}");
    UNAVAILABLE.to_owned()
}

/// Why an account was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// The address is malformed.
    #[error("{0}")]
    BadEmail(String),
    /// The password breaks the rule.
    #[error("{0}")]
    WeakPassword(String),
    /// The address has an account.
    #[error("this address already has an account; sign in instead")]
    Taken,
    /// It cannot be done now.
    #[error("{0}")]
    Unavailable(String),
}

/// Why a sign-in failed. An unknown address is [`SignInError::Wrong`] too.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// The address or the password is wrong.
    #[error("the address or the password is wrong")]
    Wrong,
    /// Too many wrong passwords lately.
    #[error("too many wrong passwords; try again in {} seconds", retry_after.as_secs().max(1))]
    LockedOut {
        /// When it can be tried again.
        retry_after: Duration,
    },
    /// It cannot be done now.
    #[error("{0}")]
    Unavailable(String),
}

/// Why a token was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// No live session has this token.
    #[error("the session has ended; sign in again")]
    Unknown,
    /// It cannot be checked now.
    #[error("{0}")]
    Unavailable(String),
}

/// Why nobody became an operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PromoteError {
    /// The address is malformed.
    #[error("{0}")]
    BadEmail(String),
    /// The address has no account.
    #[error("no account has this address; sign up first")]
    NotFound,
    /// It cannot be done now.
    #[error("{0}")]
    Unavailable(String),
}

/// Why a node was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// The label is malformed or reserved.
    #[error("{0}")]
    BadLabel(String),
    /// The password breaks the rule.
    #[error("{0}")]
    WeakPassword(String),
    /// Another node has the label.
    #[error("this label is taken; choose another one")]
    Taken,
    /// The plan allows no more nodes.
    #[error("your plan allows {limit} nodes; delete one first")]
    Quota {
        /// Nodes that the plan allows.
        limit: u32,
    },
    /// The plan keeps no more archived nodes.
    #[error(
        "you have {limit} archived nodes, and your plan keeps no more; remove one for good, or \
         wait until one that you removed is gone"
    )]
    ArchiveFull {
        /// Archived nodes that the plan keeps.
        limit: u32,
    },
    /// It cannot be done now.
    #[error("{0}")]
    Unavailable(String),
}

/// Why an operation on a node was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeOpError {
    /// The account has no such node.
    #[error("you have no node with this label")]
    NotFound,
    /// Its state does not allow it.
    #[error("{0}")]
    Conflict(String),
    /// It cannot be done now.
    #[error("{0}")]
    Unavailable(String),
}

/// Why a node's password was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodePasswordError {
    /// The account has no such node.
    #[error("you have no node with this label")]
    NotFound,
    /// The password breaks the rule.
    #[error("{0}")]
    WeakPassword(String),
    /// Its state does not allow it.
    #[error("{0}")]
    Conflict(String),
    /// It cannot be done now.
    #[error("{0}")]
    Unavailable(String),
}

/// A one-time link that signs nobody in: used, too old, or for another node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this link has been used or is too old; open the node from the dashboard again")]
pub struct RedeemError;

/// Why an SSH password was not shown or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SshPasswordError {
    /// The account has no such node.
    #[error("you have no node with this label")]
    NotFound,
    /// The sign-in was too long ago.
    #[error("for this, sign in again: it is allowed within ten minutes of a sign-in")]
    SignInAgain,
    /// It cannot be done now.
    #[error("{0}")]
    Unavailable(String),
}

/// Why a label leads to no node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// No node has this label.
    #[error("there is no node with this name")]
    UnknownLabel,
    /// The host does not know yet, or no longer.
    #[error("the host is starting or stopping; try again in a moment")]
    NotReady,
}

/// Why an SSH sign-in failed. An unknown label is [`SshAuthError::Wrong`] too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SshAuthError {
    /// The label or the password is wrong.
    #[error("the name or the password is wrong")]
    Wrong,
    /// Too many wrong passwords from this peer lately.
    #[error("too many wrong passwords; try again in {} seconds", retry_after.as_secs().max(1))]
    LockedOut {
        /// When it can be tried again.
        retry_after: Duration,
    },
}

/// Why a node cannot be used now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AcquireError {
    /// Its owner stopped it.
    #[error("this node is stopped; its owner can start it on the dashboard")]
    Stopped,
    /// Its owner put it away.
    #[error("this node is archived")]
    Archived,
    /// An operator holds it.
    #[error("this node is suspended; its owner can read why on the dashboard")]
    Suspended,
    /// It could not be started.
    #[error("this node could not be started: {reason}")]
    Broken {
        /// What went wrong.
        reason: String,
    },
    /// It is still starting.
    #[error("this node is still starting; try again in {} seconds", retry_after.as_secs().max(1))]
    TimedOut {
        /// When to try again.
        retry_after: Duration,
    },
    /// The host has too much to start at once.
    #[error("the host is busy; try again in {} seconds", retry_after.as_secs().max(1))]
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// The host has no room for one more running node.
    #[error("the host is full; try again in {} seconds", retry_after.as_secs().max(1))]
    Full {
        /// When to try again.
        retry_after: Duration,
    },
    /// The host is going down.
    #[error("the host is shutting down; try again in a moment")]
    ShuttingDown,
}
