//! The host's handle to the store: opening, syncing, purging, closing.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lifecycle::{Gate, GateGuard, TaskKind, Tasks};
use rocksdb::{DB, WriteBatch};
use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::accounts::Accounts;
use crate::alarms::{self, Alarms};
use crate::db::Db;
use crate::keys::{Owner, range_of};
use crate::{Keyspace, StoreError};

/// How long writes may wait for the sync they share: half of the second that
/// is promised, the rest is for the sync itself.
const SYNC_EVERY: Duration = Duration::from_millis(500);
/// Writes of much that are made at the same time: each is in memory twice
/// meanwhile.
const BULK_WRITES: usize = 4;

/// How long after a full disk was found it is looked at again.
const FULL_AGAIN: Duration = Duration::from_secs(2);
/// Shorter than any tenant's keys.
const PROBE: &[u8] = b"room?";

/// What all handles share.
#[derive(Debug)]
pub(crate) struct Shared {
    db: Db,
    /// Entered for each call, so that closing waits for those under way.
    gate: Gate,
    tasks: Tasks,
    pub(crate) accounts: Accounts,
    /// A write awaits its sync.
    dirty: Notify,
    /// How far the syncs are that writes share.
    rounds: watch::Sender<Rounds>,
    /// Taken after the keyspace's turn, so that nobody waits for a tenant with
    /// one in hand.
    pub(crate) bulk: Semaphore,
    failed: CancellationToken,
    /// A write found no room, and none has succeeded since.
    full: AtomicBool,
}

/// Shared syncs, counted.
#[derive(Debug, Default)]
struct Rounds {
    begun: u64,
    ended: u64,
    /// What the last one said.
    failure: Option<StoreError>,
}

/// One call's access to the database.
pub(crate) struct Access {
    pub(crate) db: Arc<DB>,
    _in_use: GateGuard,
}

/// The host-wide store. Clones are the same store.
#[derive(Debug, Clone)]
pub struct HostStore(Arc<Shared>);

impl Shared {
    pub(crate) fn access(&self) -> Result<Access, StoreError> {
        let in_use = self.gate.enter().map_err(|_| StoreError::Closed)?;
        Ok(Access {
            db: self.db.get()?,
            _in_use: in_use,
        })
    }

    /// Runs `work` on the database off the async threads.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&DB) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let access = self.access()?;
        self.off_thread(move || work(&access.db)).await
    }

    /// Runs `work` off the async threads.
    pub(crate) async fn off_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let done = self.tasks.blocking(work).await;
        let done = done.unwrap_or_else(|| Err(StoreError::Other("the call panicked".to_owned())));
        self.watch(done)
    }

    /// Notes a failure of the volume on its way to the caller.
    pub(crate) fn watch<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(StoreError::Full) = &result {
            self.full.store(true, Ordering::Release);
        }
        if let Err(error) = &result
            && error.is_fatal()
            && !self.failed.is_cancelled()
        {
            tracing::error!("the store cannot go on: {error}");
            self.failed.cancel();
        }
        result
    }

    pub(crate) fn written(&self) {
        self.full.store(false, Ordering::Release);
        self.dirty.notify_one();
    }

    /// Syncs the log. Not of a volume without room: RocksDB takes the failure
    /// for one that it cannot recover from, whereas after the failed write alone
    /// it goes on by itself once there is room, with everything in its tables.
    pub(crate) fn flush(&self, db: &DB) -> Result<(), StoreError> {
        if self.full.load(Ordering::Acquire) {
            return Err(StoreError::Full);
        }
        Ok(db.flush_wal(true)?)
    }

    /// Writes a key of nobody's, to find out whether there is room again: what
    /// waits to be synced must not wait for a tenant to write. Then, or to try
    /// again, there is another round.
    async fn try_room(&self) {
        let tried = self.blocking(|db| Ok(db.put(PROBE, [])?)).await;
        if tried.is_ok() {
            self.full.store(false, Ordering::Release);
        }
        self.dirty.notify_one();
    }

    /// [`Self::flush`] off the async threads.
    async fn flushed(self: &Arc<Self>) -> Result<(), StoreError> {
        let shared = self.clone();
        self.blocking(move |db| shared.flush(db)).await
    }

    /// Waits for the next shared sync, so that those who ask often do not make
    /// the disk sync often.
    pub(crate) async fn synced(self: &Arc<Self>) -> Result<(), StoreError> {
        let mut rounds = self.rounds.subscribe();
        // One that has begun may miss what was just written.
        let wanted = rounds.borrow().begun + 1;
        // Once the store is closed there are no more rounds.
        drop(self.access()?);
        let ended = async {
            let reached = rounds.wait_for(|rounds| rounds.ended >= wanted).await;
            reached.map(|rounds| rounds.failure.clone())
        };
        self.dirty.notify_one();
        let ended = tokio::select! {
            ended = ended => Some(ended),
            () = self.tasks.token().cancelled() => None,
        };
        match ended {
            Some(Ok(None)) => Ok(()),
            Some(Ok(Some(failure))) => Err(failure),
            Some(Err(_)) => Err(StoreError::Closed),
            // There may be no further round.
            None => self.flushed().await,
        }
    }
}

