//! What a node and its processes use, and what they may: the words for it.
//!
//! Owns only data. Invariant: counters rise while a process is in the process
//! table, through all its lives, and begin anew with the node; fields that a
//! reader does not know are ignored, those that it misses are zero.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ProcessId;

/// What a node uses now, and has used since it was booted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeUsage {
    /// Linear memories of its processes, bytes.
    pub memory_bytes: u64,
    /// The most of it at once.
    pub memory_peak_bytes: u64,
    /// What it keeps on disk, of all stores, bytes. It is counted in the first
    /// moments after its boot.
    pub disk_bytes: u64,
    /// Of these, its files.
    pub disk_files_bytes: u64,
    /// Of these, the state of its processes and what the runtime keeps for it.
    pub disk_state_bytes: u64,
    /// Of these, its key-value databases.
    pub disk_kv_bytes: u64,
    /// Of these, its SQLite databases.
    pub disk_sqlite_bytes: u64,
    /// What was written to disk for it, bytes.
    pub disk_written_bytes: u64,
    /// How often a write waited because there were too many.
    pub disk_slowed: u64,
    /// Processes in its map, without modules.
    pub processes: u32,
    /// Processor time of its processes, microseconds.
    pub cpu_micros: u64,
    /// Messages that its processes took out of their mailboxes.
    pub messages_in: u64,
    /// Messages that its processes sent.
    pub messages_out: u64,
    /// Bytes of both.
    pub message_bytes: u64,
    /// HTTP requests that it answered.
    pub requests: u64,
    /// Prints of its processes.
    pub prints: u64,
    /// Of these, those left out because there were too many.
    pub prints_left_out: u64,
    /// Messages that found no room in a mailbox.
    pub dropped: u64,
    /// Messages that were not allowed.
    pub refused: u64,
    /// What was denied because a limit was reached.
    pub denied: u64,
    /// Restarts of its processes.
    pub restarts: u64,
}

/// What a node keeps on disk, by what keeps it. Fields are stored by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DiskUse {
    /// Files, bytes.
    pub files_bytes: u64,
    /// State of processes and what the runtime keeps for the node, bytes.
    pub state_bytes: u64,
    /// Key-value databases, bytes.
    pub kv_bytes: u64,
    /// SQLite databases, bytes.
    pub sqlite_bytes: u64,
}

/// What one process uses, and has used since it was entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessUsage {
    /// It is a part of the runtime: of these only mailboxes are counted.
    pub module: bool,
    /// Its linear memory, bytes.
    pub memory_bytes: u64,
    /// The most of it at once.
    pub memory_peak_bytes: u64,
    /// Processor time, microseconds.
    pub cpu_micros: u64,
    /// Messages that it took out of its mailbox.
    pub messages_in: u64,
    /// Their bytes.
    pub bytes_in: u64,
    /// Messages that it sent.
    pub messages_out: u64,
    /// Their bytes.
    pub bytes_out: u64,
    /// Its requests that wait for an answer.
    pub outstanding: u64,
    /// Their bytes.
    pub outstanding_bytes: u64,
    /// Messages in its mailbox.
    pub mailbox_messages: u64,
    /// Their bytes.
    pub mailbox_bytes: u64,
    /// How full its mailbox is, of 100.
    pub mailbox_percent: u8,
    /// Its prints.
    pub prints: u64,
    /// Of these, those left out because there were too many.
    pub prints_left_out: u64,
    /// Messages of it that found no room in a mailbox.
    pub dropped: u64,
    /// Messages of it that were not allowed.
    pub refused: u64,
    /// What was denied to it because a limit was reached.
    pub denied: u64,
    /// How often it was restarted.
    pub restarts: u64,
    /// Milliseconds since its present life began; absent while it has none.
    pub up_ms: Option<u64>,
    /// Milliseconds until it is restarted, while it waits for that.
    pub restart_in_ms: Option<u64>,
    /// All that it waits, milliseconds: its back-off.
    pub restart_delay_ms: Option<u64>,
}

