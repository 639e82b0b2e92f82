//! One database: its writer, its readers and what it costs.
//!
//! Invariants: one thread at a time holds the writer, and what is charged
//! changes only with it; readers work beside it. Locks are taken in the order
//! writer, readers, settings. Connections are opened by the first call that
//! needs them; after [`Database::close`] the next call opens them again,
//! after [`Database::remove`] every call finds nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::connection::{Common, Guarded, Settings};
use crate::meter::Bounds;
use crate::name::Files;
use crate::pragma::{self, Pragma};
use crate::readers::Readers;
use crate::room::Room;
use crate::sql::{self, Token, Tokens};
use crate::unsynced::{Log, Unsynced};
use crate::{SqlError, Statement};

/// Statements after which there may be free pages.
const FREES: [&str; 5] = ["ALTER", "DELETE", "DROP", "UPDATE", "WITH"];
/// `PRAGMA auto_vacuum` of databases whose free pages can be given back.
const INCREMENTAL: u64 = 2;

/// The connection that writes, and what its holder may change.
#[derive(Debug)]
struct Writer {
    connection: Option<Guarded>,
    room: Room,
    gone: bool,
}

/// A database.
#[derive(Debug)]
pub(crate) struct Database {
    files: Arc<Files>,
    common: Common,
    unsynced: Arc<Unsynced>,
    log: Arc<Log>,
    writer: Mutex<Writer>,
    readers: Readers,
    settings: Mutex<Settings>,
    /// Whether the writer is open.
    open: AtomicBool,
    gone: AtomicBool,
}

impl Database {
    pub(crate) fn new(
        files: Arc<Files>,
        room: Room,
        common: Common,
        unsynced: Arc<Unsynced>,
    ) -> Self {
        Self {
            log: Log::new(files.log.clone()),
            files,
            common,
            unsynced,
            writer: Mutex::new(Writer {
                connection: None,
                room,
                gone: false,
            }),
            readers: Readers::default(),
            settings: Mutex::default(),
            open: AtomicBool::new(false),
            gone: AtomicBool::new(false),
        }
    }

    /// Whether it was removed: who still has it must look for another.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Rings so far: work that begins with this number ends at the next.
    pub(crate) fn rings(&self) -> u64 {
        self.common.interrupts.now()
    }

    /// Ends everything under way.
    pub(crate) fn interrupt(&self) {
        self.common.interrupts.ring();
    }

    /// Opens the writer if it is not open.
    pub(crate) fn open(&self, since: u64) -> Result<(), SqlError> {
        if self.open.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut writer = self.lock(since)?;
        self.opened(&mut writer).map(|_| ())
    }

    /// Answers a read.
    pub(crate) fn read(&self, since: u64, read: &Statement) -> Result<Vec<u8>, SqlError> {
        sql::check_read(&read.sql)?;
        if sql::first_word(&read.sql) != "PRAGMA" {
            return self.query(since, read);
        }
        match pragma::plan(&read.sql) {
            Pragma::Ask => self.query(since, read),
            Pragma::Answer(answer) => Ok(answer.into_bytes()),
            Pragma::Set(setting, on) => {
                self.settings.lock().set(setting, on, &self.common);
                Ok(b"[]".to_vec())
            }
            Pragma::Number(name, number) => {
                let set = format!("PRAGMA {name}={number}");
                self.in_room(since, 0, false, &|writer| writer.ours(&set))?;
                Ok(b"[]".to_vec())
            }
        }
    }

    fn query(&self, since: u64, read: &Statement) -> Result<Vec<u8>, SqlError> {
        self.open(since)?;
        let bounds = self.bounds(since);
        let mut reader = self.readers.take(bounds.until, || {
            // Asked when whoever closes already waits for this reader.
            self.check(since)?;
            Guarded::open(&self.files.db, &self.common, false)
        })?;
        self.check(since)?;
        let connection = reader.connection()?;
        connection.follow(*self.settings.lock())?;
        let limit = self.common.limits.result_bytes;
        connection.run(bounds, |connection| connection.read(read, limit))
    }

    /// Carries out writes: several all or none of them.
    pub(crate) fn write(&self, since: u64, writes: &[Statement]) -> Result<(), SqlError> {
        let of = writes.len();
        let mut frees = false;
        for (number, write) in writes.iter().enumerate() {
            sql::check_write(&write.sql).map_err(|error| error.in_statement(number + 1, of))?;
            frees |= FREES.contains(&sql::first_word(&write.sql).as_str());
        }
        let bytes = writes.iter().map(Statement::bytes).sum::<usize>() as u64;
        match writes {
            [] => Ok(()),
            [one] if sql::first_word(&one.sql) == "VACUUM" => self.vacuum(since, &one.sql),
            [one] => self.in_room(since, bytes, frees, &|writer| writer.write(one)),
            all => self.in_room(since, bytes, frees, &|writer| writer.write_all(all)),
        }
    }