impl HostStore {
    /// Opens or creates the store in the directory `path`. Must not be called
    /// on an async thread that others wait for: it takes tens of milliseconds.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another process has it open, else what the
    /// volume says.
    pub fn open(path: &Path, tasks: &Tasks) -> Result<Self, StoreError> {
        let shared = Arc::new(Shared {
            db: Db::open(path)?,
            gate: Gate::default(),
            tasks: tasks.clone(),
            accounts: Accounts::default(),
            dirty: Notify::new(),
            rounds: watch::Sender::default(),
            bulk: Semaphore::new(BULK_WRITES),
            failed: CancellationToken::new(),
            full: AtomicBool::new(false),
        });
        tasks.spawn(
            TaskKind::graceful("store-sync"),
            sync_loop(shared.clone(), tasks.token().clone()),
        );
        Ok(Self(shared))
    }

    /// The keys of one life of a tenant.
    #[must_use]
    pub fn keyspace(&self, tenant: u128, incarnation: u32) -> Keyspace {
        let owner = Owner {
            tenant,
            incarnation,
        };
        Keyspace::new(self.0.clone(), owner)
    }

    /// When tenants are to be woken.
    #[must_use]
    pub fn alarms(&self) -> Alarms {
        Alarms(self.0.clone())
    }

    /// Removes everything of a tenant, in all its incarnations. The tenant's
    /// node must not be running.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing or everything is removed.
    pub async fn purge(&self, tenant: u128) -> Result<(), StoreError> {
        self.purge_range(tenant, None).await
    }

    /// Removes everything of one incarnation of a tenant.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing or everything is removed.
    pub async fn purge_incarnation(
        &self,
        tenant: u128,
        incarnation: u32,
    ) -> Result<(), StoreError> {
        self.purge_range(tenant, Some(incarnation)).await
    }

    async fn purge_range(&self, tenant: u128, incarnation: Option<u32>) -> Result<(), StoreError> {
        let mut held = Vec::new();
        for account in self.0.accounts.in_use(tenant, incarnation) {
            held.push(account.lock_owned().await);
        }
        let (from, to) = range_of(tenant, incarnation);
        let shared = self.0.clone();
        self.0
            .blocking(move |db| {
                let mut batch = WriteBatch::default();
                batch.delete_range(&from, &to);
                if let Some(family) = alarms::family(db) {
                    batch.delete_range_cf(family, &from, &to);
                }
                db.write(batch)?;
                // Frees what lies in files of this range alone; the rest goes
                // with compaction.
                db.delete_file_in_range(&from, &to)?;
                shared.flush(db)?;
                for account in &mut held {
                    **account = None;
                }
                Ok(())
            })
            .await
    }

    /// Returns once everything acknowledged so far survives a power cut.
    ///
    /// # Errors
    /// [`StoreError::Closed`] or [`StoreError::Disk`].
    pub async fn sync(&self) -> Result<(), StoreError> {
        self.0.flushed().await
    }

    /// Waits until the volume fails in a way after which the host should exit.
    ///
    /// # Cancel-Safety
    /// Safe.
    pub async fn failed(&self) {
        self.0.failed.cancelled().await;
    }

    /// Ends the store: waits for calls under way, syncs, closes the files.
    /// May be called again.
    ///
    /// # Errors
    /// What the last sync says; the store is closed in any case.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.0.gate.close().await;
        let Some(db) = self.0.db.take() else {
            return Ok(());
        };
        let shared = self.0.clone();
        self.0
            .off_thread(move || {
                let synced = shared.flush(&db);
                db.cancel_all_background_work(true);
                drop(db);
                synced
            })
            .await
    }
}

/// Syncs the log after writes, for all writers together, until cancelled.
async fn sync_loop(shared: Arc<Shared>, cancelled: CancellationToken) {
    while !cancelled.is_cancelled() {
        tokio::select! {
            () = cancelled.cancelled() => {}
            () = shared.dirty.notified() => {
                tokio::select! {
                    () = cancelled.cancelled() => {}
                    () = tokio::time::sleep(SYNC_EVERY) => {}
                }
            }
        }
        shared.rounds.send_modify(|rounds| rounds.begun += 1);
        let synced = shared.flushed().await;
        shared.rounds.send_modify(|rounds| {
            rounds.ended = rounds.begun;
            rounds.failure = synced.clone().err();
        });
        match synced {
            Ok(()) => {}
            Err(StoreError::Closed) => return,
            Err(StoreError::Full) => {
                tracing::error!("the host's disk is full: what was written last is not synced");
                tokio::select! {
                    () = cancelled.cancelled() => {}
                    () = tokio::time::sleep(FULL_AGAIN) => shared.try_room().await,
                }
            }
            Err(error) => tracing::error!("failed to sync the store: {error}"),
        }
    }
}
