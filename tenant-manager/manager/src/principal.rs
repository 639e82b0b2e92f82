//! Who is asking, once it has been checked.

use lifecycle::Timestamp;
use tenant_model::{AccountId, Email, Role, Session, SessionId};

/// An account with a live session. Only `Manager::authenticate` makes one, so
/// whoever holds it need not check again.
#[derive(Debug, Clone)]
pub struct Principal {
    account: AccountId,
    email: Email,
    role: Role,
    session: SessionId,
    signed_in_at: Timestamp,
}

impl Principal {
    pub(crate) fn of(session: Session) -> Self {
        Self {
            account: session.account.id,
            email: session.account.email,
            role: session.account.role,
            session: session.id,
            signed_in_at: session.signed_in_at,
        }
    }

    /// The account.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.account
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
