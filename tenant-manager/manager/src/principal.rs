//! Who is asking, once it has been checked.

use lifecycle::Timestamp;
use tenant_model::{AccountId, Email, Role, Session, SessionId};

/// An account with a live session, or whoever has the host's data directory.
/// Only `Manager::authenticate` makes one, so whoever holds it need not check
/// again.
#[derive(Debug, Clone)]
pub struct Principal {
    account: AccountId,
    email: Email,
    role: Role,
    session: SessionId,
    signed_in_at: Timestamp,
    is_local: bool,
}

/// What stands for the account and session of somebody who has none.
const NOBODY: [u8; 16] = [0; 16];

impl Principal {
    pub(crate) fn of(session: Session) -> Self {
        Self {
            account: session.account.id,
            email: session.account.email,
            role: session.account.role,
            session: session.id,
            signed_in_at: session.signed_in_at,
            is_local: false,
        }
    }

    /// An operator on the host's own machine, who has no account.
    pub(crate) fn local(now: Timestamp) -> Self {
        Self {
            account: AccountId::from_random(NOBODY),
            email: Email::from_stored("operator@localhost".to_owned()),
            role: Role::Operator,
            session: SessionId::from_random(NOBODY),
            signed_in_at: now,
            is_local: true,
        }
    }

    /// The account; one that does not exist for an operator without one.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// The account, if there is one, for the audit.
    pub(crate) fn actor(&self) -> Option<AccountId> {
        (!self.is_local).then_some(self.account)
    }

    /// Its address.
    #[must_use]
    pub fn email(&self) -> &Email {
        &self.email
    }

    /// What it may do.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// The session.
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// When the password was given.
    #[must_use]
    pub fn signed_in_at(&self) -> Timestamp {
        self.signed_in_at
    }
}
