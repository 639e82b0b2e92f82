//! What can be kept in the two files of a log. Stateless.

use node_api::{EgressRecord, LogRecord};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// One line of a log. Whoever appends it numbers it.
pub(super) trait Record: Serialize + DeserializeOwned + Send + 'static {
    /// Counts the records of one log, from 1.
    fn number(&self) -> u64;

    /// Gives it its number.
    fn set_number(&mut self, number: u64);
}

impl Record for LogRecord {
    fn number(&self) -> u64 {
        self.number
    }

    fn set_number(&mut self, number: u64) {
        self.number = number;
    }
}

impl Record for EgressRecord {
    fn number(&self) -> u64 {
        self.number
    }

    fn set_number(&mut self, number: u64) {
        self.number = number;
    }
}
