//! Who wants to know that a node may look different now.
//!
//! Owns one bounded broadcast of tenant ids. Invariant: a change is told after
//! it can be seen, and a reader that is too slow is told that something
//! changed instead of what. Ends with the manager.

use std::sync::Weak;

use tenant_model::{AccountId, TenantId};
use tokio::sync::broadcast;

use crate::manager::{Inner, Manager};
use crate::principal::Principal;

/// Changes kept for slow readers; they look at everything anyway.
const KEPT: usize = 256;

#[derive(Debug, Clone, Copy)]
enum Change {
    Tenant(TenantId),
    /// The tenant cannot be looked up any more.
    Removed(AccountId),
}

/// Where changes are told. Clones are the same feed.
#[derive(Debug, Clone)]
pub(crate) struct Feed(broadcast::Sender<Change>);

impl Default for Feed {
    fn default() -> Self {
        Self(broadcast::Sender::new(KEPT))
    }
}

impl Feed {
    /// The tenant may look different now. Without readers nothing happens.
    pub(crate) fn changed(&self, tenant: TenantId) {
        let _ = self.0.send(Change::Tenant(tenant));
    }

    /// The account has one tenant less.
    pub(crate) fn removed(&self, tenant: TenantId, account: AccountId) {
        tracing::debug!(tenant_id = %tenant, "the tenant is gone");
        let _ = self.0.send(Change::Removed(account));
    }
}

/// The changes of one account's nodes. Holding it keeps nothing awake.
#[derive(Debug)]
pub struct NodeChanges {
    account: AccountId,
    changes: broadcast::Receiver<Change>,
    manager: Weak<Inner>,
    stop: tokio_util::sync::CancellationToken,
}

impl NodeChanges {
    /// Waits until a node of the account may look different; `None` once the
    /// host goes down. Several changes at once are told once.
    ///
    /// # Cancel-Safety
    /// Safe.
    pub async fn next(&mut self) -> Option<()> {
        loop {
            let change = tokio::select! {
                biased;
                () = self.stop.cancelled() => return None,
                change = self.changes.recv() => change,
            };
            let ours = match change {
                Ok(change) => self.concerns(change)?,
                Err(broadcast::error::RecvError::Lagged(_)) => true,
                Err(broadcast::error::RecvError::Closed) => return None,
            };
            if ours {
                // Whatever else is there will be seen by looking once.
                while self.changes.try_recv().is_ok() {}
                return Some(());
            }
        }
    }

    fn concerns(&self, change: Change) -> Option<bool> {
        Some(match change {
            Change::Removed(account) => account == self.account,
            Change::Tenant(id) => {
                let manager = self.manager.upgrade()?;
                let tenant = manager.registry.read().get(id);
                tenant.is_some_and(|tenant| tenant.account == self.account)
            }
        })
    }
}

impl Manager {
    /// The changes of the account's nodes from now on.
    #[must_use]
    pub fn changes(&self, principal: &Principal) -> NodeChanges {
        NodeChanges {
            account: principal.account(),
            changes: self.0.slots.feed.0.subscribe(),
            manager: std::sync::Arc::downgrade(&self.0),
            stop: self.0.tasks.token().clone(),
        }
    }
}