    /// Gives back what is free. A file that cannot do that in steps is
    /// written anew, in memory, and can from then on.
    fn vacuum(&self, since: u64, sql: &str) -> Result<(), SqlError> {
        let main = |token: &Token<'_>| match token {
            Token::Word(word) | Token::Quoted(word) => word.eq_ignore_ascii_case("main"),
            Token::Sign(sign) => *sign == ';',
        };
        if !Tokens::new(sql).skip(1).all(|token| main(&token)) {
            let text = "VACUUM takes no argument but main here: VACUUM INTO is not allowed";
            return Err(SqlError::Denied(text.to_owned()));
        }
        let mut held = self.lock(since)?;
        self.opened(&mut held)?;
        let Writer {
            connection: Some(writer),
            room,
            ..
        } = &mut *held
        else {
            return Err(SqlError::NoDb);
        };
        if writer.number("PRAGMA auto_vacuum")? == INCREMENTAL {
            room.give_back(writer, 0, Instant::now() + self.common.limits.statement);
            return Ok(());
        }
        let bytes = room.bytes() / 2;
        drop(held);
        self.in_room(since, bytes, false, &|writer| {
            writer.allow_attached(1)?;
            let done = writer
                .ours("PRAGMA auto_vacuum=INCREMENTAL")
                .and_then(|()| writer.ours("VACUUM"));
            done.and(writer.allow_attached(0))
        })
    }

    /// Does something with the writer, with room for about `bytes`.
    fn in_room(
        &self,
        since: u64,
        bytes: u64,
        frees: bool,
        write: &dyn Fn(&Guarded) -> Result<(), SqlError>,
    ) -> Result<(), SqlError> {
        let mut held = self.lock(since)?;
        self.opened(&mut held)?;
        let Writer {
            connection: Some(writer),
            room,
            ..
        } = &mut *held
        else {
            return Err(SqlError::NoDb);
        };
        writer.follow(*self.settings.lock())?;
        let written = room.write(writer, bytes, &self.bounds(since), write);
        if let Ok(written) = written {
            self.unsynced.note(&self.log);
            if room.tidy(writer, frees, written) {
                match self.readers.shut(self.bounds(since).until) {
                    Ok(_shut) => room.empty_log(writer),
                    Err(error) => tracing::debug!(%error, "readers keep a long log in use"),
                }
            }
        }
        // What the disk did to a connection is not known: the next is a new
        // one, like for one that keeps too much memory.
        if writer.is_overgrown() || matches!(written, Err(SqlError::Io(_))) {
            self.close_writer(&mut held);
        }
        written.map(|_| ())
    }

    /// Closes all connections. What the app set for them stays set.
    pub(crate) fn close(&self) -> Result<(), SqlError> {
        let mut writer = self
            .writer
            .try_lock_for(self.common.limits.transaction)
            .ok_or(SqlError::Deadline)?;
        if writer.gone {
            return Ok(());
        }
        let shut = self.readers.shut(self.until())?;
        shut.close_all();
        self.close_writer(&mut writer);
        Ok(())
    }

    /// Removes it: `unlink` takes its directory out of the way, and what that
    /// answers is done once nobody can find it any more.
    pub(crate) fn remove<D: FnOnce() -> std::io::Result<()>>(
        &self,
        unlink: impl FnOnce() -> std::io::Result<D>,
    ) -> Result<(), SqlError> {
        self.interrupt();
        let mut writer = self
            .writer
            .try_lock_for(self.common.limits.transaction)
            .ok_or(SqlError::Deadline)?;
        if writer.gone {
            return Err(SqlError::NoDb);
        }
        let shut = self.readers.shut(self.until())?;
        shut.close_all();
        self.close_writer(&mut writer);
        let delete = unlink()?;
        self.gone.store(true, Ordering::Release);
        writer.gone = true;
        shut.end();
        self.unsynced
            .note_directories([self.files.package.as_path()]);
        match delete() {
            Ok(()) => writer.room.give_back_all(),
            // It stays charged until the next start, which deletes it.
            Err(error) => tracing::warn!(%error, "files of a removed database are left"),
        }
        Ok(())
    }

    fn close_writer(&self, writer: &mut Writer) {
        if writer.connection.take().is_some() {
            self.open.store(false, Ordering::Release);
            writer.room.end();
        }
    }

    /// Opens the writer if it is not open.
    fn opened(&self, writer: &mut Writer) -> Result<(), SqlError> {
        if writer.connection.is_some() {
            return Ok(());
        }
        let connection = Guarded::open(&self.files.db, &self.common, true)?;
        writer.room.begin(&connection)?;
        writer.connection = Some(connection);
        self.open.store(true, Ordering::Release);
        // Its log is a new entry of the directory.
        self.unsynced.note_directories([self.files.dir.as_path()]);
        Ok(())
    }

    fn lock(&self, since: u64) -> Result<MutexGuard<'_, Writer>, SqlError> {
        let waits = self.common.limits.transaction;
        let writer = self.writer.try_lock_for(waits).ok_or(SqlError::Deadline)?;
        if writer.gone {
            return Err(SqlError::NoDb);
        }
        self.check(since)?;
        Ok(writer)
    }

    /// Whether work that began then may still go on.
    fn check(&self, since: u64) -> Result<(), SqlError> {
        if self.rings() == since {
            Ok(())
        } else {
            Err(SqlError::Interrupted)
        }
    }

    fn until(&self) -> Instant {
        Instant::now() + self.common.limits.transaction
    }

    fn bounds(&self, since: u64) -> Bounds {
        Bounds {
            since,
            until: self.until(),
            statement: self.common.limits.statement,
            log: None,
        }
    }
}
