//! How many nodes are in which state, for the metrics. No tenant is named: the
//! states are all the labels there are.

use std::sync::Arc;

use tenant_model::NodeStatus;

use crate::manager::Inner;
use crate::tenant::Tenant;

/// All that is told, so that a state that nobody is in says zero.
const STATES: [NodeStatus; 9] = [
    NodeStatus::Provisioning,
    NodeStatus::Booting,
    NodeStatus::Active,
    NodeStatus::Stopping,
    NodeStatus::Hibernated,
    NodeStatus::Stopped,
    NodeStatus::Suspended,
    NodeStatus::Broken,
    NodeStatus::Archived,
];

/// Counts them.
pub(crate) fn take(inner: &Inner, tenants: &[Arc<Tenant>]) {
    let mut counts = [0_u32; STATES.len()];
    for tenant in tenants {
        let status = inner.status(tenant);
        let counted = STATES.iter().zip(&mut counts);
        for (_, count) in counted.filter(|(state, _)| **state == status) {
            *count += 1;
        }
    }
    for (state, count) in STATES.iter().zip(counts) {
        metrics::gauge!("berth_nodes", "state" => state.as_str()).set(f64::from(count));
    }
    let waiting = u32::try_from(inner.admission.waiting()).unwrap_or(u32::MAX);
    metrics::gauge!("berth_boot_queue_length").set(f64::from(waiting));
    let taken = u32::try_from(inner.places.taken()).unwrap_or(u32::MAX);
    metrics::gauge!("berth_places_taken").set(f64::from(taken));
}
