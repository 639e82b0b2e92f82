//! Bounds how many of something one holder has at once: requests and
//! WebSockets of a tenant, event streams of an account, so that one busy or
//! stuck holder cannot take every connection of the host. [`Shares`] also
//! bounds what one client takes of a tenant's, so that no stranger shuts the
//! others out of it.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tenant_model::TenantId;

/// How many each holder has; a holder without any has no entry. Clones count
/// together.
#[derive(Debug, Clone)]
pub(crate) struct InFlight<K: Hash + Eq + Copy> {
    most: u32,
    counts: Arc<Mutex<HashMap<K, u32>>>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Counted<K: Hash + Eq + Copy> {
    holder: K,
    all: InFlight<K>,
}

impl<K: Hash + Eq + Copy> InFlight<K> {
    /// Lets each holder have `most` at once.
    pub(crate) fn new(most: u32) -> Self {
        Self {
            most,
            counts: Arc::default(),
        }
    }

    /// Counts one more; `None` if there are too many.
    pub(crate) fn enter(&self, holder: K) -> Option<Counted<K>> {
        let mut counts = self.counts.lock();
        let count = counts.entry(holder).or_insert(0);
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Counted {
            holder,
            all: self.clone(),
        })
    }
}

impl<K: Hash + Eq + Copy> Drop for Counted<K> {
    fn drop(&mut self) {
        let mut counts = self.all.counts.lock();
        if let Some(count) = counts.get_mut(&self.holder) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.holder);
            }
        }
    }
}

/// How many each tenant has, and each client of it.
#[derive(Debug, Clone)]
pub(crate) struct Shares {
    all: InFlight<TenantId>,
    own: InFlight<(TenantId, IpAddr)>,
}

/// One of a tenant's.
#[derive(Debug)]
pub(crate) struct Share {
    _all: Counted<TenantId>,
    _own: Option<Counted<(TenantId, IpAddr)>>,
}

/// Why there is no room for one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// The tenant has as many as it may.
    Tenant,
    /// The client has its share of them.
    Client,
}

impl Shares {
    /// Lets each tenant have `most` at once, and each client `share` of them.
    pub(crate) fn new(most: u32, share: u32) -> Self {
        Self {
            all: InFlight::new(most),
            own: InFlight::new(share),
        }
    }

    /// Counts one more of `tenant`, for `client` if that one is counted.
    pub(crate) fn enter(&self, tenant: TenantId, client: Option<IpAddr>) -> Result<Share, Full> {
        let own = client.map(|client| self.own.enter((tenant, client)).ok_or(Full::Client));
        Ok(Share {
            _own: own.transpose()?,
            _all: self.all.enter(tenant).ok_or(Full::Tenant)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_leaves_most_to_others() {
        let shares = Shares::new(4, 1);
        let tenant = TenantId::from_random([1; 16]);
        let client = |last| Some(IpAddr::from([192, 0, 2, last]));
        let mut held = vec![shares.enter(tenant, client(1)).unwrap()];
        assert_eq!(shares.enter(tenant, client(1)).unwrap_err(), Full::Client);
        let other = TenantId::from_random([2; 16]);
        assert!(shares.enter(other, client(1)).is_ok());
        held.extend((2..5).map(|last| shares.enter(tenant, client(last)).unwrap()));
        assert_eq!(shares.enter(tenant, client(5)).unwrap_err(), Full::Tenant);
        assert_eq!(shares.enter(tenant, None).unwrap_err(), Full::Tenant);
        held.clear();
        held.extend((0..4).map(|_| shares.enter(tenant, None).unwrap()));
        held.clear();
        assert!(shares.all.counts.lock().is_empty());
        assert!(shares.own.counts.lock().is_empty());
    }

    #[test]
    fn one_holder_at_its_bound_leaves_others_alone() {
        let in_flight = InFlight::new(3);
        let mut held: Vec<_> = (0..3).map(|_| in_flight.enter("busy").unwrap()).collect();
        assert!(in_flight.enter("busy").is_none());
        assert!(in_flight.enter("other").is_some());
        held.pop();
        assert!(in_flight.enter("busy").is_some());
        held.clear();
        assert!(in_flight.counts.lock().is_empty());
    }
}
