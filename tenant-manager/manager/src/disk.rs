//! What sleeping nodes have on disk.
//!
//! Owns nothing: a tenant's figures are in its state, as its node told them
//! when it stopped. After a start of the host they are read from the node's
//! store when somebody first asks, so that ten thousand sleepers cost a start
//! nothing. Invariant: asking touches no node and no database.

use crate::manager::Inner;
use crate::tenant::Tenant;
use crate::view::NodeView;

impl Inner {
    /// What the tenant's owner is shown, its disk included.
    pub(crate) async fn shown(&self, tenant: &Tenant) -> NodeView {
        self.learn_disk(tenant).await;
        self.view(tenant)
    }

    /// Reads what a node that does not run has on disk, if that is not known.
    pub(crate) async fn learn_disk(&self, tenant: &Tenant) {
        let known = tenant.state.lock().disk.is_some();
        if known || self.slots.observe(tenant.id).1.is_some() {
            return;
        }
        match self.launcher.kept_disk(tenant.key()).await {
            Ok(kept) => {
                // It may have run in the meantime, and told what is newer.
                let mut state = tenant.state.lock();
                state.disk.get_or_insert(kept.unwrap_or_default());
            }
            Err(error) => {
                tracing::warn!(tenant_id = %tenant.id, "failed to read a node's disk use: {error}");
            }
        }
    }
}
