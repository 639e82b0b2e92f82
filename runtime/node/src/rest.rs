//! What a node leaves in the store while it sleeps, and takes back when it
//! wakes.
//!
//! Owns one record in the node's keyspace, with its timers and bound paths,
//! another of what it has on disk, and the node's entry in the host's table of
//! alarms. Invariants: the first record is used once, so that a node whose host
//! dies never sees an older one; the second is only told to people, stays while
//! the node runs, and is of its last stop; times are by the wall clock in a
//! record only; a failure to write keeps no node from stopping. Holds no task.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lifecycle::{Clock, failpoints};
use node_api::{DiskUse, TenantKey};
use node_kernel::Moment;
use node_services::http_server::{HttpServer, Kept};
use node_store::{Alarms, Due, HostStore, Keyspace, Space, StoreError};
use node_types::ProcessId;
use serde::{Deserialize, Serialize};

use crate::kernel::Kernel;
use crate::process::SleptTimer;
use crate::sleep::{MAX_CONTEXT_BYTES, MAX_TIMERS, Remembered};

/// Key of the record in [`Space::Wake`].
const KEY: &[u8] = b"rest";
/// Key of what the node has on disk, in [`Space::Wake`].
const DISK_KEY: &[u8] = b"disk-use";
/// Who publishes the distro packages, whose processes come back at every boot.
const DISTRO: &str = "sys";

/// What is stored, as MessagePack. Fields are added only with a default: a
/// host of another version may read them.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Record {
    timers: Vec<StoredTimer>,
    paths: Kept,
}

#[derive(Debug, Serialize, Deserialize)]
struct StoredTimer {
    process: ProcessId,
    length: u64,
    context: Option<Bytes>,
    /// Milliseconds since 1970 UTC.
    due: i64,
    awaited: bool,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Bed {
    keyspace: Keyspace,
    alarms: Alarms,
    key: TenantKey,
    clock: Arc<dyn Clock>,
}

impl Bed {
    pub(crate) fn new(store: &HostStore, key: TenantKey, clock: Arc<dyn Clock>) -> Self {
        Self {
            keyspace: store.keyspace(key.tenant, key.incarnation),
            alarms: store.alarms(),
            key,
            clock,
        }
    }

    /// What the node had on disk when it last stopped.
    pub(crate) async fn kept_disk(&self) -> Result<Option<DiskUse>, StoreError> {
        let Some(stored) = self.keyspace.get(Space::Wake, DISK_KEY).await? else {
            return Ok(None);
        };
        let read = rmp_serde::from_slice(&stored);
        // The next stop writes another.
        Ok(read
            .inspect_err(|error| {
                tracing::error!("what a node noted of its disk is unreadable: {error}");
            })
            .ok())
    }

    /// Notes what the node has on disk now that it has stopped. What was not
    /// counted is not known, and the older note stands.
    pub(crate) async fn keep_disk(&self, disk: Option<DiskUse>) {
        let Some(disk) = disk else { return };
        match rmp_serde::to_vec_named(&disk) {
            Ok(bytes) => self.write(DISK_KEY, bytes).await,
            Err(error) => tracing::error!("failed to encode what a node has on disk: {error}"),
        }
    }

    /// What the node left when it went to sleep, if that is how it stopped.
    pub(crate) async fn record(&self) -> Result<Option<Record>, StoreError> {
        let Some(stored) = self.keyspace.get(Space::Wake, KEY).await? else {
            return Ok(None);
        };
        // It is removed in any case, so one that nobody can read is no trouble
        // for longer than this.
        Ok(Some(rmp_serde::from_slice(&stored).unwrap_or_else(
            |error| {
                tracing::error!("what a node left for its sleep is unreadable: {error}");
                Record::default()
            },
        )))
    }

    /// Gives the processes of `kernel` back what they left; before any starts.
    pub(crate) fn restore(&self, record: Record, kernel: &Kernel, http: &HttpServer) {
        let now = (self.now_millis(), moment(kernel));
        let table = kernel.table.read();
        let comes_back = |process: &ProcessId| table.get(process).is_some_and(|it| !it.module);
        for timer in record.timers {
            if comes_back(&timer.process) {
                let (process, timer) = timer.woken(now);
                kernel.sleep.recall(process, timer);
            }
        }
        http.restore(record.paths, comes_back);
    }

    /// Notes that the node runs. Whether it left a record is `left`.
    ///
    /// # Errors
    /// What the store says: a record that cannot be removed would be used again.
    pub(crate) async fn wakes(&self, left: bool) -> Result<(), StoreError> {
        // In this order: a host that dies in between wakes the node again.
        self.note(Some(Due::Running)).await;
        if left {
            self.keyspace.delete(Space::Wake, KEY).await?;
        }
        Ok(())
    }

    /// Leaves nothing of a node that is at rest.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) async fn forget(&self) -> Result<(), StoreError> {
        self.keyspace.delete(Space::Wake, KEY).await?;
        self.write_note(None).await
    }

    /// Keeps what the node has when its processes have ended, for its next life.
    /// Returns how long it is until the first of its timers elapses.
    pub(crate) async fn rests(&self, kernel: &Kernel, http: &HttpServer) -> Option<Duration> {
        let Remembered { timers, lost } = {
            let table = kernel.table.read();
            kernel.sleep.remember(|process| {
                let entry = table.get(process).filter(|entry| !entry.module);
                entry.is_some_and(|it| it.is_persistent() || process.publisher() == DISTRO)
            })
        };
        if lost > 0 {
            let text = format!(
                "kernel: limit of timers reached: a node keeps {MAX_TIMERS} of them while it \
                 sleeps, and {} KiB of their contexts; {lost} are lost",
                MAX_CONTEXT_BYTES >> 10
            );
            kernel.say(0, &text);
        }
        let now = (self.now_millis(), moment(kernel));
        let first = timers.first().map(|(_, timer)| timer.due);
        let record = Record {
            timers: timers
                .into_iter()
                .map(|(process, timer)| StoredTimer::of(process, timer, now))
                .collect(),
            paths: http.keep(),
        };
        let alarm = record.timers.first().map(|timer| Due::At(timer.due));
        failpoints::crash("rest.before-write");
        if record.timers.is_empty() && record.paths.is_empty() {
            self.remove_record().await;
        } else {
            self.write_record(&record).await;
        }
        failpoints::crash("rest.written");
        self.note(alarm).await;
        first.map(|due| due.as_elapsed().saturating_sub(now.1.as_elapsed()))
    }

