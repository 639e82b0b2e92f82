//! What an owner does with nodes. Each operation keeps the wish, then lets
//! [`Inner::reconcile`] begin the work and returns.
//!
//! A wish is kept and acted on in a task of the manager: a caller who hangs up
//! in between does not leave the database and memory saying different things.

use std::sync::Arc;

use lifecycle::{TaskKind, failpoints};
use node_api::{Secret, StopReason};
use node_types::NodeName;
use tenant_model::{
    AccountId, DesiredState, Label, LabelError, NodeStatus, StorageError, check_node_password,
};
use tokio::sync::oneshot;

use crate::alarms;
use crate::boot::Cause;
use crate::create;
use crate::error::{CreateError, NodeOpError, unavailable};
use crate::manager::{Inner, Manager};
use crate::principal::Principal;
use crate::reconcile::Observed;
use crate::slots::Doing;
use crate::stop;
use crate::tenant::Tenant;
use crate::view::{Availability, NodeView, Reason};

/// What people read when the host goes down under their request.
pub(crate) const GOING_DOWN: &str = "the host is shutting down; try again in a moment";

/// What an owner wants of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    Start,
    Stop,
    Restart,
    Delete { purge: bool },
}

impl Wish {
    /// What the audit calls it.
    pub(crate) fn action(self) -> &'static str {
        match self {
            Self::Start => "node.start",
            Self::Stop => "node.stop",
            Self::Restart => "node.restart",
            Self::Delete { .. } => "node.archive",
        }
    }
}

impl Manager {
    /// Whether a label can be had.
    ///
    /// # Errors
    /// [`NodeOpError::Unavailable`].
    pub async fn availability(&self, label: &str) -> Result<Availability, NodeOpError> {
        let no = |reason| Availability {
            available: false,
            reason: Some(reason),
        };
        let label = match Label::parse(label) {
            Ok(label) => label,
            Err(LabelError::Invalid) => return Ok(no(Reason::Invalid)),
            Err(LabelError::Reserved) => return Ok(no(Reason::Reserved)),
        };
        let taken = self.0.repositories.tenants.label_taken(&label).await;
        match taken {
            Ok(true) => Ok(no(Reason::Taken)),
            Ok(false) => Ok(Availability {
                available: true,
                reason: None,
            }),
            Err(error) => Err(NodeOpError::Unavailable(unavailable(&error))),
        }
    }

    /// Makes a node and begins booting it.
    ///
    /// # Errors
    /// [`CreateError`]; then nothing of it is left.
    pub async fn create_node(
        &self,
        principal: &Principal,
        label: &str,
        password: Secret<String>,
    ) -> Result<NodeView, CreateError> {
        let label = Label::parse(label).map_err(|e| CreateError::BadLabel(e.to_string()))?;
        check_node_password(password.expose())
            .map_err(|e| CreateError::WeakPassword(e.to_string()))?;
        let name = NodeName::new(&format!("{label}.{}", self.0.node_suffix))
            .map_err(|e| CreateError::BadLabel(e.to_string()))?;
        if principal.actor().is_none() {
            let text = "a node belongs to an account: make it with that account's token";
            return Err(CreateError::Unavailable(text.to_owned()));
        }
        if self.0.registry.read().labelled(label.as_str()).is_some() {
            return Err(CreateError::Taken);
        }
        let (inner, principal) = (self.0.clone(), principal.clone());
        self.to_the_end(async move { create::run(&inner, &principal, label, name, password).await })
            .await
            .unwrap_or_else(|| Err(CreateError::Unavailable(GOING_DOWN.to_owned())))
    }

    /// The account's nodes, oldest first.
    ///
    /// # Errors
    /// None today: memory answers, and what cannot be read of a node's disk is
    /// left out.
    pub async fn nodes(&self, principal: &Principal) -> Result<Vec<NodeView>, NodeOpError> {
        let tenants = self.0.registry.read().of_account(principal.account());
        let mut views = Vec::with_capacity(tenants.len());
        for tenant in &tenants {
            views.push(self.0.shown(tenant).await);
        }
        Ok(views)
    }

    /// One node.
    ///
    /// # Errors
    /// [`NodeOpError::NotFound`].
    pub async fn node(&self, principal: &Principal, label: &str) -> Result<NodeView, NodeOpError> {
        let tenant = self.owned(principal, label).ok_or(NodeOpError::NotFound)?;
        Ok(self.0.shown(&tenant).await)
    }

