//! The bytes of an archive as its reader gets them.
//!
//! An archive may have many ends, each with a directory before it that is right
//! but for its last entry; the reader tries them all, from the last to the
//! first. Invariant: until it has found one it reads no more than a few times
//! the archive.

use std::cell::Cell;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::rc::Rc;

use bytes::Bytes;
use zip::ZipArchive;
use zip::result::ZipResult;

/// An archive whose directory has been read.
pub(super) type Archive = ZipArchive<Source>;

/// Bytes that are read of an archive of nothing until its directory is found:
/// what the most entries cost.
const BASE: u64 = 16 << 20;
/// How often all of an archive may be read until then.
const TIMES: u64 = 4;
/// A read counts for at least so many bytes.
const LEAST: u64 = 64;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Source {
    bytes: Cursor<Bytes>,
    /// Bytes that may still be read.
    left: Rc<Cell<u64>>,
}

/// Reads the directory of the archive `bytes`.
pub(super) fn open(bytes: &Bytes) -> ZipResult<Archive> {
    let most = (bytes.len() as u64).saturating_mul(TIMES);
    let left = Rc::new(Cell::new(most.saturating_add(BASE)));
    let archive = ZipArchive::new(Source {
        bytes: Cursor::new(bytes.clone()),
        left: left.clone(),
    });
    if left.get() == 0 {
        return Err(too_many_ends().into());
    }
    left.set(u64::MAX);
    archive
}

fn too_many_ends() -> io::Error {
    io::Error::other("it has too many ends")
}

impl Read for Source {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes.read(into)?;
        let left = self.left.get().checked_sub(LEAST.max(count as u64));
        self.left.set(left.unwrap_or(0));
        left.ok_or_else(too_many_ends)?;
        Ok(count)
    }
}

impl Seek for Source {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.bytes.seek(to)
    }
}
