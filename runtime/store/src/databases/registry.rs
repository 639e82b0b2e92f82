//! What is stored of databases: one record for each, and one for all.
//!
//! Invariant: values say their format first, so that a host of another version
//! refuses what it does not understand. Holds nothing.

use rocksdb::DB;

use crate::StoreError;
use crate::turn::{Halt, Speed, cost, read};

/// The format of records. On disk.
const FORMAT: u8 = 1;
/// Bytes of a [`Record`] as it is stored.
const RECORD: usize = 17;
/// Bytes of a [`Head`] as it is stored.
const HEAD: usize = 13;

/// What is said of one database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    /// What its entries are filed under.
    pub(super) number: u64,
    /// Bytes of its entries and of this record, keys included.
    pub(super) bytes: u64,
}

/// What is said of all databases of a keyspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// The number of the next one.
    pub(super) next: u64,
    /// How many there are.
    pub(super) databases: u32,
}

impl Record {
    /// An empty database, whose record is under `key`.
    pub(super) fn new(number: u64, key: &[u8]) -> Self {
        Self {
            number,
            bytes: cost(key, RECORD),
        }
    }

    pub(super) fn of_value(value: &[u8]) -> Result<Self, StoreError> {
        let fields = fields::<RECORD>(value)?;
        Ok(Self {
            number: number(&fields[1..9]),
            bytes: number(&fields[9..]),
        })
    }

    pub(super) fn to_value(self) -> [u8; RECORD] {
        let mut value = [FORMAT; RECORD];
        value[1..9].copy_from_slice(&self.number.to_be_bytes());
        value[9..].copy_from_slice(&self.bytes.to_be_bytes());
        value
    }
}

impl Head {
    /// Of a keyspace without databases so far.
    pub(super) const FIRST: Self = Self {
        next: 1,
        databases: 0,
    };

    /// Bytes that it takes under `key`.
    pub(super) fn cost(key: &[u8]) -> u64 {
        cost(key, HEAD)
    }

    fn of_value(value: &[u8]) -> Result<Self, StoreError> {
        let fields = fields::<HEAD>(value)?;
        let databases = u32::try_from(number(&fields[9..])).unwrap_or(u32::MAX);
        Ok(Self {
            next: number(&fields[1..9]),
            databases,
        })
    }

    pub(super) fn to_value(self) -> [u8; HEAD] {
        let mut value = [FORMAT; HEAD];
        value[1..9].copy_from_slice(&self.next.to_be_bytes());
        value[9..].copy_from_slice(&self.databases.to_be_bytes());
        value
    }
}

/// The record under `key`, if there is one.
pub(super) fn record(db: &DB, key: &[u8], speed: Speed) -> Result<Option<Record>, Halt> {
    let value = db.get_pinned_opt(key, &read(speed))?;
    let record = value.map(|value| Record::of_value(&value));
    Ok(record.transpose()?)
}

/// The head under `key`, if there is one.
pub(super) fn head(db: &DB, key: &[u8], speed: Speed) -> Result<Option<Head>, Halt> {
    let value = db.get_pinned_opt(key, &read(speed))?;
    let head = value.map(|value| Head::of_value(&value));
    Ok(head.transpose()?)
}

fn fields<const LENGTH: usize>(value: &[u8]) -> Result<&[u8; LENGTH], StoreError> {
    let fields: Result<&[u8; LENGTH], _> = value.try_into();
    match fields {
        Ok(fields) if fields[0] == FORMAT => Ok(fields),
        _ => Err(StoreError::Corrupt(
            "the registry of databases is malformed, or of a later version".to_owned(),
        )),
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_read_back_and_anything_else_is_refused() {
        let record = Record {
            number: u64::MAX - 1,
            bytes: 0x0102_0304_0506_0708,
        };
        assert_eq!(Record::of_value(&record.to_value()), Ok(record));
        let head = Head {
            next: 0x1122_3344_5566_7788,
            databases: u32::MAX - 1,
        };
        assert_eq!(Head::of_value(&head.to_value()), Ok(head));
        let mut later = record.to_value();
        later[0] = FORMAT + 1;
        for bad in [&later[..], &record.to_value()[1..], b""] {
            assert!(Record::of_value(bad).is_err(), "{bad:?}");
            assert!(Head::of_value(bad).is_err(), "{bad:?}");
        }
    }
}
