//! The commands that end by themselves.

pub mod check_config;
pub mod egress;
pub mod follow;
pub mod migrate;
pub mod node;
pub mod nodes;
pub mod operator;
pub mod precompile;
pub mod restart;

use std::io::Write;
use std::time::Duration;

use anyhow::Context;
use lifecycle::Tasks;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::database::Database;

/// Prints the version.
///
/// # Errors
/// Standard output is closed.
pub fn version() -> anyhow::Result<()> {
    say(&format!("berth {}", env!("CARGO_PKG_VERSION")))
}

/// Writes a line of a command's result to standard output.
///
/// # Errors
/// Standard output is closed.
pub fn say(line: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}

/// Runs `work` with the database of the host on this data directory, or with a
/// private one of its own.
fn with_database<T>(
    config: &Config,
    work: impl AsyncFnOnce(&Database, Tasks) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    with_tasks(async |tasks| {
        let database = Database::open_beside(config, &tasks).await?;
        let done = work(&database, tasks).await;
        database.close().await;
        done
    })
}

/// Runs `work` to its end, and what it started.
fn with_tasks<T>(work: impl AsyncFnOnce(Tasks) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("start threads")?;
    runtime.block_on(async {
        let tasks = Tasks::new(runtime.handle().clone(), &CancellationToken::new());
        let done = work(tasks.clone()).await;
        tasks.shutdown(Duration::from_secs(5)).await;
        done
    })
}
