//! What this process uses, and the most it can: read from `/proc`, for the
//! admission of nodes and for the metrics.

use std::fs;
use std::path::Path;

use nix::sys::resource::{Resource, getrlimit};
use tenant_manager::{HostGauge, HostUse, Share};

/// Where a control group says how much memory it may use; version 2, then 1.
const GROUP_LIMITS: [&str; 2] = [
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
];
/// Bytes of a memory page are told in kibibytes here.
const KIB: u64 = 1024;

/// Reads this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcGauge;

impl HostGauge for ProcGauge {
    fn read(&self) -> Option<HostUse> {
        Some(HostUse {
            mappings: Share {
                used: mappings()?,
                limit: number(Path::new("/proc/sys/vm/max_map_count"))?,
            },
            descriptors: Share {
                used: descriptors()?,
                limit: getrlimit(Resource::RLIMIT_NOFILE).ok()?.0,
            },
            memory: Share {
                used: field("/proc/self/status", "VmRSS:")? * KIB,
                limit: memory_limit()?,
            },
        })
    }
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Memory mappings: one a line, and there may be tens of thousands.
fn mappings() -> Option<u64> {
    let lines = fs::read("/proc/self/maps").ok()?;
    u64::try_from(lines.iter().filter(|byte| **byte == b'\n').count()).ok()
}

fn descriptors() -> Option<u64> {
    u64::try_from(fs::read_dir("/proc/self/fd").ok()?.count()).ok()
}

/// The number after `name` in a file of `name: number kB` lines.
fn field(path: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// What the machine has, or less where the control group says so.
fn memory_limit() -> Option<u64> {
    let machine = field("/proc/meminfo", "MemTotal:")? * KIB;
    let group = GROUP_LIMITS.iter().find_map(|path| number(Path::new(path)));
    Some(group.map_or(machine, |group| group.min(machine)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something_of_everything_and_not_all() {
        let HostUse {
            mappings,
            descriptors,
            memory,
        } = ProcGauge.read().unwrap();
        for share in [mappings, descriptors, memory] {
            assert!(share.used > 2 && share.used < share.limit, "{share:?}");
        }
        let held: Vec<_> = (0..50).map(|_| fs::File::open("/proc/self/maps")).collect();
        let more = ProcGauge.read().unwrap().descriptors.used;
        assert!(more >= descriptors.used + 40, "{more}, {descriptors:?}");
        drop(held);
    }
}
