//! Reading a log from its end, while it may be written. Blocking.
//!
//! Invariant: records come out in the order of their numbers, each once, even
//! when the files are rotated in between: what does not go down in number on
//! the way back is skipped, and so is what is no record.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::marker::PhantomData;
use std::os::unix::fs::FileExt;
use std::path::Path;

use node_api::{LogPage, LogPlace, LogQuery, LogRecord};

use super::record::Record;

/// The file that grows.
pub(super) const CURRENT: &str = "current";
/// The one before it.
pub(super) const PREVIOUS: &str = "previous";
/// Bytes read at once.
const CHUNK: u64 = 64 << 10;

/// Number of the newest record, 0 if there is none.
pub(super) fn newest<R: Record>(dir: &Path) -> io::Result<u64> {
    let newest = Records::<R>::open(dir)?.step()?;
    Ok(newest.map_or(0, |record| record.number()))
}

/// Records of the log in `dir`, newest first: at most `limit` of those older
/// than the one with the number `before`, or of all; and whether there are more.
pub(super) fn backwards<R: Record>(
    dir: &Path,
    before: Option<u64>,
    limit: usize,
) -> io::Result<(Vec<R>, bool)> {
    let mut all = Records::<R>::open(dir)?;
    let mut found = Vec::new();
    while let Some(record) = all.step()? {
        if before.is_some_and(|before| record.number() >= before) {
            continue;
        }
        if found.len() >= limit {
            return Ok((found, true));
        }
        found.push(record);
    }
    Ok((found, false))
}

/// The part of the log in `dir` that `query` asks for.
pub(super) fn page(dir: &Path, query: LogQuery) -> io::Result<LogPage> {
    let mut all = Records::<LogRecord>::open(dir)?;
    let mut found = VecDeque::new();
    let mut page = LogPage::default();
    let mut oldest = None;
    while let Some(record) = all.step()? {
        page.newest = page.newest.max(record.number);
        match query.place {
            LogPlace::After(number) if record.number <= number => {
                oldest = None;
                break;
            }
            LogPlace::Before(number) if record.number >= number => continue,
            _ => {}
        }
        oldest = Some(record.number);
        if record.verbosity > query.verbosity {
            continue;
        }
        let is_full = found.len() >= query.limit;
        page.more |= is_full;
        match query.place {
            LogPlace::After(_) if is_full => drop(found.pop_back()),
            _ if is_full => break,
            _ => {}
        }
        found.push_front(record);
    }
    if let (LogPlace::After(number), Some(oldest)) = (query.place, oldest) {
        page.missing = oldest.saturating_sub(number + 1);
    }
    page.records = found.into();
    Ok(page)
}

/// The records of both files, newest first.
struct Records<R> {
    /// Not read yet, in the order of reading.
    files: VecDeque<Backwards>,
    lowest: u64,
    kind: PhantomData<R>,
}

impl<R: Record> Records<R> {
    fn open(dir: &Path) -> io::Result<Self> {
        let mut files = VecDeque::new();
        // In this order: a rotation in between shows a file twice, and hides none.
        for name in [CURRENT, PREVIOUS] {
            match File::open(dir.join(name)) {
                Ok(file) => files.push_back(Backwards::new(file)?),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self {
            files,
            lowest: u64::MAX,
            kind: PhantomData,
        })
    }

    fn step(&mut self) -> io::Result<Option<R>> {
        while let Some(file) = self.files.front_mut() {
            let Some(line) = file.line()? else {
                self.files.pop_front();
                continue;
            };
            match serde_json::from_slice::<R>(&line) {
                Ok(record) if record.number() < self.lowest => {
                    self.lowest = record.number();
                    return Ok(Some(record));
                }
                _ => {}
            }
        }
        Ok(None)
    }
}

/// The lines of a file, last first.
struct Backwards {
    file: File,
    /// Bytes not read yet.
    left: u64,
    /// Bytes read and not given yet; what comes before them is still in the file.
    read: Vec<u8>,
}

impl Backwards {
    fn new(file: File) -> io::Result<Self> {
        Ok(Self {
            left: file.metadata()?.len(),
            file,
            read: Vec::new(),
        })
    }

    fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(at) = self.read.iter().rposition(|byte| *byte == b'\n') {
                let line = self.read.split_off(at + 1);
                self.read.pop();
                return Ok(Some(line));
            }
            if self.left == 0 {
                let line = std::mem::take(&mut self.read);
                return Ok((!line.is_empty()).then_some(line));
            }
            let size = self.left.min(CHUNK);
            self.left -= size;
            let mut chunk = vec![0; usize::try_from(size).unwrap_or_default()];
            self.file.read_exact_at(&mut chunk, self.left)?;
            chunk.append(&mut self.read);
            self.read = chunk;
        }
    }
}
