//! Paths of requests: which route they lead to, and that nothing leads to the
//! RPC unseen. The first line is the path, the others are bound before.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        berth_fuzz::hold(&node_services::fuzzing::http_paths(text));
    }
});
