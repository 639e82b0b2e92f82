//! What nodes use, now and before: for their owners, and for the operator.
//!
//! Owns each tenant's history: a sample a minute for the last hour, a quarter
//! of an hour for the day before that, only in memory. Invariants: asking
//! touches no node, it neither wakes one nor keeps it awake; a tenant that did
//! not run for a day has no history and costs nothing. A restart of the host
//! loses all of it.

use std::collections::VecDeque;
use std::sync::Arc;

use lifecycle::Timestamp;
use node_api::{DiskUse, NodeUsage, UsageReport};
use tenant_model::{Label, NodeStatus};
use time::Duration;

use crate::error::NodeOpError;
use crate::manager::{Inner, Manager};
use crate::principal::Principal;
use crate::tenant::{State, Tenant};

/// Between two samples.
pub(crate) const EVERY: std::time::Duration = std::time::Duration::from_secs(60);
/// Between two looks for what is too old to be kept.
pub(crate) const PRUNE: std::time::Duration = std::time::Duration::from_secs(15 * 60);
/// How long samples are kept as they were taken, seconds.
const FINE: i64 = 3600;
/// Seconds that are one sample after that.
const COARSE: i64 = 15 * 60;
/// How long these are kept, seconds.
const DAY: i64 = 24 * 3600;
/// Most samples of each kind; fewer by time, unless clocks jump.
const MOST: usize = 128;

/// What a node used in some time that ended at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageSample {
    /// The end of that time.
    pub at: Timestamp,
    /// Its length, without times in which the node slept.
    pub seconds: u32,
    /// Memory, bytes: the most that was seen.
    pub memory_bytes: u64,
    /// Disk at the end, bytes.
    pub disk_bytes: u64,
    /// Processes: the most that was seen.
    pub processes: u32,
    /// Processor time, milliseconds.
    pub cpu_ms: u64,
    /// Messages that its processes received.
    pub messages: u64,
    /// HTTP requests.
    pub requests: u64,
}

/// The plan's bounds of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanLimits {
    /// Memory, bytes.
    pub memory_bytes: u64,
    /// Disk, bytes.
    pub disk_bytes: u64,
    /// What may be written to disk in a second, bytes; 0 = as much as one
    /// likes.
    pub disk_bytes_per_second: u64,
    /// Processes.
    pub processes: u32,
}

/// What a node uses and may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageView {
    /// Its label.
    pub label: Label,
    /// How it is.
    pub status: NodeStatus,
    /// What it uses while it runs.
    pub now: Option<UsageReport>,
    /// What it has on disk, or had when it last stopped.
    pub disk: DiskUse,
    /// What it may.
    pub limits: PlanLimits,
    /// What it used before, oldest first.
    pub history: Vec<UsageSample>,
}

/// A [`UsageSample`], small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sample {
    /// Unix time, seconds.
    at: u32,
    seconds: u32,
    memory_kib: u32,
    disk_kib: u32,
    cpu_ms: u32,
    messages: u32,
    requests: u32,
    processes: u32,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct History {
    fine: VecDeque<Sample>,
    coarse: VecDeque<Sample>,
    /// Unix time of the last look at the node that runs, seconds.
    looked: i64,
    /// What it had used by then.
    seen: NodeUsage,
}

impl History {
    /// A node begins to run, and to count.
    pub(crate) fn begin(&mut self, now: Timestamp) {
        self.looked = now.unix_timestamp();
        self.seen = NodeUsage::default();
    }

    /// The node that runs has used so much.
    pub(crate) fn record(&mut self, now: Timestamp, usage: &NodeUsage) {
        let at = now.unix_timestamp();
        let since = |now: u64, before: u64| small(now.saturating_sub(before));
        let cpu_ms = |usage: &NodeUsage| usage.cpu_micros / 1000;
        let sample = Sample {
            at: u32::try_from(at).unwrap_or(0),
            seconds: u32::try_from(at - self.looked).unwrap_or(0),
            memory_kib: small(usage.memory_bytes >> 10),
            disk_kib: small(usage.disk_bytes >> 10),
            cpu_ms: since(cpu_ms(usage), cpu_ms(&self.seen)),
            messages: since(usage.messages_in, self.seen.messages_in),
            requests: since(usage.requests, self.seen.requests),
            processes: usage.processes,
        };
        self.looked = at;
        self.seen = *usage;
        self.fine.push_back(sample);
        self.prune(now);
    }

    /// Sums up and forgets what is too old.
    pub(crate) fn prune(&mut self, now: Timestamp) {
        let now = now.unix_timestamp();
        let old = |sample: &Sample, age: i64| i64::from(sample.at) + age <= now;
        while let Some(first) = self.fine.front().copied()
            && (old(&first, FINE) || self.fine.len() > MOST)
        {
            self.fine.pop_front();
            self.sum_up(first);
        }
        while self.coarse.front().is_some_and(|first| old(first, DAY)) || self.coarse.len() > MOST {
            self.coarse.pop_front();
        }
    }

    fn sum_up(&mut self, sample: Sample) {
        // A sample belongs to the quarter in which it ended.
        let quarter = |sample: &Sample| (i64::from(sample.at) - 1).div_euclid(COARSE);
        match self.coarse.back_mut() {
            Some(last) if quarter(last) == quarter(&sample) => last.merge(&sample),
            _ => self.coarse.push_back(sample),
        }
    }

    /// Whether there is nothing to tell.
    pub(crate) fn is_empty(&self) -> bool {
        self.fine.is_empty() && self.coarse.is_empty()
    }

    fn samples(&self) -> Vec<UsageSample> {
        let all = self.coarse.iter().chain(&self.fine);
        all.map(Sample::view).collect()
    }
}

