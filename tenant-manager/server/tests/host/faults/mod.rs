//! What breaks under a host, and what its tenants notice of it.

mod cases;
mod database;
mod disk;
mod failpoints;
mod stuck;
mod trips;

use std::time::Duration;

use super::support::{
    self, Api, Database, Host, Kit, Metrics, Postgres, Ssh, eventually, test_package,
};

/// On a busy machine things may take that long.
const PATIENCE: Duration = Duration::from_secs(60);
