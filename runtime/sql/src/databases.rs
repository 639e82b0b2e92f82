//! All SQLite databases of one node.
//!
//! Invariants: a database is known by one [`Database`] only, so that its
//! charge is counted once; no more than [`Limits::open_databases`] have files
//! open. The shelf's lock is held for short steps only, never while SQL runs
//! or a database is opened or closed. Ends by [`Databases::close`].
//!
//! [`Limits::open_databases`]: crate::Limits::open_databases

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::time::Instant;

use crate::budget::Grant;
use crate::connection::Common;
use crate::database::Database;
use crate::layout;
use crate::name::{Files, Key};
use crate::room::Room;
use crate::unsynced::Unsynced;
use crate::{DbId, Limits, NoRoom, Options, SqlError, Statement};

/// Most databases of a node: each that was used is remembered, and a wake looks
/// at the files of all.
const MOST_DATABASES: usize = 1024;
/// Bytes reserved for making a database: its first pages, its log and the
/// index of that.
const NEW: u64 = 64 << 10;

/// All SQLite databases of one node.
#[derive(Debug)]
pub struct Databases {
    options: Options,
    unsynced: Arc<Unsynced>,
    shelf: Mutex<Shelf>,
    /// A database is no longer in use, or all are closed.
    freed: Condvar,
}

#[derive(Debug, Default)]
struct Shelf {
    known: HashMap<Key, Arc<Database>>,
    /// Those that may have files open.
    open: HashMap<Key, Slot>,
    /// Uses and removals so far.
    count: u64,
    closed: bool,
}

#[derive(Debug)]
struct Slot {
    users: usize,
    /// When it was last used: the count, and the time.
    last: u64,
    at: Instant,
}

/// A database while it is used.
struct InUse<'a> {
    databases: &'a Databases,
    key: Key,
    database: Arc<Database>,
    /// Rings of its bell when the use began.
    since: u64,
}

