//! The JSON of what a node uses.

use lifecycle::Timestamp;
use node_api::{NodeUsage as Now, ProcessUsage, UsageLimits};
use serde::Serialize;
use tenant_manager::{UsageSample, UsageView};
use utoipa::ToSchema;

use super::{Status, rfc3339};

/// What a node uses now and used before, and what it may.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct NodeUsage {
    label: String,
    status: Status,
    /// Disk now, or when it last stopped: the sum of the next four.
    disk_bytes: u64,
    /// Of its disk, files.
    disk_files_bytes: u64,
    /// Of its disk, state of its processes and what the host keeps for it.
    disk_state_bytes: u64,
    /// Of its disk, key-value databases.
    disk_kv_bytes: u64,
    /// Of its disk, SQLite databases.
    disk_sqlite_bytes: u64,
    /// What it uses; nothing while it does not run.
    #[schema(required = true)]
    now: Option<UsageNow>,
    limits: NodeLimits,
    /// What each of its processes may use; not told while it does not run.
    #[schema(required = true)]
    process_limits: Option<ProcessLimits>,
    /// What each of its processes uses, and the mailboxes of its modules.
    processes: Vec<ProcessUse>,
    /// What it used in the last hour by the minute, and in the day before that
    /// by the quarter of an hour. Oldest first; lost when the host restarts.
    history: Vec<UsedBefore>,
}

/// What a node uses now, and has used since it was last started.
#[derive(Serialize, ToSchema)]
struct UsageNow {
    memory_bytes: u64,
    /// The most memory at once.
    memory_peak_bytes: u64,
    disk_bytes: u64,
    /// What was written to disk for it.
    disk_written_bytes: u64,
    /// How often a write waited because there were too many.
    disk_slowed: u64,
    processes: u32,
    /// Processor time of its processes, milliseconds.
    cpu_ms: u64,
    /// Messages that its processes received.
    messages_in: u64,
    /// Messages that its processes sent.
    messages_out: u64,
    /// Bytes of both.
    message_bytes: u64,
    /// HTTP requests that it was asked.
    requests: u64,
    prints: u64,
    /// Prints that were left out because a process printed too much.
    prints_left_out: u64,
    /// Messages that found no room in a mailbox.
    dropped: u64,
    /// Messages that were not allowed.
    refused: u64,
    /// How often something was denied because a limit was reached.
    denied: u64,
    /// Restarts of its processes.
    restarts: u64,
}

/// What a node may use by its plan.
#[derive(Serialize, ToSchema)]
struct NodeLimits {
    memory_bytes: u64,
    disk_bytes: u64,
    /// What it may write to disk in a second; 0 is as much as it likes.
    disk_bytes_per_second: u64,
    processes: u32,
}

/// What each process may use.
#[derive(Serialize, ToSchema)]
struct ProcessLimits {
    /// Requests that wait for an answer.
    outstanding: u64,
    outstanding_bytes: u64,
    /// Saved state.
    state_bytes: u64,
    /// A message inside the node, with its blob.
    message_bytes: u64,
    /// A message to another node, with its blob.
    peer_message_bytes: u64,
    mailbox_messages: u64,
    mailbox_bytes: u64,
    capabilities: u64,
    prints_at_once: u32,
    prints_per_second: u32,
    /// New processes of the whole node.
    spawns_at_once: u32,
    spawns_per_second: u32,
}

/// What one process uses, and has used since the node was started.
#[derive(Serialize, ToSchema)]
struct ProcessUse {
    #[schema(example = "main:app-store:sys")]
    process: String,
    /// It is a part of the runtime, of which only the mailbox is counted.
    module: bool,
    memory_bytes: u64,
    memory_peak_bytes: u64,
    /// Processor time, milliseconds.
    cpu_ms: u64,
    messages_in: u64,
    bytes_in: u64,
    messages_out: u64,
    bytes_out: u64,
    /// Its requests that wait for an answer.
    outstanding: u64,
    outstanding_bytes: u64,
    mailbox_messages: u64,
    mailbox_bytes: u64,
    /// How full its mailbox is.
    #[schema(maximum = 100)]
    mailbox_percent: u8,
    prints: u64,
    prints_left_out: u64,
    dropped: u64,
    refused: u64,
    denied: u64,
    restarts: u64,
    /// How long it has been up; null while it is not.
    #[schema(required = true)]
    up_ms: Option<u64>,
    /// When it is restarted, if it waits for that.
    #[schema(required = true)]
    restart_in_ms: Option<u64>,
    /// How long that wait is as a whole.
    #[schema(required = true)]
    restart_delay_ms: Option<u64>,
}

