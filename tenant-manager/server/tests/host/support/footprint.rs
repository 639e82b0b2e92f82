//! What the process of a host takes of the machine.

use std::time::Duration;

use super::Host;

/// Clock ticks a second in `/proc/PID/stat`; Linux has had no other number on
/// any machine that this runs on.
const TICKS: f64 = 100.0;

/// One look at it.
#[derive(Debug, Clone, Copy)]
pub struct Footprint {
    /// Resident memory, KiB.
    pub rss_kib: u64,
    /// The same with shared pages divided among who shares them.
    pub pss_kib: u64,
    /// Open descriptors.
    pub descriptors: usize,
    /// Threads.
    pub threads: usize,
    /// Mappings.
    pub mappings: usize,
    /// Time on a processor since its start.
    pub cpu: Duration,
}

impl Footprint {
    /// Of `host`, now. A host hides its memory from all but root.
    pub fn of(host: &Host) -> Self {
        let pid = host.ready()["pid"].as_u64().unwrap();
        let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap();
        let count = |name: &str| {
            std::fs::read_dir(format!("/proc/{pid}/{name}"))
                .unwrap()
                .count()
        };
        let rollup = read("smaps_rollup");
        let stat = read("stat");
        // The name before it may hold spaces, and ends at the last parenthesis.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split(' ').collect();
        let ticks = |at: usize| fields[at].parse::<f64>().unwrap();
        Self {
            rss_kib: kib(&rollup, "Rss:"),
            pss_kib: kib(&rollup, "Pss:"),
            descriptors: count("fd"),
            threads: count("task"),
            mappings: read("maps").lines().count(),
            cpu: Duration::from_secs_f64((ticks(12) + ticks(13)) / TICKS),
        }
    }
}

/// A line such as `Pss:     1234 kB`.
fn kib(text: &str, name: &str) -> u64 {
    let number = text.lines().find_map(|line| {
        let rest = line.strip_prefix(name)?.trim();
        rest.split(' ').next()?.parse().ok()
    });
    number.unwrap_or_else(|| panic!("no {name} in {text}"))
}
