//! Room on disk for writes, and giving back what is no longer needed.
//!
//! Invariants: what is charged for a database is at least what its files
//! have, and what they will have once the log is copied back; a statement
//! may grow the database by what was reserved for it before, the log by as
//! much and, when the budget is used up, by [`Limits::CREDIT`], so that rows
//! can be deleted then. SQLite undoes a statement that would need more; it
//! is run again with more room as long as there is some. Used by whoever
//! holds the database's writer.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::budget::{Budget, Grant};
use crate::connection::Guarded;
use crate::meter::Bounds;
use crate::name::Files;
use crate::{Limits, NoRoom, SqlError};

/// Bytes reserved for a small write.
const FIRST: u64 = 1 << 20;
/// How much more is reserved for the next attempt.
const GROWTH: u64 = 8;
/// No write is given more.
const MOST: u64 = 1 << 44;
/// Pages of SQLite's largest database.
const MOST_PAGES: u64 = 0xffff_fffe;
/// A log of so many bytes is copied back after a write.
const LOG_FULL: u64 = 4 << 20;
/// One of so many makes readers wait until it is.
const LOG_OVERFULL: u64 = 32 << 20;
/// A volume with fewer bytes left is full.
const VOLUME_FULL: u64 = 1 << 20;
/// Free bytes in a database worth giving back after a write.
const WORTH_GIVING_BACK: u64 = 1 << 20;
/// The part of a database that must be free then: one in so many pages.
const FREE_PART: u64 = 8;
/// Pages given back in one go.
const PAGES: u32 = 256;
/// How long giving back may delay a write; the next one goes on with it.
const GIVING_BACK: Duration = Duration::from_millis(500);

/// Bytes by which the log may grow until pages are counted again; so long a
/// new page is assumed for each that was logged.
const UNCOUNTED: u64 = 256 << 10;

/// What is charged for one database.
#[derive(Debug)]
pub(crate) struct Room {
    budget: Arc<dyn Budget>,
    files: Arc<Files>,
    charged: u64,
    /// Bytes of a page.
    page: u64,
    /// Pages there are, or more.
    pages: u64,
    /// Bytes of the file and of what stands beside it, when last counted.
    db: u64,
    side: u64,
    /// Bytes of the log now, and when last counted.
    log: u64,
    counted: u64,
    /// Whether the next write may overwrite part of the log, so that its
    /// length does not tell how much was written: what was copied back but
    /// not cut off, or undone.
    anew: bool,
    /// Pages the writer may have; none for a new writer.
    cap: Option<u64>,
}

/// How a write went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written {
    /// Whether less was left of the budget than was asked for.
    scarce: bool,
}

impl Room {
    /// For files that `charged` bytes are already taken for.
    pub(crate) fn new(budget: Arc<dyn Budget>, files: Arc<Files>, charged: u64) -> Self {
        Self {
            budget,
            files,
            charged,
            page: 4096,
            pages: 0,
            db: 0,
            side: 0,
            log: 0,
            counted: 0,
            anew: false,
            cap: None,
        }
    }

    /// A new connection writes from now on.
    pub(crate) fn begin(&mut self, writer: &Guarded) -> Result<(), SqlError> {
        self.page = writer.number("PRAGMA page_size")?.max(512);
        self.cap = None;
        self.count(writer);
        self.anew = self.log > 0;
        self.settle(Grant::take(&self.budget, 0));
        Ok(())
    }

    /// The writer was closed.
    pub(crate) fn end(&mut self) {
        self.pages = 0;
        self.look();
        self.settle(Grant::take(&self.budget, 0));
    }

    /// Nothing is left of the files.
    pub(crate) fn give_back_all(&mut self) {
        self.budget.release(std::mem::take(&mut self.charged));
    }

    /// Bytes the database has or will have.
    pub(crate) fn bytes(&self) -> u64 {
        self.pages * self.page
    }

    /// Does `write` with room for about `bytes`, again with more if it needs
    /// more.
    pub(crate) fn write(
        &mut self,
        writer: &mut Guarded,
        bytes: u64,
        bounds: &Bounds,
        write: &dyn Fn(&Guarded) -> Result<(), SqlError>,
    ) -> Result<Written, SqlError> {
        let mut wanted = FIRST.max(bytes.saturating_mul(4)).min(MOST);
        loop {
            let grant = self.take(writer, wanted);
            let scarce = grant.is_short();
            let bounds = self.bound(writer, &grant, bounds)?;
            let result = writer.run(bounds, write);
            let undone = writer.roll_back();
            self.anew |= result.is_err();
            self.count_growth(writer);
            self.settle(grant);
            match result {
                Err(SqlError::NoRoom(_)) if self.volume_is_full() => {
                    return Err(SqlError::Io(std::io::ErrorKind::StorageFull.into()));
                }
                Err(SqlError::NoRoom(_)) if scarce || wanted == MOST => {
                    let left = Grant::take(&self.budget, wanted).bytes();
                    return Err(NoRoom { left, wanted }.into());
                }
                Err(SqlError::NoRoom(_)) => wanted = wanted.saturating_mul(GROWTH).min(MOST),
                other => return other.and(undone).map(|()| Written { scarce }),
            }
        }
    }

