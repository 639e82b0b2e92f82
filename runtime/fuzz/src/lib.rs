//! What the fuzz targets share. Each is a program around libFuzzer, in
//! `targets/`; `run` builds one with coverage and runs it for a while. A
//! finding is a panic, which ends the program and leaves the input behind.

use std::path::PathBuf;

use node_services::fuzzing::Files;

/// Names the directory that targets may fill; else it is among the temporary
/// ones.
const DIRECTORY: &str = "BERTH_FUZZ_DIRECTORY";

/// A node's files of at most `limit` bytes, for the target `name` alone.
///
/// # Panics
/// When there is no room for them.
#[must_use]
#[expect(clippy::unwrap_used, reason = "nothing can be tested without")]
pub fn files(name: &str, limit: u64) -> Files {
    let among = std::env::var_os(DIRECTORY).map_or_else(std::env::temp_dir, PathBuf::from);
    let own = among.join(format!("{name}-{}", std::process::id()));
    Files::new(&own, limit).unwrap()
}

/// Ends the program if something happened that should not have.
///
/// # Panics
/// Then.
pub fn hold(checked: &Result<(), String>) {
    assert_eq!(*checked, Ok(()));
}
