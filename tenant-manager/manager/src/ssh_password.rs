//! Showing and changing a node's SSH password.

use std::sync::Arc;

use node_api::Secret;
use tenant_model::{SshAccess, TenantId};

use crate::error::SshPasswordError;
use crate::keys::{Purpose, TenantSeal};
use crate::manager::{Inner, Manager};
use crate::nodes::GOING_DOWN;
use crate::principal::Principal;
use crate::ssh_auth;
use crate::tenant::Tenant;

/// How long after a sign-in the password is shown.
const REVEAL: time::Duration = time::Duration::minutes(10);

impl Manager {
    /// Shows the SSH password, shortly after a sign-in only.
    ///
    /// # Errors
    /// [`SshPasswordError`].
    pub async fn ssh_password(
        &self,
        principal: &Principal,
        label: &str,
    ) -> Result<Secret<String>, SshPasswordError> {
        let tenant = self.revealable(principal, label)?;
        let sealed = tenant.state.lock().ssh.sealed.clone();
        let opened = TenantSeal::unwrap(tenant.id, &tenant.keys, &self.0.identity.kek)
            .and_then(|seal| seal.open(Purpose::SshPassword, &sealed));
        opened
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .map(Secret::new)
            .ok_or_else(|| {
                tracing::error!(tenant_id = %tenant.id, "failed to open the SSH password");
                let text = "the password cannot be read; make a new one instead";
                SshPasswordError::Unavailable(text.to_owned())
            })
    }

    /// Makes a new SSH password; open sessions go on.
    ///
    /// # Errors
    /// [`SshPasswordError`].
    pub async fn rotate_ssh_password(
        &self,
        principal: &Principal,
        label: &str,
    ) -> Result<Secret<String>, SshPasswordError> {
        let tenant = self.revealable(principal, label)?;
        let (inner, principal) = (self.0.clone(), principal.clone());
        let rotate = async move {
            let _turn = tenant.wishes.lock().await;
            let failed = |text: String| SshPasswordError::Unavailable(text);
            let seal = TenantSeal::unwrap(tenant.id, &tenant.keys, &inner.identity.kek)
                .map_err(|e| failed(e.to_string()))?;
            let (password, ssh) = ssh_access(&inner, tenant.id, &seal)?;
            let change = tenant.change(Some(principal.account()), inner.clock.now());
            let written = inner.repositories.tenants.set_ssh(change, &ssh).await;
            written.map_err(|error| failed(inner.not_written(&tenant, &error)))?;
            tenant.state.lock().ssh = ssh;
            Ok(password)
        };
        self.to_the_end(rotate)
            .await
            .unwrap_or_else(|| Err(SshPasswordError::Unavailable(GOING_DOWN.to_owned())))
    }

    fn revealable(
        &self,
        principal: &Principal,
        label: &str,
    ) -> Result<Arc<Tenant>, SshPasswordError> {
        let tenant = self.owned(principal, label);
        let tenant = tenant.ok_or(SshPasswordError::NotFound)?;
        let age = self.0.clock.now() - principal.signed_in_at();
        if age > REVEAL {
            return Err(SshPasswordError::SignInAgain);
        }
        Ok(tenant)
    }
}

/// A fresh SSH password, and how it is kept.
pub(crate) fn ssh_access(
    inner: &Inner,
    tenant: TenantId,
    seal: &TenantSeal,
) -> Result<(Secret<String>, SshAccess), SshPasswordError> {
    let password = ssh_auth::generate(&*inner.entropy);
    let plain = password.expose().as_bytes();
    let sealed = seal
        .seal(Purpose::SshPassword, plain, &*inner.entropy)
        .map_err(|e| SshPasswordError::Unavailable(e.to_string()))?;
    let verifier = ssh_auth::verifier(tenant, password.expose());
    Ok((password, SshAccess { verifier, sealed }))
}
