//! What operators do with nodes of others, and how whoever has the host's data
//! directory becomes one for a minute.
//!
//! Invariants: there is no [`Operator`] without the role; whatever it does to a
//! node is audited, with the account that did it, before or with the change.
//! Local tokens live in memory, as hashes, and end by themselves.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lifecycle::Timestamp;
use node_api::{EgressPage, EgressQuery, LogPage, LogQuery, Secret};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tenant_model::{AccountId, Deed, DesiredState, Label, NodeStatus, Role};
use tokio::time::Instant;

use crate::boot::Cause;
use crate::error::{NodeOpError, unavailable};
use crate::keys::random;
use crate::logs::LogFollower;
use crate::manager::{Inner, Manager};
use crate::nodes::{self, Wish};
use crate::principal::Principal;
use crate::reconcile::Observed;
use crate::tenant::Tenant;
use crate::view::NodeView;

/// How long a local token works.
const LIFETIME: Duration = Duration::from_secs(60);
/// Local tokens at once; one more ends the oldest.
const MAX_TOKENS: usize = 64;
/// How local tokens begin, unlike those of sessions.
const PREFIX: &str = "berth_local_";
/// Longest reason of a suspension, characters.
const MAX_REASON: usize = 500;

/// Tokens of whoever has the data directory. See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct LocalTokens(Mutex<HashMap<[u8; 32], Instant>>);

impl LocalTokens {
    fn add(&self, token: &str) {
        let mut tokens = self.0.lock();
        let now = Instant::now();
        tokens.retain(|_, ends| *ends > now);
        if tokens.len() >= MAX_TOKENS {
            let oldest = tokens.iter().min_by_key(|(_, ends)| **ends);
            if let Some(oldest) = oldest.map(|(hash, _)| *hash) {
                tokens.remove(&oldest);
            }
        }
        tokens.insert(Sha256::digest(token).into(), now + LIFETIME);
    }

    /// Whose `token` is, if it is one of these.
    pub(crate) fn principal(&self, token: &str, now: Timestamp) -> Option<Principal> {
        if !token.starts_with(PREFIX) {
            return None;
        }
        let hash: [u8; 32] = Sha256::digest(token).into();
        let works = self.0.lock().get(&hash).copied();
        works
            .is_some_and(|ends| ends > Instant::now())
            .then(|| Principal::local(now))
    }
}

/// The right of an operator. Only [`Manager::operator`] makes one.
#[derive(Debug)]
pub struct Operator<'a> {
    manager: &'a Manager,
    principal: &'a Principal,
}

/// Which nodes an operator wants to see.
#[derive(Debug, Clone, Default)]
pub struct NodeQuery {
    /// Only those that are so.
    pub status: Option<NodeStatus>,
    /// Only those with a later label.
    pub after: Option<Label>,
    /// Most of them.
    pub limit: usize,
}

/// Part of the nodes of the host, by label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodesPage {
    /// The nodes.
    pub nodes: Vec<OperatorNodeView>,
    /// To go on after, if there are more.
    pub next: Option<Label>,
}

/// A node as operators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorNodeView {
    /// As its owner sees it.
    pub node: NodeView,
    /// Whose it is.
    pub owner: AccountId,
    /// What its owner wants.
    pub desired: DesiredState,
    /// Fencing number.
    pub generation: i64,
}

impl Manager {
    /// The right of an operator, if `principal` has that role.
    #[must_use]
    pub fn operator<'a>(&'a self, principal: &'a Principal) -> Option<Operator<'a>> {
        let is_operator = principal.role() == Role::Operator;
        is_operator.then_some(Operator {
            manager: self,
            principal,
        })
    }

    /// A token that makes its bearer an operator for a minute. For whoever has
    /// the data directory, and with that everything already.
    #[must_use]
    pub fn local_operator_token(&self) -> Secret<String> {
        let random = random::<32>(&*self.0.entropy);
        let token = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random));
        self.0.local_tokens.add(&token);
        Secret::new(token)
    }
}