    /// Starts a stopped node, wakes a sleeping one, tries a broken one again.
    ///
    /// # Errors
    /// [`NodeOpError`].
    pub async fn start_node(
        &self,
        principal: &Principal,
        label: &str,
    ) -> Result<NodeView, NodeOpError> {
        self.wish(principal, label, Wish::Start).await
    }

    /// Stops a node until it is started.
    ///
    /// # Errors
    /// [`NodeOpError`].
    pub async fn stop_node(
        &self,
        principal: &Principal,
        label: &str,
    ) -> Result<NodeView, NodeOpError> {
        self.wish(principal, label, Wish::Stop).await
    }

    /// Stops a node and starts it again.
    ///
    /// # Errors
    /// [`NodeOpError`].
    pub async fn restart_node(
        &self,
        principal: &Principal,
        label: &str,
    ) -> Result<NodeView, NodeOpError> {
        self.wish(principal, label, Wish::Restart).await
    }

    /// Puts a running node to sleep, whoever uses it; it wakes on demand.
    ///
    /// # Errors
    /// [`NodeOpError`].
    pub async fn hibernate_node(
        &self,
        principal: &Principal,
        label: &str,
    ) -> Result<NodeView, NodeOpError> {
        let tenant = self.owned(principal, label).ok_or(NodeOpError::NotFound)?;
        hibernate(&self.0, &tenant)?;
        Ok(self.0.shown(&tenant).await)
    }

    /// Archives a node; with `purge` everything of it is removed after a
    /// grace period.
    ///
    /// # Errors
    /// [`NodeOpError`].
    pub async fn delete_node(
        &self,
        principal: &Principal,
        label: &str,
        purge: bool,
    ) -> Result<NodeView, NodeOpError> {
        self.wish(principal, label, Wish::Delete { purge }).await
    }

    pub(crate) fn owned(&self, principal: &Principal, label: &str) -> Option<Arc<Tenant>> {
        let tenant = self.0.registry.read().labelled(label)?;
        (tenant.account == principal.account()).then_some(tenant)
    }

    async fn wish(
        &self,
        principal: &Principal,
        label: &str,
        wish: Wish,
    ) -> Result<NodeView, NodeOpError> {
        let tenant = self.owned(principal, label).ok_or(NodeOpError::NotFound)?;
        self.granted(tenant, principal.actor(), wish).await
    }

    /// Grants a wish of `actor`, who has been checked, even if the caller goes
    /// away.
    pub(crate) async fn granted(
        &self,
        tenant: Arc<Tenant>,
        actor: Option<AccountId>,
        wish: Wish,
    ) -> Result<NodeView, NodeOpError> {
        let inner = self.0.clone();
        self.to_the_end(async move { grant(&inner, actor, &tenant, wish).await })
            .await
            .unwrap_or_else(|| Err(NodeOpError::Unavailable(GOING_DOWN.to_owned())))
    }

    /// Runs `work` to its end even if the caller goes away; `None` if the host
    /// goes down first.
    pub(crate) async fn to_the_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        if self.0.slots.is_closing() {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        let work = async move {
            // Nobody waits any more: the work is done all the same.
            let _ = sender.send(work.await);
        };
        self.0
            .tasks
            .spawn(TaskKind::graceful("node operation"), work);
        receiver.await.ok()
    }
}

