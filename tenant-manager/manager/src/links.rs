//! One-time links that sign an owner in to a node.
//!
//! Owns the outstanding links of this host, in memory: a link lives a minute,
//! so a restart costs nobody anything. Invariants: only a hash of a token is
//! kept; a link works once, for one node, until its time is over or the node
//! has another password; an account has at most [`PER_ACCOUNT`] of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tenant_model::{AccountId, TenantId};
use tokio::time::Instant;

use crate::error::{NodeOpError, RedeemError};
use crate::keys::random;
use crate::manager::Manager;
use crate::principal::Principal;

/// How long a link works.
const LIFETIME: Duration = Duration::from_secs(60);
/// Links that an account may have at once; one more ends the oldest.
const PER_ACCOUNT: usize = 16;

/// A link that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenTicket {
    /// What the link carries: URL-safe characters only.
    pub token: String,
    /// How long it works.
    pub expires_in: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Link {
    account: AccountId,
    tenant: TenantId,
    /// Version of the node's login that it was made for.
    login: u64,
    expires: Instant,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Links(Mutex<HashMap<[u8; 32], Link>>);

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

impl Links {
    fn add(&self, token: &str, link: Link) {
        let mut links = self.0.lock();
        let now = Instant::now();
        links.retain(|_, link| link.expires > now);
        let own = links.iter().filter(|(_, old)| old.account == link.account);
        let (mut count, mut oldest) = (0, None::<([u8; 32], Instant)>);
        for (hash, old) in own {
            count += 1;
            if oldest.is_none_or(|(_, expires)| old.expires < expires) {
                oldest = Some((*hash, old.expires));
            }
        }
        if let (true, Some((hash, _))) = (count >= PER_ACCOUNT, oldest) {
            links.remove(&hash);
        }
        links.insert(hash(token), link);
    }

    /// Whether the token would sign in to `tenant`; does not use it up.
    fn works(&self, token: &str, tenant: TenantId, login: u64) -> bool {
        let links = self.0.lock();
        let link = links.get(&hash(token));
        link.is_some_and(|link| {
            link.tenant == tenant && link.login == login && link.expires > Instant::now()
        })
    }

    /// Uses the token up; whether it signs in to `tenant`. A token shown to
    /// another node's door stays what it is.
    fn take(&self, token: &str, tenant: TenantId, login: u64) -> bool {
        self.works(token, tenant, login) && self.0.lock().remove(&hash(token)).is_some()
    }
}

impl Manager {
    /// Makes a one-time link to the node for its owner, and starts or wakes
    /// the node without waiting for it.
    ///
    /// # Errors
    /// [`NodeOpError`].
    pub async fn open_node(
        &self,
        principal: &Principal,
        label: &str,
    ) -> Result<OpenTicket, NodeOpError> {
        // Starting also tries a broken node again, and is refused for one
        // that is archived.
        self.start_node(principal, label).await?;
        let tenant = self.owned(principal, label).ok_or(NodeOpError::NotFound)?;
        let token = URL_SAFE_NO_PAD.encode(random::<32>(&*self.0.entropy));
        let login = tenant.state.lock().login.version;
        let link = Link {
            account: principal.account(),
            tenant: tenant.id,
            login,
            expires: Instant::now() + LIFETIME,
        };
        self.0.links.add(&token, link);
        Ok(OpenTicket {
            token,
            expires_in: LIFETIME,
        })
    }

    /// Whether a link's token would sign in to the node with `label` now. The
    /// door asks before it wakes the node for a stranger.
    ///
    /// # Errors
    /// [`RedeemError`].
    pub fn check_link(&self, label: &str, token: &str) -> Result<(), RedeemError> {
        let (tenant, login) = self.linked(label)?;
        let works = self.0.links.works(token, tenant, login);
        works.then_some(()).ok_or(RedeemError)
    }

    /// Uses a link's token up; of many at once exactly one succeeds.
    ///
    /// # Errors
    /// [`RedeemError`].
    pub fn redeem(&self, label: &str, token: &str) -> Result<(), RedeemError> {
        let (tenant, login) = self.linked(label)?;
        let taken = self.0.links.take(token, tenant, login);
        taken.then_some(()).ok_or(RedeemError)
    }

    fn linked(&self, label: &str) -> Result<(TenantId, u64), RedeemError> {
        let tenant = self.0.registry.read().labelled(label);
        let tenant: Arc<_> = tenant.ok_or(RedeemError)?;
        let login = tenant.state.lock().login.version;
        Ok((tenant.id, login))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(n: u8) -> TenantId {
        TenantId::from_random([n; 16])
    }

    fn link(account: u8, of: u8) -> Link {
        Link {
            account: AccountId::from_random([account; 16]),
            tenant: tenant(of),
            login: 3,
            expires: Instant::now() + LIFETIME,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_link_works_once_for_its_node_and_password_in_its_time() {
        let links = Links::default();
        links.add("a", link(1, 1));
        assert!(!links.take("b", tenant(1), 3), "unknown");
        assert!(!links.take("a", tenant(2), 3), "another node");
        assert!(!links.take("a", tenant(1), 4), "another password");
        assert!(links.take("a", tenant(1), 3));
        assert!(!links.take("a", tenant(1), 3), "used");
        links.add("c", link(1, 1));
        tokio::time::advance(LIFETIME).await;
        assert!(!links.take("c", tenant(1), 3), "too old");
    }

    #[tokio::test(start_paused = true)]
    async fn an_account_has_a_bounded_number_of_links() {
        let links = Links::default();
        links.add("other", link(2, 2));
        for n in 0..=PER_ACCOUNT {
            links.add(&n.to_string(), link(1, 1));
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert!(!links.take("0", tenant(1), 3), "the oldest gave way");
        assert!(links.take("1", tenant(1), 3));
        assert!(links.take("other", tenant(2), 3));
    }

    #[test]
    fn of_many_at_once_one_gets_in() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let _entered = runtime.enter();
        let links = Links::default();
        links.add("a", link(1, 1));
        let wins = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    if links.take("a", tenant(1), 3) {
                        wins.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(wins.into_inner(), 1);
    }
}
