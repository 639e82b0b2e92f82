//! The two files of a log: `current`, which grows, and `previous`.
//!
//! The same for every kind of record. Invariants: each file is at most as long
//! as its owner says; a line is one record as JSON; numbers rise from line to
//! line. A line that was torn by a crash is ended before the next is written,
//! and readers skip it. No file is open between two writes: a node with nothing
//! to tell costs no descriptor.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::read::{self, CURRENT, PREVIOUS};
use super::record::Record;

/// Appends to a log. Blocking.
#[derive(Debug)]
pub(super) struct Disk {
    dir: PathBuf,
    file_bytes: u64,
    /// Number of the next record, once the files have been looked at.
    next: Option<u64>,
}

impl Disk {
    /// The log in `dir`, which need not be there yet; `file_bytes` bounds each
    /// of its files.
    pub(super) fn new(dir: PathBuf, file_bytes: u64) -> Self {
        Self {
            dir,
            file_bytes,
            next: None,
        }
    }

    /// Appends `records`, numbering them. After an error some of them may be
    /// there.
    pub(super) fn append<R: Record>(&mut self, records: Vec<R>) -> io::Result<()> {
        // After an error the files are looked at again.
        let known = self.next.take();
        let mut file = self.open()?;
        let mut size = file.metadata()?.len();
        let mut lines = Vec::new();
        let mut next = match known {
            Some(next) => next,
            None => {
                if is_torn(&file, size)? {
                    lines.push(b'\n');
                }
                read::newest::<R>(&self.dir)? + 1
            }
        };
        for mut record in records {
            record.set_number(next);
            next += 1;
            let mut line = serde_json::to_vec(&record)?;
            line.push(b'\n');
            let pending = (lines.len() + line.len()) as u64;
            if size + pending > self.file_bytes && size + lines.len() as u64 > 0 {
                file.write_all(&lines)?;
                lines.clear();
                size = 0;
                file = self.rotate()?;
            }
            lines.append(&mut line);
        }
        file.write_all(&lines)?;
        self.next = Some(next);
        Ok(())
    }

    fn open(&self) -> io::Result<File> {
        let path = self.dir.join(CURRENT);
        match open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let mut builder = DirBuilder::new();
                builder.recursive(true).mode(0o700).create(&self.dir)?;
                open(&path)
            }
            opened => opened,
        }
    }

    fn rotate(&self) -> io::Result<File> {
        std::fs::rename(self.dir.join(CURRENT), self.dir.join(PREVIOUS))?;
        self.open()
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .read(true)
        .mode(0o600)
        .open(path)
}

/// Whether a crash left half a line at the end.
fn is_torn(file: &File, size: u64) -> io::Result<bool> {
    let Some(last) = size.checked_sub(1) else {
        return Ok(false);
    };
    let mut byte = [0];
    file.read_exact_at(&mut byte, last)?;
    Ok(byte != *b"\n")
}
