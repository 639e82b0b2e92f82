//! Paths: how they are read, and what can be reached with them. The first byte
//! says what is done, the first line is the path, the rest another.

#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use node_services::fuzzing::Files;

static FILES: OnceLock<Files> = OnceLock::new();

fuzz_target!(|data: &[u8]| {
    let files = FILES.get_or_init(|| berth_fuzz::files("vfs_paths", 4 << 20));
    if let Some((choice, rest)) = data.split_first()
        && let Ok(text) = std::str::from_utf8(rest)
    {
        let (path, new_path) = text.split_once('\n').unwrap_or((text, ""));
        berth_fuzz::hold(&files.path(*choice, path, new_path));
    }
});
