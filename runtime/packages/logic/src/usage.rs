//! What the node and its processes use, as `top` words it.

use std::fmt::Write as _;

use node_types::{DiskUse, NodeUsage, ProcessId, ProcessUsage, UsageLimits, UsageReport};
use serde_json::Value;

const MIB: u64 = 1 << 20;

/// Reads the report out of the kernel's answer.
///
/// # Errors
/// A sentence when it has another shape.
pub fn from_json(report: Value) -> Result<UsageReport, String> {
    serde_json::from_value(report)
        .map_err(|error| format!("the kernel's report of usage cannot be read: {error}"))
}

/// Lines about one process, to stand below what else is said of it.
#[must_use]
pub fn describe(report: &UsageReport, id: &ProcessId) -> String {
    match report.processes.get(id) {
        Some(usage) if usage.module => mailbox(usage),
        Some(usage) => describe_process(usage, &report.limits),
        None => String::new(),
    }
}

fn mailbox(usage: &ProcessUsage) -> String {
    format!(
        "\n    mailbox: {} messages, {}, {} % full",
        usage.mailbox_messages,
        bytes(usage.mailbox_bytes),
        usage.mailbox_percent
    )
}

fn describe_process(usage: &ProcessUsage, limits: &UsageLimits) -> String {
    let mut text = format!(
        "\n    memory: {} (most {}), cpu: {}, messages: {} in, {} out{}\
         \n    outstanding: {} of {} requests, restarts: {}",
        bytes(usage.memory_bytes),
        bytes(usage.memory_peak_bytes),
        seconds(usage.cpu_micros / 1000),
        usage.messages_in,
        usage.messages_out,
        mailbox(usage),
        usage.outstanding,
        limits.outstanding,
        usage.restarts,
    );
    // Writing to a string cannot fail.
    if let Some(up) = usage.up_ms {
        let _ = write!(text, ", up {}", seconds(up));
    }
    if let Some(wait) = usage.restart_in_ms {
        let whole = usage.restart_delay_ms.unwrap_or(wait);
        let _ = write!(
            text,
            "\n    restarts in {} (backed off to {})",
            seconds(wait),
            seconds(whole)
        );
    }
    let troubles = [
        (usage.prints_left_out, "prints left out"),
        (usage.dropped, "messages dropped"),
        (usage.refused, "messages refused"),
        (usage.denied, "times denied more than a limit allows"),
    ];
    let troubles: Vec<_> = troubles
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    if !troubles.is_empty() {
        let _ = write!(text, "\n    {}", troubles.join(", "));
    }
    text
}

/// A line about the node as a whole.
#[must_use]
pub fn summary(report: &UsageReport) -> String {
    let UsageReport { node, limits, .. } = report;
    let mut text = format!(
        "memory {}, disk {} ({}), processes {} of {}, cpu {}, messages {} in, {} out, \
         requests {}",
        of(node.memory_bytes, limits.memory_bytes),
        of(node.disk_bytes, limits.disk_bytes),
        stores(node.disk()),
        node.processes,
        limits.processes,
        seconds(node.cpu_micros / 1000),
        node.messages_in,
        node.messages_out,
        node.requests,
    );
    let NodeUsage {
        prints_left_out,
        dropped,
        refused,
        denied,
        restarts,
        disk_slowed,
        ..
    } = *node;
    for (count, what) in [
        (disk_slowed, "writes slowed"),
        (restarts, "restarts"),
        (prints_left_out, "prints left out"),
        (dropped, "messages dropped"),
        (refused, "messages refused"),
        (denied, "denied"),
    ] {
        if count > 0 {
            let _ = write!(text, ", {what} {count}");
        }
    }
    text
}

/// What fills the disk: `files 1.0, state 0.1, kv 0.0, sqlite 3.5`.
fn stores(disk: DiskUse) -> String {
    format!(
        "files {}, state {}, kv {}, sqlite {}",
        tenths(disk.files_bytes),
        tenths(disk.state_bytes),
        tenths(disk.kv_bytes),
        tenths(disk.sqlite_bytes)
    )
}

