//! What this process takes of the machine, sampled when somebody asks.
//!
//! Stateless. Invariant: no label names a tenant, here or in any other metric:
//! who asks for metrics may know how many tenants there are, not who.

use tenant_manager::{HostGauge, HostUse};
use tikv_jemalloc_ctl::{epoch, stats};

use crate::gauge::{self, ProcGauge};

/// Sets the gauges. Reads files of `/proc`, some of them long: not for an async
/// thread. What cannot be read is left as it was.
pub fn sample() {
    if let Some(HostUse {
        mappings,
        descriptors,
        memory,
    }) = ProcGauge.read()
    {
        set("process_open_fds", descriptors.used);
        set("process_max_fds", descriptors.limit);
        set("berth_process_mappings", mappings.used);
        set("berth_process_max_mappings", mappings.limit);
        set("process_resident_memory_bytes", memory.used);
        set("berth_process_max_memory_bytes", memory.limit);
    }
    if let Some(threads) = gauge::field("/proc/self/status", "Threads:") {
        set("berth_process_threads", threads);
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
    metrics::gauge!(name).set(value as f64);
}
