//! Bounds how many requests one tenant has in flight, so that a busy or stuck
//! node cannot take every connection of the host.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tenant_model::TenantId;

/// Most requests of one tenant at once, waiting ones included. One more is
/// answered with 503.
pub(super) const MAX_PER_TENANT: u32 = 256;

/// Requests in flight per tenant; a tenant without any has no entry.
#[derive(Debug, Clone, Default)]
pub(crate) struct InFlight(Arc<Mutex<HashMap<TenantId, u32>>>);

/// One request in flight.
#[derive(Debug)]
pub(super) struct Counted {
    tenant: TenantId,
    all: InFlight,
}

impl InFlight {
    /// Counts one more; `None` if there are too many.
    pub(super) fn enter(&self, tenant: TenantId) -> Option<Counted> {
        let mut counts = self.0.lock();
        let count = counts.entry(tenant).or_insert(0);
        if *count >= MAX_PER_TENANT {
            return None;
        }
        *count += 1;
        Some(Counted {
            tenant,
            all: self.clone(),
        })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self.all.0.lock();
        if let Some(count) = counts.get_mut(&self.tenant) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tenant_at_its_bound_leaves_others_alone() {
        let in_flight = InFlight::default();
        let busy = TenantId::from_random([1; 16]);
        let mut held: Vec<Counted> = (0..MAX_PER_TENANT)
            .map(|_| in_flight.enter(busy).unwrap())
            .collect();
        assert!(in_flight.enter(busy).is_none());
        assert!(in_flight.enter(TenantId::from_random([2; 16])).is_some());
        held.pop();
        assert!(in_flight.enter(busy).is_some());
        held.clear();
        assert!(in_flight.0.lock().is_empty());
    }
}
