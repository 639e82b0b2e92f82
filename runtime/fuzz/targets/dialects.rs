//! Requests to the storage modules in the shapes of every generation, and the
//! answers to them. The first byte says which module reads the rest.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some((choice, body)) = data.split_first() {
        berth_fuzz::hold(&node_services::fuzzing::dialects(*choice, body));
    }
});
