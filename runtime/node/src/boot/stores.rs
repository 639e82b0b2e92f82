//! The modules that keep things on disk, as boot makes and counts them.
//!
//! Invariant: none of them reads the disk before it is asked to or counted, but
//! for the directory of the files, so that a wake costs next to nothing.

use std::sync::Arc;

use lifecycle::{TaskKind, Tasks};
use node_api::{LaunchError, NodeLimits, NodeSpec};
use node_services::kv::Kv;
use node_services::sqlite::{Limits as SqlLimits, Options as SqlOptions, Sqlite};
use node_services::state::StateStore;
use node_services::vfs::{Options as VfsOptions, Vfs};
use node_services::{DiskQuota, KernelPort, Store, WriteRate};

use crate::launcher::Launcher;

/// Largest result of one query, bytes.
const RESULT_BYTES: u64 = 32 << 20;
/// Most memory of one statement, bytes.
const STATEMENT_BYTES: u64 = 32 << 20;

/// The node's disk budget.
pub(super) fn quota(limits: &NodeLimits, tasks: &Tasks) -> Arc<DiskQuota> {
    let rate = match limits.disk_bytes_per_second {
        0 => WriteRate::UNLIMITED,
        bytes => WriteRate::per_second(bytes),
    };
    DiskQuota::of_node(limits.disk_bytes, rate, tasks.token().clone())
}

/// All of them but state, which the kernel has too.
pub(super) struct Stores {
    pub(super) vfs: Arc<Vfs>,
    pub(super) kv: Arc<Kv>,
    pub(super) sqlite: Arc<Sqlite>,
}

impl Stores {
    /// Makes them.
    pub(super) async fn open(
        host: &Launcher,
        spec: &NodeSpec,
        port: &Arc<dyn KernelPort>,
        states: &StateStore,
        quota: &Arc<DiskQuota>,
        tasks: &Tasks,
    ) -> Result<Self, LaunchError> {
        let vfs = open_files(host, spec, port, quota, tasks).await?;
        let kv = Kv::new(port.clone(), states.stored().clone(), tasks.clone());
        let largest = spec.limits.local_message_bytes.min(RESULT_BYTES);
        let sqlite = Sqlite::new(
            SqlOptions {
                root: spec.sql_root.clone(),
                quota: quota.of(Store::Sqlite),
                limits: SqlLimits {
                    result_bytes: usize::try_from(largest).unwrap_or(usize::MAX),
                    memory: STATEMENT_BYTES,
                    ..SqlLimits::default()
                },
                turns: host.sql_turns.clone(),
            },
            port.clone(),
            tasks.clone(),
        );
        Ok(Self { vfs, kv, sqlite })
    }

    /// Counts in the background what they and `states` have on disk. Whoever
    /// writes waits for it, or for its failure: then each store counts itself
    /// before its first change, and says why it cannot.
    pub(super) fn count(&self, states: &StateStore, quota: Arc<DiskQuota>, tasks: &Tasks) {
        let (vfs, sqlite, states) = (self.vfs.clone(), self.sqlite.clone(), states.clone());
        let all = async move {
            let text = |error: &dyn std::fmt::Display| error.to_string();
            vfs.used_bytes().await.map_err(|error| text(&error))?;
            states.count().await.map_err(|error| text(&error))?;
            sqlite.count().await.map_err(|error| text(&error))
        };
        tasks.spawn(TaskKind::abortable("count stores"), async move {
            let done = all.await;
            if let Err(error) = &done {
                tracing::warn!("failed to count what a node has on disk: {error}");
            }
            quota.counted(done.is_ok());
        });
    }
}

/// Opens the node's files off the async threads.
async fn open_files(
    host: &Launcher,
    spec: &NodeSpec,
    port: &Arc<dyn KernelPort>,
    quota: &Arc<DiskQuota>,
    tasks: &Tasks,
) -> Result<Arc<Vfs>, LaunchError> {
    let options = VfsOptions {
        root: spec.vfs_root.clone(),
        overlays: host.overlays.clone(),
        quota: quota.clone(),
        max_blob_bytes: spec.limits.local_message_bytes,
    };
    let (port, own_tasks) = (port.clone(), tasks.clone());
    let opened = tasks
        .blocking(move || Vfs::new(options, port, own_tasks))
        .await;
    let vfs = opened
        .ok_or_else(|| LaunchError::Storage("opening the node's files failed".into()))?
        .map_err(|error| LaunchError::Storage(format!("the node's files: {error}")))?;
    Ok(vfs)
}