async fn grant(
    inner: &Arc<Inner>,
    actor: Option<AccountId>,
    tenant: &Arc<Tenant>,
    wish: Wish,
) -> Result<NodeView, NodeOpError> {
    let _turn = tenant.wishes.lock().await;
    let now = inner.clock.now();
    let (was, purge_at, held) = {
        let state = tenant.state.lock();
        (state.desired, state.purge_at, state.suspended.clone())
    };
    let (desired, purge_at) = match wish {
        Wish::Delete { purge } => {
            let fresh = purge.then(|| now + inner.limits.purge_grace);
            (DesiredState::Archived, purge_at.or(fresh))
        }
        _ if was == DesiredState::Archived => {
            let text = "the node is archived: it can only be purged".to_owned();
            return Err(NodeOpError::Conflict(text));
        }
        Wish::Start | Wish::Restart if held.is_some() => {
            return Err(held_by_operator(&held.unwrap_or_default()));
        }
        Wish::Stop => (DesiredState::Stopped, None),
        Wish::Start | Wish::Restart => (DesiredState::Running, None),
    };
    let unchanged = was == desired && tenant.state.lock().purge_at == purge_at;
    if !unchanged {
        if desired == DesiredState::Archived {
            let injected = failpoints::hit("archive.before-write");
            injected.map_err(|error| NodeOpError::Unavailable(error.to_string()))?;
        }
        let change = tenant.change(actor, now);
        let tenants = &inner.repositories.tenants;
        let written = tenants.set_desired(change, desired, purge_at).await;
        written.map_err(|error| NodeOpError::Unavailable(inner.not_written(tenant, &error)))?;
        if desired == DesiredState::Archived {
            failpoints::crash("archive.written");
        }
    }
    {
        let mut state = tenant.state.lock();
        state.desired = desired;
        state.purge_at = purge_at;
        state.restart = wish == Wish::Restart;
        state.boot_wanted = false;
        if matches!(wish, Wish::Start | Wish::Restart) {
            state.want(Cause::Api);
            state.breaker.reset();
            state.no_room = None;
        }
    }
    match wish {
        Wish::Start => inner.slots.hurry(tenant.id),
        Wish::Stop | Wish::Restart => forget_rest(inner, tenant).await,
        Wish::Delete { .. } => {}
    }
    inner.slots.feed.changed(tenant.id);
    inner.reconcile(tenant);
    Ok(inner.shown(tenant).await)
}

/// A sleeping node that is stopped forgets what it would have woken with, as
/// one that runs does.
async fn forget_rest(inner: &Inner, tenant: &Tenant) {
    let Some(guard) = inner.slots.begin(tenant.id, Doing::Stopping) else {
        return;
    };
    inner.alarms.clear(tenant.id, alarms::Kind::Wake);
    tenant.state.lock().rang = false;
    if let Err(error) = inner.launcher.forget_rest(tenant.key()).await {
        tracing::warn!(tenant_id = %tenant.id, "failed to forget a node's sleep: {error}");
    }
    guard.rest();
}

/// What an owner reads who starts a node that an operator holds.
fn held_by_operator(reason: &str) -> NodeOpError {
    NodeOpError::Conflict(format!(
        "the node is suspended by the host's operator: {reason}"
    ))
}

/// Puts a running node to sleep in the background, whoever uses it.
pub(crate) fn hibernate(inner: &Arc<Inner>, tenant: &Arc<Tenant>) -> Result<(), NodeOpError> {
    let refused = |text: String| Err(NodeOpError::Conflict(text));
    let (desired, held) = {
        let state = tenant.state.lock();
        (state.desired, state.suspended.clone())
    };
    if let Some(reason) = held {
        return Err(held_by_operator(&reason));
    }
    if desired != DesiredState::Running {
        return refused(format!(
            "the node is {desired}: only a running node can hibernate"
        ));
    }
    if tenant.plan.always_on {
        return refused("the plan keeps this node running; stop it instead".to_owned());
    }
    if inner.slots.observe(tenant.id).0 == Observed::Booting {
        return refused("the node is starting; try again when it is active".to_owned());
    }
    stop::begin(inner, tenant, StopReason::Idle, |_| true);
    Ok(())
}

impl Inner {
    pub(crate) fn status(&self, tenant: &Tenant) -> NodeStatus {
        let (observed, node) = self.slots.observe(tenant.id);
        tenant.status(observed, node.as_deref())
    }

    pub(crate) fn view(&self, tenant: &Tenant) -> NodeView {
        let (observed, node) = self.slots.observe(tenant.id);
        tenant.view(observed, node.as_deref())
    }

    /// What people read when a write failed. When another host has taken the
    /// tenant over, its node here has to end.
    pub(crate) fn not_written(
        self: &Arc<Self>,
        tenant: &Arc<Tenant>,
        error: &StorageError,
    ) -> String {
        if *error == StorageError::Fenced {
            tracing::error!(tenant_id = %tenant.id, "the tenant was taken over by another host");
            tenant.state.lock().lost = true;
            self.reconcile(tenant);
        }
        unavailable(error)
    }
}
