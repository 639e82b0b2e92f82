//! Components in memory, and the rule that each is made ready once.
//!
//! Owns a map of all components that somebody runs, a short list of those used
//! last, and the preparations in progress. Invariant: at most one preparation
//! runs for one hash, and its entry goes when it ends, however it ends.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::compile::PrepareError;
use crate::engine::Component;
use crate::hash::WasmHash;

/// Components kept although nobody runs them: the distro's and a few more, so
/// that waking a node finds them mapped.
const KEPT: usize = 64;
/// Dead entries are swept when the map has grown by this much.
const SWEEP_EVERY: usize = 256;

/// How a preparation ended.
pub(crate) type Outcome = Result<Arc<Component>, PrepareError>;
/// Sees the outcome once there is one.
pub(crate) type Pending = watch::Receiver<Option<Outcome>>;

#[derive(Default)]
struct Inner {
    known: HashMap<WasmHash, Weak<Component>>,
    recent: VecDeque<Arc<Component>>,
    in_progress: HashMap<WasmHash, Pending>,
    sweep_at: usize,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Cache(Mutex<Inner>);

/// What a caller of [`Cache::join`] is to do.
pub(crate) enum Joined {
    /// Nothing.
    Ready(Arc<Component>),
    /// Wait for another one's preparation.
    Wait(Pending),
    /// Prepare, and say so here.
    Lead(Lead),
}

/// The duty to prepare one component. Dropping it releases those who wait.
pub(crate) struct Lead {
    cache: Arc<Cache>,
    hash: WasmHash,
    sender: watch::Sender<Option<Outcome>>,
}

impl Cache {
    /// The component of `hash`, if it is in memory.
    pub(crate) fn get(&self, hash: &WasmHash) -> Option<Arc<Component>> {
        self.0.lock().get(hash)
    }

    /// Remembers `component`; returns the one already there if there is one.
    pub(crate) fn insert(&self, component: Arc<Component>) -> Arc<Component> {
        let mut inner = self.0.lock();
        if let Some(present) = inner.get(component.hash()) {
            return present;
        }
        inner
            .known
            .insert(*component.hash(), Arc::downgrade(&component));
        inner.keep(&component);
        if inner.known.len() >= inner.sweep_at {
            inner.known.retain(|_, weak| weak.strong_count() > 0);
            inner.sweep_at = inner.known.len() + SWEEP_EVERY;
        }
        component
    }

    /// Finds, waits for or takes over the preparation of `hash`.
    pub(crate) fn join(self: &Arc<Self>, hash: &WasmHash) -> Joined {
        let mut inner = self.0.lock();
        if let Some(component) = inner.get(hash) {
            return Joined::Ready(component);
        }
        if let Some(pending) = inner.in_progress.get(hash) {
            return Joined::Wait(pending.clone());
        }
        let (sender, pending) = watch::channel(None);
        inner.in_progress.insert(*hash, pending);
        Joined::Lead(Lead {
            cache: Arc::clone(self),
            hash: *hash,
            sender,
        })
    }
}

impl Inner {
    fn get(&mut self, hash: &WasmHash) -> Option<Arc<Component>> {
        let component = self.known.get(hash)?.upgrade()?;
        self.keep(&component);
        Some(component)
    }

    fn keep(&mut self, component: &Arc<Component>) {
        let place = self
            .recent
            .iter()
            .position(|kept| Arc::ptr_eq(kept, component));
        if let Some(place) = place {
            self.recent.remove(place);
        } else if self.recent.len() >= KEPT {
            self.recent.pop_back();
        }
        self.recent.push_front(Arc::clone(component));
    }
}

impl Lead {
    /// A receiver of the outcome, for the leader's own caller.
    pub(crate) fn subscribe(&self) -> Pending {
        self.sender.subscribe()
    }

    /// Tells everyone who waits.
    pub(crate) fn finish(self, outcome: Outcome) {
        let outcome = outcome.map(|component| self.cache.insert(component));
        self.sender.send_replace(Some(outcome));
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.cache.0.lock().in_progress.remove(&self.hash);
    }
}

/// Waits for the outcome.
pub(crate) async fn outcome(mut pending: Pending) -> Outcome {
    match pending.wait_for(Option::is_some).await {
        Ok(outcome) => outcome.clone().unwrap_or(Err(PrepareError::ShuttingDown)),
        Err(_leader_is_gone) => Err(PrepareError::ShuttingDown),
    }
}
