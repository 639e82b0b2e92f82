//! `berth migrate`: brings the schema up to date.

use crate::commands::{say, with_database};
use crate::config::Config;

/// Migrates the named database, or the private one.
///
/// # Errors
/// The database cannot be reached or a migration failed.
pub fn run(config: &Config) -> anyhow::Result<()> {
    with_database(config, async |_database, _tasks| Ok(()))?;
    say("the database's schema is up to date")
}
