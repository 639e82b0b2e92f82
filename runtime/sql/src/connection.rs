//! One connection to a database and what every statement on it is bound by.
//!
//! Invariants: every statement of an app passes the authorizer and runs
//! inside [`Guarded::run`], with a deadline, a bound on memory and a way to
//! interrupt it; statements of ours pass the authorizer because they say so.
//! Ends when dropped; the last one of a database copies its log back.

use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::fallible_iterator::FallibleIterator as _;
use rusqlite::limits::Limit;
use rusqlite::{Batch, CachedStatement, Connection, OpenFlags, Rows, ffi};

use crate::authorizer::Gate;
use crate::json;
use crate::meter::{Bounds, Interrupts, Meter, STEPS};
use crate::pragma::Setting;
use crate::{Limits, SqlError, Statement, functions, memory, nesting};

/// Kibibytes of pages each connection keeps.
const CACHE_KIB: u32 = 1024;
/// Prepared statements each connection keeps.
const STATEMENTS: usize = 16;
/// How long a connection waits for SQLite's own short locks.
const BUSY: Duration = Duration::from_secs(2);
/// Bytes of the longest statement.
const SQL_BYTES: i32 = 1 << 20;
/// Marks statements of ours, so that an app's of the same text is not taken
/// from the kept ones: those have passed the authorizer as ours.
const OURS: &str = "/* ours */ ";
/// Longest value for the memory a statement may use.
const VALUE_SHARE: u64 = 2;

