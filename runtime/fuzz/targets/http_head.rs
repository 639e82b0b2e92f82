//! Heads of HTTP/1 requests: whatever the door lets through means to the parser
//! behind it what it meant to the door.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    berth_fuzz::hold(&web::fuzzing::http_head(data));
});
