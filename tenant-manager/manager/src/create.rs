//! Making a node: keys, proofs of its password, the row, the first boot.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use lifecycle::failpoints;
use node_api::Secret;
use node_types::NodeName;
use tenant_model::{Conflict, DesiredState, Label, NewTenant, StorageError, TenantId};

use crate::boot::Cause;
use crate::error::{CreateError, unavailable};
use crate::keyfile;
use crate::keys::{TenantSeal, random};
use crate::manager::Inner;
use crate::principal::Principal;
use crate::ssh_password::ssh_access;
use crate::tenant::Tenant;
use crate::upkeep;
use crate::view::NodeView;

/// Makes the tenant and begins booting its node. Either nothing of it is left,
/// or the database has it, and this host finds it sooner or later.
pub(crate) async fn run(
    inner: &Arc<Inner>,
    principal: &Principal,
    label: Label,
    name: NodeName,
    password: Secret<String>,
) -> Result<NodeView, CreateError> {
    let failed = CreateError::Unavailable;
    let id = TenantId::from_random(random(&*inner.entropy));
    let (seal, keys) = TenantSeal::create(id, &inner.identity.kek, &*inner.entropy)
        .map_err(|e| failed(e.to_string()))?;
    let (_, ssh) = ssh_access(inner, id, &seal).map_err(|e| failed(e.to_string()))?;
    refuse_full_account(inner, principal).await?;
    let hasher = inner.accounts.hasher();
    let proof = hasher.node_proof(password, name.to_string()).await;
    let proof = proof.map_err(|e| failed(e.to_string()))?;
    let new = NewTenant {
        id,
        account: principal.account(),
        label,
        name: name.to_string(),
        host: inner.identity.host,
        keys,
        login: proof.verifiers,
        ssh,
        created_at: inner.clock.now(),
    };
    failpoints::hit("create.before-insert").map_err(|e| failed(e.to_string()))?;
    let row = match inner.repositories.tenants.insert(new).await {
        Ok(row) => row,
        Err(StorageError::Conflict(Conflict::Quota { limit })) => {
            return Err(CreateError::Quota { limit });
        }
        Err(StorageError::Conflict(Conflict::ArchiveFull { limit })) => {
            return Err(CreateError::ArchiveFull { limit });
        }
        Err(StorageError::Conflict(_)) => return Err(CreateError::Taken),
        Err(error) => {
            // It may have been written all the same.
            inner.reload.store(upkeep::LOOKS, Ordering::Release);
            return Err(failed(unavailable(&error)));
        }
    };
    failpoints::crash("create.inserted");
    let added = inner.registry.write().add(row);
    let tenant = added.map_err(|e| failed(e.to_string()))?;
    // Whoever made it waits for it.
    tenant.state.lock().want(Cause::Api);
    keyfile::begin(inner, &tenant, 0, proof.hash);
    inner.slots.feed.changed(tenant.id);
    inner.reconcile(&tenant);
    Ok(inner.view(&tenant))
}

/// Refuses an account that is at its limit before its password costs anything.
/// The database decides; this only spares the work.
async fn refuse_full_account(inner: &Inner, principal: &Principal) -> Result<(), CreateError> {
    let Ok(account) = inner.accounts.account(principal).await else {
        return Ok(());
    };
    let tenants = inner.registry.read().of_account(principal.account());
    let is_archived = |tenant: &&Arc<Tenant>| tenant.state.lock().desired == DesiredState::Archived;
    let archived = tenants.iter().filter(is_archived).count();
    let reached = |limit: u32, count: usize| u32::try_from(count).unwrap_or(u32::MAX) >= limit;
    let limit = account.plan.nodes;
    if reached(limit, tenants.len() - archived) {
        return Err(CreateError::Quota { limit });
    }
    let limit = account.plan.archived_nodes();
    if reached(limit, archived) {
        return Err(CreateError::ArchiveFull { limit });
    }
    Ok(())
}