/// `12.3 of 256 MiB`.
fn of(used: u64, limit: u64) -> String {
    format!("{} of {} MiB", tenths(used), limit / MIB)
}

/// MiB with one digit.
fn tenths(bytes: u64) -> String {
    let tenths = bytes / (MIB / 10);
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn bytes(amount: u64) -> String {
    match amount {
        0 => "0".to_owned(),
        amount if amount < MIB => format!("{} KiB", amount.div_ceil(1024)),
        amount => format!("{} MiB", tenths(amount)),
    }
}

/// A time as people say it.
fn seconds(millis: u64) -> String {
    match millis {
        0..=9_999 => format!("{}.{} s", millis / 1000, millis % 1000 / 100),
        10_000..=119_999 => format!("{} s", millis / 1000),
        120_000..=7_199_999 => format!("{} min", millis / 60_000),
        _ => format!("{} h", millis / 3_600_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> UsageReport {
        let app = ProcessUsage {
            memory_bytes: 3 * MIB / 2,
            memory_peak_bytes: 4 * MIB,
            cpu_micros: 1_250_000,
            messages_in: 7,
            messages_out: 5,
            outstanding: 2,
            mailbox_messages: 3,
            mailbox_bytes: 2048,
            mailbox_percent: 1,
            restarts: 4,
            restart_in_ms: Some(7_900),
            restart_delay_ms: Some(8_000),
            prints_left_out: 12,
            ..ProcessUsage::default()
        };
        let module = ProcessUsage {
            module: true,
            ..ProcessUsage::default()
        };
        let mut report = UsageReport {
            node: NodeUsage {
                memory_bytes: 123 * MIB / 10,
                disk_bytes: 4 * MIB,
                disk_files_bytes: 3 * MIB / 2,
                disk_sqlite_bytes: 5 * MIB / 2,
                disk_slowed: 3,
                processes: 14,
                denied: 2,
                ..NodeUsage::default()
            },
            limits: UsageLimits {
                memory_bytes: 256 * MIB,
                disk_bytes: 2048 * MIB,
                processes: 64,
                outstanding: 4096,
                ..UsageLimits::default()
            },
            ..UsageReport::default()
        };
        report.node.add(&app);
        report.processes.insert("a:b:c".parse().unwrap(), app);
        let vfs = "vfs:distro:sys".parse().unwrap();
        report.processes.insert(vfs, module);
        report
    }

    #[test]
    fn a_process_that_waits_for_its_restart_says_so() {
        let text = describe(&report(), &"a:b:c".parse().unwrap());
        assert_eq!(
            text,
            "\n    memory: 1.5 MiB (most 4.0 MiB), cpu: 1.2 s, messages: 7 in, 5 out\
             \n    mailbox: 3 messages, 2 KiB, 1 % full\
             \n    outstanding: 2 of 4096 requests, restarts: 4\
             \n    restarts in 7.9 s (backed off to 8.0 s)\
             \n    12 prints left out"
        );
        let module = describe(&report(), &"vfs:distro:sys".parse().unwrap());
        assert_eq!(module, "\n    mailbox: 0 messages, 0, 0 % full");
        assert_eq!(describe(&report(), &"x:y:z".parse().unwrap()), "");
    }

    #[test]
    fn the_node_stands_beside_its_limits() {
        assert_eq!(
            summary(&report()),
            "memory 12.3 of 256 MiB, disk 4.0 of 2048 MiB (files 1.5, state 0.0, kv 0.0, \
             sqlite 2.5), processes 14 of 64, cpu 1.2 s, messages 7 in, 5 out, requests 0, \
             writes slowed 3, restarts 4, prints left out 12, denied 2"
        );
    }

    #[test]
    fn times_are_rounded_down_as_they_grow() {
        for (millis, text) in [
            (0, "0.0 s"),
            (9_999, "9.9 s"),
            (10_000, "10 s"),
            (600_000, "10 min"),
            (7_200_000, "2 h"),
        ] {
            assert_eq!(seconds(millis), text);
        }
    }
}
