//! Envelopes of the RPC, and answers to it.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    berth_fuzz::hold(&node_services::fuzzing::rpc_json(data));
});