/// Limits of SQLite that do not depend on the node.
const LIMITS: [(Limit, i32); 10] = [
    (Limit::SQLITE_LIMIT_SQL_LENGTH, SQL_BYTES),
    (Limit::SQLITE_LIMIT_COLUMN, 1000),
    (Limit::SQLITE_LIMIT_EXPR_DEPTH, 500),
    (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 100),
    (Limit::SQLITE_LIMIT_VDBE_OP, 1_000_000),
    (Limit::SQLITE_LIMIT_FUNCTION_ARG, 100),
    (Limit::SQLITE_LIMIT_ATTACHED, 0),
    (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, 32_766),
    (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 100),
    (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
];

/// Switches of SQLite and how they stand.
const SWITCHES: [(DbConfig, bool); 6] = [
    (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
    (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
    (DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, false),
    (DbConfig::SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, false),
    (DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_CREATE, false),
    (DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_WRITE, false),
];

/// What all connections to a database have in common.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) limits: Limits,
    pub(crate) interrupts: Arc<Interrupts>,
    /// Whether LIKE tells upper from lower case.
    pub(crate) case: Arc<AtomicBool>,
}

/// What an app set for its connections, and how often it did.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Settings {
    changes: u64,
    foreign_keys: Option<bool>,
    recursive_triggers: bool,
}

impl Settings {
    /// Remembers a setting for connections to come and for those that look.
    pub(crate) fn set(&mut self, setting: Setting, on: bool, common: &Common) {
        self.changes += 1;
        match setting {
            Setting::ForeignKeys => self.foreign_keys = Some(on),
            Setting::RecursiveTriggers => self.recursive_triggers = on,
            Setting::CaseSensitiveLike => common.case.store(on, Ordering::Release),
        }
    }
}

/// A connection.
pub(crate) struct Guarded {
    sqlite: Connection,
    gate: Arc<Gate>,
    meter: Arc<Meter>,
    /// Most bytes it may have allocated.
    memory: i64,
    /// Bytes it has allocated and not freed, as far as is known.
    held: i64,
    /// The settings it has.
    settings: u64,
}

impl Guarded {
    /// Opens the file, which must be there. A writer also prepares it.
    pub(crate) fn open(path: &Path, common: &Common, writes: bool) -> Result<Self, SqlError> {
        memory::install().map_err(|code| {
            SqlError::Sql(format!("SQLite's allocator cannot be bounded: code {code}"))
        })?;
        let access = if writes {
            OpenFlags::SQLITE_OPEN_READ_WRITE
        } else {
            OpenFlags::SQLITE_OPEN_READ_ONLY
        };
        let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_PRIVATE_CACHE;
        let memory = i64::try_from(common.limits.memory).unwrap_or(i64::MAX - 1);
        let gate = Arc::new(Gate::default());
        let meter = Arc::new(Meter::new(common.interrupts.clone()));
        let (sqlite, held) = memory::within(memory, &|| false, || {
            let sqlite = Connection::open_with_flags(path, flags)?;
            prepare_connection(&sqlite, common, &meter, writes)?;
            Ok(sqlite)
        });
        let sqlite = sqlite.map_err(|error| SqlError::of(error, None, None))?;
        let judged = gate.clone();
        let asked = meter.clone();
        sqlite
            .authorizer(Some(move |context: rusqlite::hooks::AuthContext<'_>| {
                judged.judge(&context)
            }))
            .and_then(|()| sqlite.progress_handler(STEPS, Some(move || asked.must_end())))
            .map_err(|error| SqlError::of(error, None, None))?;
        Ok(Self {
            sqlite,
            gate,
            meter,
            memory,
            held,
            settings: 0,
        })
    }

    /// Does `work` within the bounds.
    pub(crate) fn run<T>(
        &mut self,
        bounds: Bounds,
        work: impl FnOnce(&Self) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        self.gate.take_denied();
        self.meter.start(bounds);
        let left = self.memory - self.held.max(0);
        let (result, grown) = memory::within(left.max(0), &|| self.meter.is_over(), || work(self));
        self.held += grown;
        self.meter.stop();
        result
    }

    /// Whether it keeps so much memory that it should be closed: a schema or
    /// statements that grew, or a count that drifted.
    pub(crate) fn is_overgrown(&self) -> bool {
        self.held > self.memory / 2
    }

    /// Takes over what the app has set since.
    pub(crate) fn follow(&mut self, settings: Settings) -> Result<(), SqlError> {
        if self.settings == settings.changes {
            return Ok(());
        }
        let set = |config: DbConfig, on: bool| self.sqlite.set_db_config(config, on);
        if let Some(on) = settings.foreign_keys {
            set(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, on).map_err(|error| self.error(error))?;
        }
        let on = i32::from(settings.recursive_triggers);
        self.ours(&format!("PRAGMA recursive_triggers={on}"))?;
        self.settings = settings.changes;
        Ok(())
    }

    /// Runs a statement of ours to its end.
    pub(crate) fn ours(&self, sql: &str) -> Result<(), SqlError> {
        let _open = self.gate.open();
        let run = || {
            let mut statement = self.sqlite.prepare_cached(&format!("{OURS}{sql}"))?;
            let mut rows = statement.query([])?;
            while rows.next()?.is_some() {}
            Ok(())
        };
        run().map_err(|error| self.error(error))
    }

    /// A number that a statement of ours answers.
    pub(crate) fn number(&self, sql: &str) -> Result<u64, SqlError> {
        let _open = self.gate.open();
        let run = || {
            let mut statement = self.sqlite.prepare_cached(&format!("{OURS}{sql}"))?;
            statement.query_row([], |row| row.get::<_, i64>(0))
        };
        let number = run().map_err(|error| self.error(error))?;
        Ok(u64::try_from(number).unwrap_or(0))
    }

    /// Copies the log back to the database and empties it, unless a reader
    /// still needs it. Whether it is empty.
    pub(crate) fn empty_log(&self) -> Result<bool, SqlError> {
        let wait = |time| {
            let set = self.sqlite.busy_timeout(time);
            set.map_err(|error| self.error(error))
        };
        wait(Duration::ZERO)?;
        let busy = self.number("PRAGMA wal_checkpoint(TRUNCATE)");
        wait(BUSY)?;
        Ok(busy? == 0)
    }

    /// Allows one more file for a statement of ours, or no longer.
    pub(crate) fn allow_attached(&self, number: i32) -> Result<(), SqlError> {
        let set = self.sqlite.set_limit(Limit::SQLITE_LIMIT_ATTACHED, number);
        set.map(|_| ()).map_err(|error| self.error(error))
    }

    /// Undoes a transaction that did not end, whatever happened to it.
    pub(crate) fn roll_back(&self) -> Result<(), SqlError> {
        if self.sqlite.is_autocommit() {
            return Ok(());
        }
        self.ours("ROLLBACK")
    }

    /// Answers a read.
    pub(crate) fn read(&self, read: &Statement, limit: usize) -> Result<Vec<u8>, SqlError> {
        let mut statement = self.prepare(&read.sql)?;
        // An explained write is read only, whatever SQLite says of it.
        if !statement.readonly() && statement.is_explain() == 0 {
            return Err(SqlError::NotARead);
        }
        let mut rows = self.bind(&mut statement, read)?;
        json::write(&mut rows, limit).map_err(|failed| match failed {
            json::Failed::TooLarge => SqlError::TooLarge { limit },
            json::Failed::Sqlite(error) => self.error(error),
        })
    }

    /// Carries out one write: to its end, also if it returns rows.
    pub(crate) fn write(&self, write: &Statement) -> Result<(), SqlError> {
        let mut statement = self.prepare(&write.sql)?;
        if statement.readonly() && crate::sql::first_word(&write.sql) == "WITH" {
            return Err(SqlError::NotAWrite);
        }
        let mut rows = self.bind(&mut statement, write)?;
        while rows.next().map_err(|error| self.error(error))?.is_some() {}
        Ok(())
    }

    /// Carries out writes in one transaction.
    pub(crate) fn write_all(&self, writes: &[Statement]) -> Result<(), SqlError> {
        self.ours("BEGIN IMMEDIATE")?;
        for (number, write) in writes.iter().enumerate() {
            self.meter.next_statement();
            self.write(write)
                .map_err(|error| error.in_statement(number + 1, writes.len()))?;
        }
        self.meter.next_statement();
        self.ours("COMMIT")
    }

    fn bind<'s>(
        &self,
        statement: &'s mut rusqlite::Statement<'_>,
        given: &Statement,
    ) -> Result<Rows<'s>, SqlError> {
        let params = rusqlite::params_from_iter(&given.params);
        statement.query(params).map_err(|error| self.error(error))
    }

    fn prepare<'c>(&'c self, sql: &'c str) -> Result<Prepared<'c>, SqlError> {
        if sql.contains('\0') {
            return Err(SqlError::Sql("a NUL is not allowed in SQL".to_owned()));
        }
        if !nesting::is_shallow(sql) {
            let text = "parentheses are nested too deep: split the statement";
            return Err(SqlError::Sql(text.to_owned()));
        }
        // Only what is surely one statement is kept: rusqlite looks for the
        // ends of others one inside the other, without bound.
        if crate::sql::is_single(sql) && !sql.trim_start().starts_with(OURS.trim_end()) {
            let cached = self.sqlite.prepare_cached(sql);
            return cached
                .map(Prepared::Cached)
                .map_err(|error| self.error(error));
        }
        let mut batch = Batch::new(&self.sqlite, sql);
        let mut next = || batch.next().map_err(|error| self.error(error));
        let Some(first) = next()? else {
            return Err(SqlError::Sql("there is no statement".to_owned()));
        };
        match next()? {
            None => Ok(Prepared::Once(first)),
            Some(_) => Err(self.error(rusqlite::Error::MultipleStatement)),
        }
    }

    fn error(&self, error: rusqlite::Error) -> SqlError {
        SqlError::of(error, self.meter.verdict(), self.gate.take_denied())
    }
}