/// What a node and each of its processes may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct UsageLimits {
    /// Linear memories of all processes together, bytes.
    pub memory_bytes: u64,
    /// Files, databases and state together, bytes.
    pub disk_bytes: u64,
    /// What may be written to disk in a second, when there was much, bytes; 0 =
    /// as much as one likes.
    pub disk_bytes_per_second: u64,
    /// Processes, without modules.
    pub processes: u32,
    /// New processes at once.
    pub spawns_at_once: u32,
    /// New processes a second, when there were many.
    pub spawns_per_second: u32,
    /// Requests of a process that wait for an answer.
    pub outstanding: u64,
    /// Their bytes.
    pub outstanding_bytes: u64,
    /// Saved state of a process, bytes.
    pub state_bytes: u64,
    /// A message inside the node, with its blob, bytes.
    pub message_bytes: u64,
    /// A message to another node, with its blob, bytes.
    pub peer_message_bytes: u64,
    /// Messages in the mailbox of a process.
    pub mailbox_messages: u64,
    /// Their bytes.
    pub mailbox_bytes: u64,
    /// Prints of a process at once.
    pub prints_at_once: u32,
    /// Prints of a process a second, when there were many.
    pub prints_per_second: u32,
    /// Capabilities that a process holds.
    pub capabilities: u64,
}

/// What a node uses and may use, process by process.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct UsageReport {
    /// All together.
    pub node: NodeUsage,
    /// What it may.
    pub limits: UsageLimits,
    /// Each by itself.
    pub processes: BTreeMap<ProcessId, ProcessUsage>,
}

impl DiskUse {
    /// All of it, bytes.
    #[must_use]
    pub fn total(&self) -> u64 {
        let Self {
            files_bytes,
            state_bytes,
            kv_bytes,
            sqlite_bytes,
        } = *self;
        [files_bytes, state_bytes, kv_bytes, sqlite_bytes]
            .into_iter()
            .fold(0, u64::saturating_add)
    }
}

impl NodeUsage {
    /// What it keeps on disk, by what keeps it.
    #[must_use]
    pub fn disk(&self) -> DiskUse {
        DiskUse {
            files_bytes: self.disk_files_bytes,
            state_bytes: self.disk_state_bytes,
            kv_bytes: self.disk_kv_bytes,
            sqlite_bytes: self.disk_sqlite_bytes,
        }
    }

    /// Adds what a process has used.
    pub fn add(&mut self, process: &ProcessUsage) {
        self.cpu_micros += process.cpu_micros;
        self.messages_in += process.messages_in;
        self.messages_out += process.messages_out;
        self.message_bytes += process.bytes_in + process.bytes_out;
        self.prints += process.prints;
        self.prints_left_out += process.prints_left_out;
        self.dropped += process.dropped;
        self.refused += process.refused;
        self.denied += process.denied;
        self.restarts += process.restarts;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_survives_json_and_unknown_fields() {
        let mut report = UsageReport::default();
        let process = ProcessUsage {
            cpu_micros: 5,
            bytes_in: 1,
            bytes_out: 2,
            restart_in_ms: Some(8000),
            ..ProcessUsage::default()
        };
        report.node.add(&process);
        assert_eq!((report.node.cpu_micros, report.node.message_bytes), (5, 3));
        report.processes.insert("a:b:c".parse().unwrap(), process);
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<UsageReport>(&text).unwrap(), report);
        let newer = r#"{"node":{"memory_bytes":7,"of_the_future":1},"more":{}}"#;
        let read: UsageReport = serde_json::from_str(newer).unwrap();
        assert_eq!(read.node.memory_bytes, 7);
    }

    #[test]
    fn what_is_on_disk_is_the_sum_of_its_stores() {
        let node = NodeUsage {
            disk_files_bytes: 1,
            disk_state_bytes: 20,
            disk_kv_bytes: 300,
            disk_sqlite_bytes: 4000,
            ..NodeUsage::default()
        };
        assert_eq!(node.disk().total(), 4321);
        let endless = DiskUse {
            files_bytes: u64::MAX,
            kv_bytes: 1,
            ..DiskUse::default()
        };
        assert_eq!(endless.total(), u64::MAX);
    }
}
