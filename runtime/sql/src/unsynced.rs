//! What would be lost by a power cut: logs with commits since they were last
//! synced, and directories whose entries changed.
//!
//! Invariant: whatever was noted before [`Unsynced::sync`] began has reached
//! the disk when it returns without error; what failed is noted again. A log
//! that is gone was copied to its database and synced by SQLite.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

/// The log of one database.
#[derive(Debug)]
pub(crate) struct Log {
    path: Arc<Path>,
    noted: AtomicBool,
}

impl Log {
    pub(crate) fn new(path: Arc<Path>) -> Arc<Self> {
        Arc::new(Self {
            path,
            noted: AtomicBool::new(false),
        })
    }
}

/// Notes of all databases of a node.
#[derive(Debug, Default)]
pub(crate) struct Unsynced {
    logs: Mutex<Vec<Arc<Log>>>,
    directories: Mutex<BTreeSet<PathBuf>>,
    /// Held by whoever syncs: who comes meanwhile finds nothing noted and must
    /// not say that it is done before it is.
    syncing: Mutex<()>,
}

impl Unsynced {
    /// Notes a commit.
    pub(crate) fn note(&self, log: &Arc<Log>) {
        if !log.noted.swap(true, Ordering::AcqRel) {
            self.logs.lock().push(log.clone());
        }
    }

    /// Notes directories in which something appeared or vanished.
    pub(crate) fn note_directories<'a>(&self, paths: impl IntoIterator<Item = &'a Path>) {
        let paths = paths.into_iter().map(Path::to_owned);
        self.directories.lock().extend(paths);
    }

    /// Makes everything noted durable. Whether there was anything.
    pub(crate) fn sync(&self) -> io::Result<bool> {
        let _syncing = self.syncing.lock();
        let logs = std::mem::take(&mut *self.logs.lock());
        let directories = std::mem::take(&mut *self.directories.lock());
        let any = !logs.is_empty() || !directories.is_empty();
        let mut result = Ok(any);
        for log in logs {
            // Cleared first: a commit from now on is noted again.
            log.noted.store(false, Ordering::Release);
            if let Err(error) = sync(&log.path) {
                self.note(&log);
                result = Err(error);
            }
        }
        for path in directories {
            if let Err(error) = sync(&path) {
                self.directories.lock().insert(path);
                result = Err(error);
            }
        }
        result
    }
}

fn sync(path: &Path) -> io::Result<()> {
    match File::open(path) {
        Ok(file) => file.sync_data(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_synced_once() {
        let dir = tempfile::tempdir().unwrap();
        let notes = Unsynced::default();
        assert!(!notes.sync().unwrap());
        let log = Log::new(dir.path().join("log").into());
        notes.note(&log);
        notes.note(&log);
        assert_eq!(notes.logs.lock().len(), 1);
        assert!(notes.sync().unwrap());
        assert!(!notes.sync().unwrap());
        notes.note_directories([dir.path()]);
        assert!(notes.sync().unwrap());
    }

    #[test]
    fn what_could_not_be_synced_is_noted_again() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, b"").unwrap();
        let notes = Unsynced::default();
        // A path through a file cannot be opened.
        notes.note(&Log::new(file.join("log").into()));
        notes.note_directories([file.join("directory").as_path()]);
        assert!(notes.sync().is_err());
        assert!(notes.sync().is_err());
        std::fs::remove_file(&file).unwrap();
        assert!(notes.sync().unwrap());
    }
}
