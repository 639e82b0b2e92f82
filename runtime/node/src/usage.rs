//! What the node uses and may use, put together when somebody asks.
//!
//! Owns the sums of processes that are gone. Asking costs a look at each
//! process and its mailbox, and nothing while nobody asks.

use std::collections::BTreeMap;

use node_api::{DiskUse, NodeUsage, ProcessUsage, UsageLimits, UsageReport};
use node_kernel::{MAX_CAPABILITIES, MAX_OUTSTANDING, MAX_OUTSTANDING_BYTES};
use node_services::Store;
use node_services::state::MAX_STATE_BYTES;
use node_types::{MAX_PEER_MESSAGE, ProcessId};
use tokio::time::Instant;

use crate::kernel::Kernel;
use crate::mailbox::{Mailbox, PROCESS_BOUNDS};
use crate::process::WasmProcess;
use crate::{prints, spawns};

impl Kernel {
    /// Keeps what a process used that leaves the process table.
    pub(crate) fn keep_usage_of(&self, process: &WasmProcess) {
        let used = process.counters.usage(Instant::now());
        self.gone.lock().add(&used);
    }

    /// What the node has on disk, if all of it is counted.
    pub(crate) fn disk_use(&self) -> Option<DiskUse> {
        self.quota.is_counted().then(|| self.usage().disk())
    }

    /// All that the node uses.
    pub(crate) fn usage(&self) -> NodeUsage {
        let used: Vec<ProcessUsage> = {
            let now = Instant::now();
            let processes = self.processes.read();
            let counted = processes
                .values()
                .map(|process| process.counters.usage(now));
            counted.collect()
        };
        self.sum(&used)
    }

    fn sum<'a>(&self, processes: impl IntoIterator<Item = &'a ProcessUsage>) -> NodeUsage {
        let mut sum = *self.gone.lock();
        for process in processes {
            sum.add(process);
        }
        let entered = self.table.read().len_userspace();
        NodeUsage {
            memory_bytes: self.budget.memory_in_use(),
            memory_peak_bytes: self.budget.memory_peak(),
            disk_bytes: self.quota.used(),
            disk_files_bytes: self.quota.used_by(Store::Files),
            disk_state_bytes: self.quota.used_by(Store::State),
            disk_kv_bytes: self.quota.used_by(Store::KeyValue),
            disk_sqlite_bytes: self.quota.used_by(Store::Sqlite),
            disk_written_bytes: self.quota.written(),
            disk_slowed: self.quota.slowed(),
            processes: u32::try_from(entered).unwrap_or(u32::MAX),
            requests: self.http().map_or(0, |http| http.requests()),
            // Those of modules and other nodes too.
            dropped: self.dropped_messages(),
            ..sum
        }
    }

    /// What the node uses and may use, process by process.
    pub(crate) fn usage_report(&self) -> UsageReport {
        let now = Instant::now();
        let mailboxes: Vec<(ProcessId, Mailbox)> = {
            let mailboxes = self.mailboxes.read();
            let clones = mailboxes
                .iter()
                .map(|(id, mailbox)| (id.clone(), mailbox.clone()));
            clones.collect()
        };
        let mut processes: BTreeMap<ProcessId, ProcessUsage> = {
            let processes = self.processes.read();
            let counted = processes
                .iter()
                .map(|(id, process)| (id.clone(), process.counters.usage(now)));
            counted.collect()
        };
        let node = self.sum(processes.values());
        for (id, mailbox) in mailboxes {
            let usage = processes.entry(id).or_default();
            usage.module = matches!(mailbox, Mailbox::Module(_));
            let (held, bounds) = mailbox.filled();
            usage.mailbox_messages = held.items as u64;
            usage.mailbox_bytes = held.cost as u64;
            let percent = |held: usize, of: usize| held.saturating_mul(100) / of.max(1);
            let fuller = percent(held.items, bounds.items).max(percent(held.cost, bounds.cost));
            usage.mailbox_percent = u8::try_from(fuller.min(100)).unwrap_or(100);
        }
        UsageReport {
            node,
            limits: self.usage_limits(),
            processes,
        }
    }

    fn usage_limits(&self) -> UsageLimits {
        let limits = self.limits;
        UsageLimits {
            memory_bytes: limits.memory_bytes,
            disk_bytes: limits.disk_bytes,
            disk_bytes_per_second: limits.disk_bytes_per_second,
            processes: limits.processes,
            spawns_at_once: spawns::AT_ONCE,
            spawns_per_second: spawns::PER_SECOND,
            outstanding: MAX_OUTSTANDING as u64,
            outstanding_bytes: MAX_OUTSTANDING_BYTES as u64,
            state_bytes: MAX_STATE_BYTES as u64,
            message_bytes: limits.local_message_bytes,
            peer_message_bytes: MAX_PEER_MESSAGE as u64,
            mailbox_messages: PROCESS_BOUNDS.items as u64,
            mailbox_bytes: PROCESS_BOUNDS.cost as u64,
            prints_at_once: prints::AT_ONCE,
            prints_per_second: prints::PER_SECOND,
            capabilities: MAX_CAPABILITIES as u64,
        }
    }
}
