//! A node's keys sealed with its password, which come into being later.

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

/// The keyfile of one password. Sealing it takes a good part of a second, so
/// that it is made behind the back of whoever set the password: until then it
/// is empty. Clones share it.
#[derive(Clone, Default)]
pub struct Keyfile(Arc<OnceLock<Bytes>>);

impl Keyfile {
    /// One that is there already; empty bytes are none.
    #[must_use]
    pub fn new(sealed: Bytes) -> Self {
        let keyfile = Self::default();
        if !sealed.is_empty() {
            keyfile.set(sealed);
        }
        keyfile
    }

    /// Puts it in place; only the first counts.
    pub fn set(&self, sealed: Bytes) {
        let _ = self.0.set(sealed);
    }

    /// The keyfile as old clients expect it in answer to a login; empty until
    /// it has been made.
    #[must_use]
    pub fn get(&self) -> Bytes {
        self.0.get().cloned().unwrap_or_default()
    }
}

impl fmt::Debug for Keyfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<keyfile of {} bytes>", self.get().len())
    }
}