impl Databases {
    /// Databases below `options.root`. Touches nothing on disk.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            options,
            unsynced: Arc::default(),
            shelf: Mutex::default(),
            freed: Condvar::new(),
        }
    }

    /// Charges the databases that are on disk, and deletes what was left of
    /// removed ones. Those that are charged already are not charged again.
    ///
    /// # Errors
    /// [`SqlError::Io`] when a directory cannot be read.
    pub fn measure(&self) -> Result<(), SqlError> {
        layout::delete_removed(&self.options.root)?;
        for package in layout::entries(&self.options.root)? {
            for name in layout::entries(&self.options.root.join(&package))? {
                let (Some(package), Some(name)) = (package.to_str(), name.to_str()) else {
                    continue;
                };
                let key = Key::found(package.to_owned(), name.to_owned());
                self.measure_one(key)?;
            }
        }
        Ok(())
    }

    fn measure_one(&self, key: Key) -> Result<(), SqlError> {
        let mut shelf = self.shelf.lock();
        let files = self.files(&key);
        if files.db.try_exists()? {
            self.adopt(&mut shelf, key, files, None);
        } else if !shelf.known.contains_key(&key) && files.dir.is_dir() {
            // Making it had not come as far as its file.
            layout::delete(&files.dir)?;
        }
        Ok(())
    }

    /// Opens a database; makes it if it is not there.
    ///
    /// # Errors
    /// [`SqlError::NoRoom`] when the budget does not allow another one.
    pub fn open(&self, id: &DbId) -> Result<(), SqlError> {
        self.with(id, true, |database, since| database.open(since))
    }

    /// Whether the database is there.
    ///
    /// # Errors
    /// [`SqlError::Io`] when the disk does not say.
    pub fn exists(&self, id: &DbId) -> Result<bool, SqlError> {
        Ok(self.files(&Key::new(id)).db.try_exists()?)
    }

    /// Removes a database with everything in it; interrupts what it does.
    ///
    /// # Errors
    /// [`SqlError::NoDb`] when there is none.
    pub fn remove(&self, id: &DbId) -> Result<(), SqlError> {
        let used = self.enter(id, false)?;
        let result = used.database.remove(|| self.unlink(&used.key));
        drop(used);
        result
    }

    /// Answers a read with a JSON array of objects, one a row. A value of
    /// type BLOB is base64 text; of columns with one name the last wins.
    ///
    /// # Errors
    /// [`SqlError`] for whatever is wrong with the statement.
    pub fn read(&self, id: &DbId, statement: &Statement) -> Result<Vec<u8>, SqlError> {
        self.with(id, false, |database, since| database.read(since, statement))
    }

    /// Carries out writes: several in one transaction, all or none of them.
    /// When it returns they survive a kill, after [`Databases::sync`] also a
    /// power cut.
    ///
    /// # Errors
    /// [`SqlError`] for whatever is wrong with one of them.
    pub fn write(&self, id: &DbId, statements: &[Statement]) -> Result<(), SqlError> {
        self.with(id, false, |database, since| {
            database.write(since, statements)
        })
    }

    /// Makes everything written, made or removed so far survive a power cut.
    /// Whether there was anything.
    ///
    /// # Errors
    /// [`SqlError::Io`] when the disk failed; what is not durable is tried
    /// again by the next call.
    pub fn sync(&self) -> Result<bool, SqlError> {
        Ok(self.unsynced.sync()?)
    }

    /// Makes statements under way end soon with [`SqlError::Interrupted`].
    pub fn interrupt_all(&self) {
        let known: Vec<_> = self.shelf.lock().known.values().cloned().collect();
        for database in known {
            database.interrupt();
        }
    }

    /// Closes databases that nobody used for `than`; the next use opens them
    /// again.
    pub fn close_idle(&self, than: Duration) {
        let now = Instant::now();
        let mut shelf = self.shelf.lock();
        let idle = |slot: &Slot| slot.users == 0 && now.saturating_duration_since(slot.at) >= than;
        let keys = shelf.open.iter().filter(|(_, slot)| idle(slot));
        let keys: Vec<_> = keys.map(|(key, _)| key.clone()).collect();
        for key in keys {
            if shelf.open.get(&key).is_some_and(&idle) {
                shelf = self.put_away(shelf, &key);
            }
        }
    }

    /// Interrupts what is under way and closes everything. Later calls fail
    /// with [`SqlError::Closed`].
    pub fn close(&self) {
        let known: Vec<_> = {
            let mut shelf = self.shelf.lock();
            shelf.closed = true;
            shelf.known.values().cloned().collect()
        };
        self.freed.notify_all();
        for database in &known {
            database.interrupt();
        }
        for database in known {
            if let Err(error) = database.close() {
                tracing::warn!(%error, "a database was not closed");
            }
        }
    }

    /// Does something with a database. One that was removed meanwhile is
    /// looked for again.
    fn with<T>(
        &self,
        id: &DbId,
        create: bool,
        work: impl Fn(&Database, u64) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        loop {
            let used = self.enter(id, create)?;
            match work(&used.database, used.since) {
                Err(SqlError::NoDb) if used.database.is_gone() => {}
                result => return result,
            }
        }
    }

    /// Finds or makes a database and a slot for it.
    fn enter(&self, id: &DbId, create: bool) -> Result<InUse<'_>, SqlError> {
        let until = Instant::now() + self.options.limits.transaction;
        let key = Key::new(id);
        let mut shelf = self.shelf.lock();
        loop {
            if shelf.closed {
                return Err(SqlError::Closed);
            }
            let database = self.find(&mut shelf, &key, create)?;
            let most = self.options.limits.open_databases.max(1);
            if shelf.open.contains_key(&key) || shelf.open.len() < most {
                return Ok(self.begin(&mut shelf, key, database));
            }
            if Instant::now() >= until {
                return Err(SqlError::Deadline);
            }
            let unused = shelf.open.iter().filter(|(_, slot)| slot.users == 0);
            let victim = unused.min_by_key(|(_, slot)| slot.last);
            match victim.map(|(key, _)| key.clone()) {
                Some(victim) => shelf = self.put_away(shelf, &victim),
                None => {
                    let left = until.saturating_duration_since(Instant::now());
                    self.freed.wait_for(&mut shelf, left);
                }
            }
        }
    }

    fn begin(&self, shelf: &mut Shelf, key: Key, database: Arc<Database>) -> InUse<'_> {
        let slot = shelf.open.entry(key.clone()).or_insert(Slot {
            users: 0,
            last: 0,
            at: Instant::now(),
        });
        slot.users += 1;
        InUse {
            databases: self,
            key,
            since: database.rings(),
            database,
        }
    }

    /// Closes an unused database and frees its slot, unless somebody came for
    /// it meanwhile.
    fn put_away<'a>(
        &'a self,
        mut shelf: MutexGuard<'a, Shelf>,
        key: &Key,
    ) -> MutexGuard<'a, Shelf> {
        let database = shelf.known.get(key).cloned();
        if let Some(slot) = shelf.open.get_mut(key) {
            slot.users += 1;
        }
        let closed = MutexGuard::unlocked(&mut shelf, || {
            database.is_none_or(|database| match database.close() {
                Ok(()) => true,
                Err(error) => {
                    tracing::warn!(%error, "an unused database was not closed");
                    false
                }
            })
        });
        let count = shelf.count;
        if let Some(slot) = shelf.open.get_mut(key) {
            slot.users -= 1;
            slot.last = count;
            if slot.users == 0 && closed {
                shelf.open.remove(key);
            }
        }
        self.freed.notify_all();
        shelf
    }

    /// The database, if it is known or on disk, or made now.
    fn find(&self, shelf: &mut Shelf, key: &Key, create: bool) -> Result<Arc<Database>, SqlError> {
        if let Some(database) = shelf.known.get(key) {
            return Ok(database.clone());
        }
        let files = self.files(key);
        if files.db.try_exists()? {
            return Ok(self.adopt(shelf, key.clone(), files, None));
        }
        if !create {
            return Err(SqlError::NoDb);
        }
        if shelf.known.len() >= MOST_DATABASES {
            return Err(SqlError::Denied(format!(
                "a node may have {MOST_DATABASES} databases: remove one, or keep more tables in one"
            )));
        }
        let wanted = Limits::FLAT + NEW;
        let grant = Grant::take(&self.options.budget, wanted);
        if grant.is_short() {
            let left = grant.bytes();
            return Err(NoRoom { left, wanted }.into());
        }
        layout::make(&files)?;
        let made = [&files.dir, &files.package, &files.root].map(PathBuf::as_path);
        self.unsynced
            .note_directories(made.into_iter().chain(files.root.parent()));
        Ok(self.adopt(shelf, key.clone(), files, Some(grant)))
    }

    /// Makes a database on disk known and charges it, unless it is already.
    fn adopt(
        &self,
        shelf: &mut Shelf,
        key: Key,
        files: Files,
        grant: Option<Grant>,
    ) -> Arc<Database> {
        let known = shelf.known.entry(key);
        let database = known.or_insert_with(|| {
            let budget = &self.options.budget;
            let files_bytes = files.db_bytes() + files.log_bytes() + files.side_bytes();
            let charged = Limits::FLAT + files_bytes;
            let grant = grant.unwrap_or_else(|| Grant::take(budget, 0));
            grant.settle(0, charged);
            let files = Arc::new(files);
            let room = Room::new(budget.clone(), files.clone(), charged);
            let common = Common {
                limits: self.options.limits.clone(),
                interrupts: Arc::default(),
                case: Arc::default(),
            };
            let unsynced = self.unsynced.clone();
            Arc::new(Database::new(files, room, common, unsynced))
        });
        database.clone()
    }

    /// Takes the directory of a database out of the way and forgets it.
    /// Answers how to delete it.
    fn unlink(&self, key: &Key) -> io::Result<impl FnOnce() -> io::Result<()> + use<>> {
        let mut shelf = self.shelf.lock();
        let place = layout::remove(&self.options.root, &self.files(key), &mut shelf.count)?;
        shelf.known.remove(key);
        Ok(move || layout::delete(&place))
    }

    fn files(&self, key: &Key) -> Files {
        Files::new(&self.options.root, key)
    }
}

impl Drop for InUse<'_> {
    fn drop(&mut self) {
        let mut shelf = self.databases.shelf.lock();
        shelf.count += 1;
        let count = shelf.count;
        let known = shelf.known.contains_key(&self.key);
        if let Some(slot) = shelf.open.get_mut(&self.key) {
            slot.users -= 1;
            slot.last = count;
            slot.at = Instant::now();
            if slot.users == 0 && !known {
                shelf.open.remove(&self.key);
            }
        }
        drop(shelf);
        self.databases.freed.notify_all();
    }
}
