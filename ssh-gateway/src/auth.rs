//! Signing in: a label, a password, and a bounded number of tries.
//!
//! Owns one connection's count of tries, which a change of user name does not
//! reset. An unknown label, a malformed one and a wrong password look alike.

use std::net::SocketAddr;
use std::sync::Arc;

use tenant_manager::{Manager, SshAuthError, TenantAccess};

use crate::audit;

/// Longest password tried; a longer one is wrong without being looked at.
const MAX_PASSWORD: usize = 1024;

/// One connection's attempts to sign in.
#[derive(Debug)]
pub(crate) struct SignIn {
    manager: Manager,
    peer: SocketAddr,
    tries_left: usize,
}

/// What became of an attempt.
#[derive(Debug)]
pub(crate) enum Attempt {
    /// The password is that of the node.
    Accepted(Arc<TenantAccess>),
    /// It is not.
    Refused,
    /// It is not, and there will be no other attempt on this connection; the
    /// text tells the person why.
    Final(String),
}

impl SignIn {
    pub(crate) fn new(manager: Manager, peer: SocketAddr, tries: usize) -> Self {
        Self {
            manager,
            peer,
            tries_left: tries,
        }
    }

    pub(crate) async fn attempt(&mut self, user: &str, password: &str) -> Attempt {
        if self.tries_left == 0 {
            return Attempt::Final("too many attempts to sign in".to_owned());
        }
        self.tries_left -= 1;
        let outcome = if password.len() > MAX_PASSWORD {
            Err(SshAuthError::Wrong)
        } else {
            self.manager
                .ssh_sign_in(user, password, self.peer.ip())
                .await
        };
        match outcome {
            Ok(access) => {
                audit::signed_in(access.label().as_str(), self.peer);
                Attempt::Accepted(Arc::new(access))
            }
            Err(SshAuthError::LockedOut { retry_after }) => {
                audit::sign_in_failed(user, self.peer, "locked out");
                let minutes = retry_after.as_secs().div_ceil(60).max(1);
                Attempt::Final(format!(
                    "too many failed attempts to sign in to this node; try again in {minutes} min"
                ))
            }
            Err(SshAuthError::Wrong) => {
                audit::sign_in_failed(user, self.peer, "wrong");
                if self.tries_left == 0 {
                    Attempt::Final("too many attempts to sign in".to_owned())
                } else {
                    Attempt::Refused
                }
            }
        }
    }
}
