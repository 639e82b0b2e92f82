//! What this process uses, and the most it can: read from `/proc`, for the
//! admission of nodes and for the metrics.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;

use nix::sys::resource::{Resource, getrlimit};
use tenant_manager::{HostGauge, HostUse, Share};

/// Where control groups are.
const GROUPS: &str = "/sys/fs/cgroup";
/// How much memory a control group of version 2 may use, in its directory.
const LIMIT: &str = "memory.max";
/// The same of version 1, below [`GROUPS`].
const OLD_LIMIT: &str = "memory/memory.limit_in_bytes";
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
    let mut lines = BufReader::with_capacity(64 << 10, fs::File::open("/proc/self/maps").ok()?);
    let mut count = 0;
    loop {
        let bytes = lines.fill_buf().ok()?;
        if bytes.is_empty() {
            return u64::try_from(count).ok();
        }
        count += bytes.iter().filter(|byte| **byte == b'\n').count();
        let read = bytes.len();
        lines.consume(read);
    }
}

/// Without the one by which they are listed.
fn descriptors() -> Option<u64> {
    u64::try_from(
        fs::read_dir("/proc/self/fd")
            .ok()?
            .count()
            .saturating_sub(1),
    )
    .ok()
}

/// The number after `name` in a file of `name: number kB` lines.
pub(crate) fn field(path: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// What the machine has, or less where a control group says so.
fn memory_limit() -> Option<u64> {
    let machine = field("/proc/meminfo", "MemTotal:")? * KIB;
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = group_limit(Path::new(GROUPS), &own);
    Some(group.map_or(machine, |group| group.min(machine)))
}

/// The least that this process' control group, or one above it, may use.
/// `own` says which it is, a line for each hierarchy. Seen from inside a
/// container that is the root, or a path that is not there: then what counts is
/// at the root.
fn group_limit(root: &Path, own: &str) -> Option<u64> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::"));
    let inside = path.filter(|path| !path.contains("/../"));
    let path = inside.unwrap_or_default().trim_start_matches('/');
    let groups = Path::new(path).ancestors();
    let limits = groups.filter_map(|group| number(&root.join(group).join(LIMIT)));
    limits.min().or_else(|| number(&root.join(OLD_LIMIT)))
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

    #[test]
    fn the_tightest_control_group_counts_wherever_it_is() {
        let root = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| {
            let file = root.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        let limit = |own: &str| group_limit(root.path(), own);
        assert_eq!(limit("0::/\n"), None);
        write("memory/memory.limit_in_bytes", "700\n");
        assert_eq!(limit("4:memory:/user\n"), Some(700), "version 1");
        // A unit of systemd: nothing is said at the root.
        let unit = "1:name=systemd:/x\n0::/system.slice/berth.service\n";
        write("system.slice/memory.max", "600\n");
        write("system.slice/berth.service/memory.max", "max\n");
        assert_eq!(limit(unit), Some(600), "of its slice");
        write("system.slice/berth.service/memory.max", "500\n");
        assert_eq!(limit(unit), Some(500), "its own");
        write("memory.max", "400\n");
        assert_eq!(limit(unit), Some(400), "of all");
        assert_eq!(limit("0::/../elsewhere\n"), Some(400), "in a container");
    }
}