/// What a node used in some time.
#[derive(Serialize, ToSchema)]
struct UsedBefore {
    /// The end of that time.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Its length, without times in which the node did not run.
    seconds: u32,
    /// The most that was seen.
    memory_bytes: u64,
    disk_bytes: u64,
    processes: u32,
    cpu_ms: u64,
    /// Messages that its processes received.
    messages: u64,
    requests: u64,
}

impl From<UsageView> for NodeUsage {
    fn from(usage: UsageView) -> Self {
        let limits = usage.limits;
        let (now, process_limits, processes) = match usage.now {
            Some(report) => {
                let processes = report.processes.into_iter();
                let processes = processes.map(|(id, usage)| ProcessUse::new(id.to_string(), usage));
                let limits = ProcessLimits::from(report.limits);
                (Some(report.node.into()), Some(limits), processes.collect())
            }
            None => (None, None, Vec::new()),
        };
        Self {
            label: usage.label.to_string(),
            status: usage.status.into(),
            disk_bytes: usage.disk.total(),
            disk_files_bytes: usage.disk.files_bytes,
            disk_state_bytes: usage.disk.state_bytes,
            disk_kv_bytes: usage.disk.kv_bytes,
            disk_sqlite_bytes: usage.disk.sqlite_bytes,
            now,
            limits: NodeLimits {
                memory_bytes: limits.memory_bytes,
                disk_bytes: limits.disk_bytes,
                disk_bytes_per_second: limits.disk_bytes_per_second,
                processes: limits.processes,
            },
            process_limits,
            processes,
            history: usage.history.into_iter().map(UsedBefore::from).collect(),
        }
    }
}

impl From<Now> for UsageNow {
    fn from(now: Now) -> Self {
        Self {
            memory_bytes: now.memory_bytes,
            memory_peak_bytes: now.memory_peak_bytes,
            disk_bytes: now.disk_bytes,
            disk_written_bytes: now.disk_written_bytes,
            disk_slowed: now.disk_slowed,
            processes: now.processes,
            cpu_ms: now.cpu_micros / 1000,
            messages_in: now.messages_in,
            messages_out: now.messages_out,
            message_bytes: now.message_bytes,
            requests: now.requests,
            prints: now.prints,
            prints_left_out: now.prints_left_out,
            dropped: now.dropped,
            refused: now.refused,
            denied: now.denied,
            restarts: now.restarts,
        }
    }
}

impl From<UsageLimits> for ProcessLimits {
    fn from(limits: UsageLimits) -> Self {
        Self {
            outstanding: limits.outstanding,
            outstanding_bytes: limits.outstanding_bytes,
            state_bytes: limits.state_bytes,
            message_bytes: limits.message_bytes,
            peer_message_bytes: limits.peer_message_bytes,
            mailbox_messages: limits.mailbox_messages,
            mailbox_bytes: limits.mailbox_bytes,
            capabilities: limits.capabilities,
            prints_at_once: limits.prints_at_once,
            prints_per_second: limits.prints_per_second,
            spawns_at_once: limits.spawns_at_once,
            spawns_per_second: limits.spawns_per_second,
        }
    }
}

impl ProcessUse {
    fn new(process: String, usage: ProcessUsage) -> Self {
        Self {
            process,
            module: usage.module,
            memory_bytes: usage.memory_bytes,
            memory_peak_bytes: usage.memory_peak_bytes,
            cpu_ms: usage.cpu_micros / 1000,
            messages_in: usage.messages_in,
            bytes_in: usage.bytes_in,
            messages_out: usage.messages_out,
            bytes_out: usage.bytes_out,
            outstanding: usage.outstanding,
            outstanding_bytes: usage.outstanding_bytes,
            mailbox_messages: usage.mailbox_messages,
            mailbox_bytes: usage.mailbox_bytes,
            mailbox_percent: usage.mailbox_percent,
            prints: usage.prints,
            prints_left_out: usage.prints_left_out,
            dropped: usage.dropped,
            refused: usage.refused,
            denied: usage.denied,
            restarts: usage.restarts,
            up_ms: usage.up_ms,
            restart_in_ms: usage.restart_in_ms,
            restart_delay_ms: usage.restart_delay_ms,
        }
    }
}

impl From<UsageSample> for UsedBefore {
    fn from(sample: UsageSample) -> Self {
        Self {
            at: sample.at,
            seconds: sample.seconds,
            memory_bytes: sample.memory_bytes,
            disk_bytes: sample.disk_bytes,
            processes: sample.processes,
            cpu_ms: sample.cpu_ms,
            messages: sample.messages,
            requests: sample.requests,
        }
    }
}