    /// Leaves nothing: the node was ended by its owner.
    pub(crate) async fn ends(&self) {
        self.remove_record().await;
        self.note(None).await;
    }

    async fn write_record(&self, record: &Record) {
        let bytes = match rmp_serde::to_vec_named(record) {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::error!("failed to encode what a node leaves for its sleep: {error}");
                return;
            }
        };
        self.write(KEY, bytes).await;
    }

    async fn write(&self, key: &[u8], bytes: Vec<u8>) {
        if let Err(error) = self.keyspace.put(Space::Wake, key, bytes.into()).await {
            tracing::error!("failed to keep what a node leaves for its sleep: {error}");
        }
    }

    async fn remove_record(&self) {
        if let Err(error) = self.keyspace.delete(Space::Wake, KEY).await {
            tracing::error!("failed to remove what a node left for its sleep: {error}");
        }
    }

    async fn note(&self, alarm: Option<Due>) {
        if let Err(error) = self.write_note(alarm).await {
            tracing::error!("failed to note when a node is to be woken: {error}");
        }
    }

    async fn write_note(&self, alarm: Option<Due>) -> Result<(), StoreError> {
        let TenantKey {
            tenant,
            incarnation,
        } = self.key;
        match alarm {
            Some(due) => self.alarms.set(tenant, incarnation, due).await,
            None => self.alarms.clear(tenant, incarnation).await,
        }
    }

    fn now_millis(&self) -> i64 {
        let millis = self.clock.now().unix_timestamp_nanos() / 1_000_000;
        i64::try_from(millis).unwrap_or(i64::MAX)
    }
}

/// The moment now on the node's own clock.
fn moment(kernel: &Kernel) -> Moment {
    Moment::since_start(kernel.epoch.elapsed())
}

impl StoredTimer {
    /// `now` is the present by both clocks.
    fn of(process: ProcessId, timer: SleptTimer, now: (i64, Moment)) -> Self {
        let (due, present) = (timer.due.as_elapsed(), now.1.as_elapsed());
        let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let due = now
            .0
            .saturating_add(millis(due.saturating_sub(present)))
            .saturating_sub(millis(present.saturating_sub(due)));
        Self {
            process,
            length: timer.length,
            context: timer.context,
            due,
            awaited: timer.awaited,
        }
    }

    /// It never runs longer than it was to run, wherever the clock was set.
    fn woken(self, now: (i64, Moment)) -> (ProcessId, SleptTimer) {
        let left = u64::try_from(self.due.saturating_sub(now.0)).unwrap_or(0);
        let late = u64::try_from(now.0.saturating_sub(self.due)).unwrap_or(0);
        let ahead = now.1.plus(Duration::from_millis(left.min(self.length)));
        let due = ahead
            .as_elapsed()
            .saturating_sub(Duration::from_millis(late));
        let timer = SleptTimer {
            length: self.length,
            context: self.context,
            due: Moment::since_start(due),
            awaited: self.awaited,
        };
        (self.process, timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::default().plus_seconds(seconds)
    }

    fn slept(due: Moment) -> SleptTimer {
        SleptTimer {
            length: 3_600_000,
            context: Some("hourly".into()),
            due,
            awaited: false,
        }
    }

    #[test]
    fn a_timer_runs_on_while_its_node_sleeps() {
        let process: ProcessId = "app:test:alice.dev".parse().unwrap();
        let woken = |due: Moment, slept_at: Moment, slept_for: i64, woken_at: Moment| {
            let stored = StoredTimer::of(process.clone(), slept(due), (1_000_000, slept_at));
            let bytes = rmp_serde::to_vec_named(&stored).unwrap();
            let stored: StoredTimer = rmp_serde::from_slice(&bytes).unwrap();
            let now = (1_000_000 + slept_for * 1000, woken_at);
            let (of, timer) = stored.woken(now);
            assert_eq!((&of, timer.length), (&process, 3_600_000));
            assert_eq!(timer.context.as_deref(), Some(&b"hourly"[..]));
            timer.due
        };
        assert_eq!(woken(at(4000), at(1000), 600, at(2)), at(2402));
        // Elapsed while it slept, or before that.
        assert_eq!(woken(at(4000), at(1000), 3001, at(2)), at(1));
        assert_eq!(woken(at(4000), at(1000), 9000, at(2)), at(0));
        assert_eq!(woken(at(900), at(1000), 0, at(200)), at(100));
        // A clock that was set back does not make it longer than it was to be.
        assert_eq!(woken(at(4000), at(1000), -900_000, at(2)), at(3602));
        assert_eq!(woken(at(u64::MAX), at(1000), 0, at(2)), at(3602));
    }

    #[test]
    fn a_record_of_another_version_is_read_as_far_as_it_goes() {
        let empty = rmp_serde::to_vec_named(&serde_json::json!({"more": [1]})).unwrap();
        let record: Record = rmp_serde::from_slice(&empty).unwrap();
        assert!(record.timers.is_empty() && record.paths.is_empty());
    }
}
