//! Logs to standard error: text for a person, JSON for a machine.
//!
//! Standard output belongs to the ready line and to command results.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging; `BERTH_LOG` chooses levels as `RUST_LOG` does elsewhere.
pub fn start() {
    let filter = EnvFilter::try_from_env("BERTH_LOG")
        .unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn,russh=warn,wasmtime=warn"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        builder.init();
    } else {
        builder.json().init();
    }
}
