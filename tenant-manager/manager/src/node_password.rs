//! Changing the password of a node's own login page.

use std::sync::Arc;

use node_api::{Keyfile, Secret};
use tenant_model::{DesiredState, check_node_password};

use crate::error::NodePasswordError;
use crate::keyfile;
use crate::keys::{Purpose, TenantSeal, random};
use crate::manager::{Inner, Manager};
use crate::nodes::GOING_DOWN;
use crate::principal::Principal;
use crate::tenant::{LoginState, Tenant};

impl Manager {
    /// Sets a node's password. Everybody who is signed in to the node is
    /// signed out, and links made before are worth nothing.
    ///
    /// # Errors
    /// [`NodePasswordError`]; then the old password goes on.
    pub async fn set_node_password(
        &self,
        principal: &Principal,
        label: &str,
        password: Secret<String>,
    ) -> Result<(), NodePasswordError> {
        let tenant = self.owned(principal, label);
        let tenant = tenant.ok_or(NodePasswordError::NotFound)?;
        check_node_password(password.expose())
            .map_err(|e| NodePasswordError::WeakPassword(e.to_string()))?;
        let (inner, principal) = (self.0.clone(), principal.clone());
        self.to_the_end(async move { set(&inner, &principal, &tenant, password).await })
            .await
            .unwrap_or_else(|| Err(NodePasswordError::Unavailable(GOING_DOWN.to_owned())))
    }
}

async fn set(
    inner: &Arc<Inner>,
    principal: &Principal,
    tenant: &Arc<Tenant>,
    password: Secret<String>,
) -> Result<(), NodePasswordError> {
    let failed = NodePasswordError::Unavailable;
    let _turn = tenant.wishes.lock().await;
    if tenant.state.lock().desired == DesiredState::Archived {
        let text = "the node is archived: it can only be purged".to_owned();
        return Err(NodePasswordError::Conflict(text));
    }
    let hasher = inner.accounts.hasher();
    let proof = hasher
        .node_proof(password, tenant.name.to_string())
        .await
        .map_err(|e| failed(e.to_string()))?;
    let kek = &inner.identity.kek;
    let seal =
        TenantSeal::unwrap(tenant.id, &tenant.keys, kek).map_err(|e| failed(e.to_string()))?;
    let secret = Secret::new(random::<32>(&*inner.entropy));
    let jwt_secret = seal
        .seal(Purpose::JwtSecret, secret.expose(), &*inner.entropy)
        .map_err(|e| failed(e.to_string()))?;
    let change = tenant.change(Some(principal.account()), inner.clock.now());
    let tenants = &inner.repositories.tenants;
    let written = tenants
        .set_login(change, &proof.verifiers, &jwt_secret)
        .await;
    written.map_err(|error| failed(inner.not_written(tenant, &error)))?;
    let version = {
        let mut state = tenant.state.lock();
        state.login = LoginState {
            verifiers: proof.verifiers,
            jwt_secret,
            keyfile: Keyfile::default(),
            version: state.login.version + 1,
        };
        state.login.version
    };
    keyfile::begin(inner, tenant, version, proof.hash);
    // A node that is still booting is caught up with once it is attached.
    if let (_, Some(node)) = inner.slots.observe(tenant.id) {
        tenant.catch_up_login(&node, kek);
    }
    Ok(())
}
