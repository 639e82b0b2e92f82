//! What the doors ask: who may reach a tenant, and for its running node.
//! Everything here is answered from memory.

use std::net::IpAddr;

use tenant_model::{DesiredState, TenantId};
use tokio::time::Instant;

use crate::access::{Door, Lease, TenantAccess};
use crate::error::{AccessError, AcquireError, SshAuthError};
use crate::manager::Manager;
use crate::slots::Entry;
use crate::{boot, ssh_auth};

/// When to try again after waiting in vain, and when the host is busy.
const TRY_AGAIN: std::time::Duration = std::time::Duration::from_secs(5);

impl Manager {
    /// Anyone's access to a node's public pages.
    ///
    /// # Errors
    /// [`AccessError`].
    pub fn visitor(&self, label: &str) -> Result<TenantAccess, AccessError> {
        if self.0.slots.is_closing() {
            return Err(AccessError::NotReady);
        }
        let tenant = self.0.registry.read().labelled(label);
        tenant
            .map(|tenant| tenant.access(Door::Http))
            .ok_or(AccessError::UnknownLabel)
    }

    /// The owner's access, by the node's SSH password.
    ///
    /// # Errors
    /// [`SshAuthError`].
    pub async fn ssh_sign_in(
        &self,
        label: &str,
        password: &str,
        peer: IpAddr,
    ) -> Result<TenantAccess, SshAuthError> {
        let now = Instant::now();
        let locked_out = self.0.ssh_limiter.lock().locked_out(label, peer, now);
        if let Some(retry_after) = locked_out {
            metrics::counter!("berth_ssh_sign_ins_total", "outcome" => "locked_out").increment(1);
            return Err(SshAuthError::LockedOut { retry_after });
        }
        let tenant = self.0.registry.read().labelled(label);
        // Compared in any case, so that an unknown label takes as long.
        let nobody = (TenantId::from_random([0; 16]), [0; 32]);
        let (id, expected) = tenant.as_ref().map_or(nobody, |tenant| {
            (tenant.id, tenant.state.lock().ssh.verifier)
        });
        let right = ssh_auth::verify(id, &expected, password);
        let mut limiter = self.0.ssh_limiter.lock();
        match tenant.filter(|_| right) {
            Some(tenant) => {
                limiter.succeeded(label, peer);
                metrics::counter!("berth_ssh_sign_ins_total", "outcome" => "ok").increment(1);
                Ok(tenant.access(Door::Ssh))
            }
            None => {
                limiter.failed(label, peer, now);
                metrics::counter!("berth_ssh_sign_ins_total", "outcome" => "wrong").increment(1);
                Err(SshAuthError::Wrong)
            }
        }
    }

    /// The running node; wakes it if it sleeps, and waits for that.
    ///
    /// # Errors
    /// [`AcquireError`].
    ///
    /// # Cancel-Safety
    /// Safe; a boot that has begun goes on.
    pub async fn acquire(&self, access: &TenantAccess) -> Result<Lease, AcquireError> {
        let inner = &self.0;
        let begun = Instant::now();
        let deadline = begun + inner.limits.acquire_deadline;
        loop {
            let tenant = inner.registry.read().get(access.tenant);
            // Purged since the access was given.
            let tenant = tenant.ok_or(AcquireError::Archived)?;
            {
                let state = tenant.state.lock();
                match state.desired {
                    DesiredState::Archived => return Err(AcquireError::Archived),
                    _ if state.suspended.is_some() => return Err(AcquireError::Suspended),
                    DesiredState::Stopped => return Err(AcquireError::Stopped),
                    DesiredState::Running => {}
                }
            }
            match inner.slots.enter(tenant.id) {
                Entry::Entered(node, guard) => {
                    *node.last_used.lock() = Instant::now();
                    return Ok(Lease {
                        node: node.handle.clone(),
                        access: access.clone(),
                        _guard: guard,
                    });
                }
                Entry::Closing => return Err(AcquireError::ShuttingDown),
                Entry::Wait(barrier) => {
                    let waited = tokio::time::timeout_at(deadline, barrier.wait()).await;
                    waited.map_err(|_| AcquireError::TimedOut {
                        retry_after: TRY_AGAIN,
                    })?;
                }
                Entry::Resting => {
                    let (refused, no_room) = {
                        let state = tenant.state.lock();
                        (state.breaker.refuses(Instant::now()), state.no_room)
                    };
                    if let Some(reason) = refused {
                        return Err(AcquireError::Broken { reason });
                    }
                    if no_room.is_some_and(|at| at > begun) {
                        return Err(AcquireError::Full {
                            retry_after: TRY_AGAIN,
                        });
                    }
                    if inner.admission.is_full() {
                        return Err(AcquireError::Busy {
                            retry_after: TRY_AGAIN,
                        });
                    }
                    boot::begin(inner, &tenant, access.door.into());
                }
            }
        }
    }
}