impl std::fmt::Debug for Guarded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guarded")
            .field("held", &self.held)
            .finish_non_exhaustive()
    }
}

/// A statement that is ready to run.
enum Prepared<'c> {
    Cached(CachedStatement<'c>),
    Once(rusqlite::Statement<'c>),
}

impl<'c> Deref for Prepared<'c> {
    type Target = rusqlite::Statement<'c>;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Cached(statement) => statement,
            Self::Once(statement) => statement,
        }
    }
}

impl DerefMut for Prepared<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        match self {
            Self::Cached(statement) => statement,
            Self::Once(statement) => statement,
        }
    }
}

fn prepare_connection(
    sqlite: &Connection,
    common: &Common,
    meter: &Arc<Meter>,
    writes: bool,
) -> rusqlite::Result<()> {
    sqlite.busy_timeout(BUSY)?;
    for (switch, on) in SWITCHES {
        sqlite.set_db_config(switch, on)?;
    }
    for (limit, value) in LIMITS {
        sqlite.set_limit(limit, value)?;
    }
    let longest = common.limits.memory / VALUE_SHARE;
    let longest = i32::try_from(longest)
        .unwrap_or(i32::MAX)
        .clamp(1 << 20, 64 << 20);
    sqlite.set_limit(Limit::SQLITE_LIMIT_LENGTH, longest)?;
    sqlite.set_prepared_statement_cache_capacity(STATEMENTS);
    functions::register(
        sqlite,
        meter,
        &common.case,
        usize::try_from(longest).unwrap_or(usize::MAX),
    )?;
    if writes {
        // Pages that become free can then be given back without a whole copy.
        // Later it would only be a needless write.
        let pages: i64 = sqlite.query_row("PRAGMA page_count", [], |row| row.get(0))?;
        if pages == 0 {
            sqlite.execute_batch("PRAGMA auto_vacuum=INCREMENTAL")?;
        }
        let mode: String = sqlite.query_row("PRAGMA journal_mode=WAL", [], |row| row.get(0))?;
        // Readers beside a writer need it.
        if mode != "wal" {
            return Err(rusqlite::Error::SqliteFailure(
                ffi::Error::new(ffi::SQLITE_IOERR),
                Some("the database cannot keep a log".to_owned()),
            ));
        }
    }
    sqlite.execute_batch(&format!(
        "PRAGMA synchronous=NORMAL; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-{CACHE_KIB};
         PRAGMA mmap_size=0; PRAGMA wal_autocheckpoint=0"
    ))
}
