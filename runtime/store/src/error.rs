//! What can go wrong in the store, as callers branch on it.

use rocksdb::ErrorKind;

/// Why the store could not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The volume has no room. Reads go on.
    #[error("the host's disk is full")]
    Full,
    /// The volume failed; what was acknowledged may be lost. The host should exit.
    #[error("the host's disk failed: {0}")]
    Disk(String),
    /// The files are not what was written.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
    /// Another process has the store open.
    #[error("the store is in use by another process: {0}")]
    Locked(String),
    /// The store was closed: the host is shutting down.
    #[error("the store is closed")]
    Closed,
    /// A key longer than [`crate::MAX_KEY_BYTES`].
    #[error("a key has {0} bytes, more than {max}", max = crate::MAX_KEY_BYTES)]
    KeyTooLong(usize),
    /// Anything else RocksDB reports.
    #[error("the store failed: {0}")]
    Other(String),
}

impl StoreError {
    /// Whether the volume itself failed, so that nothing can be trusted to be
    /// written any more.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Disk(_) | Self::Corrupt(_))
    }
}

/// How RocksDB says that its log failed before. Of a volume without room it says
/// so until it has made a new log; any other failure was told, and is fatal, the
/// first time.
const FAILED_BEFORE: &str = "Writer has previous error";

/// How RocksDB says that another has its lock file: another process, or this.
const LOCKED: [&str; 2] = ["While lock file", "lock hold by current process"];

impl From<rocksdb::Error> for StoreError {
    fn from(error: rocksdb::Error) -> Self {
        let kind = error.kind();
        Self::classify(&kind, error.into_string())
    }
}

impl StoreError {
    fn classify(kind: &ErrorKind, text: String) -> Self {
        // RocksDB hands the errno on as text only.
        let full = ["No space left", "Disk quota exceeded", FAILED_BEFORE];
        if full.iter().any(|part| text.contains(part)) {
            return Self::Full;
        }
        match kind {
            ErrorKind::IOError if LOCKED.iter().any(|part| text.contains(part)) => {
                Self::Locked(text)
            }
            ErrorKind::IOError => Self::Disk(text),
            ErrorKind::Corruption => Self::Corrupt(text),
            ErrorKind::ShutdownInProgress => Self::Closed,
            _ => Self::Other(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_volume_are_told_apart() {
        let of = |kind, text: &str| StoreError::classify(&kind, text.to_owned());
        let io = |text| of(ErrorKind::IOError, text);
        let full = io("IO error: No space left on device: While appending to file: /x/1.log");
        assert_eq!(full, StoreError::Full);
        assert!(!full.is_fatal());
        assert_eq!(io("IO error: Writer has previous error."), StoreError::Full);
        let disk = io("IO error: While fsync: /locks/1.log: Input/output error");
        assert!(matches!(disk, StoreError::Disk(_)) && disk.is_fatal());
        let locked = io("IO error: While lock file: /x/LOCK: Resource temporarily unavailable");
        assert!(matches!(locked, StoreError::Locked(_)));
        assert!(of(ErrorKind::Corruption, "Corruption: bad block").is_fatal());
        assert!(matches!(of(ErrorKind::Busy, "Busy"), StoreError::Other(_)));
    }
}
