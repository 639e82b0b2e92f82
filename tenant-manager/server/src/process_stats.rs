//! What this process takes of the machine, sampled when somebody asks.
//!
//! Stateless. Invariant: no label names a tenant, here or in any other metric:
//! who asks for metrics may know how many tenants there are, not who.

use std::io::{BufRead, BufReader};

use metrics::gauge;
use tikv_jemalloc_ctl::{epoch, stats};

/// Sets the gauges. Reads files of `/proc`, some of them long: not for an async
/// thread. What cannot be read is left as it was.
pub fn sample() {
    if let Ok(entries) = std::fs::read_dir("/proc/self/fd") {
        // Without the one by which they are listed.
        set(
            "process_open_fds",
            (entries.count() as u64).saturating_sub(1),
        );
    }
    if let Ok((soft, _)) =
        nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE)
    {
        set("process_max_fds", soft);
    }
    if let Ok(maps) = std::fs::File::open("/proc/self/maps") {
        set("berth_process_mappings", lines(maps));
    }
    if let Some(most) = number("/proc/sys/vm/max_map_count") {
        set("berth_process_max_mappings", most);
    }
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        for (field, name, factor) in [
            ("VmRSS:", "process_resident_memory_bytes", 1024),
            ("Threads:", "berth_process_threads", 1),
        ] {
            if let Some(value) = field_of(&status, field) {
                set(name, value * factor);
            }
        }
    }
    // The allocator's figures are those of its last epoch.
    if epoch::advance().is_ok() {
        for (name, value) in [
            ("berth_allocator_allocated_bytes", stats::allocated::read()),
            ("berth_allocator_resident_bytes", stats::resident::read()),
            ("berth_allocator_retained_bytes", stats::retained::read()),
        ] {
            if let Ok(value) = value {
                set(name, value as u64);
            }
        }
    }
}

fn set(name: &'static str, value: u64) {
    // Exact up to 2^53, which nothing here comes near.
    gauge!(name).set(value as f64);
}

fn lines(file: std::fs::File) -> u64 {
    let mut reader = BufReader::with_capacity(64 << 10, file);
    let mut count = 0;
    loop {
        let length = match reader.fill_buf() {
            Ok([]) | Err(_) => return count,
            Ok(bytes) => {
                count += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
                bytes.len()
            }
        };
        reader.consume(length);
    }
}

fn number(path: &str) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The number after `field` in the text of `/proc/self/status`.
fn field_of(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_where_the_kernel_puts_them() {
        let status = "Name:\tberth\nVmRSS:\t  123456 kB\nThreads:\t17\n";
        assert_eq!(field_of(status, "VmRSS:"), Some(123_456));
        assert_eq!(field_of(status, "Threads:"), Some(17));
        assert_eq!(field_of(status, "VmSwap:"), None);
        let maps = std::fs::File::open("/proc/self/maps").unwrap();
        assert!(lines(maps) > 10);
    }
}
