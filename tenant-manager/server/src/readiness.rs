//! Whether the host can do its work, asked at each `/readyz`.
//!
//! Ready means: it takes requests, the database answers, the store can be
//! written and the disk has room. Stateless.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use node_runtime::HostStore;
use tenant_storage_pg::Pg;

/// With less room than this on its disk a host should get nothing more to do:
/// logs, the store's own upkeep and the database need some.
const LEAST_ROOM: u64 = 256 << 20;
/// How long database and store may take to answer, each.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is asked.
pub struct Readiness {
    /// The control plane's database.
    pub pg: Pg,
    /// State of all nodes.
    pub store: HostStore,
    /// The data directory.
    pub home: PathBuf,
    /// The doors take nothing new any more.
    pub closing: Arc<AtomicBool>,
}

impl Readiness {
    /// Asks everything.
    ///
    /// # Errors
    /// Says what is missing, in one sentence.
    pub async fn ready(&self) -> Result<(), String> {
        if self.closing.load(Ordering::Relaxed) {
            return Err("the host is going down or starting anew".to_owned());
        }
        match tokio::time::timeout(PATIENCE, self.pg.ping()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(format!("the database does not answer: {error}")),
            Err(_elapsed) => return Err(format!("the database is silent for {PATIENCE:?}")),
        }
        match tokio::time::timeout(PATIENCE, self.store.sync()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(format!("the store cannot be written: {error}")),
            Err(_elapsed) => return Err(format!("the store takes more than {PATIENCE:?} to sync")),
        }
        let room = rustix::fs::statvfs(&self.home)
            .map_err(|error| format!("the disk cannot be looked at: {error}"))?;
        enough(room.f_bavail.saturating_mul(room.f_frsize))
    }
}

fn enough(free: u64) -> Result<(), String> {
    if free >= LEAST_ROOM {
        return Ok(());
    }
    Err(format!(
        "the disk of the data directory has only {} MiB left: make room",
        free >> 20
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_said_with_what_is_left() {
        assert_eq!(enough(LEAST_ROOM), Ok(()));
        let refused = enough(LEAST_ROOM - 1).unwrap_err();
        assert!(refused.contains("255 MiB left"), "{refused}");
    }
}
