//! The tenants of this host, by label, by id and by name.

use std::collections::HashMap;
use std::sync::Arc;

use node_types::NodeName;
use tenant_model::{AccountId, Label, TenantId};

use crate::admission::AccountPermits;
use crate::tenant::Tenant;

/// The tenants of this host.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    by_label: HashMap<Label, Arc<Tenant>>,
    by_id: HashMap<TenantId, Arc<Tenant>>,
    by_name: HashMap<NodeName, Arc<Tenant>>,
    permits: HashMap<AccountId, AccountPermits>,
}

impl Registry {
    /// Adds a row of the database, unless it is there already.
    pub(crate) fn add(
        &mut self,
        row: tenant_model::Tenant,
    ) -> Result<Arc<Tenant>, node_types::IdError> {
        if let Some(known) = self.by_id.get(&row.id) {
            return Ok(known.clone());
        }
        let permits = self.permits.entry(row.account).or_default().clone();
        let tenant = Tenant::load(row, permits)?;
        self.by_label.insert(tenant.label.clone(), tenant.clone());
        self.by_id.insert(tenant.id, tenant.clone());
        self.by_name.insert(tenant.name.clone(), tenant.clone());
        Ok(tenant)
    }

    /// Forgets a tenant.
    pub(crate) fn remove(&mut self, tenant: &Tenant) {
        self.by_id.remove(&tenant.id);
        let same = |known: &Arc<Tenant>| known.id == tenant.id;
        if self.by_label.get(&tenant.label).is_some_and(same) {
            self.by_label.remove(&tenant.label);
        }
        if self.by_name.get(&tenant.name).is_some_and(same) {
            self.by_name.remove(&tenant.name);
        }
        if !self
            .by_id
            .values()
            .any(|other| other.account == tenant.account)
        {
            self.permits.remove(&tenant.account);
        }
    }

    /// The tenant of `label`.
    pub(crate) fn labelled(&self, label: &str) -> Option<Arc<Tenant>> {
        self.by_label.get(label).cloned()
    }

    /// The tenant whose node is called `name`.
    pub(crate) fn named(&self, name: &NodeName) -> Option<Arc<Tenant>> {
        self.by_name.get(name).cloned()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// The tenant with this id.
    pub(crate) fn get(&self, id: TenantId) -> Option<Arc<Tenant>> {
        self.by_id.get(&id).cloned()
    }

    /// Every tenant.
    pub(crate) fn all(&self) -> Vec<Arc<Tenant>> {
        self.by_id.values().cloned().collect()
    }

    /// The tenants of `account`, oldest first.
    pub(crate) fn of_account(&self, account: AccountId) -> Vec<Arc<Tenant>> {
        let mut tenants: Vec<_> = self
            .by_id
            .values()
            .filter(|tenant| tenant.account == account)
            .cloned()
            .collect();
        tenants.sort_by(|a, b| (a.created_at, &a.label).cmp(&(b.created_at, &b.label)));
        tenants
    }
}