impl Sample {
    fn merge(&mut self, later: &Self) {
        self.at = later.at;
        self.seconds = self.seconds.saturating_add(later.seconds);
        self.memory_kib = self.memory_kib.max(later.memory_kib);
        self.disk_kib = later.disk_kib;
        self.cpu_ms = self.cpu_ms.saturating_add(later.cpu_ms);
        self.messages = self.messages.saturating_add(later.messages);
        self.requests = self.requests.saturating_add(later.requests);
        self.processes = self.processes.max(later.processes);
    }

    fn view(&self) -> UsageSample {
        UsageSample {
            at: Timestamp::UNIX_EPOCH + Duration::seconds(i64::from(self.at)),
            seconds: self.seconds,
            memory_bytes: u64::from(self.memory_kib) << 10,
            disk_bytes: u64::from(self.disk_kib) << 10,
            processes: self.processes,
            cpu_ms: u64::from(self.cpu_ms),
            messages: u64::from(self.messages),
            requests: u64::from(self.requests),
        }
    }
}

/// `amount`, or the largest there is room for.
fn small(amount: u64) -> u32 {
    u32::try_from(amount).unwrap_or(u32::MAX)
}

impl Manager {
    /// What a node uses and used.
    ///
    /// # Errors
    /// [`NodeOpError::NotFound`].
    pub async fn node_usage(
        &self,
        principal: &Principal,
        label: &str,
    ) -> Result<UsageView, NodeOpError> {
        let tenant = self.owned(principal, label).ok_or(NodeOpError::NotFound)?;
        Ok(self.0.usage_of(&tenant).await)
    }

    /// The same of any node of this host: for whoever runs the host.
    pub async fn usage_for_operator(&self, label: &str) -> Option<UsageView> {
        let tenant = self.0.registry.read().labelled(label)?;
        Some(self.0.usage_of(&tenant).await)
    }
}

impl State {
    /// The node that runs has used so much.
    pub(crate) fn record_usage(&mut self, now: Timestamp, usage: &NodeUsage) {
        if let Some(history) = &mut self.usage {
            history.record(now, usage);
        }
    }
}

impl Inner {
    async fn usage_of(&self, tenant: &Tenant) -> UsageView {
        self.learn_disk(tenant).await;
        let (observed, node) = self.slots.observe(tenant.id);
        let view = tenant.view(observed, node.as_deref());
        let history = {
            let state = tenant.state.lock();
            state.usage.as_ref().map(|history| history.samples())
        };
        UsageView {
            label: view.label,
            status: view.status,
            disk: view.usage.disk,
            now: node.map(|node| node.handle.report()),
            limits: PlanLimits {
                memory_bytes: tenant.plan.memory_bytes,
                disk_bytes: tenant.plan.disk_bytes,
                disk_bytes_per_second: tenant.plan.disk_bytes_per_second,
                processes: tenant.plan.processes,
            },
            history: history.unwrap_or_default(),
        }
    }
}

/// Takes a sample of every node that runs.
pub(crate) fn sample(inner: &Arc<Inner>) {
    let now = inner.clock.now();
    for id in inner.slots.busy().0 {
        let Some(tenant) = inner.registry.read().get(id) else {
            continue;
        };
        if let (_, Some(node)) = inner.slots.observe(id) {
            let usage = node.handle.usage();
            tenant.state.lock().record_usage(now, &usage);
        }
    }
}

/// Forgets what is too old, of those too that sleep.
pub(crate) fn prune(inner: &Arc<Inner>) {
    let now = inner.clock.now();
    for tenant in inner.registry.read().all() {
        let (observed, _) = inner.slots.observe(tenant.id);
        let mut state = tenant.state.lock();
        let Some(history) = &mut state.usage else {
            continue;
        };
        history.prune(now);
        if history.is_empty() && observed == crate::reconcile::Observed::Resting {
            state.usage = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + Duration::seconds(seconds)
    }

    fn used(minutes: u64) -> NodeUsage {
        NodeUsage {
            memory_bytes: 1 << 20,
            cpu_micros: minutes * 2_000_000,
            messages_in: minutes * 10,
            requests: minutes,
            processes: 3,
            ..NodeUsage::default()
        }
    }

    #[test]
    fn a_day_is_kept_ever_coarser_and_sums_are_right() {
        let mut history = History::default();
        history.begin(at(0));
        for minute in 1..=3000 {
            let now = at(i64::try_from(minute).unwrap() * 60);
            history.record(now, &used(minute));
        }
        let samples = history.samples();
        assert!(samples.is_sorted_by_key(|sample| sample.at));
        assert!((150..=160).contains(&samples.len()), "{}", samples.len());
        let last = samples.last().unwrap();
        assert_eq!((last.seconds, last.cpu_ms, last.messages), (60, 2000, 10));
        let early = samples[1];
        assert_eq!((early.seconds, early.cpu_ms), (900, 30_000));
        assert_eq!((early.messages, early.requests), (150, 15));
        let told: u32 = samples.iter().map(|sample| sample.seconds).sum();
        assert!((DAY - COARSE..=DAY + FINE).contains(&i64::from(told)));

        history.prune(at(3000 * 60 + DAY + FINE));
        assert!(history.is_empty());
    }

    #[test]
    fn a_new_life_counts_from_nothing_and_sleep_is_no_use() {
        let mut history = History::default();
        history.begin(at(0));
        history.record(at(60), &used(5));
        history.begin(at(1000));
        history.record(at(1060), &used(1));
        let samples = history.samples();
        assert_eq!(samples.len(), 2);
        assert_eq!((samples[1].seconds, samples[1].cpu_ms), (60, 2000));
        // What takes room: some bytes for each sample.
        assert!(size_of::<Sample>() <= 32);
    }
}
