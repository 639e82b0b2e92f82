//! RocksDB itself: options, and access that ends when the store closes.

use std::path::Path;
use std::sync::Arc;

use parking_lot::RwLock;
use rocksdb::{BlockBasedOptions, Cache, ColumnFamilyDescriptor, DB, LogLevel, Options};

use crate::{StoreError, alarms};

const MIB: usize = 1 << 20;
/// Cache for blocks of all tenants together.
const BLOCK_CACHE: usize = 32 * MIB;
/// One memtable.
const WRITE_BUFFER: usize = 8 * MIB;
/// All memtables.
const WRITE_BUFFERS: usize = 32 * MIB;
/// One memtable of the table of alarms, whose entries are tiny.
const ALARMS_BUFFER: usize = MIB;
/// Log kept for replay at start; beyond it memtables are flushed.
const LOG_BYTES: u64 = 64 * MIB as u64;
/// Files kept open; more are opened on demand.
const OPEN_FILES: i32 = 256;
/// Threads that flush and compact.
const BACKGROUND_JOBS: i32 = 2;
/// Bits per key of the filter that spares reads of absent keys.
const FILTER_BITS: f64 = 10.0;

/// The open database, until taken by [`Db::take`].
pub(crate) struct Db(RwLock<Option<Arc<DB>>>);

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Db")
    }
}

impl Db {
    /// Opens or creates the database in `path`.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let db = DB::open_cf_descriptors(&options(), path, families())?;
        Ok(Self(RwLock::new(Some(Arc::new(db)))))
    }

    /// The database, for one call.
    pub(crate) fn get(&self) -> Result<Arc<DB>, StoreError> {
        self.0.read().clone().ok_or(StoreError::Closed)
    }

    /// Refuses calls from now on.
    pub(crate) fn take(&self) -> Option<Arc<DB>> {
        self.0.write().take()
    }
}

/// What is kept apart: tenants' keys, and the table of alarms.
fn families() -> [ColumnFamilyDescriptor; 2] {
    let mut alarms = Options::default();
    alarms.set_write_buffer_size(ALARMS_BUFFER);
    [
        ColumnFamilyDescriptor::new(rocksdb::DEFAULT_COLUMN_FAMILY_NAME, options()),
        ColumnFamilyDescriptor::new(alarms::FAMILY, alarms),
    ]
}

fn options() -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(&Cache::new_lru_cache(BLOCK_CACHE));
    table.set_cache_index_and_filter_blocks(true);
    table.set_bloom_filter(FILTER_BITS, false);

    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_block_based_table_factory(&table);
    options.set_write_buffer_size(WRITE_BUFFER);
    options.set_db_write_buffer_size(WRITE_BUFFERS);
    options.set_max_total_wal_size(LOG_BYTES);
    options.set_max_open_files(OPEN_FILES);
    options.set_max_file_opening_threads(1);
    options.set_max_background_jobs(BACKGROUND_JOBS);
    options.set_skip_stats_update_on_db_open(true);
    options.set_stats_dump_period_sec(0);
    options.set_log_level(LogLevel::Warn);
    options.set_keep_log_file_num(2);
    options.set_max_log_file_size(MIB);
    // A torn record at the end of the log is what a power cut leaves; what
    // was synced before it is intact (the default recovery mode).
    options
}
