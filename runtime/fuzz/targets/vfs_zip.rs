//! Archives: whatever they say, they are unpacked inside and within the quota,
//! or leave nothing behind.

#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use node_services::fuzzing::Files;

static FILES: OnceLock<Files> = OnceLock::new();

fuzz_target!(|data: &[u8]| {
    let files = FILES.get_or_init(|| berth_fuzz::files("vfs_zip", 4 << 20));
    berth_fuzz::hold(&files.zip(data));
});