impl Operator<'_> {
    fn inner(&self) -> &Arc<Inner> {
        &self.manager.0
    }

    fn tenant(&self, label: &str) -> Result<Arc<Tenant>, NodeOpError> {
        let tenant = self.inner().registry.read().labelled(label);
        tenant.ok_or(NodeOpError::NotFound)
    }

    async fn view(&self, tenant: &Tenant) -> OperatorNodeView {
        let node = self.inner().shown(tenant).await;
        let (desired, generation) = {
            let state = tenant.state.lock();
            (state.desired, state.generation.0)
        };
        OperatorNodeView {
            node,
            owner: tenant.account,
            desired,
            generation,
        }
    }

    async fn audit(
        &self,
        tenant: Option<&Tenant>,
        action: &'static str,
    ) -> Result<(), NodeOpError> {
        let deed = Deed {
            tenant: tenant.map(|tenant| tenant.id),
            actor: self.principal.actor(),
            action,
            at: self.inner().clock.now(),
        };
        let written = self.inner().repositories.tenants.audit(deed).await;
        written.map_err(|error| NodeOpError::Unavailable(unavailable(&error)))
    }

    /// The nodes of this host, by label.
    ///
    /// # Errors
    /// [`NodeOpError::Unavailable`]: what cannot be audited is not shown.
    pub async fn nodes(&self, query: &NodeQuery) -> Result<NodesPage, NodeOpError> {
        self.audit(None, "nodes.list").await?;
        let mut tenants = self.inner().registry.read().all();
        tenants.sort_by(|a, b| a.label.cmp(&b.label));
        let mut page = NodesPage {
            nodes: Vec::new(),
            next: None,
        };
        for tenant in tenants {
            if query
                .after
                .as_ref()
                .is_some_and(|after| tenant.label <= *after)
            {
                continue;
            }
            let wanted = |status| query.status.is_none_or(|wanted| wanted == status);
            if !wanted(self.inner().status(&tenant)) {
                continue;
            }
            if page.nodes.len() >= query.limit.max(1) {
                page.next = page.nodes.last().map(|last| last.node.label.clone());
                break;
            }
            page.nodes.push(self.view(&tenant).await);
        }
        Ok(page)
    }

    /// One node of this host.
    ///
    /// # Errors
    /// [`NodeOpError`].
    pub async fn node(&self, label: &str) -> Result<OperatorNodeView, NodeOpError> {
        let tenant = self.tenant(label)?;
        self.audit(Some(&tenant), "node.look").await?;
        Ok(self.view(&tenant).await)
    }

    async fn wish(&self, label: &str, wish: Wish) -> Result<OperatorNodeView, NodeOpError> {
        let tenant = self.tenant(label)?;
        self.audit(Some(&tenant), wish.action()).await?;
        let actor = self.principal.actor();
        self.manager.granted(tenant.clone(), actor, wish).await?;
        Ok(self.view(&tenant).await)
    }

    /// Starts a node: also the way out for one that was given up as broken.
    ///
    /// # Errors
    /// [`NodeOpError`].
    pub async fn start_node(&self, label: &str) -> Result<OperatorNodeView, NodeOpError> {
        self.wish(label, Wish::Start).await
    }

    /// Stops a node until it is started.
    ///
    /// # Errors
    /// [`NodeOpError`].
    pub async fn stop_node(&self, label: &str) -> Result<OperatorNodeView, NodeOpError> {
        self.wish(label, Wish::Stop).await
    }

    /// Stops a node and starts it again.
    ///
    /// # Errors
    /// [`NodeOpError`].
    pub async fn restart_node(&self, label: &str) -> Result<OperatorNodeView, NodeOpError> {
        self.wish(label, Wish::Restart).await
    }

    /// Puts a running node to sleep, whoever uses it.
    ///
    /// # Errors
    /// [`NodeOpError`].
    pub async fn hibernate_node(&self, label: &str) -> Result<OperatorNodeView, NodeOpError> {
        let tenant = self.tenant(label)?;
        self.audit(Some(&tenant), "node.hibernate").await?;
        nodes::hibernate(self.inner(), &tenant)?;
        Ok(self.view(&tenant).await)
    }

    /// Holds a node: it does not run until it is let go, whatever its owner
    /// wants, and nothing of it is removed. Its owner reads `reason`.
    ///
    /// # Errors
    /// [`NodeOpError`].
    pub async fn suspend_node(
        &self,
        label: &str,
        reason: &str,
    ) -> Result<OperatorNodeView, NodeOpError> {
        let reason = reason.trim();
        if reason.is_empty() || reason.chars().count() > MAX_REASON || reason.contains('\0') {
            let text = format!("say why, in at most {MAX_REASON} characters: the owner reads it");
            return Err(NodeOpError::Conflict(text));
        }
        self.hold(label, Some(reason.to_owned())).await
    }

    /// Lets a suspended node go: it does again what its owner wants.
    ///
    /// # Errors
    /// [`NodeOpError`].
    pub async fn resume_node(&self, label: &str) -> Result<OperatorNodeView, NodeOpError> {
        self.hold(label, None).await
    }

    async fn hold(
        &self,
        label: &str,
        reason: Option<String>,
    ) -> Result<OperatorNodeView, NodeOpError> {
        let tenant = self.tenant(label)?;
        let (inner, held) = (self.inner().clone(), tenant.clone());
        let change = tenant.change(self.principal.actor(), inner.clock.now());
        let work = async move {
            let _turn = held.wishes.lock().await;
            let tenants = &inner.repositories.tenants;
            let written = tenants.set_suspended(change, reason.as_deref()).await;
            written.map_err(|error| NodeOpError::Unavailable(inner.not_written(&held, &error)))?;
            {
                let mut state = held.state.lock();
                // What it slept through is made up for.
                let rang = std::mem::take(&mut state.rang);
                if reason.is_none() && rang && state.desired == DesiredState::Running {
                    state.want(Cause::Timer);
                }
                state.suspended = reason;
            }
            if inner.slots.observe(held.id).0 == Observed::Purging {
                let text = "the node is being removed already".to_owned();
                return Err(NodeOpError::Conflict(text));
            }
            inner.slots.feed.changed(held.id);
            inner.reconcile(&held);
            Ok(())
        };
        let done = self.manager.to_the_end(work).await;
        done.unwrap_or_else(|| Err(NodeOpError::Unavailable(nodes::GOING_DOWN.to_owned())))?;
        Ok(self.view(&tenant).await)
    }

    /// Part of a node's log.
    ///
    /// # Errors
    /// [`NodeOpError`].
    pub async fn node_log(&self, label: &str, query: LogQuery) -> Result<LogPage, NodeOpError> {
        let tenant = self.tenant(label)?;
        self.audit(Some(&tenant), "node.read-log").await?;
        self.inner().read_log(&tenant, query).await
    }

    /// Part of what the apps of a node connected to, or tried to.
    ///
    /// # Errors
    /// [`NodeOpError`].
    pub async fn node_egress(
        &self,
        label: &str,
        query: EgressQuery,
    ) -> Result<EgressPage, NodeOpError> {
        let tenant = self.tenant(label)?;
        self.audit(Some(&tenant), "node.read-egress").await?;
        self.inner().read_egress(&tenant, query).await
    }

    /// A node's log from `query` on, as it grows.
    ///
    /// # Errors
    /// [`NodeOpError`].
    pub async fn follow_log(
        &self,
        label: &str,
        query: LogQuery,
    ) -> Result<LogFollower, NodeOpError> {
        let tenant = self.tenant(label)?;
        self.audit(Some(&tenant), "node.read-log").await?;
        Ok(self.inner().follow(&tenant, self.principal, query))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn local_tokens_work_for_a_minute_and_are_not_many() {
        let tokens = LocalTokens::default();
        let now = Timestamp::UNIX_EPOCH;
        let token = |number: usize| format!("{PREFIX}{number}");
        tokens.add(&token(0));
        let operator = tokens.principal(&token(0), now).unwrap();
        assert_eq!((operator.role(), operator.actor()), (Role::Operator, None));
        assert!(tokens.principal(&token(1), now).is_none());
        assert!(tokens.principal("other", now).is_none());
        tokio::time::advance(Duration::from_secs(1)).await;
        for number in 1..=MAX_TOKENS {
            tokens.add(&token(number));
        }
        assert!(
            tokens.principal(&token(0), now).is_none(),
            "the oldest went"
        );
        assert!(tokens.principal(&token(1), now).is_some());
        tokio::time::advance(LIFETIME).await;
        assert!(tokens.principal(&token(MAX_TOKENS), now).is_none());
    }
}