    /// What is left of `wanted` bytes; if that is less, also what an emptied
    /// log gives back.
    fn take(&mut self, writer: &Guarded, wanted: u64) -> Grant {
        let grant = Grant::take(&self.budget, wanted);
        if !grant.is_short() || self.log == 0 {
            return grant;
        }
        drop(grant);
        self.empty_log(writer);
        Grant::take(&self.budget, wanted)
    }

    /// Tells SQLite how many pages there may be, the meter how long the log.
    fn bound(
        &mut self,
        writer: &Guarded,
        grant: &Grant,
        bounds: &Bounds,
    ) -> Result<Bounds, SqlError> {
        let half = grant.bytes() / 2;
        let most = (self.pages + half / self.page).clamp(1, MOST_PAGES);
        // A cap is kept while it leaves half of what it could.
        let least = self.pages + half / 2 / self.page;
        if !self.cap.is_some_and(|cap| (least..=most).contains(&cap)) {
            writer.ours(&format!("PRAGMA max_page_count={most}"))?;
            self.cap = Some(most);
        }
        let mut bounds = bounds.clone();
        let log = self.log + half.max(Limits::CREDIT / 2);
        bounds.log = Some((self.files.log.clone(), log));
        Ok(bounds)
    }

    /// After a write that worked: gives back free pages if there may be some,
    /// and copies the log back if it is long. What fails here is tried again
    /// after the next. Whether readers should be kept out for that.
    pub(crate) fn tidy(&mut self, writer: &Guarded, freed: bool, written: Written) -> bool {
        if freed {
            let worth = if written.scarce {
                self.page
            } else {
                WORTH_GIVING_BACK.max(self.bytes() / FREE_PART)
            };
            self.give_back(writer, worth, Instant::now() + GIVING_BACK);
        }
        let full = if written.scarce { 1 } else { LOG_FULL };
        if self.log < full {
            return false;
        }
        self.empty_log(writer);
        self.log >= LOG_OVERFULL
    }

    /// Gives free pages back if there are at least so many bytes of them.
    pub(crate) fn give_back(&mut self, writer: &Guarded, worth: u64, until: Instant) {
        let free = |writer: &Guarded| writer.number("PRAGMA freelist_count").unwrap_or(0);
        let mut before = free(writer);
        if before == 0 || before * self.page < worth {
            return;
        }
        while Instant::now() < until {
            if let Err(error) = writer.ours(&format!("PRAGMA incremental_vacuum({PAGES})")) {
                tracing::debug!(%error, "free pages of a database were not given back");
                break;
            }
            if self.files.log_bytes() >= LOG_FULL {
                self.empty_log(writer);
            }
            let now = free(writer);
            // A file of another origin may not be able to.
            if now == 0 || now >= before {
                break;
            }
            before = now;
        }
        // Only now does the file become shorter.
        self.empty_log(writer);
    }

    /// Copies the log back, as far as readers allow.
    pub(crate) fn empty_log(&mut self, writer: &Guarded) {
        if let Err(error) = writer.empty_log() {
            tracing::debug!(%error, "the log of a database was not copied back");
        }
        self.count(writer);
        self.anew = self.log > 0;
        self.settle(Grant::take(&self.budget, 0));
    }

    /// Looks at the files.
    fn look(&mut self) {
        self.db = self.files.db_bytes();
        self.side = self.files.side_bytes();
        self.log = self.files.log_bytes();
        self.counted = self.log;
    }

    /// Counts pages and looks at the files.
    fn count(&mut self, writer: &Guarded) {
        match writer.number("PRAGMA page_count") {
            Ok(pages) => self.pages = pages,
            Err(error) => tracing::debug!(%error, "pages of a database could not be counted"),
        }
        self.look();
    }

    /// Does so after a write only if the log does not tell enough or has
    /// grown much since.
    fn count_growth(&mut self, writer: &Guarded) {
        let log = self.files.log_bytes();
        if self.anew || log < self.log || log - self.counted >= UNCOUNTED {
            return self.count(writer);
        }
        self.pages += (log - self.log).div_ceil(self.page);
        self.log = log;
    }

    /// Charges what is there instead of what was reserved.
    fn settle(&mut self, grant: Grant) {
        let now = Limits::FLAT + self.db.max(self.bytes()) + self.log + self.side;
        grant.settle(self.charged, now);
        self.charged = now;
    }

    fn volume_is_full(&self) -> bool {
        rustix::fs::statvfs(&self.files.dir)
            .is_ok_and(|volume| volume.f_bavail.saturating_mul(volume.f_frsize) < VOLUME_FULL)
    }
}
