//! What a node uses, as lines of text.

use std::fmt::Write as _;

use node_api::{DiskUse, NodeUsage, ProcessUsage, UsageReport};
use tenant_manager::{UsageSample, UsageView};
use time::format_description::well_known::Rfc3339;

const MIB: u64 = 1 << 20;

/// The text; with the past if that is wanted.
pub fn write(usage: &UsageView, history: bool) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{} is {}", usage.label, usage.status);
    let limits = usage.limits;
    let now = usage
        .now
        .as_ref()
        .map(|report| report.node)
        .unwrap_or_default();
    let _ = writeln!(
        text,
        "memory {} of {} MiB, disk {} of {} MiB, processes {} of {}",
        mib(now.memory_bytes),
        limits.memory_bytes / MIB,
        mib(usage.disk.total()),
        limits.disk_bytes / MIB,
        now.processes,
        limits.processes,
    );
    disk(&mut text, usage.disk);
    if let Some(report) = &usage.now {
        let _ = writeln!(
            text,
            "since it was started: most memory {} MiB, cpu {} ms, messages {} in, {} out, \
             requests {}, restarts {}, prints left out {}, messages dropped {}, refused {}, \
             limits reached {}",
            mib(now.memory_peak_bytes),
            now.cpu_micros / 1000,
            now.messages_in,
            now.messages_out,
            now.requests,
            now.restarts,
            now.prints_left_out,
            now.dropped,
            now.refused,
            now.denied,
        );
        written(&mut text, &now, limits.disk_bytes_per_second);
        processes(&mut text, report);
    }
    if history {
        text.push_str("time seconds memory-MiB disk-MiB cpu-ms messages requests\n");
        for sample in &usage.history {
            before(&mut text, sample);
        }
    }
    text
}

fn disk(text: &mut String, disk: DiskUse) {
    let _ = writeln!(
        text,
        "of the disk: files {} MiB, state {} MiB, key-value {} MiB, SQLite {} MiB",
        mib(disk.files_bytes),
        mib(disk.state_bytes),
        mib(disk.kv_bytes),
        mib(disk.sqlite_bytes),
    );
}

fn written(text: &mut String, now: &NodeUsage, rate: u64) {
    let rate = match rate {
        0 => "as fast as it likes".to_owned(),
        rate => format!("at most {} MiB a second", rate / MIB),
    };
    let _ = writeln!(
        text,
        "written to disk {} MiB, {rate}; writes that had to wait {}",
        mib(now.disk_written_bytes),
        now.disk_slowed,
    );
}

fn processes(text: &mut String, report: &UsageReport) {
    text.push_str(
        "process memory-MiB cpu-ms in out mailbox outstanding restarts left-out denied\n",
    );
    for (id, usage) in &report.processes {
        let _ = write!(
            text,
            "{id} {} {} {} {} {} {} {} {} {}",
            mib(usage.memory_bytes),
            usage.cpu_micros / 1000,
            usage.messages_in,
            usage.messages_out,
            usage.mailbox_messages,
            usage.outstanding,
            usage.restarts,
            usage.prints_left_out,
            usage.denied,
        );
        waiting(text, usage);
        text.push('\n');
    }
}

fn waiting(text: &mut String, usage: &ProcessUsage) {
    if let Some(wait) = usage.restart_in_ms {
        let whole = usage.restart_delay_ms.unwrap_or(wait);
        let _ = write!(
            text,
            " (restarts in {} s, backed off to {} s)",
            wait.div_ceil(1000),
            whole.div_ceil(1000)
        );
    }
}

fn before(text: &mut String, sample: &UsageSample) {
    let _ = writeln!(
        text,
        "{} {} {} {} {} {} {}",
        sample.at.format(&Rfc3339).unwrap_or_default(),
        sample.seconds,
        mib(sample.memory_bytes),
        mib(sample.disk_bytes),
        sample.cpu_ms,
        sample.messages,
        sample.requests,
    );
}

/// MiB with one digit.
pub fn mib(bytes: u64) -> String {
    let tenths = bytes / (MIB / 10);
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use tenant_manager::PlanLimits;
    use tenant_model::{Label, NodeStatus};

    use super::*;

    #[test]
    fn a_node_that_runs_and_one_that_sleeps() {
        let looping = ProcessUsage {
            memory_bytes: 3 * MIB / 2,
            restarts: 3,
            restart_in_ms: Some(1_200),
            restart_delay_ms: Some(2_000),
            ..ProcessUsage::default()
        };
        let mut usage = UsageView {
            label: Label::parse("alice").unwrap(),
            status: NodeStatus::Active,
            now: Some(UsageReport {
                node: NodeUsage {
                    disk_written_bytes: 5 * MIB / 2,
                    disk_slowed: 3,
                    ..NodeUsage::default()
                },
                processes: [("a:b:c".parse().unwrap(), looping)].into(),
                ..UsageReport::default()
            }),
            disk: DiskUse {
                files_bytes: 3 * MIB / 4,
                sqlite_bytes: MIB / 4,
                ..DiskUse::default()
            },
            limits: PlanLimits {
                memory_bytes: 256 * MIB,
                disk_bytes: 2048 * MIB,
                disk_bytes_per_second: 256 * MIB,
                processes: 64,
            },
            history: Vec::new(),
        };
        let text = write(&usage, false);
        assert!(text.starts_with("alice is active\nmemory 0.0 of 256 MiB, disk 1.0 of 2048 MiB"));
        for line in [
            "of the disk: files 0.7 MiB, state 0.0 MiB, key-value 0.0 MiB, SQLite 0.2 MiB",
            "written to disk 2.5 MiB, at most 256 MiB a second; writes that had to wait 3",
        ] {
            assert!(text.lines().any(|told| told == line), "{line}: {text}");
        }
        assert!(text.ends_with("a:b:c 1.5 0 0 0 0 0 3 0 0 (restarts in 2 s, backed off to 2 s)\n"));
        usage.now = None;
        usage.status = NodeStatus::Hibernated;
        let text = write(&usage, true);
        assert!(text.starts_with("alice is hibernated\n") && text.ends_with("requests\n"));
        assert!(!text.contains("a:b:c") && !text.contains("written to disk"));
        assert!(text.contains("of the disk: files 0.7 MiB"), "{text}");
    }
}
